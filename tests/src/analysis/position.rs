//! Where in the signal does a stretch of sound lie?
//!
//! Three steps, each finer than the one before: the peak of the cross-correlation (to a frame), the slope of the cross
//! spectrum's phase (to some thousandths of a frame), and the same again against the signal moved and stretched to where
//! the first slope put it. White noise of 16-bit rounding leaves a few nanoseconds in a quarter second.

use std::f64::consts::{PI, TAU};

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use crate::records::interpolate::{HALF_WIDTH, interpolate};
use crate::signals::Signal;

/// Length of a block in which damage is counted, in seconds.
const BLOCK_S: f64 = 0.002_5;

/// A block is damaged if what it has too much or too little is above this share of its energy (-12 dB).
const DAMAGE: f64 = 0.063;

/// How far from its hint a stretch is looked for at first, in frames.
const NEAR: i64 = 4_800;

/// Below this rms there is nothing to place.
const SILENCE: f64 = 1e-4;

/// A stretch of sound, placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fix {
    /// The signal's frame in the middle of the stretch; not wrapped at the signal's period.
    pub position: f64,
    /// Frames of signal for each frame of the stretch, less one.
    pub rate_error: f64,
    /// Correlation with the signal there, 0..1.
    pub similarity: f64,
    /// Blocks of 2.5 ms that differ from the signal by more than -12 dB: gaps, clicks, lost or doubled frames.
    pub damaged: u32,
    /// How many stretches of such blocks, one behind the other: what an ear counts.
    pub gaps: u32,
}

/// Finds stretches of one length in one signal.
pub struct Finder<'a> {
    signal: &'a Signal,
    length: usize,
    planner: RealFftPlanner<f64>,
    window: Vec<f64>,
}

