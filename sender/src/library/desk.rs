//! A stream's queue, where people ask and change it and where the player takes from it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use unisono_common::time::LocalTime;
use unisono_host::clock;
use utoipa::ToSchema;

use super::gain::ReplayGain;
use super::index::{query, view::TrackView};
use super::names::Key;
use super::rounds::Rounds;
use super::station::{Entry, Manner, MannerChange, Next, Place, Station, Way};
use super::{Library, LibraryError, Page, tags};
use crate::source::Control;
use unisono_audio::convert::Rng;

/// So often it is kept how far a piece has played.
const NOTE_NS: i64 = 10_000_000_000;
/// The most of the library that is shown behind the queue.
const MOST_SHOWN: usize = 20;

/// What is put into a queue: any of these, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parts {
    /// Ids of pieces.
    pub tracks: Vec<String>,
    /// Ids of albums: all of each, as it runs.
    pub albums: Vec<String>,
    /// Ids of artists: all of each.
    pub artists: Vec<String>,
    /// Ids of folders: all in and below each.
    pub folders: Vec<String>,
    /// Ids of playlists: what of each is in the library.
    pub playlists: Vec<String>,
    /// When it plays.
    pub when: When,
}

/// When something plays that is put into a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At once; what is playing ends.
    Now,
    /// After what is playing.
    Next,
    /// After all that is queued.
    #[default]
    End,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Added {
    /// The entries, in order.
    pub entries: Vec<String>,
}

/// How a stream plays its queue and its library.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct QueueState {
    /// Another number: what comes next has changed.
    pub revision: u64,
    /// Entries in the queue.
    pub queued: usize,
    /// Pieces of the library that come when the queue is empty, over and over.
    pub library: usize,
    /// How it plays.
    #[serde(flatten)]
    pub manner: Manner,
}

/// A piece that comes next.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct QueuedTrack {
    /// Names the entry; `null` for what comes of the library when the queue is empty.
    pub entry: Option<String>,
    /// The piece.
    #[serde(flatten)]
    pub track: TrackView,
}

/// A stream's queue.
#[derive(Debug)]
pub(super) struct Desk {
    stream: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    station: Station,
    control: Option<Control>,
    noted: LocalTime,
}

/// What is said when a change is on the disk.
pub type OnDisk = oneshot::Receiver<()>;

