//! The samples of the last minute, weighed anew with every new one.

use std::collections::VecDeque;

use super::kalman::Kalman;
use crate::time::LocalTime;

/// A sample as the filter keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) at: LocalTime,
    /// Relative to the track's base.
    pub(super) offset_ns: f64,
    pub(super) delay_ns: i64,
    pub(super) stamp_sigma_ns: f64,
}

/// The samples of the last minute and what was known before them.
#[derive(Debug)]
pub(super) struct Window {
    samples: VecDeque<Held>,
    /// What the samples that have left the window taught, as of `known_at`.
    known: Kalman,
    known_at: LocalTime,
    scratch: Vec<i64>,
}

/// The round trips of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    shortest_ns: i64,
    /// A quarter of them are not longer than the shortest and this.
    usual_excess_ns: f64,
    /// [`GOOD`] of them are not longer than the shortest and this.
    good_excess_ns: f64,
    count: f64,
}

/// How long samples are kept, and how many at most: a minute of them even where the schedule asks often.
const SPAN_NS: i64 = 60_000_000_000;
const MOST: usize = 1_300;
/// So many round trips that were hardly held up say more of how long that is than all the others, where there are many.
const GOOD: usize = 8;

impl Window {
    pub(super) fn new(at: LocalTime) -> Self {
        Self {
            samples: VecDeque::with_capacity(MOST),
            known: Kalman::unknown(),
            known_at: at,
            scratch: Vec::with_capacity(MOST),
        }
    }

    /// Takes in a sample; those that are too old become part of what is known.
    pub(super) fn push(&mut self, sample: Held) {
        while let Some(&oldest) = self.samples.front() {
            if self.samples.len() < MOST && sample.at - oldest.at <= SPAN_NS {
                break;
            }
            let delays = self.delays();
            step(&mut self.known, &mut self.known_at, &oldest, delays);
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// What all samples together say, as of the last, and the round trips by which they were weighed.
    pub(super) fn replay(&mut self) -> (Kalman, Delays) {
        let delays = self.delays();
        let (mut kalman, mut at) = (self.known, self.known_at);
        for sample in &self.samples {
            step(&mut kalman, &mut at, sample, delays);
        }
        (kalman, delays)
    }

    /// The round trips of all samples here.
    fn delays(&mut self) -> Delays {
        self.scratch.clear();
        self.scratch.extend(self.samples.iter().map(|sample| sample.delay_ns));
        let quarter = self.scratch.len() / 4;
        let (shorter, &mut quartile_ns, _) = self.scratch.select_nth_unstable(quarter);
        let shortest_ns = shorter.iter().copied().min().unwrap_or(quartile_ns);
        let good_ns = if shorter.len() > GOOD { *shorter.select_nth_unstable(GOOD).1 } else { quartile_ns };
        Delays {
            shortest_ns,
            usual_excess_ns: (quartile_ns - shortest_ns) as f64,
            good_excess_ns: (good_ns - shortest_ns) as f64,
            count: self.scratch.len() as f64,
        }
    }
}

fn step(kalman: &mut Kalman, at: &mut LocalTime, sample: &Held, delays: Delays) {
    kalman.advance((sample.at - *at) as f64 * 1e-9);
    kalman.correct(sample.offset_ns, delays.variance(sample));
    *at = sample.at;
}

impl Delays {
    /// Variance of a sample's offset, in square nanoseconds: its stamps' own error, the usual wait that even a good
    /// round trip may hide, its own excess, and how little is known of the shortest from so few samples.
    fn variance(&self, sample: &Held) -> f64 {
        let excess_ns = (sample.delay_ns - self.shortest_ns) as f64;
        let few_ns = self.shortest_ns as f64 / self.count;
        let usual_ns = (USUAL * self.usual_excess_ns).min(FEW_GOOD * self.good_excess_ns);
        // Where all wait long, many bad samples would outweigh the few good ones, and all of them err the same way.
        let long = 1.0 + (excess_ns / (LONG_NS + LONG * self.good_excess_ns)).powi(2);
        sample.stamp_sigma_ns.powi(2) + usual_ns.powi(2) + (EXCESS * excess_ns).powi(2) * long + (FEW * few_ns).powi(2)
    }

    /// Standard deviation of what all samples may have in common, in nanoseconds, at an age of what is known.
    ///
    /// A way that is full from the start looks like a long one: nothing in the samples tells. But hardly a way in a
    /// house takes more than 2 ms, so a longer one is suspected until it has lasted.
    pub(super) fn common_sigma_ns(&self, age_ns: i64) -> f64 {
        let suspect_ns = (self.shortest_ns - 2_000_000).max(0) as f64;
        suspect_ns / 2.0 * (-age_ns as f64 / 20e9).exp()
    }
}

// Standard deviation of the offset per nanosecond of each. The excess alone, split at random between the two ways,
// would give 0.29; the rest covers tails and neighbours that are late together.
const USUAL: f64 = 0.1;
const FEW_GOOD: f64 = 0.35;
const EXCESS: f64 = 0.7;
const FEW: f64 = 0.2;
const LONG: f64 = 0.5;
/// An excess that is long wherever it is met, in nanoseconds.
const LONG_NS: f64 = 200_000.0;
