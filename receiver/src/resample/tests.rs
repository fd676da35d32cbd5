use super::*;
use std::f64::consts::TAU;

/// A sine of this frequency (in cycles a frame) at a content position, in phase at frame zero.
fn sine(frequency: f64, position: f64) -> f64 {
    (TAU * (frequency * position).fract()).sin()
}

fn content(frequency: f64) -> impl FnMut(i64, &mut [f32]) {
    move |first, out| {
        for (i, frame) in out.chunks_exact_mut(2).enumerate() {
            frame.fill(sine(frequency, (first + i as i64) as f64) as f32);
        }
    }
}

/// Gain, and lag in content frames behind the position that the resampler tells, of a sine after a seek.
fn gain_and_lag(quality: Quality, start: Position, frequency: f64, step: f64) -> (f64, f64) {
    let mut resampler = Resampler::new(quality, 48_000, 48_000, 2, 480).expect("valid");
    resampler.seek(start, content(frequency));
    let mut heard = vec![];
    for chunk in 0..20 {
        let wanted = resampler.plan(480, step, 0.0);
        let mut input = vec![0.0; wanted * 2];
        content(frequency)(resampler.input_start(), &mut input);
        let mut out = vec![0.0; 960];
        resampler.process(&input, &mut out);
        // Only the last frame's position is told; those before it follow once the step is constant.
        let last = resampler.last_position();
        for (i, frame) in out.chunks_exact(2).enumerate().skip(if chunk == 0 { 479 } else { 0 }) {
            let position = last.frame() as f64 + (last - Position::new(last.frame(), 0.0)) - (479 - i) as f64 * step;
            heard.push((f64::from(frame[0]), TAU * (frequency * position).fract()));
        }
    }
    let (a, b, _) = fit(&heard);
    (a.hypot(b), -b.atan2(a) / (TAU * frequency))
}

/// The sine and the cosine of the phases, in radians, that come closest to the samples, and the mean square of the rest.
fn fit(samples_and_phases: &[(f64, f64)]) -> (f64, f64, f64) {
    let (mut ss, mut cc, mut sc, mut ys, mut yc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (y, phase) in samples_and_phases {
        let (s, c) = phase.sin_cos();
        (ss, cc, sc, ys, yc) = (ss + s * s, cc + c * c, sc + s * c, ys + y * s, yc + y * c);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((ys * cc - yc * sc) / determinant, (yc * ss - ys * sc) / determinant);
    let rest = |(y, phase): &(f64, f64)| (y - a * phase.sin() - b * phase.cos()).powi(2);
    (a, b, samples_and_phases.iter().map(rest).sum::<f64>() / samples_and_phases.len() as f64)
}

#[test]
fn every_quality_shows_the_position_that_it_tells() {
    for quality in [Quality::Low, Quality::Normal, Quality::High] {
        for fraction in [0.0, 0.125, 0.5, 0.77] {
            for step in [1.0, 1.0 + 37e-6, 1.0 - 250e-6] {
                let (gain, lag) = gain_and_lag(quality, Position::new(1_000_000, fraction), 1_000.0 / 48_000.0, step);
                // A hundred-thousandth of a frame is 0.2 ns; a ten-thousandth of a dB.
                let most = if quality == Quality::Low { 1e-5 } else { 1e-6 };
                assert!(lag.abs() < most, "{quality:?} at {fraction}, step {step}: {lag} frames");
                assert!((gain - 1.0).abs() < 1.2e-5, "{quality:?} at {fraction}, step {step}: {gain}");
            }
        }
    }
}

#[test]
fn a_seek_lands_on_the_fraction() {
    for quality in [Quality::Low, Quality::Normal, Quality::High] {
        let mut resampler = Resampler::new(quality, 44_100, 48_000, 2, 256).expect("valid");
        for fraction in [0.0, 0.1, 0.49, 0.51, 0.999] {
            let target = Position::new(85_899_345_920, fraction);
            resampler.seek(target, |_, out| out.fill(0.0));
            let next = resampler.last_position() + resampler.nominal_step();
            assert!((next - target).abs() < 1e-9, "{quality:?}: {}", next - target);
        }
    }
}

#[test]
fn slip_changes_nothing_but_at_a_slip() {
    let mut resampler = Resampler::new(Quality::Slip, 48_000, 48_000, 2, 480).expect("valid");
    resampler.seek(Position::new(100, 0.4), |_, _| {});
    assert_eq!(resampler.last_position(), Position::new(99, 0.0));
    let input: Vec<f32> = (0..1_100).map(|i| i as f32).collect();
    let mut out = vec![0.0; 960];
    assert_eq!(resampler.plan(480, 1.0, 0.3), 480);
    resampler.process(&input[..960], &mut out);
    assert_eq!(out, &input[..960]);
    assert_eq!(resampler.plan(480, 1.0, 0.7), 481);
    resampler.process(&input[..962], &mut out);
    assert_eq!((&out[..2], &out[958..]), (&input[..2], &input[960..962]));
    assert_eq!(resampler.last_position(), Position::new(100 + 961 - 1, 0.0));
}

#[test]
fn slip_wants_equal_rates() {
    let error = Resampler::new(Quality::Slip, 44_100, 48_000, 2, 480).expect_err("rates differ").to_string();
    assert!(error.contains("rates must agree; the content has 44100 Hz, the device 48000 Hz"), "{error}");
}

/// Noise and distortion beside a sine of `hertz` that went through a resampler at a constant `step`, against it, in dB.
fn thd_n_db(quality: Quality, rates: [u32; 2], hertz: f64, step: f64) -> f64 {
    let mut resampler = Resampler::new(quality, rates[0], rates[1], 2, 480).expect("valid");
    let frequency = hertz / f64::from(rates[0]);
    resampler.seek(Position::new(1_000_000, 0.3), content(frequency));
    let mut heard = Vec::new();
    for _ in 0..200 {
        let wanted = resampler.plan(480, resampler.nominal_step() * step, 0.0);
        let mut input = vec![0.0; wanted * 2];
        content(frequency)(resampler.input_start(), &mut input);
        let mut out = vec![0.0; 960];
        resampler.process(&input, &mut out);
        heard.extend(out.chunks_exact(2).map(|frame| f64::from(frame[0])));
    }
    // The first chunk leads from the nominal step to the other.
    residual_db(&heard[480..], TAU * frequency * resampler.nominal_step() * step)
}

/// What is left when the sine that advances by `step` radians a frame is taken away, by least squares.
fn residual_db(samples: &[f64], step: f64) -> f64 {
    let phased: Vec<(f64, f64)> = samples.iter().enumerate().map(|(n, y)| (*y, step * n as f64)).collect();
    let (a, b, rest) = fit(&phased);
    10.0 * (rest / ((a * a + b * b) / 2.0)).log10()
}

#[test]
fn the_resampler_adds_less_than_minus_110_db_at_1_khz() {
    for quality in [Quality::Low, Quality::Normal, Quality::High] {
        for (rates, step) in [([48_000; 2], 1.0 + 40e-6), ([48_000; 2], 1.0 - 250e-6), ([44_100, 48_000], 1.0 + 40e-6)]
        {
            let added = thd_n_db(quality, rates, 1_000.0, step);
            println!("{quality:?} {rates:?}, step {step}: {added:.1} dB");
            assert!(added < -110.0, "{quality:?} {rates:?}, step {step}: {added:.1} dB");
        }
    }
}