impl Library {
    /// The desk of a stream, as it was kept.
    pub(super) fn desk(&self, stream: &str, configured: Manner, seed: u64) -> Arc<Desk> {
        let mut desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, played) = match desks.get(stream) {
            // The stream begins anew, with the queue that it had.
            Some(old) => old.state().station.kept_with_round(),
            None => self.0.keeper.find(stream).unwrap_or_default(),
        };
        let rounds = Rounds::new(configured.shuffle, Rng::new(seed), played, kept.last);
        let station = Station::new(configured, kept, rounds);
        let state = State { station, control: None, noted: clock::now() };
        let desk = Arc::new(Desk { stream: stream.to_owned(), state: Mutex::new(state) });
        desks.insert(stream.to_owned(), desk.clone());
        desk
    }

    /// Lets a stream's queue drive its source.
    pub(crate) fn connect(&self, stream: &str, control: Control) {
        if let Ok(desk) = self.desk_of(stream) {
            desk.state().control = Some(control);
        }
    }

    /// A stream plays something else now: its queue waits on the disk until it plays a library again.
    pub(crate) fn leave(&self, stream: &str) {
        self.0.desks.lock().unwrap_or_else(PoisonError::into_inner).remove(stream);
    }

    /// Only these streams play a library now: the queues of all others wait on the disk too.
    pub(crate) fn leave_all_but(&self, streams: &[&str]) {
        let mut desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.retain(|stream, _| streams.contains(&stream.as_str()));
    }

    /// How a stream plays its queue, if it has one.
    pub fn queue_state(&self, stream: &str) -> Result<QueueState, LibraryError> {
        let desk = self.desk_of(stream)?;
        let mut state = desk.state();
        let station = &mut state.station;
        Ok(QueueState {
            revision: station.revision(),
            queued: station.queue().count(),
            library: station.library(),
            manner: station.manner(),
        })
    }

    /// What a stream plays next: its queue, and a little of what comes of the library after that.
    pub fn queue(&self, stream: &str, page: Page) -> Result<Vec<QueuedTrack>, LibraryError> {
        let desk = self.desk_of(stream)?;
        let (entries, keys) = {
            let state = desk.state();
            let entries: Vec<Entry> =
                state.station.queue().skip(page.offset as usize).take(page.limit as usize).cloned().collect();
            let room = (page.limit as usize - entries.len()).min(MOST_SHOWN);
            (entries, state.station.peek().take(room).collect::<Vec<Key>>())
        };
        let view = |path: PathBuf| {
            let key = Key::of_path(&path);
            let known = self.ask(|db| query::one_track(db, key)).ok().flatten();
            known.unwrap_or_else(|| TrackView { id: key.to_string(), title: tags::stem(&path), ..TrackView::default() })
        };
        let queued = entries
            .into_iter()
            .map(|Entry { id, path }| QueuedTrack { entry: Some(id.to_string()), track: view(path) });
        let of_library = keys.into_iter().filter_map(|key| self.ask(|db| query::one_track(db, key)).ok().flatten());
        Ok(queued.chain(of_library.map(|track| QueuedTrack { entry: None, track })).collect())
    }

    /// Puts something into a stream's queue.
    pub fn enqueue(&self, stream: &str, parts: &Parts) -> Result<(Added, OnDisk), LibraryError> {
        let desk = self.desk_of(stream)?;
        let files = self.files(parts, super::MOST_QUEUED)?;
        let mut state = desk.state();
        let wanted = files.len();
        let place = if parts.when == When::End { Place::End } else { Place::Next };
        let ids = state.station.add(files, place);
        if ids.is_empty() && wanted > 0 {
            return Err(LibraryError::Full);
        }
        if parts.when == When::Now && !ids.is_empty() {
            state.station.want(&ids);
            state.skip();
        }
        let added = Added { entries: ids.iter().map(u64::to_string).collect() };
        Ok((added, self.keep(&desk, &state)))
    }

    /// Plays an entry of a queue now.
    pub fn play_entry(&self, stream: &str, entry: &str) -> Result<OnDisk, LibraryError> {
        self.change_entry(stream, entry, |state, id| {
            let queued = state.station.want(&[id]);
            if queued {
                state.skip();
            }
            queued
        })
    }

    /// Moves an entry of a queue to a place, counted from 0.
    pub fn move_entry(&self, stream: &str, entry: &str, to: usize) -> Result<OnDisk, LibraryError> {
        self.change_entry(stream, entry, |state, id| state.station.move_to(id, to))
    }

    /// Takes an entry out of a queue.
    pub fn remove_entry(&self, stream: &str, entry: &str) -> Result<OnDisk, LibraryError> {
        self.change_entry(stream, entry, |state, id| state.station.remove(id))
    }

    /// Empties a queue.
    pub fn clear_queue(&self, stream: &str) -> Result<OnDisk, LibraryError> {
        let desk = self.desk_of(stream)?;
        let mut state = desk.state();
        state.station.clear();
        Ok(self.keep(&desk, &state))
    }

    /// Changes how a stream plays.
    pub fn change_manner(&self, stream: &str, change: &MannerChange) -> Result<OnDisk, LibraryError> {
        let desk = self.desk_of(stream)?;
        let mut state = desk.state();
        state.station.change_manner(change);
        Ok(self.keep(&desk, &state))
    }

    fn change_entry(
        &self,
        stream: &str,
        entry: &str,
        change: impl FnOnce(&mut State, u64) -> bool,
    ) -> Result<OnDisk, LibraryError> {
        let desk = self.desk_of(stream)?;
        let mut state = desk.state();
        match entry.parse() {
            Ok(id) if change(&mut state, id) => Ok(self.keep(&desk, &state)),
            _ => Err(LibraryError::NoEntry(entry.chars().take(40).collect())),
        }
    }

    fn keep(&self, desk: &Desk, state: &State) -> OnDisk {
        self.0.keeper.keep(&desk.stream, state.station.kept())
    }

    fn desk_of(&self, stream: &str) -> Result<Arc<Desk>, LibraryError> {
        let desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.get(stream).cloned().ok_or_else(|| LibraryError::NoQueue(stream.to_owned()))
    }

    pub(super) fn desks(&self) -> impl Iterator<Item = Arc<Desk>> {
        let desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.values().cloned().collect::<Vec<_>>().into_iter()
    }

    /// Takes what comes next; what that changes is kept.
    pub(super) fn take_next(&self, desk: &Desk) -> Option<Next> {
        let is_kept = self.is_kept(desk);
        let mut state = desk.state();
        let next = state.station.take();
        if let (Some(Next::FromLibrary(key)), true) = (&next, is_kept) {
            self.0.keeper.played(&desk.stream, *key);
        }
        next
    }

    /// Begins a round through the library.
    pub(super) fn begin_round(&self, desk: &Desk) {
        desk.state().station.rounds().begin();
        if self.is_kept(desk) {
            self.0.keeper.round(&desk.stream);
        }
    }

    /// This is being heard, so far in; kept when it is news, and now and then.
    pub(super) fn hears(&self, desk: &Desk, entry: u64, position: Duration) {
        let is_kept = self.is_kept(desk);
        let mut state = desk.state();
        let now = clock::now();
        if (state.station.hears(entry, position) || now - state.noted > NOTE_NS) && is_kept {
            state.noted = now;
            self.0.keeper.note(&desk.stream, state.station.kept());
        }
    }

    /// All has been heard.
    pub(super) fn finished(&self, desk: &Desk) {
        desk.state().station.finish();
        self.note(desk);
    }

    /// Keeps everything as it is now.
    pub(super) fn note(&self, desk: &Desk) {
        if self.is_kept(desk) {
            self.0.keeper.note(&desk.stream, desk.state().station.kept());
        }
    }

    /// Whether what becomes of a desk is still kept: a player that has not ended yet is to write nothing over what its
    /// successor does. To be asked before its state is locked, as the desks are locked here.
    fn is_kept(&self, desk: &Desk) -> bool {
        let desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.get(&desk.stream).is_none_or(|now| std::ptr::eq(Arc::as_ptr(now), desk))
    }
}

