use super::*;

const RATE: f64 = 48_000.0;
const COUNT: usize = 1 << 18;

fn sine(phase: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..COUNT).map(|i| 0.5 * (TAU * 997.0 * (i as f64 / RATE) + phase(i as f64 / RATE)).sin()).collect()
}

#[test]
fn a_pure_sine_is_pure() {
    let tone = measure(&sine(|_| 0.0), RATE, 1000.0);
    assert!((tone.hertz - 997.0).abs() < 1e-5 && (tone.amplitude - 0.5).abs() < 1e-6, "{tone:?}");
    assert!(tone.thd_n_db < -150.0 && tone.sideband.db < -150.0, "{tone:?}");
    assert!(tone.modulation_ppm_rms < 0.001, "{tone:?}");
}

#[test]
fn a_sideband_is_found_where_it_is_and_as_strong() {
    // Phase modulation by b at f gives two lines of b/2.
    let b = 2e-5;
    let tone = measure(&sine(|t| b * (TAU * 200.0 * t).sin()), RATE, 997.0);
    assert!((tone.sideband.db + 100.0).abs() < 0.5, "{tone:?}");
    assert!([797.0, 1197.0].iter().any(|f| (tone.sideband.hertz - f).abs() < 0.5), "{tone:?}");
    assert!((tone.thd_n_db + 97.0).abs() < 0.5, "{tone:?}");
}

#[test]
fn a_third_harmonic_is_distortion() {
    let mut x = sine(|_| 0.0);
    for (i, x) in x.iter_mut().enumerate() {
        *x += 0.5e-4 * (TAU * 2991.0 * i as f64 / RATE).sin();
    }
    let tone = measure(&x, RATE, 997.0);
    assert!((tone.thd_n_db + 80.0).abs() < 0.2 && (tone.sideband.hertz - 2991.0).abs() < 0.5, "{tone:?}");
}

#[test]
fn a_wavering_pitch_is_measured() {
    // 5 ppm peak at 1 Hz: 3.5 ppm rms.
    let depth = 5e-6 * 997.0;
    let tone = measure(&sine(|t| depth * (TAU * t).sin()), RATE, 997.0);
    assert!((tone.modulation_ppm_rms - 3.5).abs() < 0.2, "{tone:?}");
}

#[test]
fn too_little_sound_gives_no_figures() {
    assert_eq!(measure(&[0.0; 48_000], RATE, 997.0).hertz, 0.0);
    assert_eq!(measure(&[], RATE, 997.0).hertz, 0.0);
}
