//! The map from local time to media time that the clock filter puts out and playout reads.

use crate::time::{ClockEpoch, LocalTime, MediaTime};

/// Media time as a function of local time: media(t) = t + offset + rate x (t - at), valid near `at`.
///
/// A plain value: a reader that holds one can convert for ever without asking anybody; it only grows less certain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockMap {
    /// The run of the sender's clock that this map follows.
    pub epoch: ClockEpoch,
    /// Local time of the last measurement taken in.
    pub at: LocalTime,
    /// Media time minus local time at `at`, in nanoseconds, whole part.
    pub offset_ns: i64,
    /// What is left of the offset below a nanosecond, -0.5..0.5.
    pub offset_fraction_ns: f64,
    /// How much faster than local time media time runs, in seconds per second (1e-6 is 1 ppm).
    pub rate: f64,
    /// Standard deviation of the offset at `at`, in nanoseconds.
    pub sigma_ns: f64,
    /// Standard deviation of the rate, in seconds per second.
    pub rate_sigma: f64,
}

impl ClockMap {
    /// Media time at local time `t`.
    pub fn media_at(&self, t: LocalTime) -> MediaTime {
        let change_ns = self.rate * (t - self.at) as f64 + self.offset_fraction_ns;
        MediaTime::from_ns(t.as_ns() + self.offset_ns + change_ns.round() as i64)
    }

    /// Local time at media time `m`: the inverse of [`media_at`](Self::media_at), to a nanosecond.
    pub fn local_at(&self, m: MediaTime) -> LocalTime {
        let since_ns = (m.as_ns() - self.offset_ns - self.at.as_ns()) as f64 - self.offset_fraction_ns;
        self.at + (since_ns / (1.0 + self.rate)).round() as i64
    }

    /// Standard deviation of [`media_at`](Self::media_at) at `t`, in nanoseconds: it grows while no measurement comes.
    pub fn sigma_at(&self, t: LocalTime) -> f64 {
        self.sigma_ns.hypot(self.rate_sigma * (t - self.at) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_at_inverts_media_at_at_any_rate() {
        for rate in [-300e-6, -1e-9, 0.0, 20e-6, 300e-6] {
            let map = ClockMap {
                epoch: ClockEpoch(1),
                at: LocalTime::from_ns(5_000_000_000),
                offset_ns: 1_790_000_000_123_456_789,
                offset_fraction_ns: 0.25,
                rate,
                sigma_ns: 100.0,
                rate_sigma: 1e-7,
            };
            for t in [0, 5_000_000_000, 3_600_000_000_000] {
                let t = LocalTime::from_ns(t);
                assert!((map.local_at(map.media_at(t)) - t).abs() <= 1);
            }
        }
    }
}
