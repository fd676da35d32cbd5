//! Test signals: to tell rooms, cables and channels apart, and for the beat test: the same tone in two rooms beats when
//! they are not in step. (P)

use std::f64::consts::TAU;

use unisono_common::config::sender::Signal;

use super::{Generator, Piece};
use crate::convert::Rng;

/// From where to where a sweep goes, and how long it takes.
const SWEEP_HZ: (f64, f64) = (20.0, 20_000.0);
const SWEEP_S: f64 = 10.0;
/// How long the sine stays on a side, and how much of that is silent.
const SIDE_S: f64 = 2.0;
const SIDE_GAP_S: f64 = 0.2;
/// A click is a decaying half-millisecond.
const CLICK_S: f64 = 0.000_5;

/// A signal without end, whose phase never jumps.
#[derive(Debug)]
pub struct Tone {
    signal: Signal,
    frequency: f64,
    level_db: f64,
    amplitude: f64,
    rate: f64,
    /// Where in the cycle of the sine, and in that of the signal, in seconds.
    phase: f64,
    frame: u64,
    pink: Pink,
    begun: bool,
}

impl Tone {
    /// `frequency` in Hz, peak at `level_db` below full scale, for frames of `rate`.
    pub fn new(signal: Signal, frequency: f64, level_db: f64, rate: u32) -> Self {
        // A frequency that the rate cannot carry would come out as another one.
        let frequency = frequency.min(f64::from(rate) * 0.45);
        let amplitude = 10f64.powf(level_db.min(0.0) / 20.0);
        let (rate, pink) = (f64::from(rate), Pink::new());
        Self { signal, frequency, level_db, amplitude, rate, phase: 0.0, frame: 0, pink, begun: false }
    }

    /// The next frame, left and right, at full amplitude.
    fn next(&mut self) -> [f64; 2] {
        let cycle = |length_s: f64| (self.frame % (length_s * self.rate) as u64) as f64 / self.rate;
        let frame = match self.signal {
            Signal::Sine => [self.sine(self.frequency); 2],
            Signal::Sweep => {
                let at = cycle(SWEEP_S);
                let (low, high) = (SWEEP_HZ.0, SWEEP_HZ.1.min(self.rate * 0.45));
                let frequency = low * (high / low).powf(at / SWEEP_S);
                // Fades of 20 ms keep the turn from the top to the bottom from clicking.
                let fade = (at.min(SWEEP_S - at) / 0.02).min(1.0);
                [self.sine(frequency) * fade; 2]
            }
            Signal::Pink => [self.pink.next(); 2],
            Signal::Click => {
                let at = cycle(1.0);
                [if at < CLICK_S { (1.0 - at / CLICK_S) * (TAU * 2_000.0 * at).cos() } else { 0.0 }; 2]
            }
            Signal::Sides => {
                let at = cycle(3.0 * SIDE_S);
                let within = at % SIDE_S;
                let fade = (within.min(SIDE_S - SIDE_GAP_S - within) / 0.01).clamp(0.0, 1.0);
                let (sample, side) = (self.sine(self.frequency) * fade, (at / SIDE_S) as u8);
                [if side == 1 { 0.0 } else { sample }, if side == 0 { 0.0 } else { sample }]
            }
        };
        self.frame += 1;
        frame
    }

    fn sine(&mut self, frequency: f64) -> f64 {
        let sample = (TAU * self.phase).sin();
        self.phase = (self.phase + frequency / self.rate).fract();
        sample
    }

    fn title(&self) -> String {
        let (frequency, level) = (self.frequency, self.level_db);
        match self.signal {
            Signal::Sine => format!("Tone {frequency} Hz, {level} dB"),
            Signal::Sweep => format!("Sweep 20 Hz to 20 kHz, {level} dB"),
            Signal::Pink => format!("Pink noise, {level} dB"),
            Signal::Click => format!("A click a second, {level} dB"),
            Signal::Sides => format!("Left, right, both: {frequency} Hz, {level} dB"),
        }
    }
}

impl Generator for Tone {
    fn fill(&mut self, block: &mut [f32]) -> Option<Piece> {
        for out in block.chunks_exact_mut(2) {
            let [left, right] = self.next();
            (out[0], out[1]) = ((left * self.amplitude) as f32, (right * self.amplitude) as f32);
        }
        (!std::mem::replace(&mut self.begun, true)).then(|| Piece { title: self.title(), duration: None })
    }
}

/// Pink noise as a sum of noises, each of which changes half as often as the one before (Voss and McCartney).
#[derive(Debug)]
struct Pink {
    rng: Rng,
    rows: [f64; Pink::ROWS],
    counter: u32,
}

impl Pink {
    /// Octaves from half the rate down: below 3 Hz at 48 kHz.
    const ROWS: usize = 14;

    fn new() -> Self {
        Pink { rng: Rng::new(0x7069_6e6b), rows: [0.0; Self::ROWS], counter: 0 }
    }

    /// Within -1 to 1, as a rule within a third of that.
    fn next(&mut self) -> f64 {
        self.counter = self.counter.wrapping_add(1);
        let row = (self.counter.trailing_zeros() as usize).min(Self::ROWS - 1);
        self.rows[row] = self.white();
        (self.rows.iter().sum::<f64>() + self.white()) / (Self::ROWS + 1) as f64
    }

    fn white(&mut self) -> f64 {
        self.rng.next_u64() as f64 / u64::MAX as f64 * 2.0 - 1.0
    }
}

#[cfg(test)]
mod tests;
