//! What a link does to the packets that pass it: loses, delays, reorders, doubles and queues them.
//!
//! Pure: time is an argument and chance comes from a seed, so that a scene is the same every time.

use crate::simulation::random::Random;

const NS_PER_S: i64 = 1_000_000_000;

/// How packets are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub enum Loss {
    /// Not at all.
    #[default]
    None,
    /// Each for itself, with this probability.
    Random(f64),
    /// All of them for `length_ms`, once in every `every_ms`, at an instant that nobody can foretell.
    Bursts {
        /// Distance from one burst to the next, on average.
        every_ms: i64,
        /// Length of each.
        length_ms: i64,
    },
    /// Gilbert and Elliott's: a good state that loses nothing and a bad one that loses much.
    GilbertElliott {
        /// Probability, at each packet, to go from good to bad.
        to_bad: f64,
        /// Probability, at each packet, to go from bad to good.
        to_good: f64,
        /// Share that is lost in the bad state.
        lost: f64,
    },
}

/// What a link does; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Impairment {
    /// How packets are lost.
    pub loss: Loss,
    /// Share of multicast that is lost besides, as on Wi-Fi, which acknowledges unicast alone.
    pub multicast_loss: f64,
    /// Share that arrives twice.
    pub duplicated: f64,
    /// Least time on the way, in milliseconds.
    pub delay_ms: f64,
    /// Added to it, evenly from nothing to this.
    pub jitter_ms: f64,
    /// Jitter may put packets out of order; otherwise a packet that was held up holds up those behind it.
    pub reorders: bool,
    /// Bits per second; nothing for no limit. What would wait longer than [`LONGEST_QUEUE_NS`] is dropped.
    pub rate: Option<u64>,
    /// Nothing passes.
    pub down: bool,
}

/// The queue before a link of limited rate.
pub const LONGEST_QUEUE_NS: i64 = 200_000_000;

impl Impairment {
    /// Loses this share of everything.
    pub fn losing(share: f64) -> Impairment {
        Impairment { loss: Loss::Random(share), ..Impairment::default() }
    }
}

/// When the copies of a packet leave the link; none if it is lost.
pub type Departures = [Option<i64>; 2];

/// A link in one direction.
#[derive(Debug)]
pub struct Link {
    impairment: Impairment,
    random: Random,
    bad: bool,
    /// The burst that comes or runs: its beginning, and the beginning of its period.
    burst: (i64, i64),
    /// When the link has sent all that was given to it, and when the last packet in order left.
    free_ns: i64,
    last_ns: i64,
}

impl Link {
    /// A link that does nothing yet. `number` keeps the links of one run apart.
    pub fn new(seed: u64, number: u64) -> Link {
        let random = Random::new(seed, number);
        Link { impairment: Impairment::default(), random, bad: false, burst: (0, i64::MIN), free_ns: 0, last_ns: 0 }
    }

    /// From now on it does this.
    pub fn set(&mut self, impairment: Impairment) {
        self.impairment = impairment;
        self.burst = (0, i64::MIN);
        self.bad = false;
    }

    /// A packet of `bytes` enters at `now_ns`.
    pub fn pass(&mut self, now_ns: i64, bytes: usize, multicast: bool) -> Departures {
        let Impairment { multicast_loss, duplicated, delay_ms, jitter_ms, reorders, rate, down, .. } = self.impairment;
        let lost = self.loses(now_ns);
        if down || lost || (multicast && self.random.chance(multicast_loss)) {
            return [None; 2];
        }
        let sent_ns = match rate {
            None => now_ns,
            Some(_) if self.free_ns - now_ns > LONGEST_QUEUE_NS => return [None; 2],
            Some(rate) => {
                let takes_ns = bytes as i64 * 8 * NS_PER_S / rate.max(1) as i64;
                self.free_ns = self.free_ns.max(now_ns) + takes_ns;
                self.free_ns
            }
        };
        let first = self.arrival(sent_ns, delay_ms, jitter_ms, reorders);
        let second = self.random.chance(duplicated).then(|| self.arrival(sent_ns, delay_ms, jitter_ms, reorders));
        [Some(first), second]
    }

    fn arrival(&mut self, sent_ns: i64, delay_ms: f64, jitter_ms: f64, reorders: bool) -> i64 {
        let on_the_way_ms = delay_ms + self.random.unit() * jitter_ms;
        let arrival_ns = sent_ns + (on_the_way_ms * 1e6) as i64;
        if reorders {
            return arrival_ns;
        }
        self.last_ns = self.last_ns.max(arrival_ns);
        self.last_ns
    }

    fn loses(&mut self, now_ns: i64) -> bool {
        match self.impairment.loss {
            Loss::None => false,
            Loss::Random(share) => self.random.chance(share),
            Loss::Bursts { every_ms, length_ms } => {
                let (every_ns, length_ns) = (every_ms * 1_000_000, length_ms * 1_000_000);
                let period = now_ns.div_euclid(every_ns) * every_ns;
                if self.burst.1 != period {
                    let room = (every_ns - length_ns).max(0) as f64;
                    self.burst = (period + (self.random.unit() * room) as i64, period);
                }
                (self.burst.0..self.burst.0 + length_ns).contains(&now_ns)
            }
            Loss::GilbertElliott { to_bad, to_good, lost } => {
                self.bad = if self.bad { !self.random.chance(to_good) } else { self.random.chance(to_bad) };
                self.bad && self.random.chance(lost)
            }
        }
    }
}

#[cfg(test)]
mod tests;
