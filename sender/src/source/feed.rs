//! From PCM that comes at its writer's pace to the queue: what all live sources have in common.

use std::time::Duration;

use unisono_common::format::Format;
use unisono_host::clock;

use super::drift::Drift;
use super::lateness::Lateness;
use super::queue::{Interrupt, QueueWriter};
use super::status::State;
use unisono_audio::convert::{Bridge, Samples, Shape};

/// A writer that sends nothing for so long, with the queue run down, is taken to have come to an end for now.
const SILENT: Duration = Duration::from_millis(60);
/// After this it is called stalled.
const STALLED: Duration = Duration::from_millis(500);
/// After this it is taken to have nothing to say: idle.
const IDLE: Duration = Duration::from_secs(10);

/// How far a writer's level may wander before it is stretched, as a part of a second.
pub(super) const BAND_S: f64 = 0.025;

/// The way of live PCM to the queue.
#[derive(Debug)]
pub(super) struct Feed {
    bridge: Bridge,
    drift: Drift,
    lateness: Lateness,
    /// What waits is to be left out.
    late: bool,
    shape: Shape,
    stream: Format,
    /// Frames of the stream for each frame that comes, by their nominal rates.
    ratio: f64,
    /// With so few frames queued a silent writer is taken to have ended.
    low: u64,
    frames: Vec<i32>,
    /// What came so far is all in the queue, and the queue is told so.
    complete: bool,
    /// What came last was being heard.
    sounded: bool,
    quiet: Duration,
}

impl Feed {
    /// From PCM of `shape` to `stream`; a queue below `low` frames is about to run dry.
    pub(super) fn new(shape: Shape, stream: Format, drift: Drift, lateness: Lateness, low: u64) -> Self {
        Self {
            bridge: Bridge::new(stream, super::seed()),
            drift,
            lateness,
            late: false,
            shape,
            stream,
            ratio: f64::from(stream.rate) / f64::from(shape.rate),
            low,
            frames: Vec::new(),
            complete: true,
            sounded: false,
            quiet: Duration::ZERO,
        }
    }

    /// Queues what came. `waiting` frames of the same kind wait behind it; `held_back` says that there would be more.
    pub(super) fn push(
        &mut self,
        samples: Samples<'_>,
        waiting: usize,
        held_back: bool,
        writer: &mut QueueWriter,
    ) -> Result<(), Interrupt> {
        self.quiet = Duration::ZERO;
        if std::mem::take(&mut self.complete) {
            writer.set_draining(false);
        }
        writer.set_state(State::Playing);
        self.frames.clear();
        self.bridge.feed(&self.shape, samples, &mut self.frames);
        let clipped = self.bridge.clipped();
        writer.count(|c| c.clipped = clipped);
        let pushed = writer.push(&self.frames);
        let level = self.level(waiting, writer);
        // Before the first frame is taken the level only rises.
        if !writer.sounding() {
            match std::mem::take(&mut self.sounded) {
                true => self.drift.dry(),
                false => self.drift.restart(),
            }
            writer.set_writer_ppm(self.drift.ppm());
            return pushed;
        }
        self.sounded = true;
        let rate = f64::from(self.stream.rate);
        let came = (self.frames.len() / usize::from(self.stream.channels)) as f64;
        self.drift.came(level - came);
        self.late |= self.lateness.observe(came / rate, level / rate);
        if let Some(ratio) = self.drift.observe(clock::now().as_ns(), level, held_back) {
            if !self.bridge.is_stretching() {
                tracing::info!(ppm = self.drift.ppm(), "the writer has a clock of its own: it is followed");
            }
            self.bridge.stretch(ratio);
        }
        writer.set_writer_ppm(self.drift.ppm());
        pushed
    }

    /// Frames of the stream that are still to be heard, `waiting` frames of the source before the queue among them.
    fn level(&self, waiting: usize, writer: &QueueWriter) -> f64 {
        (writer.queued() as usize + self.bridge.held()) as f64 + waiting as f64 * self.ratio
    }

    /// Whether what waits is too late to be heard. The caller drops what has not been pushed yet, then calls
    /// [`skip`](Self::skip).
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Leaves out what is queued: the taker fades out of it, and begins again with what comes next.
    pub(super) fn skip(&mut self, writer: &mut QueueWriter) {
        tracing::info!("what comes is too late, as this machine stood still: it is left out up to now");
        self.late = false;
        self.sounded = false;
        self.drift.restart();
        writer.flush();
        writer.count(|c| c.overruns += 1);
    }

    /// Nothing has come for `time` more.
    pub(super) fn nothing(&mut self, time: Duration, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.quiet += time;
        if self.quiet >= IDLE {
            writer.set_state(State::Idle);
        } else if self.quiet >= STALLED {
            writer.set_state(State::Stalled);
        }
        // Two turns before the queue is empty at the latest, and when what there is does not fill the prebuffer.
        let low = writer.queued() < self.low;
        if self.quiet >= SILENT && (low || !writer.sounding()) { self.complete(writer) } else { Ok(()) }
    }

    /// All that came is queued, what the conversion held back too.
    pub(super) fn complete(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        if std::mem::replace(&mut self.complete, true) {
            return Ok(());
        }
        self.sounded = false;
        self.drift.restart();
        writer.set_writer_ppm(None);
        self.frames.clear();
        self.bridge.finish(&mut self.frames);
        let result = writer.push(&self.frames);
        writer.set_draining(true);
        result
    }
}
