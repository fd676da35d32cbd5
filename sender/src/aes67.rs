//! Streams of the AES67 profile: by the clock of a PTP grandmaster, and described by its name.
//!
//! Such a stream is on air only while its grandmaster's time is known, or was known a moment ago: then its description
//! names that grandmaster, and its packets go by that time. When another takes over, the session is deleted and another
//! is announced; packets wait for that. The clocks themselves are followed by [`unisono_host::ptp`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tracing::{info, warn};
use unisono_common::clock::ptp::{ClockIdentity, Lock};
use unisono_common::config::sender::StreamConfig;
use unisono_common::identity::StreamIdentity;
use unisono_common::time::{LocalTime, MediaTime};
use unisono_host::interface::Interface;
use unisono_host::ptp::{self, PtpClock, PtpConfig, PtpError, PtpStatus};
use unisono_host::published::ClockReader;
use unisono_host::state::{StateDir, StateError};

use crate::describe::{self, Groups, Host};
use crate::service::StartError;
use crate::streams::OnAir;

/// Real-time priority of a clock's thread, as of the clock server.
const PRIORITY: u8 = 50;

/// The PTP clocks that streams follow, one a domain, as long as any of them does.
#[derive(Debug)]
pub(crate) struct Clocks {
    interface: Interface,
    followed: BTreeMap<u8, Weak<PtpClock>>,
}

impl Clocks {
    /// None yet; those to come are heard on this interface.
    pub(crate) fn new(interface: Interface) -> Self {
        Clocks { interface, followed: BTreeMap::new() }
    }

    /// Those to come are heard on this interface; those that are followed find it by its name.
    pub(crate) fn listen_on(&mut self, interface: Interface) {
        self.interface = interface;
    }

    /// The clock of a domain.
    pub(crate) fn get(&mut self, domain: u8) -> Result<Arc<PtpClock>, PtpError> {
        if let Some(clock) = self.followed.get(&domain).and_then(Weak::upgrade) {
            return Ok(clock);
        }
        let config = PtpConfig { interface: self.interface.clone(), domain, priority: PRIORITY };
        let clock = Arc::new(ptp::spawn(config)?);
        self.followed.insert(domain, Arc::downgrade(&clock));
        Ok(clock)
    }
}

/// A stream's tie to its PTP clock.
#[derive(Debug)]
pub struct Timing {
    clock: Arc<PtpClock>,
    reader: ClockReader,
    /// Epoch of the grandmaster that the stream is described by, 0 while it is not.
    described: AtomicU32,
    told: Mutex<Told>,
}

/// What the description is made of, and who it names.
#[derive(Debug)]
struct Told {
    grandmaster: Option<ClockIdentity>,
    config: StreamConfig,
    groups: Groups,
    host: Host,
    identity: StreamIdentity,
    derived: bool,
    state: Arc<StateDir>,
}

/// A stream is described otherwise from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct News {
    /// The description that no longer holds; empty if there was none.
    pub outdated: String,
}

impl Timing {
    /// Of a stream that is not described yet. Its identity is kept in `state`, unless it is `derived`.
    pub(crate) fn new(
        clock: Arc<PtpClock>,
        (config, groups, host): (StreamConfig, Groups, Host),
        identity: StreamIdentity,
        derived: bool,
        state: Arc<StateDir>,
    ) -> Self {
        let told = Told { grandmaster: None, config, groups, host, identity, derived, state };
        Timing { reader: clock.reader(), clock, described: AtomicU32::new(0), told: Mutex::new(told) }
    }

    /// Its domain, and where its clock is read.
    pub(crate) fn clock(&self) -> (u8, ClockReader) {
        (self.clock.domain(), self.reader.clone())
    }

    /// How its clock is followed.
    pub fn status(&self) -> PtpStatus {
        self.clock.status()
    }

    /// The stream's time at local time `t`, if it is known.
    pub(crate) fn media_at(&self, t: LocalTime) -> Option<MediaTime> {
        self.reader.read().map(|map| map.media_at(t))
    }

    /// Whether its description names the grandmaster whose time it goes by. Wait-free.
    pub fn is_described(&self) -> bool {
        let described = self.described.load(Ordering::Acquire);
        described != 0 && self.reader.read().is_some_and(|map| map.epoch.0 == described)
    }

    /// The grandmaster that it is described by, and its domain.
    pub(crate) fn described_by(&self) -> Option<(ClockIdentity, u8)> {
        Some((self.told().grandmaster?, self.clock.domain()))
    }

    /// Why the stream is not sent, or soon may not be.
    pub fn trouble(&self) -> Option<String> {
        let PtpStatus { lock, grandmaster, .. } = self.status();
        let domain = self.clock.domain();
        match (lock, grandmaster) {
            (Lock::Searching, _) => {
                Some(format!("no PTP grandmaster is heard in domain {domain}; the stream waits for one"))
            }
            (Lock::Learning, _) => {
                Some(format!("the time of PTP domain {domain} is not known yet; the stream waits for it"))
            }
            (Lock::Holdover, Some(name)) => {
                Some(format!("the PTP grandmaster {name} is not heard; its time is held for a few minutes"))
            }
            _ => None,
        }
    }

    /// Describes the stream by whom its clock follows now. Says so when that is news.
    pub(crate) fn follow(&self, on_air: &OnAir) -> Option<News> {
        let PtpStatus { lock, grandmaster, .. } = self.status();
        let grandmaster = grandmaster.filter(|_| lock.is_good());
        let mut told = self.told();
        if grandmaster == told.grandmaster {
            return None;
        }
        told.grandmaster = grandmaster;
        let before = on_air.sdp().to_string();
        let (id, domain) = (told.config.id.clone(), self.clock.domain());
        let Some(grandmaster) = grandmaster else {
            warn!(stream = id, domain, "off air: the time of its PTP domain is not known any more");
            self.described.store(0, Ordering::Release);
            on_air.describe(String::new());
            return Some(News { outdated: before });
        };
        info!(stream = id, domain, %grandmaster, "on air by PTP");
        let settled = told.describe(grandmaster, domain);
        if let Err(error) = told.keep() {
            warn!(stream = id, "the next start will be another session: {error}");
        }
        on_air.describe(told.identity.announced.clone());
        self.described.store(grandmaster.epoch().0, Ordering::Release);
        // What an earlier run has announced is out of date too.
        Some(News { outdated: settled.filter(|outdated| *outdated != told.identity.announced).unwrap_or_default() })
    }

    /// The playout delay of all descriptions to come.
    pub(crate) fn set_playout_delay(&self, ms: u32) {
        self.told().host.playout_delay_ms = ms;
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Makes the description that names this grandmaster; returns the one that it replaces.
    fn describe(&mut self, grandmaster: ClockIdentity, domain: u8) -> Option<String> {
        let Told { config, groups, host, identity, derived, .. } = self;
        let clock = describe::ptp_clock(grandmaster, domain);
        let describe = |identity: &StreamIdentity| describe::session(config, groups, host, identity, clock.clone());
        describe::settle(identity, *derived, describe)
    }

    fn keep(&self) -> Result<(), StartError> {
        let text = self.identity.encode()?;
        let kept: Result<(), StateError> = self.state.write(&format!("streams/{}.toml", self.config.id), &text);
        Ok(kept?)
    }
}
