//! From the bytes of a pipe to the queue: [`RawPcm`] and [`Feed`].

use std::time::Duration;

use unisono_common::config::sender::SourceConfig;
use unisono_common::format::{Format, RawFormat};

use super::drift::Drift;
use super::feed::{BAND_S, Feed};
use super::lateness::Lateness;
use super::pipe::{LEVEL, frames};
use super::queue::{Interrupt, QueueWriter};
use super::raw::RawPcm;
use unisono_audio::convert::{Layout, Shape};

/// What stretching holds back: it does not wait in the queue.
const HELD_S: f64 = 0.002;

/// The way of raw PCM to the queue.
#[derive(Debug)]
pub(super) struct RawFeed {
    raw: RawPcm,
    feed: Feed,
    rate: u32,
}

impl RawFeed {
    /// From bytes of format `written` to `stream`, of which about `latency` is queued.
    pub(super) fn new(written: RawFormat, stream: Format, latency: Duration) -> Self {
        let layout = Layout::of_count(written.channels.into());
        let shape = Shape { rate: written.rate, layout, bits: written.encoding.bits() };
        // Less than half of what there is, so that a writer that is a little slow is followed before its queue is empty.
        let band_s = BAND_S.min(latency.as_secs_f64() * 0.42);
        let (rate, latency_s) = (f64::from(stream.rate), latency.as_secs_f64());
        // Who asks for less than usual has a picture beside it, or hears himself.
        let (drift, lateness) = if latency < Duration::from_millis(SourceConfig::PIPE_LATENCY_MS.into()) {
            let before = (latency_s * rate - f64::from(stream.packet_frames())).max(0.0) + HELD_S * rate;
            (Drift::of_prompt_writer(stream.rate, rate * band_s, before), Lateness::of_writer(latency_s))
        } else {
            (Drift::of_writer(stream.rate, rate * band_s), Lateness::of_any())
        };
        let feed = Feed::new(shape, stream, drift, lateness, frames(LEVEL, stream.rate) / 4);
        Self { raw: RawPcm::new(written), feed, rate: written.rate }
    }

    /// Bytes that `time` takes.
    pub(super) fn piece(&self, time: Duration) -> usize {
        frames(time, self.rate) as usize * self.raw.frame_bytes()
    }

    /// Queues what was read; `backlog` is what waits behind it, and whether the writer waits too.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        (waiting, held_back): (usize, bool),
        writer: &mut QueueWriter,
    ) -> Result<(), Interrupt> {
        self.raw.feed(bytes);
        self.feed.push(self.raw.samples(), waiting / self.raw.frame_bytes(), held_back, writer)
    }

    /// Whether what waits in the pipe is to be [dropped](Self::drop), and what is queued [left out](Self::skip).
    pub(super) fn is_late(&self) -> bool {
        self.feed.is_late()
    }

    /// Takes what was read for what nobody hears; the next bytes go on in the middle of its last frame.
    pub(super) fn drop(&mut self, bytes: &[u8]) {
        self.raw.feed(bytes);
    }

    /// Leaves out what is queued.
    pub(super) fn skip(&mut self, writer: &mut QueueWriter) {
        self.feed.skip(writer);
    }

    /// Nothing has come for `time` more.
    pub(super) fn nothing(&mut self, time: Duration, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.feed.nothing(time, writer)
    }

    /// The writer has left.
    pub(super) fn end(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let dropped = self.raw.end() as u64;
        writer.count(|c| c.dropped_bytes += dropped);
        self.feed.complete(writer)
    }
}
