//! What a library stream plays next: what people have queued, and when that is empty, its library, round after round.
//! (P)
//!
//! What is taken is decoded a little ahead of what is heard, a crossfade longer than that. When somebody skips or goes
//! back, what was taken and not heard returns to the front of the queue, so that nothing is lost or played twice.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use unisono_common::config::sender::ReplayGain;
use utoipa::ToSchema;

use super::names::Key;
use super::rounds::Rounds;

/// The most entries of a queue.
pub const MOST_QUEUED: usize = 20_000;
/// So far one can go back.
const HISTORY: usize = 100;

/// The longest crossfade, in seconds.
pub const LONGEST_CROSSFADE_S: f64 = 12.0;

/// How a stream plays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Manner {
    /// In random order, all before any again.
    pub shuffle: bool,
    /// From the start again after the last.
    pub repeat: bool,
    /// Which gain brings pieces to one loudness.
    pub replay_gain: ReplayGain,
    /// How long one piece fades into the next, in seconds; 0 is without.
    pub crossfade_s: f64,
}

/// What is to be otherwise; kept, and goes over what the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MannerChange {
    /// In random order, all before any again.
    pub shuffle: Option<bool>,
    /// From the start again after the last.
    pub repeat: Option<bool>,
    /// Which gain brings pieces to one loudness.
    pub replay_gain: Option<ReplayGain>,
    /// How long one piece fades into the next, in seconds; 0 is without, 12 the longest.
    pub crossfade_s: Option<f64>,
}

impl Manner {
    fn changed(self, change: &MannerChange) -> Self {
        let crossfade_s = change.crossfade_s.filter(|seconds| seconds.is_finite()).unwrap_or(self.crossfade_s);
        Manner {
            shuffle: change.shuffle.unwrap_or(self.shuffle),
            repeat: change.repeat.unwrap_or(self.repeat),
            replay_gain: change.replay_gain.unwrap_or(self.replay_gain),
            crossfade_s: crossfade_s.clamp(0.0, LONGEST_CROSSFADE_S),
        }
    }
}

/// A piece in the queue, or one that was taken from it or the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Names this entry of this stream; never used again.
    pub(super) id: u64,
    /// The file.
    pub(super) path: PathBuf,
}

/// Where something is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before everything else.
    Next,
    /// After everything else.
    End,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This, which was queued, from here on.
    Queued(Entry, Duration),
    /// This piece of the library.
    FromLibrary(Key),
}

/// Where somebody wants to go, seen from what is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To what comes after it.
    On,
    /// To it again.
    Again,
    /// To what was before it.
    Back,
}

/// What is kept of a station.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) change: MannerChange,
    /// What is heard and what is queued behind it.
    pub(super) entries: Vec<Entry>,
    /// How far into the first entry.
    pub(super) position: Duration,
    /// Whether the first entry is what was heard.
    pub(super) resumes: bool,
    /// Taken last from the library.
    pub(super) last: Option<Key>,
    pub(super) next_id: u64,
}

/// A stream's queue and its place in the library.
#[derive(Debug)]
pub(super) struct Station {
    manner: Manner,
    change: MannerChange,
    queue: VecDeque<Entry>,
    rounds: Rounds,
    /// What was taken, the last one last.
    taken: VecDeque<Entry>,
    /// So many of them, from the back, have not been heard yet.
    unheard: usize,
    /// Entry that is heard, and how far.
    heard: Option<(u64, Duration)>,
    /// The first entry begins here.
    resume: Option<(u64, Duration)>,
    /// These come first at the next skip.
    wanted: Vec<u64>,
    next_id: u64,
    revision: u64,
}

