//! Round trips out of one-way measurements.
//!
//! PTP measures each way by itself, at different times: some `Sync` from the master, some `Delay_Req` to it. Put
//! together as they come, the drift of the clocks in between would look like delay. So each request is put together
//! with what the two `Sync` around it say for its own instant.

use std::collections::VecDeque;

use crate::clock::{Sample, Stamp};
use crate::time::{ClockEpoch, LocalTime, MediaTime};

/// The master's time less ours, as one way says that does not know its delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OneWay {
    /// Our end.
    pub(super) stamp: Stamp,
    /// The master's time at its end, less ours at ours, in nanoseconds.
    pub(super) ahead_ns: i64,
}

/// Waits for what belongs together.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    /// From the master, oldest first.
    syncs: VecDeque<OneWay>,
    /// To the master, waiting for the `Sync` after it.
    request: Option<OneWay>,
}

/// As many as the shortest interval allows while a request is answered.
const MOST: usize = 32;
/// Further apart than this two `Sync` say nothing of the time between them.
const WIDEST_NS: i64 = 5_000_000_000;
/// As for NTP: a round trip above this tells nothing.
const LONGEST_DELAY_NS: i64 = 200_000_000;

impl Pairing {
    /// Takes in a `Sync`.
    pub(super) fn sync(&mut self, sync: OneWay, epoch: ClockEpoch) -> Option<Sample> {
        if self.syncs.back().is_some_and(|last| sync.stamp.at - last.stamp.at <= 0) {
            return None;
        }
        if self.syncs.len() == MOST {
            self.syncs.pop_front();
        }
        self.syncs.push_back(sync);
        self.complete(epoch)
    }

    /// Takes in an answered request.
    pub(super) fn request(&mut self, request: OneWay, epoch: ClockEpoch) -> Option<Sample> {
        self.request = Some(request);
        self.complete(epoch)
    }

    fn complete(&mut self, epoch: ClockEpoch) -> Option<Sample> {
        let request = self.request?;
        let sent = request.stamp.at;
        let after = self.syncs.iter().position(|sync| sync.stamp.at - sent >= 0)?;
        self.request = None;
        let (before, after) = (self.syncs.get(after.checked_sub(1)?)?, self.syncs.get(after)?);
        let apart_ns = after.stamp.at - before.stamp.at;
        if apart_ns > WIDEST_NS {
            return None;
        }
        let share = (sent - before.stamp.at) as f64 / apart_ns as f64;
        let change_ns = after.ahead_ns.checked_sub(before.ahead_ns)?;
        let ahead_ns = before.ahead_ns + (share * change_ns as f64).round() as i64;
        // The `Sync` is as if it had come in just when the request left.
        let sample = Sample {
            epoch,
            sent,
            reached: MediaTime::from_ns(sent.as_ns().checked_add(request.ahead_ns)?),
            answered: MediaTime::from_ns(sent.as_ns().checked_add(ahead_ns)?),
            arrived: sent,
            sent_source: request.stamp.source,
            arrived_source: before.stamp.source.max(after.stamp.source),
            interleaved: true,
        };
        (0..=LONGEST_DELAY_NS).contains(&sample.delay_ns()).then_some(sample)
    }
}

/// When our end of a one-way measurement was, for [`OneWay`].
pub(super) fn one_way(at: LocalTime, masters_ns: i64, stamp: Stamp) -> Option<OneWay> {
    Some(OneWay { stamp: Stamp { at, ..stamp }, ahead_ns: masters_ns.checked_sub(at.as_ns())? })
}
