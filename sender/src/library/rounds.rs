//! Rounds through a library: every piece once, in order or shuffled, before any plays again. (P)
//!
//! The library changes while a round runs, and a round through a large one takes months. So what is new joins the round
//! that is running, in its place or at a random one, and what is gone leaves it.

use std::collections::HashSet;
use std::sync::Arc;

use super::names::Key;
use unisono_audio::convert::Rng;

/// A round, and what has played of it.
#[derive(Debug)]
pub(super) struct Rounds {
    rng: Rng,
    shuffle: bool,
    /// The library, in its order.
    all: Arc<Vec<Key>>,
    /// What is yet to come, the next one last.
    ahead: Vec<Key>,
    played: HashSet<Key>,
    /// Taken last, in this round or the one before.
    last: Option<Key>,
    /// Place of `last` in `all`, for when it is gone.
    at: usize,
}

impl Rounds {
    /// Goes on with a round in which `played` have played, `last` the last of them.
    pub(super) fn new(shuffle: bool, rng: Rng, played: HashSet<Key>, last: Option<Key>) -> Self {
        Self { rng, shuffle, all: Arc::default(), ahead: Vec::new(), played, last, at: 0 }
    }

    /// The library is now this; unless that is `complete`, there may be more of it, and nothing is taken for gone: one that
    /// is being read when the program starts looks empty at first, and its round is to go on.
    pub(super) fn update(&mut self, all: Arc<Vec<Key>>, complete: bool) {
        let here: HashSet<Key> = all.iter().copied().collect();
        if complete {
            self.played.retain(|key| here.contains(key));
        }
        self.all = all;
        if self.shuffle {
            self.ahead.retain(|key| here.contains(key));
            let known: HashSet<Key> = self.ahead.iter().chain(&self.played).copied().collect();
            let mut new: Vec<Key> = self.all.iter().filter(|key| !known.contains(key)).copied().collect();
            self.shuffle_all(&mut new);
            self.mix_in(new);
        } else {
            self.in_order();
        }
    }

    /// From now on in random order, or in order from where it is.
    pub(super) fn set_shuffle(&mut self, shuffle: bool) {
        if shuffle == self.shuffle {
            return;
        }
        self.shuffle = shuffle;
        if shuffle {
            let mut ahead: Vec<Key> = self.all.iter().filter(|key| !self.played.contains(key)).copied().collect();
            self.shuffle_all(&mut ahead);
            self.ahead = ahead;
        } else {
            self.in_order();
        }
    }

    /// Begins a new round. A shuffled one does not begin with the piece that was taken last.
    pub(super) fn begin(&mut self) {
        self.played.clear();
        self.ahead = self.all.iter().rev().copied().collect();
        self.at = 0;
        if self.shuffle {
            let mut ahead = std::mem::take(&mut self.ahead);
            self.shuffle_all(&mut ahead);
            let len = ahead.len();
            if len > 1 && ahead.last().copied() == self.last {
                let other = self.rng.below(len - 1);
                ahead.swap(len - 1, other);
            }
            self.ahead = ahead;
        }
    }

    /// The next piece of the round, or `None` at its end.
    pub(super) fn next(&mut self) -> Option<Key> {
        let key = self.ahead.pop()?;
        self.played.insert(key);
        self.last = Some(key);
        if !self.shuffle {
            self.at = self.all.len() - self.ahead.len();
        }
        Some(key)
    }

    /// The pieces that come next, without taking them.
    pub(super) fn peek(&self) -> impl Iterator<Item = Key> {
        self.ahead.iter().rev().copied()
    }

    /// Taken last.
    pub(super) fn last(&self) -> Option<Key> {
        self.last
    }

    /// What has played in this round.
    pub(super) fn played(&self) -> &HashSet<Key> {
        &self.played
    }

    /// How much there is in all.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// What comes after the piece that was taken last, in order.
    fn in_order(&mut self) {
        let place = self.last.and_then(|last| self.all.iter().position(|key| *key == last));
        self.at = match (place, self.played.is_empty()) {
            // A round that has not begun begins at the beginning.
            (_, true) => 0,
            (Some(place), false) => place + 1,
            (None, false) => self.at.saturating_sub(1).min(self.all.len()),
        };
        self.ahead = self.all[self.at..].iter().rev().copied().collect();
    }

    fn shuffle_all(&mut self, keys: &mut [Key]) {
        for i in (1..keys.len()).rev() {
            keys.swap(i, self.rng.below(i + 1));
        }
    }

    /// Puts `new`, which is in random order, at random places among those ahead.
    fn mix_in(&mut self, mut new: Vec<Key>) {
        let mut old = std::mem::take(&mut self.ahead).into_iter();
        let mut left = (old.len(), new.len());
        while left.0 + left.1 > 0 {
            let from_old = self.rng.below(left.0 + left.1) < left.0;
            let key = if from_old { old.next() } else { new.pop() };
            self.ahead.extend(key);
            left = (old.len(), new.len());
        }
    }
}

#[cfg(test)]
mod tests;