impl<'a> Finder<'a> {
    /// A finder for stretches of `length` frames.
    pub fn new(signal: &'a Signal, length: usize) -> Self {
        let hann = |n: usize| (0..n).map(|i| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / n as f64).cos()).collect();
        Finder { signal, length, planner: RealFftPlanner::new(), window: hann(length) }
    }

    /// Places `sound`, which has the finder's length; `hint` is the expected position of its middle. Without one, or when
    /// it is found to be wrong, the whole signal is searched. None if it is silent or no part of the signal.
    pub fn locate(&mut self, sound: &[f64], hint: Option<f64>) -> Option<Fix> {
        let energy: f64 = sound.iter().map(|x| x * x).sum();
        if energy < SILENCE * SILENCE * self.length as f64 {
            return None;
        }
        let half = self.length as i64 / 2;
        let near = hint.and_then(|middle| {
            self.correlate(sound, middle.round() as i64 - half - NEAR, 2 * NEAR as usize + 1).filter(|hit| hit.1 > 0.6)
        });
        let (begin, similarity) = match near {
            Some(hit) => hit,
            None => self.search(sound, hint.map_or(0, |middle| middle as i64 - half)).filter(|hit| hit.1 > 0.4)?,
        };
        let (middle, rate_error) = self.refine(sound, begin);
        let (damaged, gaps) = self.damage(sound, middle, rate_error);
        Some(Fix { position: middle, rate_error, similarity, damaged, gaps })
    }

    /// The best of `count` places from `from` on: (frame of its beginning, normalised correlation).
    fn correlate(&mut self, sound: &[f64], from: i64, count: usize) -> Option<(i64, f64)> {
        let candidates = self.signal.cut(from, count + self.length - 1);
        let size = (candidates.len() + self.length).next_power_of_two();
        let scores = self.cross_correlation(&candidates, sound, size);
        let best = (0..count).max_by(|&a, &b| scores[a].total_cmp(&scores[b]))?;
        Some((from + best as i64, similarity(&candidates[best..best + self.length], sound)))
    }

    /// The best place in the whole period, unwrapped to be as near as can be to `near`.
    fn search(&mut self, sound: &[f64], near: i64) -> Option<(i64, f64)> {
        let period = self.signal.samples.len();
        let whole = self.signal.cut(0, period + self.length);
        let size = whole.len().next_power_of_two();
        let scores = self.cross_correlation(&whole, sound, size);
        let best = (0..period).max_by(|&a, &b| scores[a].total_cmp(&scores[b]))?;
        let periods = ((near - best as i64) as f64 / period as f64).round() as i64;
        Some((best as i64 + periods * period as i64, similarity(&whole[best..best + self.length], sound)))
    }

    fn cross_correlation(&mut self, long: &[f64], short: &[f64], size: usize) -> Vec<f64> {
        let (a, b) = (self.spectrum(long, size), self.spectrum(short, size));
        let mut product: Vec<_> = a.iter().zip(&b).map(|(a, b)| a * b.conj()).collect();
        for edge in [0, size / 2] {
            product[edge].im = 0.0;
        }
        let mut out = vec![0.0; size];
        // Cannot fail: the lengths agree and the edge bins are real.
        let _ = self.planner.plan_fft_inverse(size).process(&mut product, &mut out);
        out
    }

    fn spectrum(&mut self, x: &[f64], size: usize) -> Vec<Complex<f64>> {
        let mut padded = x.to_vec();
        padded.resize(size, 0.0);
        let mut out = vec![Complex::new(0.0, 0.0); size / 2 + 1];
        // Cannot fail: the lengths agree.
        let _ = self.planner.plan_fft_forward(size).process(&mut padded, &mut out);
        out
    }

    /// (position of the middle, rate error) of a stretch that begins within a frame or two of `begin`.
    fn refine(&mut self, sound: &[f64], begin: i64) -> (f64, f64) {
        let half = self.length / 2;
        let centre = (self.length - 1) as f64 / 2.0;
        let (mut middle, mut rate_error) = (begin as f64 + centre, 0.0);
        for _ in 0..3 {
            let signal = self.stretched(middle, rate_error);
            let first = self.lead(&sound[..half], &signal[..half]);
            let second = self.lead(&sound[half..2 * half], &signal[half..2 * half]);
            middle += self.lead(sound, &signal);
            let change = (second - first) / half as f64;
            if change.abs() < 2e-3 {
                rate_error += change;
            }
        }
        (middle, rate_error)
    }

    /// The signal around `middle`, played `rate_error` too fast, for the length of a stretch.
    fn stretched(&self, middle: f64, rate_error: f64) -> Vec<f64> {
        let step = 1.0 + rate_error;
        let begin = middle - (self.length - 1) as f64 / 2.0 * step;
        let first = begin.floor() as i64 - HALF_WIDTH as i64;
        let input = self.signal.cut(first, (self.length as f64 * step) as usize + 2 * HALF_WIDTH + 2);
        interpolate(&input, begin - first as f64, step, self.length)
    }

    /// Frames by which `sound` is ahead of `signal` (well below two), from the slope of the cross spectrum's phase.
    fn lead(&mut self, sound: &[f64], signal: &[f64]) -> f64 {
        let n = sound.len();
        let scale = self.length as f64 / n as f64;
        let window: Vec<f64> = (0..n).map(|i| self.window[(i as f64 * scale) as usize]).collect();
        let windowed = |x: &[f64]| x.iter().zip(&window).map(|(x, w)| x * w).collect::<Vec<f64>>();
        let size = n.next_power_of_two();
        let (a, b) = (self.spectrum(&windowed(sound), size), self.spectrum(&windowed(signal), size));
        let hertz = f64::from(self.signal.rate) / size as f64;
        let (mut slope, mut weight) = (0.0, 0.0);
        for k in (200.0 / hertz) as usize..(12_000.0 / hertz) as usize {
            let cross = a[k] * b[k].conj();
            let omega = TAU * k as f64 / size as f64;
            let w = cross.norm();
            slope += w * omega * wrap(cross.arg());
            weight += w * omega * omega;
        }
        if weight > 0.0 { slope / weight } else { 0.0 }
    }

    /// Damaged blocks, and the stretches that they make.
    fn damage(&self, sound: &[f64], middle: f64, rate_error: f64) -> (u32, u32) {
        let signal = self.stretched(middle, rate_error);
        let dot: f64 = signal.iter().zip(sound).map(|(a, b)| a * b).sum();
        let gain = dot / signal.iter().map(|x| x * x).sum::<f64>().max(1e-12);
        let block = (f64::from(self.signal.rate) * BLOCK_S) as usize;
        let energies = |(heard, right): (&[f64], &[f64])| {
            let wrong: f64 = heard.iter().zip(right).map(|(h, r)| (h - gain * r).powi(2)).sum();
            (wrong, right.iter().map(|r| (gain * r).powi(2)).sum::<f64>())
        };
        let blocks: Vec<(f64, f64)> = sound.chunks_exact(block).zip(signal.chunks_exact(block)).map(energies).collect();
        let mean = blocks.iter().map(|b| b.1).sum::<f64>() / blocks.len().max(1) as f64;
        let damaged: Vec<bool> = blocks.iter().map(|(wrong, level)| *wrong > DAMAGE * level.max(mean * 0.1)).collect();
        let begins = |at: &usize| damaged[*at] && (*at == 0 || !damaged[at - 1]);
        (damaged.iter().filter(|block| **block).count() as u32, (0..damaged.len()).filter(begins).count() as u32)
    }
}

fn similarity(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12)
}

fn wrap(angle: f64) -> f64 {
    (angle + PI).rem_euclid(TAU) - PI
}

#[cfg(test)]
mod tests;
