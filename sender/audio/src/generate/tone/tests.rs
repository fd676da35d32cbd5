use super::*;
use crate::testing::{db, fit_sine, residual_db, spectrum};

#[test]
fn the_sine_is_of_its_frequency_and_level_across_blocks() {
    let mut tone = Tone::new(Signal::Sine, 997.0, -20.0, 48_000);
    let mut samples = Vec::new();
    for frames in [1, 480, 13, 4_000, 44_000] {
        let mut block = vec![0.0; frames * 2];
        assert_eq!(tone.fill(&mut block).is_some(), samples.is_empty());
        samples.extend(block.iter().step_by(2).map(|&s| f64::from(s)));
    }
    let (amplitude, _) = fit_sine(&samples, 997.0, 48_000.0);
    assert!((db(amplitude) + 20.0).abs() < 0.001);
    assert!(residual_db(&samples, 997.0, 48_000.0) < -140.0);
}

fn left_and_right(signal: Signal, seconds: usize) -> (Vec<f64>, Vec<f64>) {
    let mut block = vec![0.0; seconds * 48_000 * 2];
    Tone::new(signal, 997.0, -20.0, 48_000).fill(&mut block);
    let side = |side: usize| block.iter().skip(side).step_by(2).map(|&s| f64::from(s)).collect();
    (side(0), side(1))
}

fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|s| s * s).sum::<f64>() / samples.len() as f64).sqrt()
}

#[test]
fn sides_are_left_then_right_then_both() {
    let (left, right) = left_and_right(Signal::Sides, 6);
    let sounds = |side: &[f64], from: usize| rms(&side[from * 48_000 + 4_800..(from + 1) * 48_000]) > 0.05;
    assert_eq!([0, 2, 4].map(|at| sounds(&left, at)), [true, false, true]);
    assert_eq!([0, 2, 4].map(|at| sounds(&right, at)), [false, true, true]);
    assert!(left[2 * 48_000..4 * 48_000].iter().all(|&s| s == 0.0), "not a bit of it on the other side");
}

#[test]
fn clicks_come_once_a_second_and_are_short() {
    let (left, _) = left_and_right(Signal::Click, 3);
    let loud: Vec<usize> = left.iter().enumerate().filter(|(_, s)| s.abs() > 1e-6).map(|(n, _)| n).collect();
    assert!(loud.iter().all(|n| n % 48_000 < 24), "{loud:?}");
    assert!([0, 48_000, 96_000].iter().all(|n| (left[*n] - 0.1).abs() < 1e-6));
}

#[test]
fn pink_noise_loses_three_decibels_an_octave_and_never_clips() {
    let (left, right) = left_and_right(Signal::Pink, 20);
    assert!(left == right && left.iter().all(|s| s.abs() <= 0.1));
    let power = spectrum(&left, 512);
    let octave = |from: usize| power[from..from * 2].iter().sum::<f64>();
    for from in [8, 16, 32, 64, 128] {
        let ratio = 10.0 * (octave(from) / octave(from * 2)).log10();
        assert!(ratio.abs() < 1.5, "the octaves above bands {from} and {} differ by {ratio:.1} dB", from * 2);
    }
}

#[test]
fn a_sweep_rises_through_the_octaves() {
    let (left, _) = left_and_right(Signal::Sweep, 10);
    let crossings = |at: usize| left[at..at + 4_800].windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count();
    // Three decades in ten seconds: ten times as many 3.33 s later.
    let ratio = crossings(432_000) as f64 / crossings(432_000 - 160_000) as f64;
    assert!((9.0..11.0).contains(&ratio), "{ratio}");
}
