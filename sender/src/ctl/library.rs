//! `ctl queue`: what a stream plays next.

use clap::Subcommand;
use serde_json::{Value, json};

use super::House;
use crate::client::ClientError;

/// What to do with a queue. Pieces go by their id, or by the words of a search, which takes the first that fits.
#[derive(Clone, Debug, Subcommand)]
pub enum QueueRequest {
    /// Puts pieces behind all that is queued.
    Add {
        /// Ids, or the words of one search.
        #[arg(required = true)]
        pieces: Vec<String>,
    },
    /// Puts pieces before all that is queued.
    Next {
        /// Ids, or the words of one search.
        #[arg(required = true)]
        pieces: Vec<String>,
    },
    /// Plays pieces at once.
    Now {
        /// Ids, or the words of one search.
        #[arg(required = true)]
        pieces: Vec<String>,
    },
    /// Plays the first album that these words fit at once.
    Album {
        /// Words of its title and artist.
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Plays an entry of the queue at once.
    Play {
        /// The entry.
        entry: String,
    },
    /// Moves an entry to another place.
    Move {
        /// The entry.
        entry: String,
        /// Its place, counted from 0.
        to: usize,
    },
    /// Takes an entry out.
    Remove {
        /// The entry.
        entry: String,
    },
    /// Takes all entries out.
    Clear,
    /// Shows or sets how the stream plays.
    Player {
        /// In random order: true or false.
        #[arg(long)]
        shuffle: Option<bool>,
        /// Over and over: true or false.
        #[arg(long)]
        repeat: Option<bool>,
        /// Loudness: off, track, album or auto.
        #[arg(long)]
        replay_gain: Option<String>,
        /// Seconds that one piece fades into the next: 0 to 12.
        #[arg(long)]
        crossfade_s: Option<f64>,
    },
}

impl House {
    pub(super) fn queue(&self, stream: &str, change: Option<&QueueRequest>) -> Result<Value, ClientError> {
        let queue = format!("streams/{stream}/queue");
        let add = |pieces: &[String], when: &str| {
            let tracks = self.pieces(pieces)?;
            self.post(&queue, Some(json!({"tracks": tracks, "when": when}))).map(|_| Value::Null)
        };
        match change {
            None => self.target.get(&format!("/api/v1/{queue}")),
            Some(QueueRequest::Add { pieces }) => add(pieces, "end"),
            Some(QueueRequest::Next { pieces }) => add(pieces, "next"),
            Some(QueueRequest::Now { pieces }) => add(pieces, "now"),
            Some(QueueRequest::Album { words }) => {
                let album = self.first("albums", &words.join(" "))?;
                self.post(&queue, Some(json!({"albums": [album], "when": "now"}))).map(|_| Value::Null)
            }
            Some(QueueRequest::Play { entry }) => self.post(&format!("{queue}/{}/play", escaped(entry)), None),
            Some(QueueRequest::Move { entry, to }) => {
                let path = format!("/api/v1/{queue}/{}", escaped(entry));
                self.target.ask("PATCH", &path, Some(&json!({"to": to})))
            }
            Some(QueueRequest::Remove { entry }) => self.delete(&format!("{queue}/{}", escaped(entry))),
            Some(QueueRequest::Clear) => self.delete(&queue),
            Some(QueueRequest::Player { shuffle, repeat, replay_gain, crossfade_s }) => {
                let path = format!("/api/v1/streams/{stream}/player");
                let change = json!({
                    "shuffle": shuffle, "repeat": repeat, "replay_gain": replay_gain, "crossfade_s": crossfade_s
                });
                if change.as_object().is_some_and(|change| change.values().any(|value| !value.is_null())) {
                    self.target.ask("PATCH", &path, Some(&change))?;
                }
                self.target.get(&path)
            }
        }
    }

    /// Ids of pieces, as they were given, or the one that the words fit best.
    fn pieces(&self, given: &[String]) -> Result<Vec<String>, ClientError> {
        let is_id = |text: &String| text.parse::<crate::library::Key>().is_ok();
        match given.iter().all(is_id) {
            true => Ok(given.to_vec()),
            false => Ok(vec![self.first("search", &given.join(" "))?]),
        }
    }

    /// Id of the first thing of a kind in the library that words fit.
    fn first(&self, kind: &str, words: &str) -> Result<String, ClientError> {
        let found = self.target.get(&format!("/api/v1/library/{kind}?limit=1&q={}", escaped(words)))?;
        let id = found[0]["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| ClientError::Problem(format!("nothing in the library fits \"{words}\"")))
    }
}

/// A text as a part of an address (RFC 3986 section 2).
pub(super) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
