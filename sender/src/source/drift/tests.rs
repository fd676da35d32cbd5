use super::*;
use unisono_audio::convert::Rng;

const RATE: u32 = 48_000;

/// A writer off by `ppm` that writes pieces of `piece` frames, each up to 8 ms late; the level after `seconds`, its
/// extremes in the second half, and the largest correction in that half.
fn run(drift: &mut Drift, ppm: f64, piece: f64, seconds: u32) -> (f64, f64, f64, f64) {
    let mut rng = Rng::new(5);
    let (mut ratio, mut level, mut written) = (1.0, 3_000.0, 0.0);
    let (mut low, mut high, mut most) = (f64::MAX, f64::MIN, 0.0_f64);
    let mut late = 0.0;
    for n in 1..=seconds * 200 {
        let t = f64::from(n) * 0.005;
        let due = (t - late) * f64::from(RATE) * (1.0 + ppm * 1e-6);
        level -= f64::from(RATE) * 0.005;
        while written + piece <= due {
            written += piece;
            level += piece * ratio;
            late = rng.below(8) as f64 / 1_000.0;
        }
        if let Some(new) = drift.observe((t * 1e9) as i64, level, false) {
            ratio = new;
        }
        if n > seconds * 100 {
            (low, high) = (low.min(level), high.max(level));
            most = most.max((ratio - 1.0).abs() * 1e6);
        }
    }
    (level, low, high, most)
}

#[test]
fn a_writer_in_step_is_left_alone() {
    let mut drift = Drift::of_writer(RATE, 1_200.0);
    let (.., most) = run(&mut drift, 0.0, 1_200.0, 600);
    assert_eq!(most, 0.0);
    assert!(drift.ppm().unwrap().abs() < 20.0, "{:?}", drift.ppm());
}

#[test]
fn a_writer_with_its_own_clock_is_followed() {
    for ppm in [-200.0, 60.0, 400.0] {
        let mut drift = Drift::of_writer(RATE, 1_200.0);
        let (_, low, high, most) = run(&mut drift, ppm, 1_200.0, 1_200);
        assert!(low > 500.0 && high < 5_500.0, "{ppm} ppm: the level stays between {low} and {high}");
        assert!(most < f64::abs(ppm) + 100.0, "{ppm} ppm: corrected by up to {most}");
        assert!((drift.ppm().unwrap() - ppm).abs() < 30.0, "{ppm} ppm are taken for {:?}", drift.ppm());
    }
}

/// What came of a prompt writer in the second half of its time.
struct Prompt {
    /// The least that waited just before a piece, in frames.
    least: f64,
    /// Packets that found nothing, of all.
    dry: u32,
    stretched: bool,
}

/// A prompt writer of pieces of `piece` frames, of which packets of 5 ms are taken, off by `ppm`; `more` frames wait from the
/// start.
fn run_promptly(piece: f64, more: f64, ppm: f64, seconds: u32) -> Prompt {
    let (packet, mut drift) = (240.0, Drift::of_prompt_writer(RATE, 140.0, 192.0));
    let (mut ratio, mut waits, mut taken) = (1.0, 150.0 + more, 0.0);
    let mut came = Prompt { least: f64::MAX, dry: 0, stretched: false };
    let pieces = (f64::from(seconds * RATE) / piece) as u32;
    for n in 0..pieces {
        let (at, late_half) = (f64::from(n) * piece / (1.0 + ppm * 1e-6), n > pieces / 2);
        while taken + packet <= at {
            taken += packet;
            if waits < packet {
                drift.dry();
                came.dry += 1;
            } else {
                waits -= packet;
            }
        }
        drift.came(waits);
        if late_half {
            came.least = came.least.min(waits);
        }
        waits += piece * ratio;
        if let Some(new) = drift.observe((at / f64::from(RATE) * 1e9) as i64, waits, false) {
            ratio = new;
        }
    }
    Prompt { stretched: drift.engaged, ..came }
}

#[test]
fn what_waits_too_long_of_a_prompt_writer_is_taken_in_whatever_its_pieces() {
    for (piece, ppm) in [(120.0, 0.0), (120.0, 100.0), (240.0, -100.0), (960.0, 0.0), (960.0, 50.0)] {
        let Prompt { least, dry, stretched } = run_promptly(piece, 720.0, ppm, 600);
        assert!(stretched && (0.0..480.0).contains(&least), "{piece} frames, {ppm} ppm: {least} frames wait");
        assert!(dry <= 3, "{piece} frames, {ppm} ppm: {dry} packets of ten minutes found nothing");
    }
    for piece in [120.0, 240.0] {
        let Prompt { least, dry, stretched } = run_promptly(piece, 0.0, 0.0, 240);
        assert!(!stretched && dry == 0, "{piece} frames: in time, with {least} frames");
    }
}

