//! When which stream's packet leaves.
//!
//! Every packet leaves when it is due. When the sender was held up, what is late but of use is caught up at
//! [`CATCH_UP`] times the stream's pace and not as one burst, which switches and receivers drop; what no receiver
//! could play in time any more is left out, and the timeline goes on as if it had been sent.

use unisono_common::time::MediaTime;

use crate::timeline::Timeline;

/// How many times faster than its pace a stream catches up.
pub const CATCH_UP: i64 = 8;

/// The schedule of all streams of a sender.
#[derive(Clone, Debug)]
pub struct Pace {
    lanes: Vec<Lane>,
    late_limit_ns: i64,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    timeline: Timeline,
    /// Of packets that leave at the same time, those of the lowest rank go first: a mix follows what it is made of.
    rank: u8,
    /// The next packet does not leave earlier, however late it is.
    not_before: MediaTime,
}

/// A packet that leaves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Its first frame.
    pub frame: i64,
    /// How much later than due it leaves, in nanoseconds.
    pub late_ns: i64,
    /// How many packets before it were left out.
    pub skipped: u64,
}

impl Pace {
    /// A schedule of `timelines`; a packet more than `late_limit_ns` late is left out.
    pub fn new(timelines: impl IntoIterator<Item = Timeline>, late_limit_ns: i64) -> Self {
        let mut pace = Pace { lanes: Vec::new(), late_limit_ns };
        timelines.into_iter().for_each(|timeline| pace.add(timeline, 0));
        pace
    }

    /// Makes room for `lanes` streams, so that [`add`](Self::add) does not allocate.
    pub fn reserve(&mut self, lanes: usize) {
        self.lanes.reserve(lanes);
    }

    /// One more stream, with the next index.
    pub fn add(&mut self, timeline: Timeline, rank: u8) {
        self.lanes.push(Lane { timeline, rank, not_before: MediaTime::from_ns(i64::MIN) });
    }

    /// One stream less; the last one takes its index.
    pub fn swap_remove(&mut self, index: usize) {
        self.lanes.swap_remove(index);
    }

    /// A stream has become a mix, or is one no longer.
    pub fn set_rank(&mut self, index: usize, rank: u8) {
        self.lanes[index].rank = rank;
    }

    /// The stream that is next, by its index, and when its packet leaves. Nothing when there is no stream.
    pub fn next(&self) -> Option<(usize, MediaTime)> {
        let leaves = |lane: &Lane| (lane.timeline.due().max(lane.not_before), lane.rank);
        let first = self.lanes.iter().map(leaves).enumerate().min_by_key(|(_, turn)| *turn);
        first.map(|(index, (at, _))| (index, at))
    }

    /// Takes the packet of stream `index`, which leaves now.
    pub fn depart(&mut self, index: usize, now: MediaTime) -> Departure {
        let lane = &mut self.lanes[index];
        let mut skipped = 0;
        if now - lane.timeline.due() > self.late_limit_ns {
            // To the last one that is due.
            skipped = lane.timeline.skip_to(now - lane.timeline.packet_ns());
        }
        let late_ns = now - lane.timeline.due();
        lane.not_before = now + lane.timeline.packet_ns() / CATCH_UP;
        Departure { frame: lane.timeline.advance(), late_ns, skipped }
    }
}

#[cfg(test)]
mod tests;
