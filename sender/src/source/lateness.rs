//! When to leave out what is too late: for sources whose sound belongs to a picture, or to somebody who listens to himself. (P)
//!
//! After a stall of this machine, everything that waited is heard so much later, and stays so: stretching makes up for
//! 1 ms in a second. A writer that keeps time and is late for a quarter of a second is late for good; what waits is then
//! left out. One that writes as fast as the pipe takes it has no time to keep, and is never cut.

/// What may wait beyond what is wanted, in seconds: more than a writer's pieces and the machine's usual hiccups.
const LATE_S: f64 = 0.030;
/// For how long it may.
const LATE_FOR_S: f64 = 0.25;
/// A writer that is in time for so many seconds keeps time.
const IN_TIME_S: f64 = 5.0;
/// How often a writer that keeps time is cut without being in time again.
const CUTS: u32 = 3;

/// Watches how much of one source waits.
#[derive(Clone, Debug)]
pub(super) struct Lateness {
    /// The most that may wait, in seconds; `None`: however much.
    most: Option<f64>,
    in_time: f64,
    late: f64,
    cuts_left: u32,
}

impl Lateness {
    /// However much waits, nothing is left out.
    pub(super) fn of_any() -> Self {
        Self { most: None, in_time: 0.0, late: 0.0, cuts_left: 0 }
    }

    /// For a writer of whom it must be seen whether it keeps time; `latency` seconds are to wait.
    pub(super) fn of_writer(latency: f64) -> Self {
        Self { most: Some(latency + LATE_S), ..Self::of_any() }
    }

    /// For a card, which keeps time.
    pub(super) fn of_clock(latency: f64) -> Self {
        Self { cuts_left: CUTS, ..Self::of_writer(latency) }
    }

    /// Notes that `lasted` seconds of sound came, and `waits` seconds wait to be heard with them; whether to leave those out.
    pub(super) fn observe(&mut self, lasted: f64, waits: f64) -> bool {
        let Some(most) = self.most else { return false };
        if waits <= most {
            self.late = 0.0;
            self.in_time += lasted;
            if self.in_time >= IN_TIME_S {
                self.cuts_left = CUTS;
            }
            return false;
        }
        self.in_time = 0.0;
        self.late += lasted;
        if self.late < LATE_FOR_S || self.cuts_left == 0 {
            return false;
        }
        self.cuts_left -= 1;
        self.late = 0.0;
        true
    }
}

#[cfg(test)]
mod tests;
