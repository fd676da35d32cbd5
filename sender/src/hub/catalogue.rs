//! What the hub needs to know of streams: those of this sender, and those heard of others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::library::{Cover, QueueState};
use crate::listen::{Container, ListenError, Listening};
use crate::live::{Applied, ReloadError};
use crate::paging::{Page, PageError, PageRequest};
use crate::repair::Repaired;

/// Who sends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// This sender.
    Here,
    /// Another sender, heard by its announcement.
    Heard,
}

/// A stream, by what changes rarely.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamFacts {
    /// Names it for machines.
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// Who sends it.
    pub origin: Origin,
    /// Host that announces it.
    pub sender: String,
    /// Rate, depth and channels, as in configuration.
    pub format: String,
    /// Group and port.
    pub address: String,
    /// Session description.
    pub sdp: String,
    /// Playout delay that it names.
    pub playout_delay_ms: Option<u32>,
    /// `library`, `pipe`, ...; empty for a stream of others.
    pub kind: String,
}

/// What a stream's source does now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Playback {
    /// `playing`, `paused`, `idle`, `stalled`, `failed`, or `live` for a stream of others.
    pub state: String,
    /// Why, when it failed.
    pub reason: Option<String>,
    /// Of the track.
    pub title: Option<String>,
    /// Of the track.
    pub artist: Option<String>,
    /// Of the track.
    pub album: Option<String>,
    /// How far into the track.
    pub position_s: Option<f64>,
    /// How long the track is.
    pub duration_s: Option<f64>,
    /// Where its cover is, on this server.
    pub artwork: Option<String>,
    /// For how long it has been silent, in whole seconds.
    pub silent_s: f64,
    /// It has been silent for as long as the configuration calls idle.
    pub idle: bool,
    /// How fast the clock of what feeds it runs against this sender's, in parts per million, where it has its own.
    pub writer_ppm: Option<f64>,
    /// Which of `play`, `pause`, `next`, `previous`, `seek` its source understands; `queue` where it has one.
    pub can: Vec<String>,
    /// Id of the piece in the library.
    pub track: Option<String>,
    /// How it plays its queue, where it has one; a new `revision` tells that what comes next has changed.
    pub queue: Option<QueueState>,
}

/// Packets that came to this sender and were no such, since it started; all were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bogus {
    /// To its clock's server, but no requests.
    pub requests: u64,
    /// Where streams are announced, but no announcements.
    pub announcements: u64,
    /// To its repair port, but no requests.
    pub repairs: u64,
}

/// What a source can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Go on.
    Play,
    /// Stay where it is, in silence.
    Pause,
    /// To the next track.
    Next,
    /// To the start of the track, or the one before.
    Previous,
    /// To a position in the track.
    Seek {
        /// In seconds from its start.
        position_s: f64,
    },
}

/// Why a source doesn't do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// No such stream, or one that is not sent from here.
    #[error("stream \"{0}\" is not one of this sender's")]
    NotHere(String),
    /// Its source doesn't know this.
    #[error("the source of stream \"{0}\" can't do that")]
    Cannot(String),
}

/// The streams there are. Called often, from the API's threads; must not wait for anything.
pub trait Catalogue: Send + Sync + 'static {
    /// All of them, this sender's first.
    fn streams(&self) -> Vec<StreamFacts>;
    /// What a stream's source does now.
    fn playback(&self, id: &str) -> Option<Playback>;
    /// Whether a stream has been silent for so long that rooms may play something else.
    fn is_idle(&self, _id: &str) -> bool {
        false
    }
    /// Asks a source to do something.
    fn act(&self, id: &str, action: Action) -> Result<(), ActionError>;
    /// Sends a stream of this sender, or stops sending it.
    fn switch(&self, _id: &str, _on: bool) {}
    /// The cover of what a stream plays, without its bytes where the asker has it by one of these ETags. Reads files:
    /// this one may wait.
    fn artwork(&self, _id: &str, _known: Option<&str>) -> Option<Cover> {
        None
    }
    /// Reads the configuration anew and changes the streams by it. May take seconds.
    fn reload(&self) -> Result<Applied, ReloadError> {
        Err(ReloadError::NoFile)
    }
    /// Begins to play a file over these streams (or over none), `lead` from now.
    fn begin_page(&self, _page: &PageRequest) -> Result<Page, PageError> {
        Err(PageError::NotHere)
    }
    /// Whether the file has been played, and what dipped for it has returned.
    fn is_page_over(&self, _page: &Page) -> bool {
        true
    }
    /// Takes what was made for it off the air.
    fn end_page(&self, _page: Page) {}
    /// Takes up those of these streams that are others' and that no room can follow by itself, and lets go of what is not
    /// among them; true when streams have changed by that. May take seconds.
    fn relay(&self, _wanted: &BTreeSet<String>) -> bool {
        false
    }
    /// A stream as a file without end.
    fn listen(&self, id: &str, _container: Container) -> Result<Listening, ListenError> {
        Err(ListenError::NoStream(id.to_owned()))
    }
    /// What came in that was nothing.
    fn bogus(&self) -> Bogus {
        Bogus::default()
    }
    /// What came to a stream that is taken from another sender, and was none of that.
    fn source_bogus(&self, _id: &str) -> Option<u64> {
        None
    }
    /// What rooms have lost of a stream of this sender, and had sent again.
    fn repaired(&self, _id: &str) -> Option<Repaired> {
        None
    }
    /// Whether an address is one of this host's.
    fn is_own_address(&self, _address: IpAddr) -> bool {
        false
    }
}
