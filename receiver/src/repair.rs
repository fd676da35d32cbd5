//! Which lost packets are asked for, and when. Pure.
//!
//! # Rules
//! - A packet is missed when a later one has come. If packets of late have come out of order, it is given the time that
//!   they took.
//! - Then it waits a random while before it is asked for: in a house in which all rooms lose the same packets one room's
//!   request serves them all. How long depends on how often it was so of late; a loss of this room's alone is asked for
//!   at once. Late instants are the likelier ones (an exponential density), so that of many rooms few are early, and of
//!   a few rooms none waits long.
//! - It is asked for again when the answer takes longer than answers do (RFC 6298's estimate), as often as there is time.
//! - Nothing is asked for that could not be here before it is played. Waiting and patience shrink with the time that is
//!   left.
//! - A sender that never answers is asked less and less.

use std::collections::VecDeque;

use unisono_common::time::LocalTime;

/// Packets that are missed at once, at most; a longer gap is an outage, of which only the end can still be had.
pub const MOST_MISSED: usize = 256;

const MS: i64 = 1_000_000;

/// Round trips are at least this long, as far as waiting for answers goes: the sender paces them.
const SHORTEST_WAIT_NS: i64 = 9 * MS;
const LONGEST_WAIT_NS: i64 = 200 * MS;

/// A room that loses packets alone waits up to here, one that always loses what others lose up to there.
const ALONE_NS: f64 = 1e6;
const TOGETHER_NS: f64 = 40e6;

/// Steepness of the exponential density: a few hundred rooms.
const STEEPNESS: f64 = 6.0;

/// Requests without an answer after which the pauses between them double.
const PATIENCE: u32 = 64;

/// The longest that packets out of order are waited for.
const LONGEST_DISORDER_NS: f64 = 100e6;

/// Disorder is forgotten by half in so long.
const DISORDER_HALF_LIFE_S: f64 = 10.0;

/// What is known of the packets of one stream that are missing.
#[derive(Clone, Debug)]
pub struct Repair {
    /// In the order of their numbers.
    missed: VecDeque<Missed>,
    highest: Option<i64>,
    answers: RoundTrip,
    /// How late packets that were overtaken came of late, in nanoseconds, as of an instant.
    disorder_ns: f64,
    disorder_at: LocalTime,
    /// How often answers came by the group: 0 never, 1 always.
    together: f64,
    unanswered: u32,
    random: u64,
    counts: Counts,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that were missed.
    pub missed: u64,
    /// Packets that were asked for, each time counted.
    pub asked: u64,
    /// Missed packets that came after all, by themselves.
    pub overtaken: u64,
    /// Missed packets that were sent again and came.
    pub answered: u64,
    /// Missed packets that were computed from parity.
    pub computed: u64,
    /// Missed packets that were given up.
    pub given_up: u64,
}

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As a packet of the stream.
    Stream,
    /// Sent again, to this room.
    Answer,
    /// Sent again, to all rooms.
    GroupAnswer,
    /// Computed from parity.
    Computed,
}

#[derive(Clone, Copy, Debug)]
struct Missed {
    number: i64,
    since: LocalTime,
    /// When it is asked for next; nothing until there was a first look at it.
    ask_at: Option<LocalTime>,
    asked: u32,
    asked_at: LocalTime,
    /// It came; kept for a while to learn whether it had only been overtaken.
    here: bool,
}

impl Repair {
    /// Nothing is missing yet. `seed` must differ between rooms.
    pub fn new(seed: u64) -> Self {
        Self {
            missed: VecDeque::with_capacity(MOST_MISSED),
            highest: None,
            answers: RoundTrip::default(),
            disorder_ns: 0.0,
            disorder_at: LocalTime::default(),
            together: 0.5,
            unanswered: 0,
            random: seed,
            counts: Counts::default(),
        }
    }

    /// Another source: its numbers have nothing to do with those before.
    pub fn restart(&mut self) {
        self.missed.clear();
        self.highest = None;
    }

    /// Packet `number` (64 bits, unwrapped) is here.
    pub fn arrived(&mut self, number: i64, way: Way, now: LocalTime) {
        match self.missed.binary_search_by_key(&number, |missed| missed.number) {
            Ok(at) => self.found(at, way, now),
            Err(_) if way == Way::Stream => self.advance(number, now),
            Err(_) => {}
        }
    }

    /// Puts the numbers of the packets that are to be asked for now into `out`. `due` says when a packet must be here.
    pub fn ask(&mut self, now: LocalTime, due: impl Fn(i64) -> LocalTime, out: &mut Vec<i64>) {
        out.clear();
        let shortest_ns = self.answers.shortest_ns();
        let given_up = &mut self.counts.given_up;
        self.missed.retain(|missed| {
            let hopeless = due(missed.number) - now < shortest_ns;
            *given_up += u64::from(hopeless && !missed.here);
            !hopeless
        });
        let wait_ns = self.wait_ns();
        for at in 0..self.missed.len() {
            let missed = self.missed[at];
            if missed.here {
                continue;
            }
            let left_ns = due(missed.number) - now;
            let ask_at = match missed.ask_at {
                Some(ask_at) => ask_at,
                None => missed.since + self.first_wait_ns(left_ns, wait_ns, now),
            };
            let soon = ask_at - now <= MS / 2;
            let missed = &mut self.missed[at];
            missed.ask_at = Some(ask_at);
            if soon && out.len() < out.capacity() {
                missed.asked += 1;
                missed.asked_at = now;
                missed.ask_at = Some(now + wait_ns);
                out.push(missed.number);
            }
        }
        self.counts.asked += out.len() as u64;
        if !out.is_empty() {
            self.unanswered = self.unanswered.saturating_add(1);
        }
    }

