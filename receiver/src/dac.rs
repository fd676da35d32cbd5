//! The DAC's clock: at which local time does each frame leave it?
//!
//! Model: frame n leaves at T(n) = T + (n - N) p, with p nearly constant (a crystal). State: T at reference frame N, and
//! p's relative error s. A two-state Kalman filter, whose process noise is a random walk of s; measurements are edges
//! of the card's position, each known to a microsecond or so (see [`pointer`](crate::pointer)). All of it is local
//! time: network noise never enters here.

use unisono_common::time::LocalTime;

/// Spectral density of the rate's random walk, s^2/s^3: a free-running crystal.
const RATE_WALK: f64 = 1e-15;

/// How far a card's rate may lie from its nominal one, as a standard deviation.
const RATE_PRIOR: f64 = 300e-6;

/// Squared innovation over its variance beyond which an edge is not believed.
const GATE: f64 = 25.0;

/// Disbelieved edges in a row after which it is the estimate that is wrong.
const REJECTS: u32 = 10;

/// An edge of the card's position: at this local time frame `frame` began to leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Frame index since the card was opened.
    pub frame: i64,
    /// When.
    pub at: LocalTime,
    /// Standard deviation of `at`, in nanoseconds.
    pub sigma_ns: f64,
}

/// What became of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It was taken into the estimate.
    Taken,
    /// It was too far from the estimate to be believed.
    Rejected,
    /// The estimate began anew from it.
    Restarted,
}

/// Estimator of the DAC's clock.
#[derive(Clone, Debug)]
pub struct DacClock {
    nominal_ns: f64,
    state: Option<State>,
    rejects: u32,
    edges: u64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The last edge taken in, and the time of its frame by the estimate.
    frame: i64,
    at: LocalTime,
    /// What is left of `at` below a nanosecond.
    fraction_ns: f64,
    /// Relative error of the frame period: positive when the card is slow.
    slowness: f64,
    /// Covariance of (time in s, slowness).
    p: [f64; 3],
}

impl DacClock {
    /// For a card of this nominal rate, in Hz.
    pub fn new(rate: u32) -> Self {
        Self { nominal_ns: 1e9 / f64::from(rate), state: None, rejects: 0, edges: 0 }
    }

    /// Takes in an edge. Edges must come in the order of their frames.
    pub fn observe(&mut self, edge: Edge) -> Observed {
        let variance = (edge.sigma_ns * 1e-9).powi(2);
        let Some(state) = &mut self.state else {
            self.restart(edge, variance);
            return Observed::Restarted;
        };
        let elapsed = (edge.frame - state.frame) as f64 * self.nominal_ns * 1e-9;
        let predicted_ns = elapsed * 1e9 * (1.0 + state.slowness) + state.fraction_ns;
        let [a, b, c] = state.p;
        let a = a + 2.0 * elapsed * b + elapsed * elapsed * c + RATE_WALK * elapsed.powi(3) / 3.0;
        let b = b + elapsed * c + RATE_WALK * elapsed.powi(2) / 2.0;
        let c = c + RATE_WALK * elapsed;
        let innovation = ((edge.at - state.at) as f64 - predicted_ns) * 1e-9;
        let total = a + variance;
        if innovation * innovation > GATE * total || elapsed < 0.0 {
            self.rejects += 1;
            if self.rejects >= REJECTS {
                self.restart(edge, variance);
                return Observed::Restarted;
            }
            return Observed::Rejected;
        }
        let (k0, k1) = (a / total, b / total);
        state.slowness += k1 * innovation;
        let time_ns = predicted_ns + k0 * innovation * 1e9;
        state.at = state.at + time_ns.floor() as i64;
        state.fraction_ns = time_ns - time_ns.floor();
        state.frame = edge.frame;
        // Joseph form for H = [1 0]: stays positive whatever rounding does.
        state.p = [
            (1.0 - k0).powi(2) * a + k0 * k0 * variance,
            (1.0 - k0) * (b - k1 * a) + k0 * k1 * variance,
            c - 2.0 * k1 * b + k1 * k1 * total,
        ];
        self.rejects = 0;
        self.edges += 1;
        Observed::Taken
    }

    /// The estimate, once there are enough edges to have one.
    pub fn map(&self) -> Option<DacMap> {
        let s = self.state.as_ref().filter(|_| self.edges >= 3)?;
        Some(DacMap {
            frame: s.frame,
            at: s.at,
            fraction_ns: s.fraction_ns,
            period_ns: self.nominal_ns * (1.0 + s.slowness),
            slowness: s.slowness,
            p: s.p,
        })
    }

    fn restart(&mut self, edge: Edge, variance: f64) {
        self.state = Some(State {
            frame: edge.frame,
            at: edge.at,
            fraction_ns: 0.0,
            slowness: 0.0,
            p: [variance, 0.0, RATE_PRIOR * RATE_PRIOR],
        });
        self.rejects = 0;
        self.edges = 0;
    }
}

/// When each frame leaves the DAC, as far as is known now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DacMap {
    frame: i64,
    at: LocalTime,
    fraction_ns: f64,
    period_ns: f64,
    slowness: f64,
    p: [f64; 3],
}

impl DacMap {
    /// Local time at which frame `frame` begins to leave.
    pub fn time_of(&self, frame: i64) -> LocalTime {
        self.at + ((frame - self.frame) as f64 * self.period_ns + self.fraction_ns).round() as i64
    }

    /// The frame that leaves at local time `t`.
    pub fn frame_at(&self, t: LocalTime) -> i64 {
        self.frame + (((t - self.at) as f64 - self.fraction_ns) / self.period_ns).floor() as i64
    }

    /// Nanoseconds of local time that a frame lasts.
    pub fn period_ns(&self) -> f64 {
        self.period_ns
    }

    /// Relative error of the card's rate: positive when it is fast. 1e-6 is 1 ppm.
    pub fn rate_error(&self) -> f64 {
        -self.slowness
    }

    /// Standard deviation of [`time_of`](Self::time_of), in nanoseconds.
    pub fn sigma_ns(&self, frame: i64) -> f64 {
        let ahead = (frame - self.frame) as f64 * self.period_ns * 1e-9;
        let [a, b, c] = self.p;
        (a + 2.0 * ahead * b + ahead * ahead * c).max(0.0).sqrt() * 1e9
    }
}

#[cfg(test)]
mod tests;
