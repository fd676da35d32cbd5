//! The two-state Kalman filter: offset in nanoseconds, rate in nanoseconds per second.

/// Offset and rate with their covariance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kalman {
    offset: f64,
    rate: f64,
    /// Covariance: offset with offset, offset with rate, rate with rate.
    p: [f64; 3],
}

/// Density of the random walk of the rate, in (ns/s)^2 per second: 1e-15 s^2/s^3, a crystal in a room.
const WANDER: f64 = 1e3;
/// Offsets are relative to the first sample's, which can't be further off than this (a second): no knowledge at all.
const ANY_OFFSET: f64 = 1e9;
/// How far off a crystal may be at first: 60 ppm.
const RATE_SIGMA: f64 = 60e3;
/// No crystal is further off than this: 300 ppm.
const RATE_LIMIT: f64 = 300e3;

impl Kalman {
    /// Nothing is known but what crystals are like.
    pub(super) fn unknown() -> Self {
        Self { offset: 0.0, rate: 0.0, p: [ANY_OFFSET * ANY_OFFSET, 0.0, RATE_SIGMA * RATE_SIGMA] }
    }

    /// Lets `s` seconds pass.
    pub(super) fn advance(&mut self, s: f64) {
        self.offset += self.rate * s;
        let [p00, p01, p11] = self.p;
        self.p = [
            p00 + 2.0 * p01 * s + p11 * s * s + WANDER * s * s * s / 3.0,
            p01 + p11 * s + WANDER * s * s / 2.0,
            p11 + WANDER * s,
        ];
    }

    /// Takes in a measured offset with the variance of its error, in nanoseconds and their square.
    pub(super) fn correct(&mut self, measured_ns: f64, variance: f64) {
        let [p00, p01, p11] = self.p;
        let innovation = measured_ns - self.offset;
        let total = p00 + variance;
        let (gain0, gain1) = (p00 / total, p01 / total);
        self.offset += gain0 * innovation;
        self.rate = (self.rate + gain1 * innovation).clamp(-RATE_LIMIT, RATE_LIMIT);
        // Joseph's form: stays positive whatever the rounding.
        let keep = 1.0 - gain0;
        self.p = [
            keep * keep * p00 + gain0 * gain0 * variance,
            keep * (p01 - gain1 * p00) + gain0 * gain1 * variance,
            p11 - 2.0 * gain1 * p01 + gain1 * gain1 * total,
        ];
    }

    pub(super) fn offset_ns(&self) -> f64 {
        self.offset
    }

    /// Seconds per second.
    pub(super) fn rate(&self) -> f64 {
        self.rate * 1e-9
    }

    pub(super) fn offset_sigma_ns(&self) -> f64 {
        self.p[0].max(0.0).sqrt()
    }

    /// Seconds per second.
    pub(super) fn rate_sigma(&self) -> f64 {
        self.p[2].max(0.0).sqrt() * 1e-9
    }
}
