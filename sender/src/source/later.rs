//! A source that cannot be had yet: its music is on a disk that is mounted later, its pipe in a folder that is made later.
//!
//! It says what is missing and is silent; once what it stands for can be had, it becomes that. So a path that is wrong
//! keeps neither the sender nor any other stream from playing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use unisono_common::config::sender::{SourceConfig, StreamConfig};
use unisono_host::interface::Interface;

use super::pipe::Pipe;
use super::queue::{Control, Interrupt, QueueWriter, Sizes};
use super::status::State;
use super::{Source, SourceError, make};
use crate::library::{self, Library};

/// Between two attempts.
const RETRY: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 2_000 });

/// What is tried again.
pub(super) struct Later {
    stream: StreamConfig,
    interface: Interface,
    library: Library,
    reason: String,
    /// Drives the queue; there as soon as the queue is.
    control: Arc<OnceLock<Control>>,
}

impl Later {
    /// Stands for the source of `stream`, which can't be had because of `error`.
    pub(super) fn new(stream: &StreamConfig, interface: &Interface, library: &Library, error: &SourceError) -> Self {
        Self {
            stream: stream.clone(),
            interface: interface.clone(),
            library: library.clone(),
            reason: error.to_string(),
            control: Arc::default(),
        }
    }

    /// The sizes of what it stands for: only these two can be missing.
    pub(super) fn sizes(&self) -> Sizes {
        match self.stream.source {
            SourceConfig::Library { .. } => library::Player::SIZES,
            SourceConfig::Pipe { latency_ms, .. } => Pipe::sizes(Duration::from_millis(latency_ms.into())),
            _ => Pipe::sizes(Duration::from_millis(SourceConfig::PIPE_LATENCY_MS.into())),
        }
    }

    /// Where what drives the queue is put.
    pub(super) fn control(&self) -> Arc<OnceLock<Control>> {
        self.control.clone()
    }
}

impl Source for Later {
    fn run(self: Box<Self>, mut writer: QueueWriter) {
        let mut reason = self.reason.clone();
        loop {
            writer.set_state(State::Failed(reason));
            if writer.wait(RETRY) == Err(Interrupt::Stop) {
                return;
            }
            match make(&self.stream, &self.interface, &self.library) {
                Ok((source, _)) => {
                    if let Some(control) = self.control.get() {
                        self.library.connect(&self.stream.id, control.clone());
                    }
                    writer.set_state(State::Idle);
                    return source.run(writer);
                }
                Err(error) => reason = error.to_string(),
            }
        }
    }
}
