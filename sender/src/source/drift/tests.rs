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
