//! Where a stream's audio comes from.
//!
//! Each source is a thread that makes frames in the stream's format and puts them into a queue ([`queue`]); the
//! transmit thread [takes](SourceHandle::take) them, never waiting for anything. A source that has nothing makes
//! silence on the unbroken timeline of its stream, and touches no other stream.

mod backoff;
mod capture;
mod clip;
mod command;
mod drift;
mod feed;
mod fifo;
mod generate;
mod http;
mod lateness;
mod later;
mod mpd;
mod pipe;
mod queue;
mod raw;
mod raw_feed;
mod rtp;
mod status;
mod told;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use unisono_common::config::sender::{SourceConfig, StreamConfig};
use unisono_common::format::Format;
use unisono_host::interface::Interface;
use unisono_host::realtime;

use crate::library::{self, Library};
pub use queue::{Control, SourceHandle};
pub(crate) use queue::{Interrupt, QueueWriter, Sizes};
pub use status::{Artwork, Counters, NowPlaying, Snapshot, SourceStatus, State, Track};
use unisono_audio::convert::Converter;
use unisono_audio::decode::contained;
use unisono_audio::generate::{Demo, Tone};

/// The longest that a source takes to end once it is told to: a program has to be ended, and others look more often.
pub(crate) const LONGEST_END: Duration = command::LONGEST_END.saturating_add(Duration::from_secs(1));

/// Why a source cannot be started; what would be right is said too.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The library's path is not there or cannot be read.
    #[error("music folder {path}: {error}; give a folder (or one file) that this user can read")]
    Folder {
        /// As configured.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// Something else is where the FIFO should be.
    #[error("pipe {0}: exists and is not a FIFO; remove it or give another path")]
    NotAFifo(PathBuf),
    /// The FIFO cannot be made or opened.
    #[error("pipe {path}: {what}: {error}")]
    Fifo {
        /// As configured.
        path: PathBuf,
        /// What was tried, and what would help.
        what: &'static str,
        /// What the operating system says.
        error: io::Error,
    },
    /// The operating system gives no thread.
    #[error("no thread for the source of stream \"{id}\": {error}")]
    Thread {
        /// Of the stream.
        id: String,
        /// What the operating system says.
        error: io::Error,
    },
}

/// A source's side of the work: what is set up before the thread starts, and what the thread runs.
pub(crate) trait Source: Send + 'static {
    /// Fills the queue until it is told to stop.
    fn run(self: Box<Self>, writer: QueueWriter);
}

/// Raises this thread, of a source that keeps little queued, to just below those that send. Where that is not allowed the
/// transmit thread has said so.
fn hurry() {
    const PRIORITY: u8 = 45;
    let _ = realtime::raise(PRIORITY);
}

/// Starts the source of `stream`; one that listens to the network does so on `interface`. What is wrong with it now is
/// an error; what goes wrong later is its [`State`]. `library` has the index and the queues of streams that play one.
pub fn spawn(stream: &StreamConfig, interface: &Interface, library: &Library) -> Result<SourceHandle, SourceError> {
    let made = make(stream, interface, library)?;
    start(stream, made, library)
}

/// The same, but what is wrong with it now is its [`State`] too: it is tried again until it can be had.
pub fn keep_trying(
    stream: &StreamConfig,
    interface: &Interface,
    library: &Library,
) -> Result<SourceHandle, SourceError> {
    let error = match make(stream, interface, library) {
        Ok(made) => return start(stream, made, library),
        Err(error) => error,
    };
    let later = later::Later::new(stream, interface, library, &error);
    let (control, sizes) = (later.control(), later.sizes());
    let handle = start(stream, (Box::new(later), sizes), library)?;
    // Its thread looks for it later than this.
    let _ = control.set(handle.control());
    // Said by the thread too; whoever asks at once is to hear it.
    let span = tracing::info_span!("source", stream = stream.id);
    span.in_scope(|| handle.status().set_state(State::Failed(error.to_string())));
    Ok(handle)
}

fn start(
    stream: &StreamConfig,
    made: (Box<dyn Source>, Sizes),
    library: &Library,
) -> Result<SourceHandle, SourceError> {
    let handle = run(&stream.id, stream.format, can(&stream.source), made)?;
    match stream.source {
        SourceConfig::Library { .. } => library.connect(&stream.id, handle.control()),
        _ => library.leave(&stream.id),
    }
    Ok(handle)
}

/// Plays one file once.
pub(crate) fn clip(path: &Path, format: Format) -> Result<SourceHandle, SourceError> {
    run("announcement", format, &[], (Box::new(clip::Clip::new(path, format)), clip::Clip::SIZES))
}

