//! Where a stream's audio comes from.
//!
//! Each source is a thread that makes frames in the stream's format and puts them into a queue ([`queue`]); the
//! transmit thread [takes](SourceHandle::take) them, never waiting for anything. A source that has nothing makes
//! silence on the unbroken timeline of its stream, and touches no other stream.

mod demo;
mod fifo;
mod generate;
mod pipe;
mod queue;
mod raw;
mod status;
mod tone;

use std::io;
use std::path::PathBuf;
use std::thread;

use unisono_common::config::sender::{SourceConfig, StreamConfig};
use unisono_common::format::Format;

use crate::convert::Converter;
use crate::decode::contained;
use crate::library::{self, Library};
pub use queue::{Control, SourceHandle};
pub(crate) use queue::{Interrupt, QueueWriter, Sizes};
pub use status::{Counters, NowPlaying, Snapshot, SourceStatus, State, Track};

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

/// Starts the source of `stream`. What is wrong with it now is an error; what goes wrong later is its [`State`].
/// `library` has the index and the queues of streams that play one.
pub fn spawn(stream: &StreamConfig, library: &Library) -> Result<SourceHandle, SourceError> {
    let format = stream.format;
    let (source, sizes): (Box<dyn Source>, Sizes) = match &stream.source {
        &SourceConfig::Library { ref path, shuffle, repeat, replay_gain, crossfade_s } => {
            let manner = library::Manner { shuffle, repeat, replay_gain, crossfade_s };
            let plan = library::Plan { stream: stream.id.clone(), root: path.clone(), manner, seed: seed() };
            (Box::new(library::Player::new(library, plan, format)?), library::Player::SIZES)
        }
        SourceConfig::Pipe { path, format: written } => {
            (Box::new(pipe::Pipe::open(path, *written, format, converter(format))?), pipe::Pipe::SIZES)
        }
        SourceConfig::Demo => {
            let demo = demo::Demo::new(format.rate);
            (Box::new(generate::Generated::new(demo, format, converter(format))), generate::SIZES)
        }
        SourceConfig::Tone { frequency, level_db } => {
            let tone = tone::Tone::new(*frequency, *level_db, format.rate);
            (Box::new(generate::Generated::new(tone, format, converter(format))), generate::SIZES)
        }
    };
    let (writer, handle) = queue::queue(format, sizes);
    let status = handle.status();
    library.connect(&stream.id, handle.control());
    thread::Builder::new()
        .name(thread_name(&stream.id))
        .spawn(move || {
            // A fault of ours: this stream is silent and says so, the others play on.
            if let Err(panic) = contained(|| source.run(writer)) {
                status.failed(format!("internal error: {panic}"));
            }
        })
        .map_err(|error| SourceError::Thread { id: stream.id.clone(), error })?;
    Ok(handle)
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
