//! From any PCM to a stream's format: channels, then rate, then depth, and nothing at all where nothing is needed.
//!
//! Integer PCM at the stream's rate, no deeper than the stream and with channels that need no mixing, is moved bit for
//! bit. Everything else is computed in `f64`, and leaves through one TPDF-dithered quantiser ([`Quantiser`]), so that
//! its error is noise and never distortion. The resampler runs on across blocks of the same [`Shape`]: an album that
//! was cut into tracks converts to exactly what the uncut recording converts to.

mod bridge;
mod channels;
mod dither;
mod resample;
mod stretch;

pub use bridge::Bridge;
pub use channels::{Layout, MAX_CHANNELS, Speaker};
pub use dither::{Quantiser, Rng};

use channels::{Matrix, Route};
use resample::RateConverter;
use unisono_common::format::Format;

/// The lowest and highest rates that are converted, in frames a second; a file that says otherwise is damaged.
pub const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// What decoded PCM looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Frames a second, within [`RATES`].
    pub rate: u32,
    /// Which channel is which.
    pub layout: Layout,
    /// Significant bits of integer PCM; `None` for floating point and lossy codecs.
    pub bits: Option<u32>,
}

/// Interleaved samples of one [`Shape`].
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// Integers at the top of 32 bits, whatever their depth.
    Int(&'a [i32]),
    /// Full scale is 1.0; may exceed it.
    Float(&'a [f32]),
}

/// Converts blocks of PCM to one format.
#[derive(Debug)]
pub struct Converter {
    to: Format,
    quantiser: Quantiser,
    shape: Option<Shape>,
    gain: f64,
    path: Path,
}

#[derive(Debug)]
enum Path {
    /// Bit for bit: samples are moved to their channel and down to their depth.
    Exact { route: Route, shift: u32 },
    /// Through `f64`.
    Processed(Box<Chain>),
}

/// Mix and resample, the one that leaves fewer channels to the other first.
#[derive(Debug)]
struct Chain {
    matrix: Matrix,
    mix_first: bool,
    resampler: Option<RateConverter>,
    input: Vec<f64>,
    mixed: Vec<f64>,
    resampled: Vec<f64>,
}

impl Converter {
    /// Converts to `to`; `seed` starts the dither.
    pub fn new(to: Format, seed: u64) -> Self {
        let path = Path::Exact { route: Route::identity(), shift: 0 };
        Self { to, quantiser: Quantiser::new(to.depth.bits(), seed), shape: None, gain: 1.0, path }
    }

    /// From the next block on samples are multiplied by `gain`. One of 1 leaves them bit for bit as they are.
    pub fn set_gain(&mut self, gain: f64) {
        if gain == self.gain {
            return;
        }
        self.gain = gain;
        // A resampler runs on: what it holds was multiplied before.
        if let Some(shape) = self.shape
            && !self.path.resamples()
        {
            self.path = Path::new(&shape, self.to, gain);
        }
    }

    /// Appends what `samples` become to `out`, as interleaved integers of the target's depth.
    ///
    /// A shape other than the last block's first completes what went before, as [`finish`](Self::finish) does.
    pub fn feed(&mut self, shape: &Shape, samples: Samples<'_>, out: &mut Vec<i32>) {
        if self.shape.as_ref() != Some(shape) {
            self.finish(out);
            self.begin(shape);
        }
        match (&mut self.path, samples) {
            (Path::Exact { route, shift }, Samples::Int(samples)) => {
                route.copy(samples, shape.layout.len(), self.to.channels.into(), *shift, out);
            }
            (Path::Processed(chain), samples) => self.quantiser.round(chain.feed(samples, self.gain), out),
            (Path::Exact { .. }, Samples::Float(_)) => debug_assert!(false, "floating point has no bits in its shape"),
        }
    }

    fn begin(&mut self, shape: &Shape) {
        self.path = Path::new(shape, self.to, self.gain);
        self.shape = Some(*shape);
    }

    /// Completes the conversion so far: what the resampler still holds is appended to `out`, so that `n` frames have
    /// become `round(n x ratio)`. The next block starts afresh.
    pub fn finish(&mut self, out: &mut Vec<i32>) {
        if let (Some(_), Path::Processed(chain)) = (self.shape.take(), &mut self.path) {
            self.quantiser.round(chain.finish(), out);
        }
    }

    /// Forgets what the resampler holds: the next block does not follow the last one.
    pub fn reset(&mut self) {
        self.shape = None;
    }

    /// Whether the last block was moved bit for bit.
    pub fn is_exact(&self) -> bool {
        matches!(self.path, Path::Exact { .. })
    }

    /// Samples that went beyond full scale so far, and were held there.
    pub fn clipped(&self) -> u64 {
        self.quantiser.clipped()
    }
}

impl Path {
    fn new(from: &Shape, to: Format, gain: f64) -> Self {
        let matrix = Matrix::new(&from.layout, &Layout::of_count(to.channels.into()));
        let same_rate = from.rate == to.rate;
        match (matrix.route(), from.bits) {
            (Some(route), Some(bits)) if same_rate && bits <= to.depth.bits() && gain == 1.0 => {
                Path::Exact { route, shift: 32 - to.depth.bits() }
            }
            _ => {
                let (inputs, outputs) = (from.layout.len(), usize::from(to.channels));
                let resampler = (!same_rate).then(|| RateConverter::new(from.rate, to.rate, inputs.min(outputs)));
                Path::Processed(Box::new(Chain {
                    matrix,
                    mix_first: inputs > outputs,
                    resampler,
                    input: Vec::new(),
                    mixed: Vec::new(),
                    resampled: Vec::new(),
                }))
            }
        }
    }

    /// Whether frames of before are still in it.
    fn resamples(&self) -> bool {
        matches!(self, Path::Processed(chain) if chain.resampler.is_some())
    }
}

impl Chain {
    /// The frames that `samples` complete; full scale is 1.0.
    fn feed(&mut self, samples: Samples<'_>, gain: f64) -> &[f64] {
        self.input.clear();
        match samples {
            Samples::Int(samples) => {
                let scale = gain / 2_147_483_648.0;
                self.input.extend(samples.iter().map(|&s| f64::from(s) * scale));
            }
            // A damaged file, or a pipe, may hold infinities; silence is the best that can be made of them.
            Samples::Float(samples) => {
                self.input.extend(samples.iter().map(|&s| if s.is_finite() { f64::from(s) * gain } else { 0.0 }));
            }
        }
        if self.mix_first {
            self.matrix.mix(&self.input, &mut self.mixed);
            std::mem::swap(&mut self.input, &mut self.mixed);
        }
        self.resampled.clear();
        match &mut self.resampler {
            Some(resampler) => resampler.feed(&self.input, &mut self.resampled),
            None => std::mem::swap(&mut self.input, &mut self.resampled),
        }
        self.mixed()
    }

    /// The frames that the resampler still holds.
    fn finish(&mut self) -> &[f64] {
        self.resampled.clear();
        if let Some(resampler) = &mut self.resampler {
            resampler.finish(&mut self.resampled);
        }
        self.mixed()
    }

    /// What is resampled, with the channels that are wanted.
    fn mixed(&mut self) -> &[f64] {
        if self.mix_first {
            return &self.resampled;
        }
        self.matrix.mix(&self.resampled, &mut self.mixed);
        &self.mixed
    }
}

#[cfg(test)]
mod tests;
