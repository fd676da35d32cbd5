//! One piece fading into the next. (P)
//!
//! The end of what is played is held back, as long as a fade; when the next piece begins, it begins over that. So the
//! fade lies exactly where the sound ends, whatever the file said of its length. The two are uncorrelated, so their
//! gains are a quarter of a cosine and a sine: power stays the same. With a fade of 0 everything passes through as it is.

use std::collections::VecDeque;
use std::f64::consts::FRAC_PI_2;

use unisono_common::format::Format;

use unisono_audio::convert::Quantiser;

/// Holds the end back, and mixes.
#[derive(Debug)]
pub(super) struct Fader {
    channels: usize,
    full_scale: f64,
    quantiser: Quantiser,
    /// Samples that are held back.
    hold: usize,
    held: VecDeque<i32>,
    /// The end of the piece before, while it fades, and how many of its samples have.
    ending: Vec<i32>,
    faded: usize,
    /// Samples of this piece so far.
    piece: usize,
}

impl Fader {
    /// Of a stream of this format; `seed` starts its dither.
    pub(super) fn new(format: Format, seed: u64) -> Self {
        let bits = format.depth.bits();
        Fader {
            channels: format.channels.into(),
            full_scale: f64::from(1_u32 << (bits - 1)),
            quantiser: Quantiser::new(bits, seed),
            hold: 0,
            held: VecDeque::new(),
            ending: Vec::new(),
            faded: 0,
            piece: 0,
        }
    }

    /// From now on so many frames are held back.
    pub(super) fn set_length(&mut self, frames: usize) {
        self.hold = frames * self.channels;
    }

    /// Takes the next samples of the piece and appends what can leave to `out`.
    pub(super) fn feed(&mut self, samples: &[i32], out: &mut Vec<i32>) {
        self.piece += samples.len();
        if self.hold == 0 && self.held.is_empty() && self.faded == self.ending.len() {
            out.extend_from_slice(samples);
            return;
        }
        let fading = samples.len().min(self.ending.len() - self.faded);
        for &sample in &samples[..fading] {
            let mixed = self.mix(sample);
            self.held.push_back(mixed);
        }
        self.held.extend(&samples[fading..]);
        let leave = self.held.len().saturating_sub(self.hold);
        out.extend(self.held.drain(..leave));
    }

    /// What is held fades out under what comes next. At most half of a piece does.
    pub(super) fn cross(&mut self, out: &mut Vec<i32>) {
        self.fade_rest();
        let half = self.piece / 2 / self.channels * self.channels;
        let leave = self.held.len().saturating_sub(half);
        out.extend(self.held.drain(..leave));
        self.ending = std::mem::take(&mut self.held).into();
        (self.faded, self.piece) = (0, 0);
    }

    /// All that is held leaves; what comes next follows it.
    pub(super) fn flush(&mut self, out: &mut Vec<i32>) {
        self.fade_rest();
        out.extend(self.held.drain(..));
        self.piece = 0;
    }

    /// What is held is no longer wanted.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.ending.clear();
        (self.faded, self.piece) = (0, 0);
    }

    /// A piece that was shorter than its fade: the one before fades to its end.
    fn fade_rest(&mut self) {
        while self.faded < self.ending.len() {
            let mixed = self.mix(0);
            self.held.push_back(mixed);
        }
    }

    /// The next sample of the fade, where `beginning` is the new piece's.
    fn mix(&mut self, beginning: i32) -> i32 {
        let frames = (self.ending.len() / self.channels).max(1) as f64;
        let at = ((self.faded / self.channels) as f64 + 0.5) / frames;
        let (rise, fall) = (at * FRAC_PI_2).sin_cos();
        let ending = f64::from(self.ending[self.faded]);
        self.faded += 1;
        self.quantiser.quantise((ending * fall + f64::from(beginning) * rise) / self.full_scale)
    }
}

#[cfg(test)]
mod tests;
