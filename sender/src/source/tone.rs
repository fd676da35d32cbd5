//! A sine for identification and the beat test: the same tone in two rooms beats when they are not in step. (P)

use std::f64::consts::TAU;

use super::generate::Generator;
use super::status::Track;

/// A sine whose phase never jumps.
#[derive(Debug)]
pub(super) struct Tone {
    frequency: f64,
    level_db: f64,
    amplitude: f64,
    /// Cycles a frame, and where in the cycle it is.
    step: f64,
    phase: f64,
    begun: bool,
}

impl Tone {
    /// `frequency` in Hz, peak at `level_db` below full scale, for frames of `rate`.
    pub(super) fn new(frequency: f64, level_db: f64, rate: u32) -> Self {
        // A frequency that the rate cannot carry would come out as another one.
        let frequency = frequency.min(f64::from(rate) * 0.45);
        let amplitude = 10f64.powf(level_db.min(0.0) / 20.0);
        Self { frequency, level_db, amplitude, step: frequency / f64::from(rate), phase: 0.0, begun: false }
    }
}

impl Generator for Tone {
    fn fill(&mut self, block: &mut [f32]) -> Option<Track> {
        for frame in block.chunks_exact_mut(2) {
            frame.fill((self.amplitude * (TAU * self.phase).sin()) as f32);
            self.phase = (self.phase + self.step).fract();
        }
        let title = format!("Tone {} Hz, {} dB", self.frequency, self.level_db);
        (!std::mem::replace(&mut self.begun, true)).then(|| Track { title: Some(title), ..Track::default() })
    }
}

#[cfg(test)]
mod tests;
