//! What an intake counts, to be read while it runs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use unisono_common::control::Way;
use unisono_common::time::LocalTime;

/// What arrived; all since the thread began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Packets of the stream.
    pub received: u64,
    /// Packets that there should have been, by their numbering; those that came twice are received twice.
    pub expected: u64,
    /// Packets that never came, by whatever way; a packet is counted once so many others came that it can't come any more.
    pub lost: u64,
    /// Packets that were sent again because some room had lost them.
    pub again: u64,
    /// Packets that this room has asked for; those asked for twice count twice.
    pub asked: u64,
    /// Packets of another source than the one that is listened to.
    pub foreign: u64,
    /// Packets that were no RTP, of another type, or too long.
    pub malformed: u64,
    /// Packets that found the audio thread's queue full.
    pub refused: u64,
    /// When the last packet came that was not silent.
    pub sound: Option<LocalTime>,
    /// How they come now.
    pub way: Way,
}

/// The same as the thread writes it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) received: AtomicU64,
    pub(super) expected: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) again: AtomicU64,
    pub(super) asked: AtomicU64,
    pub(super) foreign: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Local time in nanoseconds; 0 before the first.
    pub(super) sound_ns: AtomicI64,
    pub(super) by_unicast: AtomicBool,
}

impl Counts {
    pub(super) fn read(&self) -> Arrived {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Arrived {
            received: read(&self.received),
            expected: read(&self.expected),
            lost: read(&self.lost),
            again: read(&self.again),
            asked: read(&self.asked),
            foreign: read(&self.foreign),
            malformed: read(&self.malformed),
            refused: read(&self.refused),
            sound: Some(self.sound_ns.load(Ordering::Relaxed)).filter(|ns| *ns != 0).map(LocalTime::from_ns),
            way: if self.by_unicast.load(Ordering::Relaxed) { Way::Unicast } else { Way::Multicast },
        }
    }
}
