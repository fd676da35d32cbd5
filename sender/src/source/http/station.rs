//! A station's sound on its way to the stream: by the station's clock.
//!
//! Nobody holds a station back: what it sends ahead of time, when the connection begins, waits in the queue and before the
//! decoder, and grows or shrinks by what its clock is off. Once that is half a second it is [followed](Drift). A file of
//! unknown length looks the same but for one thing: its server would send more at any time, and it is left alone.

use unisono_audio::convert::{Bridge, Samples, Shape};
use unisono_common::format::Format;

use super::fetch::Backlog;
use crate::source::drift::Drift;
use crate::source::queue::QueueWriter;

/// The way of a station's sound to the stream.
#[derive(Debug)]
pub(super) struct Station {
    format: Format,
    bridge: Bridge,
    drift: Drift,
    /// Frames of the stream that this connection gave so far.
    frames: u64,
    /// Bytes that the decoder had had, and the frames there were, when it began to give any. What it reads ahead is in the
    /// bytes alone.
    begun: Option<(u64, u64)>,
}

impl Station {
    /// To a stream of `format`.
    pub(super) fn new(format: Format) -> Self {
        let (bridge, drift) = (Bridge::new(format, crate::source::seed()), Drift::of_station(format.rate));
        Self { format, bridge, drift, frames: 0, begun: None }
    }

    /// Forgets the last connection.
    pub(super) fn reset(&mut self) {
        self.bridge.reset();
        self.drift = Drift::of_station(self.format.rate);
        (self.frames, self.begun) = (0, None);
    }

    /// Appends what a block becomes to `out`.
    pub(super) fn feed(&mut self, shape: &Shape, samples: Samples<'_>, out: &mut Vec<i32>) {
        let before = out.len();
        self.bridge.feed(shape, samples, out);
        self.frames += ((out.len() - before) / usize::from(self.format.channels)) as u64;
    }

    /// Notes how much waits now that a block is queued, and stretches what follows if need be.
    pub(super) fn follow(&mut self, now_ns: i64, backlog: &Backlog, writer: &mut QueueWriter) {
        let level = (writer.queued() as usize + self.bridge.held()) as f64 + self.waiting(backlog.bytes());
        // Before the first frame is taken the level only rises.
        if !writer.sounding() {
            self.drift.restart();
        } else if let Some(ratio) = self.drift.observe(now_ns, level, backlog.held_back()) {
            if !self.bridge.is_stretching() {
                tracing::info!(ppm = self.drift.ppm(), "the station has a clock of its own: it is followed");
            }
            self.bridge.stretch(ratio);
        }
        writer.set_writer_ppm(self.drift.ppm());
    }

    /// The connection has ended: appends what is held back of it to `out`.
    pub(super) fn finish(&mut self, out: &mut Vec<i32>) {
        self.bridge.finish(out);
    }

    /// Samples that went beyond full scale so far, and were held there.
    pub(super) fn clipped(&self) -> u64 {
        self.bridge.clipped()
    }

    /// Frames in the bytes that wait for the decoder, as many to a byte as there were so far.
    fn waiting(&mut self, (taken, waiting): (u64, u64)) -> f64 {
        let (first, before) = *self.begun.get_or_insert((taken, self.frames));
        let (bytes, frames) = (taken.saturating_sub(first), self.frames.saturating_sub(before));
        if bytes == 0 { 0.0 } else { waiting as f64 * frames as f64 / bytes as f64 }
    }
}

#[cfg(test)]
mod tests;
