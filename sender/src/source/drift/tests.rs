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
