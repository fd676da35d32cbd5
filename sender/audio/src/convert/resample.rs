//! Fixed-ratio conversion of the sample rate, exact in length and with its latency trimmed.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, Fft, FixedAsync, FixedSync, Indexing, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

/// Frames of input a filter spans at least: at 44.1 kHz its passband then reaches beyond 21 kHz.
const FILTER_FRAMES: usize = 1_152;

/// Rates with so small a common divisor that one exact block is longer than this are interpolated instead.
const LONGEST_BLOCK: usize = 65_536;

/// A resampler for interleaved frames.
pub(crate) struct RateConverter {
    inner: Box<dyn Resampler<f64>>,
    from: u32,
    to: u32,
    channels: usize,
    /// Input that does not yet fill a block.
    pending: Vec<f64>,
    block: Vec<f64>,
    fed: u64,
    produced: u64,
    /// Output frames of latency still to be dropped.
    trim: usize,
}

impl RateConverter {
    pub(crate) fn new(from: u32, to: u32, channels: usize) -> Self {
        let inner = make(from, to, channels);
        let trim = inner.output_delay();
        let block = vec![0.0; inner.output_frames_max() * channels];
        Self { inner, from, to, channels, pending: Vec::new(), block, fed: 0, produced: 0, trim }
    }

    /// Appends the output that `input` completes to `out`.
    pub(crate) fn feed(&mut self, input: &[f64], out: &mut Vec<f64>) {
        self.fed += (input.len() / self.channels) as u64;
        self.pending.extend_from_slice(input);
        let mut done = 0;
        loop {
            let needed = self.inner.input_frames_next() * self.channels;
            if self.pending.len() - done < needed {
                break;
            }
            let start = done;
            done += needed;
            self.step(start, None, out);
        }
        self.pending.drain(..done);
    }

    /// Appends what is left, so that `n` frames fed have given `round(n x to / from)` in all, and starts afresh.
    pub(crate) fn finish(&mut self, out: &mut Vec<f64>) {
        let total = (u128::from(self.fed) * u128::from(self.to) + u128::from(self.from) / 2) / u128::from(self.from);
        let missing = (total as u64).saturating_sub(self.produced) as usize;
        let end = out.len() + missing * self.channels;
        let mut valid = self.pending.len() / self.channels;
        self.pending.resize(self.inner.input_frames_max() * self.channels, 0.0);
        while out.len() < end {
            self.step(0, Some(valid), out);
            valid = 0;
        }
        out.truncate(end);
        self.pending.clear();
        self.inner.reset();
        (self.fed, self.produced, self.trim) = (0, 0, self.inner.output_delay());
    }

    /// One block from `pending[start..]`, of which `valid` frames count.
    fn step(&mut self, start: usize, valid: Option<usize>, out: &mut Vec<f64>) {
        let input = &self.pending[start..];
        let room = self.block.len() / self.channels;
        let indexing = Indexing { partial_len: valid, ..Indexing::default() };
        let result = InterleavedSlice::new(input, self.channels, input.len() / self.channels).and_then(|input| {
            let mut output = InterleavedSlice::new_mut(&mut self.block, self.channels, room)?;
            Ok(self.inner.process_into_buffer(&input, &mut output, Some(&indexing)))
        });
        // Both buffers are as large as the resampler says it needs.
        let Ok(Ok((_, frames))) = result else { unreachable!("a block that was sized by the resampler does not fit") };
        let skip = self.trim.min(frames);
        self.trim -= skip;
        self.produced += (frames - skip) as u64;
        out.extend_from_slice(&self.block[skip * self.channels..frames * self.channels]);
    }
}

/// By FFT where the rates have a fair common divisor (all that music uses do), by interpolated sinc otherwise.
fn make(from: u32, to: u32, channels: usize) -> Box<dyn Resampler<f64>> {
    let divisor = gcd(from, to);
    // An even number of the smallest blocks keeps the latency, half a block, a whole number of frames.
    let smallest = (from.min(to) / divisor) as usize;
    let count = FILTER_FRAMES.div_ceil(smallest).next_multiple_of(2);
    let block = (from / divisor) as usize * count;
    if block.max((to / divisor) as usize * count) <= LONGEST_BLOCK {
        let window = WindowFunction::BlackmanHarris2;
        if let Ok(fft) = Fft::new_custom(from as usize, to as usize, block, 1, channels, window, FixedSync::Input) {
            return Box::new(fft);
        }
    }
    let sinc = SincInterpolationParameters::new(512, WindowFunction::BlackmanHarris2)
        .oversampling_factor(256)
        .interpolation(SincInterpolationType::Cubic);
    match Async::new_sinc(f64::from(to) / f64::from(from), 1.0, &sinc, 1_024, channels, FixedAsync::Input) {
        Ok(sinc) => Box::new(sinc),
        Err(error) => unreachable!("{from} Hz to {to} Hz in {channels} channels: {error}"),
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl std::fmt::Debug for RateConverter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RateConverter({} Hz to {} Hz, {} channels)", self.from, self.to, self.channels)
    }
}

#[cfg(test)]
mod tests;
