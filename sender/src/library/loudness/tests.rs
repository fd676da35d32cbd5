use super::*;
use crate::testing::write_wav;

/// A stereo sine of 997 Hz whose peak is `level_db` below full scale: EBU Tech 3341 gives its loudness.
fn sine(path: &Path, level_db: f64, seconds: usize) {
    let scale = 10_f64.powf(level_db / 20.0) * 8_388_607.0;
    let sample = |n: usize| (scale * (std::f64::consts::TAU * 997.0 * n as f64 / 48_000.0).sin()) as i32;
    let samples: Vec<i32> = (0..48_000 * seconds * 2).map(|n| sample(n / 2)).collect();
    write_wav(path, 48_000, 24, 2, &samples);
}

#[test]
fn a_sine_is_as_loud_as_the_standard_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    // Tech 3341, test case 1: a stereo sine at -23 dBFS is -23 LUFS.
    sine(&path, -23.0, 5);
    let meter = measure(&path, &|| false).unwrap();
    assert!((loudness(&meter) + 23.0).abs() < 0.1, "{}", loudness(&meter));
    assert!((peak(&meter) - 10_f64.powf(-23.0 / 20.0)).abs() < 0.001);
}

#[test]
fn silence_and_what_is_no_music_have_no_loudness() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    write_wav(&path, 48_000, 16, 2, &vec![0; 96_000]);
    assert_eq!(loudness(&measure(&path, &|| false).unwrap()), NONE_LUFS);
    std::fs::write(&path, "nothing").unwrap();
    assert!(measure(&path, &|| false).is_none());
}
