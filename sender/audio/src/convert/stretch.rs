//! A resampler at a ratio near one that may change at any time: it takes up the difference between two clocks.
//!
//! Until it is first needed it is not there, and frames pass bit for bit. When it comes in, it is fed what went before,
//! so that its first frame follows the last one without a seam.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Adjustable, Async, FixedAsync, Resampler, SincInterpolationParameters, WindowFunction};

/// Taps of the filter.
const TAPS: usize = 128;
/// Its delay in frames. The middle of an even number of taps is between two: rubato's table puts its peak at the first
/// of them, one before the half that it tells as its delay.
const DELAY: usize = TAPS / 2 - 1;
/// Frames that are in it and not out yet: its delay, and what rubato reads ahead.
const HELD: usize = DELAY + 2;
/// Frames that go in at once.
const BLOCK: usize = 32;
/// What went before, to fill the filter with: a whole number of blocks.
const HISTORY: usize = 2 * TAPS;
/// The largest deviation from one.
const MAX_DEVIATION: f64 = 0.01;

/// Stretches interleaved frames.
pub(crate) struct Stretch {
    channels: usize,
    inner: Option<Async<f64>>,
    /// The last [`HISTORY`] frames while it is not needed.
    history: Vec<f64>,
    pending: Vec<f64>,
    block: Vec<f64>,
    /// Frames still to be dropped: those of the history, and the filter's delay.
    trim: usize,
}

impl Stretch {
    pub(crate) fn new(channels: usize) -> Self {
        let history = vec![0.0; HISTORY * channels];
        Self { channels, inner: None, history, pending: Vec::new(), block: Vec::new(), trim: 0 }
    }

    /// Whether it changes anything.
    pub(crate) fn is_engaged(&self) -> bool {
        self.inner.is_some()
    }

    /// Frames that it holds back.
    pub(crate) fn held(&self) -> usize {
        if self.inner.is_some() { self.pending.len() / self.channels + HELD } else { 0 }
    }

    /// Output frames for each input frame from now on; engages it.
    pub(crate) fn set_ratio(&mut self, ratio: f64) {
        let ratio = ratio.clamp(1.0 - MAX_DEVIATION / 2.0, 1.0 + MAX_DEVIATION / 2.0);
        let Some(inner) = &mut self.inner else { return self.engage() };
        let set = inner.set_resample_ratio(ratio, true);
        debug_assert!(set.is_ok(), "the ratio is within its bounds");
    }

    /// As if nothing had gone before.
    pub(crate) fn reset(&mut self) {
        self.inner = None;
        self.pending.clear();
        self.history.fill(0.0);
    }

    /// Remembers frames that pass by it.
    pub(crate) fn bypass(&mut self, frames: &[f64]) {
        let kept = frames.len().min(self.history.len());
        self.history.drain(..kept);
        self.history.extend_from_slice(&frames[frames.len() - kept..]);
    }

    /// Appends what `input` becomes to `out`.
    pub(crate) fn feed(&mut self, input: &[f64], out: &mut Vec<f64>) {
        self.pending.extend_from_slice(input);
        let (mut done, block) = (0, BLOCK * self.channels);
        while self.pending.len() - done >= block {
            self.step(done, out);
            done += block;
        }
        self.pending.drain(..done);
    }

    /// Appends what it still holds to `out`, and resets it.
    pub(crate) fn finish(&mut self, out: &mut Vec<f64>) {
        if self.is_engaged() {
            let left = self.held();
            let end = out.len() + left * self.channels;
            self.feed(&vec![0.0; (TAPS + BLOCK) * self.channels], out);
            out.truncate(end);
        }
        self.reset();
    }

    fn engage(&mut self) {
        let parameters = SincInterpolationParameters::new(TAPS, WindowFunction::BlackmanHarris2);
        let made = Async::new_sinc(1.0, 1.0 + MAX_DEVIATION, &parameters, BLOCK, self.channels, FixedAsync::Input);
        let Ok(inner) = made else { unreachable!("a ratio of one suits every channel count") };
        self.trim = HISTORY + DELAY;
        self.block = vec![0.0; inner.output_frames_max() * self.channels];
        self.inner = Some(inner);
        let history = std::mem::replace(&mut self.history, vec![0.0; HISTORY * self.channels]);
        // All of it is dropped again: it only fills the filter.
        self.feed(&history, &mut Vec::new());
    }

    /// One block from `pending[start..]`.
    fn step(&mut self, start: usize, out: &mut Vec<f64>) {
        let (channels, room) = (self.channels, self.block.len() / self.channels);
        let input = &self.pending[start..start + BLOCK * channels];
        let Some(inner) = &mut self.inner else { return out.extend_from_slice(input) };
        let result = InterleavedSlice::new(input, channels, BLOCK).and_then(|input| {
            let mut output = InterleavedSlice::new_mut(&mut self.block, channels, room)?;
            Ok(inner.process_into_buffer(&input, &mut output, None))
        });
        // Both buffers are as large as the resampler says it needs.
        let Ok(Ok((_, frames))) = result else { unreachable!("a block that was sized by the resampler does not fit") };
        let skip = self.trim.min(frames);
        self.trim -= skip;
        out.extend_from_slice(&self.block[skip * channels..frames * channels]);
    }
}

impl std::fmt::Debug for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stretch({} channels, engaged: {})", self.channels, self.is_engaged())
    }
}

#[cfg(test)]
mod tests;
