//! The pipe source: raw PCM that MPD, or anything else, writes into a FIFO.
//!
//! Reads only as much as keeps about [`LEVEL`] queued; the rest stays in the kernel's pipe and holds a fast writer back.
//! A writer may leave in the middle of a frame, fall silent, burst or come back: the stream goes on with silence and
//! then with what the writer sends, after a short [prebuffer](Pipe::sizes). One that writes by a clock of its own is
//! [followed](super::drift).

use std::time::Duration;

use unisono_common::config::sender::SourceConfig;
use unisono_common::format::{Format, RawFormat};
use unisono_host::clock;

use super::Source;
use super::fifo::{Fifo, Got};
use super::mpd::Mpd;
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::raw_feed::RawFeed;
use super::status::State;
use super::told::{Say, Told};

/// Audio kept queued: enough for a writer that is 100 ms ahead, as MPD's are, to find all of it taken.
pub(super) const LEVEL: Duration = Duration::from_millis(150);
/// The most that is read at once.
pub(super) const PIECE: Duration = Duration::from_millis(20);
/// How many of these a pipe may hold: one that is filled again meanwhile is not read for ever.
const MOST_SKIPPED: u32 = 64;
/// Between looks at a full queue.
const PAUSE: Duration = Duration::from_millis(5);
/// Who writes in step writes little and often. Where this part of the latency is queued, that gathers for so long.
const CALM: u64 = 2;
const GATHER: Duration = Duration::from_millis(10);
/// Between looks for a writer; one that comes is noticed at once.
const NOBODY: Duration = Duration::from_millis(100);
/// Between attempts at a pipe that fails, and between looks whether the path still leads to it.
const RETRY: Duration = Duration::from_secs(1);

/// A pipe and the way from it to the queue.
pub(super) struct Pipe {
    fifo: Fifo,
    feed: RawFeed,
    /// Frames of the stream that [`LEVEL`] is.
    level: u64,
    /// So many queued, there is time; nothing where a late look is heard.
    calm: Option<u64>,
    buffer: Vec<u8>,
    connected: bool,
    /// Which comings and goings of writers the log has heard of.
    told: Told,
    /// Since a look at the path.
    looked: Duration,
    /// The MPD that writes, if one is named.
    mpd: Option<Mpd>,
}

impl Pipe {
    /// A queue that sounds once `latency` is in it: what a writer that writes in step leaves there for good.
    pub(super) fn sizes(latency: Duration) -> Sizes {
        Sizes { capacity: Duration::from_millis(400).max(latency * 2), prebuffer: latency }
    }

    /// Reads `fifo`, into which PCM of format `written` is written, and keeps about `latency` of it.
    pub(super) fn new(fifo: Fifo, written: RawFormat, stream: Format, latency: Duration, mpd: Option<Mpd>) -> Self {
        let feed = RawFeed::new(written, stream, latency);
        let buffer = vec![0; feed.piece(PIECE)];
        let hurries = latency < Duration::from_millis(SourceConfig::PIPE_LATENCY_MS.into());
        Self {
            fifo,
            feed,
            level: frames(LEVEL.max(latency), stream.rate),
            calm: (!hurries).then(|| frames(latency, stream.rate) / CALM),
            buffer,
            connected: false,
            told: Told::default(),
            looked: Duration::ZERO,
            mpd,
        }
    }

    /// One look at the pipe.
    fn turn(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        writer.check()?;
        if writer.queued() >= self.level {
            return writer.wait(PAUSE);
        }
        match self.fifo.read(&mut self.buffer, if self.connected { PIECE } else { NOBODY }) {
            Ok(Got::Bytes(bytes)) => {
                self.set_connected(true);
                self.feed.push(&self.buffer[..bytes], self.fifo.backlog(), writer)?;
                if self.feed.is_late() {
                    self.skip(writer);
                }
                let has_time = self.calm.is_some_and(|calm| writer.queued() >= calm);
                if has_time && bytes < self.buffer.len() { writer.wait(GATHER) } else { Ok(()) }
            }
            Ok(Got::Silence) => {
                self.set_connected(true);
                self.feed.nothing(PIECE, writer)
            }
            Ok(Got::NoWriter | Got::HungUp) => self.no_writer(writer),
            Err(error) => self.failed(&error, writer),
        }
    }

    /// Drops what waits in the pipe, and in the queue.
    fn skip(&mut self, writer: &mut QueueWriter) {
        for _ in 0..MOST_SKIPPED {
            match self.fifo.read(&mut self.buffer, Duration::ZERO) {
                Ok(Got::Bytes(bytes)) => self.feed.drop(&self.buffer[..bytes]),
                _ => break,
            }
        }
        self.feed.skip(writer);
    }

    fn no_writer(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        if self.connected {
            self.set_connected(false);
            self.looked = Duration::ZERO;
        }
        self.feed.end(writer)?;
        writer.set_state(State::Idle);
        self.looked += NOBODY;
        if self.looked >= RETRY {
            self.looked = Duration::ZERO;
            if !self.fifo.is_current() {
                tracing::info!(pipe = %self.fifo.path().display(), "was removed; made again");
                return self.fifo.reopen().or_else(|error| self.failed(&error, writer));
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: &std::io::Error, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.feed.end(writer)?;
        writer.set_state(State::Failed(format!("{}: {error}", self.fifo.path().display())));
        writer.wait(RETRY)?;
        // If it fails again, the next read says so.
        let _ = self.fifo.reopen();
        Ok(())
    }

    fn set_connected(&mut self, connected: bool) {
        if std::mem::replace(&mut self.connected, connected) == connected {
            return;
        }
        let pipe = self.fifo.path().display();
        match self.told.change(clock::now().as_ns()) {
            Say::It => tracing::info!(%pipe, "{}", if connected { "a writer has come" } else { "the writer has left" }),
            Say::TooMany => tracing::info!(%pipe, "writers come and go all the time; the next ones are not told"),
            Say::Nothing => {}
        }
    }
}

impl Source for Pipe {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        if let Some(mpd) = self.mpd.take() {
            mpd.start(writer.status());
        }
        if self.calm.is_none() {
            super::hurry();
        }
        while self.turn(&mut writer) != Err(Interrupt::Stop) {}
    }
}

pub(super) fn frames(time: Duration, rate: u32) -> u64 {
    time.as_millis() as u64 * u64::from(rate) / 1_000
}