impl Station {
    /// As it was kept, where nothing else was asked for playing as configured.
    pub(super) fn new(configured: Manner, kept: Kept, mut rounds: Rounds) -> Self {
        let manner = configured.changed(&kept.change);
        rounds.set_shuffle(manner.shuffle);
        let resume = kept.entries.first().filter(|_| kept.resumes).map(|entry| (entry.id, kept.position));
        Station {
            manner,
            change: kept.change,
            queue: kept.entries.into(),
            rounds,
            taken: VecDeque::new(),
            unheard: 0,
            heard: None,
            resume,
            wanted: Vec::new(),
            next_id: kept.next_id,
            revision: 1,
        }
    }

    /// What is to be kept.
    pub(super) fn kept(&self) -> Kept {
        let place = |(id, _)| self.taken.iter().rposition(|entry| entry.id == id);
        let heard = self.heard.and_then(place);
        let from = heard.unwrap_or(self.taken.len() - self.unheard);
        let entries: Vec<Entry> = self.taken.iter().skip(from).chain(&self.queue).cloned().collect();
        let resume = self.resume.filter(|(id, _)| entries.first().is_some_and(|entry| entry.id == *id));
        let first = self.heard.filter(|_| heard.is_some()).or(resume);
        Kept {
            change: self.change.clone(),
            entries,
            position: first.map_or(Duration::ZERO, |(_, position)| position),
            resumes: first.is_some(),
            last: self.rounds.last(),
            next_id: self.next_id,
        }
    }

    /// The same, with what has played of the round.
    pub(super) fn kept_with_round(&self) -> (Kept, HashSet<Key>) {
        (self.kept(), self.rounds.played().clone())
    }

    /// All that was taken has been heard to its end.
    pub(super) fn finish(&mut self) {
        (self.heard, self.resume, self.unheard) = (None, None, 0);
    }

    /// How it plays.
    pub(super) fn manner(&self) -> Manner {
        self.manner
    }

    /// Plays otherwise from now on.
    pub(super) fn change_manner(&mut self, change: &MannerChange) {
        self.manner = self.manner.changed(change);
        let Manner { shuffle, repeat, replay_gain, crossfade_s } = self.manner;
        let kept = &mut self.change;
        kept.shuffle = change.shuffle.map(|_| shuffle).or(kept.shuffle);
        kept.repeat = change.repeat.map(|_| repeat).or(kept.repeat);
        kept.replay_gain = change.replay_gain.map(|_| replay_gain).or(kept.replay_gain);
        kept.crossfade_s = change.crossfade_s.map(|_| crossfade_s).or(kept.crossfade_s);
        self.rounds.set_shuffle(shuffle);
        self.revision += 1;
    }

    /// Rises with every change of what comes next.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The library it plays when nothing is queued.
    pub(super) fn rounds(&mut self) -> &mut Rounds {
        self.revision += 1;
        &mut self.rounds
    }

    /// What is queued.
    pub(super) fn queue(&self) -> impl Iterator<Item = &Entry> {
        self.queue.iter()
    }

    /// Pieces of the library in all.
    pub(super) fn library(&self) -> usize {
        self.rounds.len()
    }

    /// What comes of the library after that.
    pub(super) fn peek(&self) -> impl Iterator<Item = Key> {
        self.rounds.peek()
    }

    /// Takes what comes next; `None` when the queue is empty and the round is at its end.
    pub(super) fn take(&mut self) -> Option<Next> {
        self.revision += 1;
        if let Some(entry) = self.queue.pop_front() {
            let from = self.resume.filter(|(id, _)| *id == entry.id).map_or(Duration::ZERO, |(_, from)| from);
            self.remember(entry.clone());
            return Some(Next::Queued(entry, from));
        }
        self.rounds.next().map(Next::FromLibrary)
    }

    /// A piece of the library that was taken is this file.
    pub(super) fn took(&mut self, path: PathBuf) -> Entry {
        let entry = Entry { id: self.new_id(), path };
        self.remember(entry.clone());
        entry
    }

