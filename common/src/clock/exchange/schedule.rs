//! When to ask: often at first, so that a room can join within a fraction of a second, then a few times a second; often
//! for as long as little is known.

/// Intervals between requests, by the age of the exchange since its first reply and by what is known.
///
/// Where packets wait long and unevenly only the best of many round trips tell anything: asking five times as often
/// finds five times as many of them, for 15 kbit/s.
///
/// Each is varied by up to a fifth either way: neither the beacons of an access point nor another room's requests can
/// stay in step with ours.
#[derive(Clone, Debug)]
pub struct Schedule {
    random: u64,
}

const MS: i64 = 1_000_000;

/// What a server may slow its clients down to, as a power of two: once in two seconds in place of four times a second.
pub(super) const SLOWEST: u32 = 3;

impl Schedule {
    /// (until this age, ask this often), in nanoseconds.
    const INTERVALS: [(i64, i64); 4] =
        [(500 * MS, 20 * MS), (2_000 * MS, 50 * MS), (10_000 * MS, 125 * MS), (i64::MAX, 250 * MS)];

    /// Standard deviation of what is known, in nanoseconds, from which on requests come every
    /// [`Self::DOUBTFUL_NS`]: a wire never gets there.
    const DOUBT_NS: f64 = 10_000.0;
    const DOUBTFUL_NS: i64 = 50 * MS;

    /// A schedule whose variation follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { random: seed }
    }

    /// Time from one request to the next, in nanoseconds, at an age of the exchange, with a standard deviation of what is
    /// known of the clock. Who is past the beginning asks 2^`slower` times less often, for a server that many ask.
    pub fn interval_ns(&mut self, age_ns: i64, sigma_ns: f64, slower: u32) -> i64 {
        let row = Self::INTERVALS.iter().find(|(until_ns, _)| age_ns < *until_ns);
        let (until_ns, interval_ns) = row.copied().unwrap_or((i64::MAX, 250 * MS));
        let interval_ns = if sigma_ns > Self::DOUBT_NS { interval_ns.min(Self::DOUBTFUL_NS) } else { interval_ns };
        let interval_ns = if until_ns == i64::MAX { interval_ns << slower.min(SLOWEST) } else { interval_ns };
        let fifth_ns = interval_ns / 5;
        interval_ns - fifth_ns + (self.number() % (2 * fifth_ns as u64 + 1)) as i64
    }

    /// The next number of the sequence (SplitMix64), which also serves for cookies.
    pub(super) fn number(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_grow_with_age_and_vary_by_a_fifth() {
        let mut schedule = Schedule::new(1);
        for (age_ms, interval_ms) in [(0, 20), (499, 20), (500, 50), (2_000, 125), (9_999, 125), (10_000, 250)] {
            let intervals: Vec<_> = (0..1000).map(|_| schedule.interval_ns(age_ms * MS, 1e3, 0)).collect();
            assert!(intervals.iter().all(|&ns| (ns - interval_ms * MS).abs() <= interval_ms * MS / 5));
            let mean_ns = intervals.iter().sum::<i64>() / 1000;
            assert!((mean_ns - interval_ms * MS).abs() < interval_ms * MS / 50);
        }
    }

    #[test]
    fn a_clock_that_is_hardly_known_is_asked_more_often_and_never_less() {
        let mut schedule = Schedule::new(1);
        for (age_ms, interval_ms) in [(0, 20), (600, 50), (5_000, 50), (1_000_000, 50)] {
            let interval_ns = schedule.interval_ns(age_ms * MS, 1e6, 0);
            assert!((interval_ns - interval_ms * MS).abs() <= interval_ms * MS / 5, "{age_ms}: {interval_ns}");
        }
    }

    #[test]
    fn a_server_that_many_ask_is_asked_less_often_once_enough_is_known() {
        let mut schedule = Schedule::new(1);
        let rows = [(1_000, 1e3, 2, 50), (20_000, 1e3, 2, 1_000), (20_000, 1e6, 1, 100), (20_000, 1e3, 200, 2_000)];
        for (age_ms, sigma_ns, slower, interval_ms) in rows {
            let interval_ns = schedule.interval_ns(age_ms * MS, sigma_ns, slower);
            assert!((interval_ns - interval_ms * MS).abs() <= interval_ms * MS / 5, "{age_ms}: {interval_ns}");
        }
    }
}