#[test]
fn a_prompt_writer_whose_queue_ran_dry_is_given_more_time() {
    let mut drift = Drift::of_prompt_writer(RATE, 140.0, 192.0);
    let level = |drift: &Drift| drift.soon.unwrap().level();
    for _ in 0..3 {
        drift.dry();
    }
    assert!((level(&drift) - 192.0 - 3.0 * 96.0).abs() < 1e-9);
    for _ in 0..100 {
        drift.dry();
    }
    assert!((level(&drift) - 192.0 - 960.0).abs() < 1e-9, "no more than 20 ms");
    (0..3_600).for_each(|_| drift.soon.as_mut().unwrap().turn(300.0));
    assert!(level(&drift) < 192.0 + 10.0, "after an hour that is forgotten");
}

#[test]
fn a_card_is_kept_at_its_level_from_the_start() {
    let mut drift = Drift::of_clock(RATE, 1_200.0);
    let (level, low, high, _) = run(&mut drift, 150.0, 240.0, 300);
    assert!((700.0..1_700.0).contains(&level) && low > 400.0 && high < 2_000.0, "{level} {low} {high}");
}

/// Six hours of a station off by `ppm`, of which `burst_s` seconds come at once and the rest in lumps of `lump_s`, each up
/// to `late_s` late; how much of it waits in seconds, at the least and at the most, and the largest correction.
fn listen(drift: &mut Drift, ppm: f64, burst_s: f64, lump_s: f64, late_s: f64) -> (f64, f64, f64) {
    let (mut rng, rate) = (Rng::new(7), f64::from(RATE));
    let (mut ratio, mut level, mut at) = (1.0, burst_s * rate, 0.0);
    let (mut low, mut high, mut most) = (f64::MAX, f64::MIN, 0.0_f64);
    let lumps = (6.0 * 3_600.0 / lump_s) as u32;
    for n in 1..=lumps {
        let late = rng.below(1_000) as f64 / 1_000.0 * late_s;
        let came = f64::max(at, f64::from(n) * lump_s / (1.0 + ppm * 1e-6) + late);
        level -= (came - at) * rate;
        at = came;
        low = low.min(level);
        // Decoded block by block.
        for _ in 0..5 {
            level += lump_s * rate / 5.0 * ratio;
            if let Some(new) = drift.observe((at * 1e9) as i64, level, false) {
                ratio = new;
                most = most.max((ratio - 1.0).abs() * 1e6);
            }
        }
        high = high.max(level);
    }
    (low / rate, high / rate, most)
}

#[test]
fn a_station_neither_runs_dry_nor_over_for_hours() {
    for ppm in [-100.0, 100.0] {
        // Left alone, it would be off by 2.2 s in the end.
        let mut drift = Drift::of_station(RATE);
        let (low, high, most) = listen(&mut drift, ppm, 4.0, 0.5, 0.5);
        assert!(low > 2.2 && high < 4.8, "{ppm} ppm: {low} to {high} s wait");
        assert!(most < 600.0, "{ppm} ppm: corrected by up to {most}");
        assert!((drift.ppm().unwrap() - ppm).abs() < 80.0, "{ppm} ppm are taken for {:?}", drift.ppm());
        // One that sends nothing ahead of time.
        let (low, high, _) = listen(&mut Drift::of_station(RATE), ppm, 0.6, 0.1, 0.05);
        assert!(low > 0.1 && high < 1.0, "{ppm} ppm: {low} to {high} s wait");
    }
    let (_, _, most) = listen(&mut Drift::of_station(RATE), 0.0, 4.0, 0.5, 0.5);
    assert_eq!(most, 0.0, "one in step is left alone");
}

#[test]
fn a_station_that_was_away_is_kept_where_it_is_then() {
    let (mut drift, rate) = (Drift::of_station(RATE), f64::from(RATE));
    let (mut ratio, mut level) = (1.0, 2.0 * rate);
    for second in 0..10_800 {
        level += (ratio - 1.0 - 200e-6) * rate;
        // Silence was heard instead for three seconds, and what was meant for them came after all.
        if second == 7_200 {
            level += 3.0 * rate;
        }
        if let Some(new) = drift.observe(second * 1_000_000_000, level, false) {
            ratio = new;
        }
    }
    assert!((level / rate - 5.0).abs() < 0.3, "{} s wait", level / rate);
}

#[test]
fn one_that_is_held_back_or_writes_ahead_has_no_clock() {
    let mut drift = Drift::of_writer(RATE, 1_200.0);
    for n in 0..10_000_i64 {
        assert_eq!(drift.observe(n * 5_000_000, 9_000.0 + (n % 4) as f64 * 240.0, true), None);
    }
    assert_eq!(drift.ppm(), None);
    let mut drift = Drift::of_writer(RATE, 1_200.0);
    let (.., most) = run(&mut drift, 20_000.0, 1_200.0, 60);
    assert_eq!(most, 0.0);
}
