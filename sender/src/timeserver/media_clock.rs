//! The sender's clock.

use unisono_common::clock::ClockMap;
use unisono_common::time::{ClockEpoch, LocalTime, MediaTime, TAI_MINUS_UTC_S};
use unisono_host::{clock, random};

/// This sender's media clock: local time plus a constant, picked at start so that it reads about TAI.
///
/// A plain value: copies of it read the same for ever, in every thread, without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaClock {
    offset_ns: i64,
    epoch: ClockEpoch,
}

impl MediaClock {
    /// A new run of the clock, set by this host's time of day and named by a random epoch. A wrong time of day makes
    /// media time wrong, and no difference to anyone.
    pub fn start() -> Self {
        let tai_ns = clock::time_of_day_ns() + TAI_MINUS_UTC_S * 1_000_000_000;
        Self { offset_ns: tai_ns - clock::now().as_ns(), epoch: ClockEpoch(random::nonzero_u32()) }
    }

    /// Media time now.
    pub fn now(&self) -> MediaTime {
        self.at(clock::now())
    }

    /// Media time at local time `t`.
    pub fn at(&self, t: LocalTime) -> MediaTime {
        MediaTime::from_ns(t.as_ns().wrapping_add(self.offset_ns))
    }

    /// Local time at media time `m`.
    pub fn local_at(&self, m: MediaTime) -> LocalTime {
        LocalTime::from_ns(m.as_ns().wrapping_sub(self.offset_ns))
    }

    /// The same as a map, which holds for ever.
    pub fn map(&self) -> ClockMap {
        let at = LocalTime::from_ns(0);
        let (offset_ns, epoch) = (self.offset_ns, self.epoch);
        ClockMap { epoch, at, offset_ns, offset_fraction_ns: 0.0, rate: 0.0, sigma_ns: 0.0, rate_sigma: 0.0 }
    }

    /// Which run of the clock this is.
    pub fn epoch(&self) -> ClockEpoch {
        self.epoch
    }
}
