//! When which stream's packet leaves.
//!
//! No packet leaves before it is due. Where receivers have time ([`hold_ns`]) some may wait for those after them, so that
//! few packets leave at each wake-up of all streams together; elsewhere every packet leaves when it is due. When the
//! sender was held up, what is late but of use is caught up at [`CATCH_UP`] times the stream's pace and not as one burst,
//! which switches and receivers drop; what no receiver could play in time any more is left out, and the timeline goes on
//! as if it had been sent.
//!
//! A stream goes by the sender's clock, or by that of a PTP domain, of which more is learned all the time. What that
//! changes is made up for so slowly that packets stay evenly paced ([`steer`]).

use unisono_common::clock::ClockMap;
use unisono_common::clock::ptp::LAST_DOMAIN;
use unisono_common::time::LocalTime;

use crate::steer;
use crate::timeline::Timeline;

/// How many times faster than its pace a stream catches up.
pub const CATCH_UP: i64 = 8;

/// A stream that is later than this has been held up, and catches up.
const BACKLOG_NS: i64 = 1_000_000;

/// Packets are held back for at most this part of the playout delay, and not at all where that is below [`TIGHT_NS`]...
const HOLD: i64 = 16;
const TIGHT_NS: i64 = 200_000_000;

/// ... and so that no more than this many leave at once: a burst of four fits every queue on the way.
const MOST_AT_ONCE: i64 = 4;

/// For how long a packet may wait for those after it, in nanoseconds, where packets of `packet_ns` are played
/// `playout_delay_ns` after their timestamps. To a receiver it is as much jitter.
pub fn hold_ns(playout_delay_ns: i64, packet_ns: i64) -> i64 {
    if playout_delay_ns < TIGHT_NS { 0 } else { (playout_delay_ns / HOLD).min((MOST_AT_ONCE - 1) * packet_ns) }
}

const ANY_TIME: LocalTime = LocalTime::from_ns(i64::MIN);

/// The schedule of all streams of a sender.
#[derive(Clone, Debug)]
pub struct Pace {
    lanes: Vec<Lane>,
    /// By PTP domain, the sender's own last; nothing where none has been told.
    clocks: [Option<ClockMap>; CLOCKS],
    late_limit_ns: i64,
}

const CLOCKS: usize = LAST_DOMAIN as usize + 2;
const OWN: usize = CLOCKS - 1;

/// The place of a PTP domain's clock, or of the sender's own.
fn place(domain: Option<u8>) -> usize {
    domain.map_or(OWN, |domain| usize::from(domain).min(OWN - 1))
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    rate: u32,
    packet_frames: u32,
    /// Which clock it goes by.
    clock: usize,
    /// Nothing is due before there is a clock.
    timeline: Option<Timeline>,
    /// Of packets that leave at the same time, those of the lowest rank go first: a mix follows what it is made of.
    rank: u8,
    /// For how long its packets may wait for those after them.
    hold_ns: i64,
    /// The next packet does not leave earlier, however late it is.
    not_before: LocalTime,
}

/// A packet that leaves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Its first frame.
    pub frame: i64,
    /// How much later it leaves than when it was due and what it may wait, in nanoseconds; 0 within that.
    pub late_ns: i64,
    /// How many packets before it were left out.
    pub skipped: u64,
}

impl Pace {
    /// A schedule of no stream yet; a packet more than `late_limit_ns` late is left out.
    pub fn new(late_limit_ns: i64) -> Self {
        Pace { lanes: Vec::new(), clocks: [None; CLOCKS], late_limit_ns }
    }

    /// Makes room for `lanes` streams, so that [`add`](Self::add) does not allocate.
    pub fn reserve(&mut self, lanes: usize) {
        self.lanes.reserve(lanes);
    }

