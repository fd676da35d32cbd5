//! The clocks that streams are played by, whatever protocol tells them.

use std::net::SocketAddr;
use std::sync::Arc;

use unisono_common::clock::ClockMap;
use unisono_common::clock::ptp::ClockIdentity;
use unisono_common::sdp::{self, PtpClock as Named, ReferenceClock};
use unisono_common::time::ClockEpoch;
use unisono_host::interface::Interface;
use unisono_host::ptp::{self, PtpClock, PtpConfig};
use unisono_host::published::ClockReader;

use crate::session::ClockSource;
use crate::timeclient::{self, ClockStatus, TimeClient, TimeClientConfig};

/// Which clock: streams that name the same one share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Clock {
    /// That of an NTP server.
    Ntp(SocketAddr),
    /// That of a PTP domain, whoever is its grandmaster.
    Ptp {
        /// The domain.
        domain: u8,
    },
}

impl Clock {
    /// The clock that a stream's timestamps are readings of; nothing when it can't be followed.
    pub(crate) fn of(description: &sdp::Session) -> Option<Self> {
        match *description.media_clock()? {
            ReferenceClock::Ntp(server) => Some(Clock::Ntp(server)),
            ReferenceClock::Ptp(Named { domain, .. }) => Some(Clock::Ptp { domain }),
            ReferenceClock::Other(_) => None,
        }
    }

    /// Begins to follow it.
    pub(crate) fn follow(self, interface: &Interface, priority: u8) -> anyhow::Result<Arc<dyn Followed>> {
        let interface = interface.clone();
        Ok(match self {
            Clock::Ntp(server) => {
                Arc::new(timeclient::spawn(TimeClientConfig { server, interface: Some(interface), priority })?)
            }
            Clock::Ptp { domain } => Arc::new(ptp::spawn(PtpConfig { interface, domain, priority })?),
        })
    }
}

/// A clock that is followed.
pub(crate) trait Followed: Send + Sync {
    /// A way to read its map from any thread.
    fn reader(&self) -> ClockReader;

    /// How well it is known.
    fn status(&self) -> ClockStatus;
}

impl Followed for TimeClient {
    fn reader(&self) -> ClockReader {
        TimeClient::reader(self)
    }

    fn status(&self) -> ClockStatus {
        TimeClient::status(self)
    }
}

impl Followed for PtpClock {
    fn reader(&self) -> ClockReader {
        PtpClock::reader(self)
    }

    fn status(&self) -> ClockStatus {
        let status = PtpClock::status(self);
        ClockStatus {
            samples: status.samples,
            sent_stamps: status.sent_stamps,
            arrival_stamps: status.arrival_stamps,
            round_trip_us: status.round_trip_us,
            sigma_us: status.sigma_us,
            rate_ppm: status.rate_ppm,
            replies: status.samples,
            epoch: status.grandmaster.map(ClockIdentity::epoch),
            locked: status.lock.is_good(),
            ptp: Some(status.lock),
            ..ClockStatus::default()
        }
    }
}

/// A clock's map as a session may use it: while it is of the grandmaster that the stream names. Another's time may be
/// another altogether, and the stream is about to be announced anew.
pub(crate) struct Gate {
    reader: ClockReader,
    only: Option<ClockEpoch>,
}

impl Gate {
    /// For a stream that describes itself so.
    pub(crate) fn new(reader: ClockReader, description: &sdp::Session) -> Self {
        let only = match description.reference_clock {
            Some(ReferenceClock::Ptp(Named { grandmaster, .. })) => grandmaster.map(ClockIdentity::epoch),
            _ => None,
        };
        Gate { reader, only }
    }
}

impl ClockSource for Gate {
    fn read(&self) -> Option<ClockMap> {
        self.reader.read().filter(|map| self.only.is_none_or(|only| map.epoch == only))
    }
}
