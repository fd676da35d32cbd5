//! The numbers of one source's packets, and whether they go on from those before. Pure.
//!
//! A sender's numbers follow from its clock, over a restart too. But its clock begins where the host's time of day is, and
//! where that was set since the last start, or has drifted away from the clock for weeks, they go on somewhere else. And
//! 16 bits tell how many packets are missing only up to half of what they count: of a silence of 164 s, at 5 ms a packet,
//! nothing any more. Taken for what they seem to be, such numbers are thousands of losses, or packets of long ago.

use unisono_common::sequence::{self, Extender};
use unisono_common::time::LocalTime;

/// Numbers this far from where time says they should be are others: hardly a packet is held up for so long.
const ASTRAY_NS: i64 = 500_000_000;

/// So many of them in a row are a new numbering.
const STRAYS: u32 = 4;

/// Unwraps and counts the numbers of one source at a time.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    /// Length of a packet; nothing where that isn't known, and then nothing is astray.
    packet_ns: Option<i64>,
    sequence: Extender,
    /// First number of this numbering; `None` before its first packet.
    first: Option<i64>,
    /// Packets expected of earlier numberings.
    earlier: u64,
    /// When the last packet came that was not astray.
    at: LocalTime,
    strays: u32,
}

/// Where a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its number (64 bits, unwrapped), in the numbering of those before.
    Follows(i64),
    /// Its number in a new numbering, which has nothing to do with those before.
    Anew(i64),
    /// Nobody knows yet.
    Astray,
}

impl Numbers {
    /// Of no packet yet.
    pub(super) fn new(packet_ns: Option<i64>) -> Self {
        let (sequence, at) = (Extender::default(), LocalTime::default());
        Numbers { packet_ns, sequence, first: None, earlier: 0, at, strays: 0 }
    }

    /// Takes in the number of a packet that came at `at`.
    #[must_use]
    pub(super) fn place(&mut self, sequence: u16, at: LocalTime) -> Place {
        let astray = self.is_astray(sequence, at);
        if astray {
            self.strays += 1;
            if self.strays < STRAYS {
                return Place::Astray;
            }
            self.restart();
            // Those before it came too.
            self.earlier += u64::from(STRAYS - 1);
        }
        (self.at, self.strays) = (at, 0);
        let number = self.sequence.extend(sequence);
        self.first.get_or_insert(number);
        if astray { Place::Anew(number) } else { Place::Follows(number) }
    }

    /// Another source: what follows is counted on top of what was.
    pub(super) fn restart(&mut self) {
        let earlier = self.expected();
        *self = Numbers { earlier, ..Numbers::new(self.packet_ns) };
    }

    /// The highest number so far.
    pub(super) fn highest(&self) -> Option<i64> {
        self.sequence.highest()
    }

    /// Packets that there should have been so far, of all numberings; never becomes less.
    pub(super) fn expected(&self) -> u64 {
        let here = self.first.zip(self.highest()).map_or(0, |(first, highest)| highest - first + 1);
        self.earlier + here.max(0) as u64
    }

    fn is_astray(&self, sequence: u16, at: LocalTime) -> bool {
        let Some((highest, packet_ns)) = self.highest().zip(self.packet_ns) else { return false };
        let ahead_ns = (sequence::unwrap(sequence, highest) - highest) * packet_ns;
        !(-ASTRAY_NS..=ASTRAY_NS).contains(&ahead_ns.saturating_sub(at - self.at))
    }
}

#[cfg(test)]
mod tests;