    /// When to call [`ask`](Self::ask) next; nothing while nothing is missing. A call of `arrived` may make it earlier.
    pub fn next(&self) -> Option<LocalTime> {
        let waiting = self.missed.iter().filter(|missed| !missed.here);
        waiting.map(|missed| missed.ask_at.unwrap_or(missed.since)).min()
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn advance(&mut self, number: i64, now: LocalTime) {
        let Some(highest) = self.highest else {
            self.highest = Some(number);
            return;
        };
        if number <= highest {
            return;
        }
        self.highest = Some(number);
        let from = (highest + 1).max(number - MOST_MISSED as i64);
        self.counts.missed += (number - highest - 1) as u64;
        self.counts.given_up += (from - highest - 1) as u64;
        for number in from..number {
            if self.missed.len() == MOST_MISSED {
                let oldest = self.missed.pop_front();
                self.counts.given_up += u64::from(oldest.is_some_and(|missed| !missed.here));
            }
            let missed = Missed { number, since: now, ask_at: None, asked: 0, asked_at: now, here: false };
            self.missed.push_back(missed);
        }
    }

    fn found(&mut self, at: usize, way: Way, now: LocalTime) {
        let missed = self.missed[at];
        if way == Way::Stream {
            self.learn_disorder(now - missed.since, now);
            self.counts.overtaken += u64::from(!missed.here);
            self.missed.remove(at);
            return;
        }
        if missed.here {
            return;
        }
        self.missed[at].here = true;
        if way == Way::Computed {
            self.counts.computed += 1;
            return;
        }
        self.unanswered = 0;
        self.counts.answered += 1;
        let shared = if way == Way::GroupAnswer { 1.0 } else { 0.0 };
        self.together += (shared - self.together) / 8.0;
        // The answer to the first or to the second request? Only where there was one the round trip is known.
        if way == Way::Answer && missed.asked == 1 {
            self.answers.learn(now - missed.asked_at);
        }
    }

    /// Time from missing a packet to asking for it.
    fn first_wait_ns(&mut self, left_ns: i64, wait_ns: i64, now: LocalTime) -> i64 {
        // Waiting for others leaves time for four requests, waiting for what was overtaken for two.
        let spare_ns = ((left_ns - 4 * wait_ns) / 2).max(0) as f64;
        let disorder_ns = self.disorder_ns(now) * 1.2;
        let longest_ns = ALONE_NS + (TOGETHER_NS - ALONE_NS) * self.together;
        let chance = self.unit();
        let late = ((STEEPNESS.exp() - 1.0) * chance).ln_1p() / STEEPNESS;
        let together_ns = late * longest_ns.min(spare_ns);
        (disorder_ns + together_ns).min((left_ns - 2 * wait_ns).max(0) as f64) as i64
    }

    /// Time from a request to the next one for the same packet.
    fn wait_ns(&self) -> i64 {
        let doublings = (self.unanswered / PATIENCE).min(5);
        (self.answers.wait_ns() << doublings).min(LONGEST_WAIT_NS)
    }

    fn learn_disorder(&mut self, late_ns: i64, now: LocalTime) {
        let late_ns = (late_ns as f64).clamp(0.0, LONGEST_DISORDER_NS);
        (self.disorder_ns, self.disorder_at) = (self.disorder_ns(now).max(late_ns), now);
    }

    fn disorder_ns(&self, now: LocalTime) -> f64 {
        let age_s = (now - self.disorder_at).max(0) as f64 * 1e-9;
        self.disorder_ns * (-age_s / DISORDER_HALF_LIFE_S).exp2()
    }

    /// The next random number, 0 <= x < 1 (SplitMix64).
    fn unit(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How long answers take: mean and deviation as in RFC 6298.
#[derive(Clone, Copy, Debug, Default)]
struct RoundTrip {
    known: bool,
    mean_ns: i64,
    deviation_ns: i64,
    shortest_ns: i64,
}

impl RoundTrip {
    fn learn(&mut self, took_ns: i64) {
        let took_ns = took_ns.clamp(0, LONGEST_WAIT_NS);
        if !self.known {
            *self = RoundTrip { known: true, mean_ns: took_ns, deviation_ns: took_ns / 2, shortest_ns: took_ns };
            return;
        }
        self.deviation_ns += ((self.mean_ns - took_ns).abs() - self.deviation_ns) / 4;
        self.mean_ns += (took_ns - self.mean_ns) / 8;
        // The shortest of late: a way that got longer must not be mistaken for ever.
        self.shortest_ns = took_ns.min(self.shortest_ns + took_ns / 64);
    }

    fn wait_ns(&self) -> i64 {
        if !self.known {
            return 2 * SHORTEST_WAIT_NS;
        }
        (self.mean_ns + 4 * self.deviation_ns).clamp(SHORTEST_WAIT_NS, LONGEST_WAIT_NS)
    }

    fn shortest_ns(&self) -> i64 {
        self.shortest_ns
    }
}

#[cfg(test)]
mod tests;
