//! The pipe source: raw PCM that MPD, or anything else, writes into a FIFO.
//!
//! Reads only as much as keeps about [`LEVEL`] queued; the rest stays in the kernel's pipe and holds a fast writer back.
//! A writer may leave in the middle of a frame, fall silent, burst or come back: the stream goes on with silence and
//! then with what the writer sends, after a short [prebuffer](Pipe::SIZES).

use std::path::{Path, PathBuf};
use std::time::Duration;

use unisono_common::format::Format;

use super::fifo::{Fifo, Got};
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::raw::RawPcm;
use super::status::State;
use super::{Source, SourceError};
use crate::convert::{Converter, Layout, Samples, Shape};

/// Audio kept queued: enough for a writer that is 100 ms ahead, as MPD's are, to find all of it taken.
const LEVEL: Duration = Duration::from_millis(150);
/// The most that is read at once.
const PIECE: Duration = Duration::from_millis(20);
/// Between looks at a full queue.
const PAUSE: Duration = Duration::from_millis(5);
/// A writer that sends nothing for so long, with the queue run down, is taken to have come to an end for now.
const SILENT: Duration = Duration::from_millis(60);
/// After this it is called stalled.
const STALLED: Duration = Duration::from_millis(500);
/// Between looks for a writer; one that comes is noticed at once.
const NOBODY: Duration = Duration::from_millis(100);
/// Between attempts at a pipe that fails, and between looks whether the path still leads to it.
const RETRY: Duration = Duration::from_secs(1);

/// A pipe and the way from it to the queue.
pub(super) struct Pipe {
    path: PathBuf,
    fifo: Fifo,
    raw: RawPcm,
    shape: Shape,
    converter: Converter,
    /// Frames of the stream that [`LEVEL`] is.
    level: u64,
    buffer: Vec<u8>,
    samples: Vec<i32>,
    frames: Vec<i32>,
    connected: bool,
    /// What came so far is all in the queue, and the queue is told so.
    complete: bool,
    quiet: Duration,
}

impl Pipe {
    pub(super) const SIZES: Sizes =
        Sizes { capacity: Duration::from_millis(400), prebuffer: Duration::from_millis(40) };

    /// Opens the FIFO at `path`, into which PCM of format `written` is written.
    pub(super) fn open(
        path: &Path,
        written: Format,
        stream: Format,
        converter: Converter,
    ) -> Result<Self, SourceError> {
        let fifo = Fifo::open(path)?;
        let raw = RawPcm::new(written);
        let layout = Layout::of_count(written.channels.into());
        let piece = frames(PIECE, written.rate) as usize * raw.frame_bytes();
        Ok(Self {
            path: path.to_owned(),
            fifo,
            raw,
            shape: Shape { rate: written.rate, layout, bits: Some(written.depth.bits()) },
            converter,
            level: frames(LEVEL, stream.rate),
            buffer: vec![0; piece],
            samples: Vec::new(),
            frames: Vec::new(),
            connected: false,
            complete: true,
            quiet: Duration::ZERO,
        })
    }

    /// One look at the pipe.
    fn turn(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        writer.check()?;
        if writer.queued() >= self.level {
            return writer.wait(PAUSE);
        }
        match self.fifo.read(&mut self.buffer, if self.connected { PIECE } else { NOBODY }) {
            Ok(Got::Bytes(bytes)) => self.bytes(bytes, writer),
            Ok(Got::Silence) => self.silence(writer),
            Ok(Got::NoWriter) => self.no_writer(writer),
            Err(error) => self.failed(&error, writer),
        }
    }

    fn bytes(&mut self, bytes: usize, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.set_connected(true);
        self.quiet = Duration::ZERO;
        if std::mem::take(&mut self.complete) {
            writer.set_draining(false);
            writer.set_state(State::Playing);
        }
        self.samples.clear();
        self.raw.feed(&self.buffer[..bytes], &mut self.samples);
        self.frames.clear();
        self.converter.feed(&self.shape, Samples::Int(&self.samples), &mut self.frames);
        let clipped = self.converter.clipped();
        writer.count(|c| c.clipped = clipped);
        writer.push(&self.frames)
    }

    /// A writer that sends nothing just now.
    fn silence(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.set_connected(true);
        self.quiet += PIECE;
        if self.quiet >= STALLED {
            writer.set_state(State::Stalled);
        }
        // Two turns before the queue is empty at the latest, and when what there is does not fill the prebuffer.
        let low = writer.queued() < self.level / 4;
        if self.quiet >= SILENT && (low || !writer.sounding()) { self.complete(writer) } else { Ok(()) }
    }

    fn no_writer(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        if self.connected {
            let dropped = self.raw.end() as u64;
            writer.count(|c| c.dropped_bytes += dropped);
            self.set_connected(false);
            self.quiet = Duration::ZERO;
        }
        self.complete(writer)?;
        writer.set_state(State::Idle);
        self.quiet += NOBODY;
        if self.quiet >= RETRY {
            self.quiet = Duration::ZERO;
            if !self.fifo.is_current() {
                tracing::info!(pipe = %self.path.display(), "was removed; made again");
                return self.fifo.reopen().or_else(|error| self.failed(&error, writer));
            }
        }
        Ok(())
    }

    /// All that came is queued, the resampler's rest too.
    fn complete(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        if std::mem::replace(&mut self.complete, true) {
            return Ok(());
        }
        self.frames.clear();
        self.converter.finish(&mut self.frames);
        let result = writer.push(&self.frames);
        writer.set_draining(true);
        result
    }

    fn failed(&mut self, error: &std::io::Error, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.complete(writer)?;
        tracing::warn!(pipe = %self.path.display(), %error, "cannot be read; trying again");
        writer.set_state(State::Failed(format!("{}: {error}", self.path.display())));
        writer.wait(RETRY)?;
        // If it fails again, the next read says so.
        let _ = self.fifo.reopen();
        Ok(())
    }

    fn set_connected(&mut self, connected: bool) {
        if std::mem::replace(&mut self.connected, connected) != connected {
            let pipe = self.path.display();
            tracing::info!(%pipe, "{}", if connected { "a writer has come" } else { "the writer has left" });
        }
    }
}

impl Source for Pipe {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        while self.turn(&mut writer) != Err(Interrupt::Stop) {}
    }
}

fn frames(time: Duration, rate: u32) -> u64 {
    time.as_millis() as u64 * u64::from(rate) / 1_000
}
