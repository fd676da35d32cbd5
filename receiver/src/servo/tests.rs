use super::*;
use proptest::prelude::*;

/// Runs a servo on an error that it can work on; gives the error and the correction after each 10 ms.
fn run(mut error_ns: f64, sigma_ns: f64, seconds: f64) -> Vec<(f64, f64)> {
    let mut servo = Servo::default();
    let mut trace = Vec::new();
    for _ in 0..(seconds * 100.0) as usize {
        match servo.step(error_ns, sigma_ns, 0.01) {
            Correction::Slew(correction) => {
                error_ns -= correction * 1e7;
                trace.push((error_ns, correction));
            }
            Correction::Splice => {
                error_ns = 0.0;
                trace.push((0.0, f64::NAN));
            }
        }
    }
    trace
}

#[test]
fn small_errors_are_slewed_away_within_limits_and_without_overshoot() {
    for error in [-500_000.0, -20_000.0, 1_000.0, 100_000.0, 1_900_000.0] {
        let trace = run(error, 500.0, 30.0);
        let mut last = 0.0_f64;
        for &(left, correction) in &trace {
            assert!(correction.abs() <= MAX_CORRECTION + 1e-12);
            assert!((correction - last).abs() <= MAX_SLEW * 0.01 + 1e-12);
            last = correction;
            assert!(left * error > -(error * error) * 0.1, "overshoot from {error}: {left}");
        }
        assert!(trace.last().is_some_and(|(left, _)| left.abs() < 500.0), "{error}: {:?}", trace.last());
    }
}

#[test]
fn a_large_error_is_spliced_at_once_and_a_middling_one_after_it_lasted() {
    assert!(run(20e6, 500.0, 0.02)[0].1.is_nan());
    let trace = run(5e6, 500.0, 1.0);
    let at = trace.iter().position(|(_, correction)| correction.is_nan());
    assert!(at.is_some_and(|at| (45..=55).contains(&at)), "{at:?}");
}

#[test]
fn nothing_moves_on_a_clock_that_is_hardly_known() {
    let trace = run(5e6, 2e6, 3.0);
    assert!(trace.iter().all(|(_, correction)| correction.abs() < 1e-12));
}

proptest! {
    #[test]
    fn corrections_are_always_within_what_can_be_heard(
        steps in prop::collection::vec((-1e9..1e9_f64, 0.0..1e7_f64, 0.001..0.05_f64), 1..200)
    ) {
        let mut servo = Servo::default();
        let mut last = 0.0_f64;
        for (error, sigma, dt) in steps {
            match servo.step(error, sigma, dt) {
                Correction::Splice => last = 0.0,
                Correction::Slew(correction) => {
                    prop_assert!(correction.abs() <= MAX_CORRECTION + 1e-12);
                    prop_assert!((correction - last).abs() <= MAX_SLEW * dt + 1e-12);
                    last = correction;
                }
            }
        }
    }
}
