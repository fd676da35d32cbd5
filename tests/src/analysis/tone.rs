//! What a recorded sine says: distortion and noise, sidebands, and how steady its pitch is.

use std::f64::consts::TAU;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use serde::Serialize;

/// The widest part of the spectrum that belongs to the sine itself, on either side, in hertz.
pub const CARRIER_HZ: f64 = 3.0;

/// Length of the windows in which the pitch is read, in seconds; they overlap by half.
pub const PITCH_WINDOW_S: f64 = 0.1;

/// A spectral line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    /// Where.
    pub hertz: f64,
    /// How strong, in decibels below the sine.
    pub db: f64,
}

/// The figures of a sine.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tone {
    /// Frequency, against the sample clock of the record.
    pub hertz: f64,
    /// Amplitude; full scale is 1.
    pub amplitude: f64,
    /// All but the sine, 20 Hz to 20 kHz, against the sine, in decibels.
    pub thd_n_db: f64,
    /// The strongest line more than [`CARRIER_HZ`] away from the sine.
    pub sideband: Line,
    /// Frequency over windows of [`PITCH_WINDOW_S`], rms about its mean, in ppm.
    pub modulation_ppm_rms: f64,
}

/// Measures the sine near `hertz` in `samples`, of which at least four seconds are needed.
pub fn measure(samples: &[f64], rate: f64, hertz: f64) -> Tone {
    let size = samples.len().checked_ilog2().map_or(0, |n| 1 << n);
    let samples = &samples[..size];
    if size < 1 << 17 {
        return Tone::default();
    }
    let pitches = pitches(samples, rate, hertz);
    let mean = pitches.iter().sum::<f64>() / pitches.len() as f64;
    let variance = pitches.iter().map(|p| (p / mean - 1.0).powi(2)).sum::<f64>() / pitches.len() as f64;
    let power = power_spectrum(samples);
    let bin = rate / size as f64;
    let carrier = (mean / bin).round() as usize;
    let around = (CARRIER_HZ / bin).ceil() as usize;
    let is_carrier = |k: usize| k.abs_diff(carrier) <= around;
    let audible = ((20.0 / bin) as usize)..((20_000.0 / bin) as usize).min(power.len());
    let of_sine: f64 = power[carrier - around..=carrier + around].iter().sum();
    let rest: f64 = audible.clone().filter(|k| !is_carrier(*k)).map(|k| power[k]).sum();
    let peak = power[carrier - around..=carrier + around].iter().fold(0.0, |m: f64, p| m.max(*p));
    let line = audible.filter(|k| !is_carrier(*k)).max_by(|a, b| power[*a].total_cmp(&power[*b])).unwrap_or(0);
    Tone {
        hertz: mean,
        amplitude: 2.0 * phasor(samples, rate, mean, 0).norm(),
        thd_n_db: db(rest / of_sine),
        sideband: Line { hertz: line as f64 * bin, db: db(power[line] / peak) },
        modulation_ppm_rms: variance.sqrt() * 1e6,
    }
}

fn db(ratio: f64) -> f64 {
    10.0 * ratio.max(1e-30).log10()
}

/// The frequency in windows that overlap by half: the phase's advance from one to the next, unwrapped about `hertz`.
fn pitches(samples: &[f64], rate: f64, hertz: f64) -> Vec<f64> {
    let hop = (PITCH_WINDOW_S / 2.0 * rate) as usize;
    let phases: Vec<f64> = (0..samples.len() / hop - 1)
        .map(|i| phasor(&samples[i * hop..(i + 2) * hop], rate, hertz, i * hop).arg())
        .collect();
    let change = |w: &[f64]| (w[1] - w[0] + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
    // Two hops, one window: neighbours of which none shares a sample with the other's centre.
    let steps: Vec<f64> = phases.windows(2).map(change).collect();
    steps.windows(2).map(|w| hertz + (w[0] + w[1]) / (TAU * 2.0 * hop as f64) * rate).collect()
}

/// The sine near `hertz` in a stretch that begins at frame `from`: twice its length is the amplitude.
fn phasor(x: &[f64], rate: f64, hertz: f64, from: usize) -> Complex<f64> {
    let step = TAU * hertz / rate;
    let window = blackman_harris(x.len());
    let whole: f64 = window.iter().sum();
    let turned = |(i, (x, w)): (usize, (&f64, &f64))| Complex::from_polar(x * w, -step * (from + i) as f64);
    x.iter().zip(&window).enumerate().map(turned).sum::<Complex<f64>>() / whole
}

fn power_spectrum(samples: &[f64]) -> Vec<f64> {
    let mut windowed: Vec<f64> = samples.iter().zip(blackman_harris(samples.len())).map(|(x, w)| x * w).collect();
    let mut spectrum = vec![Complex::new(0.0, 0.0); samples.len() / 2 + 1];
    // Cannot fail: the lengths agree.
    let _ = RealFftPlanner::new().plan_fft_forward(samples.len()).process(&mut windowed, &mut spectrum);
    spectrum.iter().map(|bin| bin.norm_sqr()).collect()
}

/// Seven terms: side lobes below -180 dB, main lobe 7 bins on either side.
fn blackman_harris(n: usize) -> Vec<f64> {
    const TERMS: [f64; 7] = [
        0.271_051_400_693_42,
        0.433_297_939_234_48,
        0.218_122_999_543_11,
        0.065_925_446_388_03,
        0.010_811_742_098_37,
        0.000_776_584_825_22,
        0.000_013_887_217_35,
    ];
    let term = |i: usize, k: usize| {
        let sign = if k.is_multiple_of(2) { 1.0 } else { -1.0 };
        sign * TERMS[k] * (TAU * k as f64 * i as f64 / n as f64).cos()
    };
    (0..n).map(|i| (0..TERMS.len()).map(|k| term(i, k)).sum()).collect()
}

#[cfg(test)]
mod tests;
