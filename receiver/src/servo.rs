//! The servo: turns an error of position into a small change of rate, and says when that is not enough.
//!
//! Feed-forward does the work: both clocks are measured, so the rate at which content must run is known. What is left
//! is an error of position, and it is worked off with a time constant, never faster than anybody could hear.

/// The largest correction of the rate, beyond the feed-forward: 300 ppm.
const MAX_CORRECTION: f64 = 300e-6;

/// The fastest change of the correction, per second: 100 ppm/s.
const MAX_SLEW: f64 = 100e-6;

/// Errors up to here are slewed away.
const SLEW_LIMIT_NS: f64 = 2e6;

/// Errors up to here must last before they are corrected at once.
const SPLICE_LIMIT_NS: f64 = 15e6;

/// How long an error between the two limits must last, in seconds.
const SPLICE_PATIENCE_S: f64 = 0.5;

/// Uncertainty of the clock above which the rate is held and nothing moves.
const HOLD_SIGMA_NS: f64 = 1e6;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum Correction {
    /// Multiply the feed-forward rate by one plus this.
    Slew(f64),
    /// Move to where the content should be, under a crossfade.
    Splice,
}

/// A proportional servo on position, with a time constant that follows how well the clock is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Servo {
    correction: f64,
    off_for_s: f64,
    running_s: f64,
}

impl Servo {
    /// One step: `error_ns` is how far content lags behind where it is due, `sigma_ns` how well the clock is known, and
    /// `dt_s` the time since the last step.
    pub fn step(&mut self, error_ns: f64, sigma_ns: f64, dt_s: f64) -> Correction {
        self.running_s += dt_s;
        if sigma_ns > HOLD_SIGMA_NS {
            return Correction::Slew(self.towards(0.0, dt_s));
        }
        let size = error_ns.abs();
        if size > SLEW_LIMIT_NS && sigma_ns < size / 4.0 {
            self.off_for_s += dt_s;
            if size > SPLICE_LIMIT_NS || self.off_for_s >= SPLICE_PATIENCE_S {
                *self = Self::default();
                return Correction::Splice;
            }
        } else {
            self.off_for_s = 0.0;
        }
        let wanted = error_ns * 1e-9 / self.time_constant_s(sigma_ns);
        Correction::Slew(self.towards(wanted.clamp(-MAX_CORRECTION, MAX_CORRECTION), dt_s))
    }

    /// Short at first, when estimates still settle; 2 s later, and up to 24 s where the clock is noisy (Wi-Fi), so that
    /// its noise is not heard as pitch.
    fn time_constant_s(&self, sigma_ns: f64) -> f64 {
        let settled = (sigma_ns / 2_500.0).clamp(2.0, 24.0);
        1.0 + (settled - 1.0) * (self.running_s / 4.0).min(1.0)
    }

    fn towards(&mut self, wanted: f64, dt_s: f64) -> f64 {
        let change = (wanted - self.correction).clamp(-MAX_SLEW * dt_s, MAX_SLEW * dt_s);
        self.correction += change;
        self.correction
    }
}

#[cfg(test)]
mod tests;
