//! From samples to a map: which offset and rate, and how sure.
//!
//! # Model
//! The state is the offset theta (media minus local time) and the rate phi. It starts anywhere and wanders like a
//! crystal does: phi is a random walk. Each sample measures theta with an error that is half the difference of the
//! delays there and back. That error is not known, but its size is: a round trip that took as little time as any can't
//! be far off, one that took e longer can be off by e/2. So the measurement variance comes from the excess of each
//! round trip over the shortest, and nothing is ever rejected by its value.
//!
//! What the shortest round trip is, is learned late: the first second may lie in a burst. So the samples of the last
//! minute are kept, and with every new one all of them are weighed anew and run through a small Kalman filter again;
//! older ones stay in as the state that the run begins with. That is some thousand multiplications a sample.
//!
//! The equations, what was tried and failed, and what was measured are in `docs/clock.md`. What no filter can see is a
//! constant difference between the two ways: it stays in the offset.

mod kalman;
mod window;

use self::kalman::Kalman;
use self::window::{Held, Window};
use super::{ClockMap, Sample, StampSource};
use crate::time::{ClockEpoch, LocalTime};

/// Learns one server's clock from samples.
#[derive(Debug, Default)]
pub struct Filter {
    track: Option<Track>,
}

/// What is known of one run of the server's clock.
#[derive(Debug)]
struct Track {
    epoch: ClockEpoch,
    /// Offsets in the Kalman filter are relative to this, so that f64 holds them to a picosecond.
    base_offset_ns: i64,
    began: LocalTime,
    window: Window,
    /// As of the last sample.
    kalman: Kalman,
    /// What all samples of the window may be off by together.
    common_sigma_ns: f64,
    at: LocalTime,
    samples: u64,
}

impl Filter {
    /// A filter that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a sample and returns what is known now. A sample of a new epoch makes it forget the old.
    ///
    /// A sample older than the last one taken in (a reply that was overtaken) changes nothing.
    pub fn take(&mut self, sample: &Sample) -> ClockMap {
        match &mut self.track {
            Some(track) if track.epoch == sample.epoch => track.take(sample),
            track => *track = Some(Track::begin(sample)),
        }
        self.track.as_ref().map_or_else(|| unreachable!("just set"), Track::map)
    }

    /// What is known now; `None` before the first sample.
    pub fn map(&self) -> Option<ClockMap> {
        self.track.as_ref().map(Track::map)
    }

    /// Samples taken in since the epoch began.
    pub fn samples(&self) -> u64 {
        self.track.as_ref().map_or(0, |track| track.samples)
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.track = None;
    }
}

/// Standard deviation of a stamp's own error, in nanoseconds.
fn stamp_sigma_ns(sample: &Sample) -> f64 {
    match (sample.worse_source(), sample.interleaved) {
        (StampSource::Kernel, true) => 1_500.0,
        (StampSource::Queue, true) => 3_000.0,
        (StampSource::User, _) => 8_000.0,
        (_, false) => 4_000.0,
    }
}

impl Track {
    fn begin(sample: &Sample) -> Self {
        let at = sample.middle();
        let mut track = Self {
            epoch: sample.epoch,
            base_offset_ns: sample.offset_ns(),
            began: at,
            window: Window::new(at),
            kalman: Kalman::unknown(),
            common_sigma_ns: 0.0,
            at: at - 1,
            samples: 0,
        };
        track.take(sample);
        track
    }

    fn take(&mut self, sample: &Sample) {
        let at = sample.middle();
        if at - self.at <= 0 {
            return;
        }
        self.at = at;
        self.samples += 1;
        self.window.push(Held {
            at,
            offset_ns: (sample.offset_ns() - self.base_offset_ns) as f64,
            delay_ns: sample.delay_ns(),
            stamp_sigma_ns: stamp_sigma_ns(sample),
        });
        let (kalman, delays) = self.window.replay();
        self.kalman = kalman;
        self.common_sigma_ns = delays.common_sigma_ns(at - self.began);
    }

    fn map(&self) -> ClockMap {
        let whole = self.kalman.offset_ns().round();
        ClockMap {
            epoch: self.epoch,
            at: self.at,
            offset_ns: self.base_offset_ns + whole as i64,
            offset_fraction_ns: self.kalman.offset_ns() - whole,
            rate: self.kalman.rate(),
            sigma_ns: self.kalman.offset_sigma_ns().hypot(self.common_sigma_ns),
            rate_sigma: self.kalman.rate_sigma(),
        }
    }
}

#[cfg(test)]
mod tests;
