//! What the tests of this crate share, beside [`unisono_audio::testing`]: sources of any kind, a taker that is in a hurry.

use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use unisono_audio::testing::*;
use unisono_common::config::sender::{SourceConfig, StreamConfig};

use crate::library::{Librarian, Library};
use crate::source::{self, SourceHandle, State};

/// A stream of this format from this source.
pub(crate) fn stream(format: &str, source: SourceConfig) -> StreamConfig {
    StreamConfig { format: format.parse().unwrap(), ..StreamConfig::new("test", source) }
}

/// A library stream, with its index and its queue in a directory that goes with it.
pub(crate) struct Playing {
    handle: SourceHandle,
    pub(crate) library: Library,
    _librarian: Librarian,
    _state: tempfile::TempDir,
}

impl Playing {
    /// Starts to play.
    pub(crate) fn start(stream: &StreamConfig) -> Self {
        let state = tempfile::tempdir().unwrap();
        let library = Library::open(state.path(), &[]);
        let handle = source::spawn(stream, &loopback(), &library).unwrap();
        Playing { handle, _librarian: library.start().unwrap(), library, _state: state }
    }
}

impl std::ops::Deref for Playing {
    type Target = SourceHandle;

    fn deref(&self) -> &SourceHandle {
        &self.handle
    }
}

impl std::ops::DerefMut for Playing {
    fn deref_mut(&mut self) -> &mut SourceHandle {
        &mut self.handle
    }
}

/// A library of this folder, to be played once through.
pub(crate) fn once(path: &Path) -> SourceConfig {
    match SourceConfig::library(path) {
        SourceConfig::Library { path, shuffle, replay_gain, crossfade_s, .. } => {
            SourceConfig::Library { path, shuffle, repeat: false, replay_gain, crossfade_s }
        }
        other => other,
    }
}

/// Starts a stream's source that is no library.
pub(crate) fn spawn(stream: &StreamConfig) -> Result<SourceHandle, source::SourceError> {
    source::spawn(stream, &loopback(), &Library::detached())
}

pub(crate) fn loopback() -> unisono_host::interface::Interface {
    unisono_host::interface::Interface::by_name("lo").unwrap()
}

/// Plays a library once and returns all it gave.
pub(crate) fn play_once(path: &Path, format: &str) -> Vec<i32> {
    play_to_the_end(&stream(format, once(path)))
}

/// Plays a stream that comes to an end and returns all it gave.
pub(crate) fn play_to_the_end(stream: &StreamConfig) -> Vec<i32> {
    let mut handle = Playing::start(stream);
    take_until(&mut handle, |handle, _| {
        let now = handle.status().snapshot();
        now.queued.is_zero() && now.counters.frames > 0 && now.state == State::Idle
    })
}

/// Waits for something, at most for half a minute.
pub(crate) fn until(what: &str, mut right: impl FnMut() -> bool) {
    let mut looks = 0;
    while !right() {
        looks += 1;
        assert!(looks < 6_000, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes packets of 240 stereo frames until `enough`, at most for 60 s.
#[allow(clippy::disallowed_methods)]
pub(crate) fn take_until(handle: &mut SourceHandle, enough: impl Fn(&SourceHandle, &[i32]) -> bool) -> Vec<i32> {
    let (start, mut all, mut packet) = (Instant::now(), Vec::new(), [0; 480]);
    while !enough(handle, &all) {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", handle.status().snapshot());
        // Real time would leave the source time to keep ahead.
        let now = handle.status().snapshot();
        let ready = now.queued >= Duration::from_millis(30) || now.state != State::Playing;
        let frames = if ready { handle.take(&mut packet) } else { 0 };
        all.extend_from_slice(&packet[..frames * 2]);
        if frames == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    all
}
