//! Announcements to rooms: a file that is played over what they hear, in all of them in step.
//!
//! For each stream that one of the rooms plays there is, for that time, a mix of the file and the stream, in a group of
//! its own; rooms are told to play that instead. A mix is its stream packet for packet while the file is silent
//! ([`unisono_audio::mixdown`]), so that rooms go there and back in step. The file is one source that all mixes of a format
//! share, and begins at one instant of the media clock. See docs/adr/0004-announcements-are-mixes.md.

use std::path::PathBuf;
use std::time::Duration;

use unisono_common::control::Announced;
use unisono_common::time::LocalTime;

use crate::service::StartError;
use crate::source::{SourceStatus, State};

/// Time for all rooms to tune in before the first word.
pub const LEAD: Duration = Duration::from_millis(1_500);

/// The longest announcement.
pub const LONGEST: Duration = Duration::from_secs(300);

/// After the last word, until what has dipped is back in full.
pub(crate) const TAIL: Duration = Duration::from_millis(1_800);

/// How long after its last sound the announcement still holds the music down: the pauses between sentences.
pub(crate) const HOLD_MS: u32 = 700;

/// What is to be said, and over what.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The file.
    pub file: PathBuf,
    /// Ids of this sender's streams that it is played over; none for rooms that hear nothing.
    pub over: Vec<Option<String>>,
    /// Level of what they play meanwhile, in dB.
    pub duck_db: f64,
}

/// An announcement on the air.
#[derive(Debug)]
pub struct Page {
    /// For each stream that was asked for, what to play instead.
    pub instead: Vec<(Option<String>, Announced)>,
    /// Keys in the transmit thread.
    pub(crate) lanes: Vec<u64>,
    pub(crate) sources: Vec<SourceStatus>,
    pub(crate) begins: LocalTime,
    /// Since when its sources have come to their end.
    pub(crate) ended: std::sync::Mutex<Option<LocalTime>>,
}

/// Why there is no announcement.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// This hub sends nothing itself.
    #[error("this hub sends no streams")]
    NotHere,
    /// The network, or the file.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Page {
    /// Whether it has been played, and what dipped for it has returned.
    pub fn is_over(&self, now: LocalTime) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let said = |source: &SourceStatus| {
            let snapshot = source.snapshot();
            snapshot.queued.is_zero() && snapshot.state != State::Playing && now - self.begins > 0
        };
        let too_long = now - self.begins > LONGEST.as_nanos() as i64;
        if ended.is_none() && (too_long || self.sources.iter().all(said)) {
            *ended = Some(now);
        }
        ended.is_some_and(|ended| now - ended > TAIL.as_nanos() as i64)
    }
}