    /// What was taken last can't be had now: it comes again, from here on.
    pub(super) fn put_back(&mut self, from: Duration) {
        let Some(entry) = self.taken.pop_back() else { return };
        self.unheard = self.unheard.saturating_sub(1);
        self.resume = Some((entry.id, from)).filter(|_| !from.is_zero());
        self.queue.push_front(entry);
        self.revision += 1;
    }

    /// What is heard now; true when it is another entry than before.
    pub(super) fn hears(&mut self, id: u64, position: Duration) -> bool {
        let news = self.heard.is_none_or(|(before, _)| before != id);
        if news && let Some(place) = self.taken.iter().rposition(|entry| entry.id == id) {
            self.unheard = self.taken.len() - place - 1;
            self.resume = None;
        }
        self.heard = Some((id, position));
        news
    }

    /// Somebody goes somewhere: what was taken and is to come again is put back.
    pub(super) fn go(&mut self, way: Way, heard: Option<u64>) {
        self.revision += 1;
        let place = heard.and_then(|id| self.taken.iter().rposition(|entry| entry.id == id));
        let kept = match (way, place) {
            (Way::On, Some(place)) => place + 1,
            (Way::Again, Some(place)) => place,
            (Way::Back, Some(place)) => place.saturating_sub(1),
            // Nothing is heard: what was taken last is still before our ears, or skipped.
            (Way::On, None) => self.taken.len(),
            (Way::Again | Way::Back, None) => self.taken.len().saturating_sub(1),
        };
        for entry in self.taken.drain(kept..).rev() {
            self.queue.push_front(entry);
        }
        (self.heard, self.resume, self.unheard) = (None, None, 0);
        let wanted = std::mem::take(&mut self.wanted);
        let (mut first, rest): (VecDeque<_>, _) =
            std::mem::take(&mut self.queue).into_iter().partition(|entry| wanted.contains(&entry.id));
        first.extend::<VecDeque<_>>(rest);
        self.queue = first;
    }

    /// Puts files into the queue, as far as there is room; the ids of their entries.
    pub(super) fn add(&mut self, files: Vec<PathBuf>, place: Place) -> Vec<u64> {
        let room = MOST_QUEUED.saturating_sub(self.queue.len());
        let entries: Vec<Entry> = files.into_iter().take(room).map(|path| Entry { id: self.new_id(), path }).collect();
        let ids = entries.iter().map(|entry| entry.id).collect();
        match place {
            Place::Next => entries.into_iter().rev().for_each(|entry| self.queue.push_front(entry)),
            Place::End => self.queue.extend(entries),
        }
        self.revision += 1;
        ids
    }

    /// At the next skip these entries come first, in the order of the queue; false when none of them is queued.
    pub(super) fn want(&mut self, ids: &[u64]) -> bool {
        self.wanted = ids.to_vec();
        self.queue.iter().any(|entry| ids.contains(&entry.id))
    }

    /// Moves an entry to a place in the queue, counted from 0; false when it is not queued.
    pub(super) fn move_to(&mut self, id: u64, to: usize) -> bool {
        let Some(entry) = self.place_of(id).and_then(|from| self.queue.remove(from)) else { return false };
        self.queue.insert(to.min(self.queue.len()), entry);
        self.revision += 1;
        true
    }

    /// Takes an entry out of the queue; false when it is not queued.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let removed = self.place_of(id).and_then(|place| self.queue.remove(place)).is_some();
        self.revision += u64::from(removed);
        removed
    }

    /// Empties the queue.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.revision += 1;
    }

    fn place_of(&self, id: u64) -> Option<usize> {
        self.queue.iter().position(|entry| entry.id == id)
    }

    fn remember(&mut self, entry: Entry) {
        self.taken.push_back(entry);
        self.unheard += 1;
        if self.taken.len() > HISTORY {
            self.taken.pop_front();
        }
        // Files that can't be played are taken and never heard, however many they are.
        self.unheard = self.unheard.min(self.taken.len());
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

#[cfg(test)]
mod tests;
