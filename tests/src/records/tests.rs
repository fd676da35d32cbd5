use super::*;

fn record(seg: &str, pcm: &[u8]) -> (tempfile::TempDir, Result<Record, RecordError>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.seg"), seg).unwrap();
    std::fs::write(dir.path().join("r.pcm"), pcm).unwrap();
    let record = Record::open(&dir.path().join("r"));
    (dir, record)
}

#[test]
fn segments_carry_true_time_and_an_open_one_lasts_to_the_end_of_the_file() {
    let seg = "S 1000000000 48000.0 0 2 S16_LE 48\nE 2 1\nS 5000000000 48000.0 2 2 S16_LE 0\n";
    let (_dir, record) = record(seg, &[0, 0x40, 9, 9, 0, 0xc0, 9, 9, 0, 0x20, 9, 9]);
    let record = record.unwrap();
    assert_eq!(record.segments[0].start_ns, 1_001_000_000);
    assert_eq!((record.segments[0].frames, record.segments[1].frames, record.xruns()), (2, 1, 1));
    assert_eq!(record.samples(-1, 5), [0.0, 0.5, -0.5, 0.25, 0.0]);
}

#[test]
fn what_is_no_record_is_refused_with_its_line() {
    for seg in ["S 1 2\n", "E 4 0\n", "S 0 48000 0 2 FLOAT_LE 0\n", "S 0 48000 0 0 S16_LE 0\n", "S 0 0 0 2 S16_LE 0"] {
        let (_dir, record) = record(seg, &[]);
        assert!(record.unwrap_err().to_string().contains("r.seg:1:"), "{seg}");
    }
    let (_dir, mixed) = record("S 0 48000 0 2 S16_LE 0\nE 0 0\nS 0 48000 0 2 S32_LE 0\n", &[]);
    assert!(matches!(mixed, Err(RecordError::Mixed { .. })));
}

#[test]
fn heard_follows_the_cards_own_rate() {
    // A card 1 % fast that plays a 100 Hz sine of its own clock is heard to play 101 Hz.
    let rate = 48_480.0;
    let sine = |hz: f64, rate: f64, i: usize| (std::f64::consts::TAU * hz * i as f64 / rate).sin();
    let record = Record::from_samples(0, rate, (0..48_000).map(|i| sine(100.0, 48_000.0, i)).collect());
    let heard = record.heard(0, 40_000, 48_000.0).unwrap();
    for (i, heard) in heard.iter().enumerate().skip(HALF_WIDTH) {
        assert!((heard - sine(101.0, 48_000.0, i)).abs() < 1e-5, "{i}: {heard}");
    }
    assert!(record.heard(-1, 10, 48_000.0).is_none());
    assert!(record.heard(0, 48_000, 48_000.0).is_none());
}

#[test]
fn first_sound_is_found_to_the_frame() {
    let mut samples = vec![0.0; 100_000];
    samples[70_000] = 0.1;
    let record = Record::from_samples(1_000, 48_000.0, samples);
    assert_eq!(record.first_sound(0, 0.01), Some(1_000 + 70_000 * 1_000_000 / 48));
    assert_eq!(record.first_sound(2_000_000_000, 0.01), None);
}
