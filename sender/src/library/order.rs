//! In which order files are played. (P)

use crate::convert::Rng;

/// Rounds through a list: as it is, or shuffled so that all have played before any plays again.
#[derive(Debug)]
pub(super) struct Order {
    shuffle: Option<Rng>,
    sequence: Vec<usize>,
    /// Place in the sequence of what comes next.
    at: usize,
}

impl Order {
    /// Of nothing yet; see [`begin`](Self::begin).
    pub(super) fn new(shuffle: Option<Rng>) -> Self {
        Self { shuffle, sequence: Vec::new(), at: 0 }
    }

    /// Begins a round through `len` items. A shuffled round does not begin with `last`, the item just played.
    pub(super) fn begin(&mut self, len: usize, last: Option<usize>) {
        self.at = 0;
        self.sequence = (0..len).collect();
        let Some(rng) = &mut self.shuffle else { return };
        for i in (1..len).rev() {
            self.sequence.swap(i, rng.below(i + 1));
        }
        if len > 1 && self.sequence.first().copied() == last {
            let other = 1 + rng.below(len - 1);
            self.sequence.swap(0, other);
        }
    }

    /// The next item of the round, or `None` at its end.
    pub(super) fn next(&mut self) -> Option<usize> {
        let item = self.sequence.get(self.at).copied();
        self.at += usize::from(item.is_some());
        item
    }

    /// Goes back to the most recent item for which `is_it` holds, looking no further than 100 back, and makes it, or
    /// the one `before` places earlier, the next.
    pub(super) fn return_to(&mut self, before: usize, is_it: impl Fn(usize) -> bool) -> bool {
        let recent = self.at.saturating_sub(100)..self.at;
        let found = recent.rev().find(|&place| is_it(self.sequence[place]));
        if let Some(place) = found {
            self.at = place.saturating_sub(before);
        }
        found.is_some()
    }
}

#[cfg(test)]
mod tests;
