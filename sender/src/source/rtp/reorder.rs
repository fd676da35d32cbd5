//! Packets in the order of their sequence numbers. (P)

use std::collections::BTreeMap;

use unisono_common::sequence;

/// So many packets may wait for one that is missing.
const WINDOW: usize = 6;
/// A jump so far is a new beginning, not a loss.
const JUMP: i64 = 500;

/// Puts packets in order; one that does not come is replaced by silence.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    expected: Option<i64>,
    waiting: BTreeMap<i64, Vec<u8>>,
    /// Bytes of the last payload: those of one that is missing.
    length: usize,
    lost: u64,
}

impl Reorder {
    /// Takes a packet in, and gives out the payloads whose turn it is.
    pub(super) fn insert(&mut self, number: u16, payload: &[u8], mut out: impl FnMut(&[u8])) {
        let near = self.expected.unwrap_or_else(|| i64::from(number));
        let number = sequence::unwrap(number, near);
        if (number - near).abs() > JUMP {
            *self = Reorder { lost: self.lost, expected: Some(number), ..Reorder::default() };
        }
        let expected = self.expected.get_or_insert(number);
        if number < *expected {
            return;
        }
        self.length = payload.len();
        self.waiting.insert(number, payload.to_vec());
        loop {
            if let Some(payload) = self.waiting.remove(expected) {
                out(&payload);
            } else if self.waiting.len() > WINDOW {
                out(&vec![0; self.length]);
                self.lost += 1;
            } else {
                return;
            }
            *expected += 1;
        }
    }

    /// Whatever comes next is a beginning: what is missing before it would only sound late.
    pub(super) fn begin_anew(&mut self) {
        *self = Reorder { lost: self.lost, ..Reorder::default() };
    }

    /// Packets that did not come in time.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests;
