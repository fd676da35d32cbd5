//! The round trips of the last minute: how short they can be, and how much they usually vary.

use std::collections::VecDeque;

use crate::time::LocalTime;

/// Round-trip delays of the last minute.
#[derive(Debug)]
pub(super) struct DelayWindow {
    delays: VecDeque<(LocalTime, i64)>,
    scratch: Vec<i64>,
}

const SPAN_NS: i64 = 60_000_000_000;
const MOST: usize = 512;

impl DelayWindow {
    pub(super) fn new() -> Self {
        Self { delays: VecDeque::with_capacity(MOST), scratch: Vec::with_capacity(MOST) }
    }

    pub(super) fn push(&mut self, at: LocalTime, delay_ns: i64) {
        let old = |(then, _): &(LocalTime, i64)| at - *then > SPAN_NS;
        while self.delays.len() == MOST || self.delays.front().is_some_and(old) {
            self.delays.pop_front();
        }
        self.delays.push_back((at, delay_ns));
    }

    /// Variance of a sample's offset, from its delay, the age of what is known of this path, and its stamps' own error.
    pub(super) fn variance(&mut self, delay_ns: i64, age_ns: i64, stamp_sigma_ns: f64) -> f64 {
        self.scratch.clear();
        self.scratch.extend(self.delays.iter().map(|(_, delay_ns)| *delay_ns));
        let shortest_ns = self.scratch.iter().copied().min().unwrap_or(delay_ns);
        let quarter = self.scratch.len() / 4;
        let (_, &mut quartile_ns, _) = self.scratch.select_nth_unstable(quarter);
        let excess_ns = (delay_ns - shortest_ns) as f64;
        let usual_ns = ((quartile_ns - shortest_ns) as f64).max(200.0);
        let distrust = 0.05 + 0.45 * (-age_ns as f64 / 5e9).exp();
        stamp_sigma_ns.powi(2)
            + (0.35 * usual_ns).powi(2)
            + (0.7 * excess_ns).powi(2)
            + (distrust * delay_ns as f64).powi(2)
    }
}