impl Desk {
    /// A piece of the library that was taken is this file.
    pub(super) fn took(&self, path: PathBuf) -> Entry {
        self.state().station.took(path)
    }

    /// What was taken last can't be had now: it comes again, from here on.
    pub(super) fn put_back(&self, from: Duration) {
        self.state().station.put_back(from);
    }

    /// The source has ended: nothing is to be driven any more.
    pub(super) fn disconnect(&self) {
        self.state().control = None;
    }

    /// Somebody goes somewhere.
    pub(super) fn go(&self, way: Way, heard: Option<u64>) {
        self.state().station.go(way, heard);
    }

    /// The library is now this.
    pub(super) fn update(&self, keys: Arc<Vec<Key>>, complete: bool) {
        self.state().station.rounds().update(keys, complete);
    }

    /// How it plays.
    pub(super) fn manner(&self) -> Manner {
        self.state().station.manner()
    }

    /// Whether anything is queued.
    pub(super) fn has_queue(&self) -> bool {
        self.state().station.queue().next().is_some()
    }

    /// Pieces of the library in all.
    pub(super) fn library(&self) -> usize {
        self.state().station.library()
    }

    /// Whether pieces are brought to one loudness.
    pub(super) fn normalises(&self) -> bool {
        self.manner().replay_gain != ReplayGain::Off
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// On to what is wanted, even when it was paused.
    fn skip(&self) {
        if let Some(control) = &self.control {
            control.next();
            control.play();
        }
    }
}

#[cfg(test)]
mod tests;
