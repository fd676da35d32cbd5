//! What of a domain's clock is known, through silence and changes of its grandmaster.

use serde::{Deserialize, Serialize};

use crate::clock::{ClockMap, Filter};
use crate::time::LocalTime;

use super::{ClockIdentity, Measured};

/// How a PTP clock is followed.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// No grandmaster is heard.
    #[default]
    Searching,
    /// One is heard, its time is not known well enough yet.
    Learning,
    /// Its time is known.
    Locked,
    /// Its time is known from before: it is not heard, or does not answer.
    Holdover,
}

impl Lock {
    /// Streams may be sent and played by it.
    pub fn is_good(self) -> bool {
        matches!(self, Lock::Locked | Lock::Holdover)
    }
}

/// Follows one grandmaster at a time; learns another's time beside, and goes over to it once it is known as well.
#[derive(Debug, Default)]
pub struct Tracking {
    followed: Option<Followed>,
    candidate: Option<Followed>,
}

#[derive(Debug)]
struct Followed {
    grandmaster: ClockIdentity,
    filter: Filter,
    heard: LocalTime,
    /// It has been known well enough once.
    locked: bool,
    /// Samples in a row that were far from what is known.
    astray: u32,
}

/// Known well enough: as for a room's first sound by NTP, and not from chance.
const LOCKED_SAMPLES: u64 = 4;
const LOCKED_SIGMA_NS: f64 = 60_000.0;
/// Without a sample for so long it is not followed but held: more than the longest interval between requests.
const QUIET_NS: i64 = 70_000_000_000;
const SILENT_NS: i64 = 5_000_000_000;
/// Held for so long at most: a crystal in a room has wandered by 50 us by then.
const HOLDOVER_NS: i64 = 300_000_000_000;
/// A grandmaster whose time was set: so many samples in a row are off by more than this.
const ASTRAY: u32 = 3;
const ASTRAY_NS: i64 = 1_000_000;

impl Tracking {
    /// Takes in a sample. Returns what is known now, if that has changed.
    pub fn take(&mut self, measured: &Measured) -> Option<ClockMap> {
        match &mut self.followed {
            Some(followed) if followed.grandmaster == measured.grandmaster => {
                self.candidate = None;
                return Some(followed.take(measured));
            }
            Some(followed) if followed.locked => {}
            followed => {
                let map = followed.insert(Followed::new(measured)).take(measured);
                self.candidate = None;
                return Some(map);
            }
        }
        let same = |candidate: &Followed| candidate.grandmaster == measured.grandmaster;
        let mut candidate = self.candidate.take().filter(same).unwrap_or_else(|| Followed::new(measured));
        let map = candidate.take(measured);
        if !candidate.locked {
            self.candidate = Some(candidate);
            return None;
        }
        self.followed = Some(candidate);
        Some(map)
    }

    /// How things are; `heard` is the grandmaster that is listened to, if there is one. To be called at least once a
    /// second.
    pub fn look(&mut self, now: LocalTime, heard: Option<ClockIdentity>) -> Lock {
        let Some(followed) = &self.followed else {
            return if heard.is_some() { Lock::Learning } else { Lock::Searching };
        };
        let silent_ns = now - followed.heard;
        if silent_ns > HOLDOVER_NS || (!followed.locked && heard.is_none() && silent_ns > SILENT_NS) {
            *self = Tracking::default();
            return Lock::Searching;
        }
        let attended = heard == Some(followed.grandmaster);
        match followed.locked {
            false => Lock::Learning,
            true if silent_ns > QUIET_NS || (!attended && silent_ns > SILENT_NS) => Lock::Holdover,
            true => Lock::Locked,
        }
    }

    /// Whose time the map is.
    pub fn grandmaster(&self) -> Option<ClockIdentity> {
        self.followed.as_ref().map(|followed| followed.grandmaster)
    }

    /// What is known now.
    pub fn map(&self) -> Option<ClockMap> {
        self.followed.as_ref()?.filter.map()
    }

    /// Samples taken in of the grandmaster that is followed.
    pub fn samples(&self) -> u64 {
        self.followed.as_ref().map_or(0, |followed| followed.filter.samples())
    }
}

impl Followed {
    fn new(measured: &Measured) -> Self {
        let (grandmaster, heard) = (measured.grandmaster, measured.sample.middle());
        Followed { grandmaster, filter: Filter::new(), heard, locked: false, astray: 0 }
    }

    fn take(&mut self, measured: &Measured) -> ClockMap {
        let sample = &measured.sample;
        let off_ns = self.filter.map().map_or(0, |map| {
            let known_ns = map.media_at(sample.middle()).as_ns().wrapping_sub(sample.middle().as_ns());
            sample.offset_ns().wrapping_sub(known_ns)
        });
        let doubt_ns = ASTRAY_NS + sample.delay_ns();
        self.astray = if (-doubt_ns..=doubt_ns).contains(&off_ns) { 0 } else { self.astray + 1 };
        if self.astray >= ASTRAY {
            self.filter.reset();
            self.astray = 0;
        }
        self.heard = sample.middle();
        // One that is astray teaches nothing before it is clear what of.
        let map = self.filter.map().filter(|_| self.astray > 0).unwrap_or_else(|| self.filter.take(sample));
        let known = self.filter.samples() >= LOCKED_SAMPLES && map.sigma_at(self.heard) < LOCKED_SIGMA_NS;
        self.locked |= known;
        map
    }
}
