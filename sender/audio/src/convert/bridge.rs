//! From PCM that comes by its writer's clock to frames of a stream: [`Converter`], [`Stretch`], quantiser.
//!
//! While nothing is stretched, it does what the converter does alone: what needs no change is moved bit for bit.

use unisono_common::format::{Depth, Format};

use super::stretch::Stretch;
use super::{Converter, Quantiser, Samples, Shape};

/// Converts blocks of live PCM to one format, and takes up the difference between two clocks.
#[derive(Debug)]
pub struct Bridge {
    to: Format,
    wide: Converter,
    stretch: Stretch,
    quantiser: Quantiser,
    /// Frames at the stream's rate, at the top of 32 bits.
    frames: Vec<i32>,
    floats: Vec<f64>,
    stretched: Vec<f64>,
}

const FULL_SCALE: f64 = 2_147_483_648.0;

impl Bridge {
    /// Converts to `to`; `seed` starts the dither.
    pub fn new(to: Format, seed: u64) -> Self {
        Self {
            to,
            wide: Converter::new(Format { depth: Depth::S32, ..to }, seed),
            stretch: Stretch::new(to.channels.into()),
            quantiser: Quantiser::new(to.depth.bits(), seed.wrapping_add(1)),
            frames: Vec::new(),
            floats: Vec::new(),
            stretched: Vec::new(),
        }
    }

    /// Appends what `samples` become to `out`, as interleaved integers of the stream's depth.
    pub fn feed(&mut self, shape: &Shape, samples: Samples<'_>, out: &mut Vec<i32>) {
        self.frames.clear();
        self.wide.feed(shape, samples, &mut self.frames);
        let exact = self.wide.is_exact() && shape.bits.is_some_and(|bits| bits <= self.to.depth.bits());
        self.pass_on(exact, out);
    }

    /// Completes what went before: nothing that came is held back any longer.
    pub fn finish(&mut self, out: &mut Vec<i32>) {
        self.frames.clear();
        self.wide.finish(&mut self.frames);
        self.pass_on(false, out);
        self.stretched.clear();
        self.stretch.finish(&mut self.stretched);
        out.extend(self.stretched.iter().map(|&sample| self.quantiser.quantise(sample)));
    }

    /// Frames of the stream for each frame that comes; from the first call on nothing is bit for bit any more.
    pub fn stretch(&mut self, ratio: f64) {
        self.stretch.set_ratio(ratio);
    }

    /// Whether it stretches.
    pub fn is_stretching(&self) -> bool {
        self.stretch.is_engaged()
    }

    /// Frames that are held back for the stretching.
    pub fn held(&self) -> usize {
        self.stretch.held()
    }

    /// Samples that went beyond full scale so far, and were held there.
    pub fn clipped(&self) -> u64 {
        self.wide.clipped() + self.quantiser.clipped()
    }

    fn pass_on(&mut self, exact: bool, out: &mut Vec<i32>) {
        self.floats.clear();
        self.floats.extend(self.frames.iter().map(|&sample| f64::from(sample) / FULL_SCALE));
        if self.stretch.is_engaged() {
            self.stretched.clear();
            self.stretch.feed(&self.floats, &mut self.stretched);
            out.extend(self.stretched.iter().map(|&sample| self.quantiser.quantise(sample)));
            return;
        }
        self.stretch.bypass(&self.floats);
        if exact {
            let shift = 32 - self.to.depth.bits();
            out.extend(self.frames.iter().map(|sample| sample >> shift));
        } else {
            out.extend(self.floats.iter().map(|&sample| self.quantiser.quantise(sample)));
        }
    }
}