fn run(
    id: &str,
    format: Format,
    can: &'static [&'static str],
    made: (Box<dyn Source>, Sizes),
) -> Result<SourceHandle, SourceError> {
    let (source, sizes) = made;
    let (writer, handle) = queue::queue(format, sizes);
    let status = handle.status();
    // Before its thread begins, which may find a program that understands more.
    status.set_remote(None, can);
    let span = tracing::info_span!("source", stream = id);
    thread::Builder::new()
        .name(thread_name(id))
        .spawn(move || {
            span.in_scope(|| {
                // A fault of ours: this stream is silent and says so, the others play on.
                if let Err(panic) = contained(|| source.run(writer)) {
                    status.failed(format!("internal error: {panic}"));
                }
                status.end();
            });
        })
        .map_err(|error| SourceError::Thread { id: id.to_owned(), error })?;
    Ok(handle)
}

/// A source that never gives anything, for a stream that has none.
pub(crate) fn none(format: Format) -> (SourceStatus, Control) {
    let sizes = Sizes { capacity: Duration::ZERO, prebuffer: Duration::ZERO };
    let (_, handle) = queue::queue(format, sizes);
    handle.status().end();
    (handle.status(), handle.control())
}

fn make(
    stream: &StreamConfig,
    interface: &Interface,
    library: &Library,
) -> Result<(Box<dyn Source>, Sizes), SourceError> {
    let format = stream.format;
    Ok(match &stream.source {
        &SourceConfig::Library { ref path, shuffle, repeat, replay_gain, crossfade_s } => {
            let manner = library::Manner { shuffle, repeat, replay_gain, crossfade_s };
            let plan = library::Plan { stream: stream.id.clone(), root: path.clone(), manner, seed: seed() };
            (Box::new(library::Player::new(library, plan, format)?), library::Player::SIZES)
        }
        SourceConfig::Pipe { path, format: written, latency_ms, group, mpd, mpd_password } => {
            let mpd = mpd.as_ref().map(|address| mpd::Mpd::new(address, mpd_password.as_deref()));
            let latency = Duration::from_millis((*latency_ms).into());
            let fifo = fifo::Fifo::open(path, group.as_deref())?;
            (Box::new(pipe::Pipe::new(fifo, *written, format, latency, mpd)), pipe::Pipe::sizes(latency))
        }
        SourceConfig::Command { command, format: written } => {
            (Box::new(command::Program::new(command, *written, format)), command::Program::sizes())
        }
        SourceConfig::Http { url } => (Box::new(http::Http::new(url, format)), http::Http::SIZES),
        SourceConfig::Capture { device, format: wanted, latency_ms } => {
            let capture = capture::Capture::new(device, *wanted, *latency_ms, format);
            (Box::new(capture), capture::Capture::sizes(*latency_ms))
        }
        SourceConfig::Rtp { from, latency_ms } => {
            (Box::new(rtp::Rtp::new(from, *latency_ms, interface, format)), rtp::Rtp::sizes(*latency_ms))
        }
        SourceConfig::Demo => {
            let demo = Demo::new(format.rate);
            (Box::new(generate::Generated::new(demo, format, converter(format))), generate::SIZES)
        }
        SourceConfig::Tone { signal, frequency, level_db } => {
            let tone = Tone::new(*signal, *frequency, *level_db, format.rate);
            (Box::new(generate::Generated::new(tone, format, converter(format))), generate::SIZES)
        }
        SourceConfig::Mix { .. } => (Box::new(Nothing), generate::SIZES),
    })
}

/// What a source understands.
fn can(source: &SourceConfig) -> &'static [&'static str] {
    match source {
        SourceConfig::Library { .. } => &["play", "pause", "next", "previous", "seek", "queue"],
        SourceConfig::Http { .. } => &["play", "pause", "next", "previous"],
        SourceConfig::Mix { .. } => &[],
        _ => &["play", "pause"],
    }
}

/// The source of a stream that is made of others.
struct Nothing;

impl Source for Nothing {
    fn run(self: Box<Self>, _: QueueWriter) {}
}

fn converter(format: Format) -> Converter {
    Converter::new(format, seed())
}

/// Another number in each run, for shuffle and dither.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// The kernel keeps 15 bytes of a thread's name.
fn thread_name(id: &str) -> String {
    format!("src-{}", id.chars().take(11).collect::<String>())
}

#[cfg(test)]
mod tests;