    /// One more stream, with the next index, by the clock of a PTP domain or our own. Nothing of it is due before that
    /// clock is told ([`steer`](Self::steer)); it begins with the packet that holds the frame of `now`.
    pub fn add(&mut self, rate: u32, packet_frames: u32, domain: Option<u8>, rank: u8, now: LocalTime) {
        let clock = place(domain);
        let mut lane = Lane { rate, packet_frames, clock, timeline: None, rank, hold_ns: 0, not_before: ANY_TIME };
        lane.begin(self.clocks[clock].as_ref(), now);
        self.lanes.push(lane);
    }

    /// What is known at `now` of a clock. The first word of it, and one that is something else altogether, make its
    /// streams begin; anything less is approached.
    pub fn steer(&mut self, domain: Option<u8>, clock: &ClockMap, now: LocalTime) {
        let place = place(domain);
        let nearer = self.clocks[place].as_ref().and_then(|known| steer::toward(known, clock, now));
        self.clocks[place] = Some(nearer.unwrap_or(*clock));
        if nearer.is_none() {
            self.lanes.iter_mut().filter(|lane| lane.clock == place).for_each(|lane| lane.begin(Some(clock), now));
        }
    }

    /// One stream less; the last one takes its index.
    pub fn swap_remove(&mut self, index: usize) {
        self.lanes.swap_remove(index);
    }

    /// A stream has become a mix, or is one no longer.
    pub fn set_rank(&mut self, index: usize, rank: u8) {
        self.lanes[index].rank = rank;
    }

    /// A packet more than `late_limit_ns` late is left out from now on.
    pub fn set_late_limit(&mut self, late_limit_ns: i64) {
        self.late_limit_ns = late_limit_ns;
    }

    /// For how long packets of stream `index` may wait for those after them ([`hold_ns`]); 0 at first.
    pub fn set_hold(&mut self, index: usize, hold_ns: i64) {
        self.lanes[index].hold_ns = hold_ns;
    }

    /// When packets leave next: all that are due by then. Nothing when there is no stream.
    pub fn wake(&self) -> Option<LocalTime> {
        self.lanes.iter().filter_map(|lane| Some((self.due(lane)? + lane.hold_ns).max(lane.not_before))).min()
    }

    /// The stream whose packet is due next, by its index, and when that is. Nothing when there is no stream.
    pub fn next(&self) -> Option<(usize, LocalTime)> {
        let turn = |(index, lane): (usize, &Lane)| Some((self.due(lane)?.max(lane.not_before), lane.rank, index));
        self.lanes.iter().enumerate().filter_map(turn).min().map(|(at, _, index)| (index, at))
    }

    fn due(&self, lane: &Lane) -> Option<LocalTime> {
        let (clock, timeline) = (self.clocks[lane.clock]?, lane.timeline?);
        Some(clock.local_at(timeline.due()))
    }

    /// Takes the packet of stream `index`, which leaves now; nothing before it has a clock.
    pub fn depart(&mut self, index: usize, now: LocalTime) -> Option<Departure> {
        let lane = &mut self.lanes[index];
        let (clock, timeline) = (self.clocks[lane.clock]?, lane.timeline.as_mut()?);
        let media = clock.media_at(now);
        let mut skipped = 0;
        if media - timeline.due() > self.late_limit_ns {
            // To the last one that is due.
            skipped = timeline.skip_to(media - timeline.packet_ns());
        }
        let late_ns = (media - timeline.due() - lane.hold_ns).max(0);
        // What has waited as it may is no backlog: it leaves in the order in which it was due, a mix after its inputs.
        lane.not_before = if late_ns > BACKLOG_NS { now + timeline.packet_ns() / CATCH_UP } else { ANY_TIME };
        Some(Departure { frame: timeline.advance(), late_ns, skipped })
    }
}

impl Lane {
    fn begin(&mut self, clock: Option<&ClockMap>, now: LocalTime) {
        self.timeline = clock.map(|clock| Timeline::new(self.rate, self.packet_frames, clock.media_at(now)));
    }
}

#[cfg(test)]
mod tests;
