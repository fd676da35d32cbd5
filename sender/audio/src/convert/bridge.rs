//! From PCM that comes by its writer's clock to frames of a stream: [`Converter`], with [`Stretch`] before its quantiser.
//!
//! While nothing is stretched, it does what the converter does alone: what needs no change is moved bit for bit.

use unisono_common::format::Format;

use super::stretch::Stretch;
use super::{Converter, Path, Samples, Shape};

/// Converts blocks of live PCM to one format, and takes up the difference between two clocks.
#[derive(Debug)]
pub struct Bridge {
    converter: Converter,
    stretch: Stretch,
    /// Full scale of the stream's integers.
    scale: f64,
    /// Frames of the stream, bit for bit.
    exact: Vec<i32>,
    /// Frames at the stream's rate; full scale is 1.0.
    frames: Vec<f64>,
    stretched: Vec<f64>,
}

impl Bridge {
    /// Converts to `to`; `seed` starts the dither.
    pub fn new(to: Format, seed: u64) -> Self {
        Self {
            converter: Converter::new(to, seed),
            stretch: Stretch::new(to.channels.into()),
            scale: f64::from(1_u32 << (to.depth.bits() - 1)),
            exact: Vec::new(),
            frames: Vec::new(),
            stretched: Vec::new(),
        }
    }

    /// Appends what `samples` become to `out`, as interleaved integers of the stream's depth.
    pub fn feed(&mut self, shape: &Shape, samples: Samples<'_>, out: &mut Vec<i32>) {
        if self.converter.shape.as_ref() != Some(shape) {
            self.complete(out);
            self.converter.begin(shape);
        }
        self.frames.clear();
        if let Path::Processed(chain) = &mut self.converter.path {
            self.frames.extend_from_slice(chain.feed(samples, self.converter.gain));
            return self.pass_on(out);
        }
        self.exact.clear();
        self.converter.feed(shape, samples, &mut self.exact);
        self.frames.extend(self.exact.iter().map(|&sample| f64::from(sample) / self.scale));
        if self.stretch.is_engaged() {
            return self.pass_on(out);
        }
        self.stretch.bypass(&self.frames);
        out.extend_from_slice(&self.exact);
    }

    /// Completes what went before: nothing that came is held back any longer.
    pub fn finish(&mut self, out: &mut Vec<i32>) {
        self.complete(out);
        self.stretched.clear();
        self.stretch.finish(&mut self.stretched);
        self.converter.quantiser.round(&self.stretched, out);
    }

    /// Forgets what is held back: the next block does not follow the last one, and nothing is stretched.
    pub fn reset(&mut self) {
        self.converter.reset();
        self.stretch.reset();
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
        self.converter.clipped()
    }

    /// Brings out what the converter holds.
    fn complete(&mut self, out: &mut Vec<i32>) {
        self.frames.clear();
        if let (Some(_), Path::Processed(chain)) = (self.converter.shape.take(), &mut self.converter.path) {
            self.frames.extend_from_slice(chain.finish());
        }
        self.pass_on(out);
    }

    /// Appends `frames` to `out`, by way of the stretching if there is any.
    fn pass_on(&mut self, out: &mut Vec<i32>) {
        if self.stretch.is_engaged() {
            self.stretched.clear();
            self.stretch.feed(&self.frames, &mut self.stretched);
            self.converter.quantiser.round(&self.stretched, out);
        } else {
            self.stretch.bypass(&self.frames);
            self.converter.quantiser.round(&self.frames, out);
        }
    }
}

#[cfg(test)]
mod tests;
