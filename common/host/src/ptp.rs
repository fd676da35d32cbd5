//! Follows the clock of a PTP domain and publishes what is known of it. The host's own clock is never touched.
//!
//! One thread listens and asks; what to make of it is decided in [`unisono_common::clock::ptp`]. Its ports are shared:
//! several programs of a host, and a `ptp4l` beside them, each hear all messages.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use thiserror::Error;
use unisono_common::clock::ptp::{
    ClockIdentity, DSCP, EVENT_PORT, GENERAL_PORT, GROUP, Lock, Measured, Node, Slave, Tracking,
};
use unisono_common::clock::{ClockMap, StampSource};
use unisono_common::time::LocalTime;

use crate::following::{Departures, Following, Teller};
use crate::interface::Interface;
use crate::multicast::{MulticastError, MulticastReceiver, SendOptions};
use crate::published::ClockReader;
use crate::stamped::{StampedError, StampedSocket};
use crate::stop::StopSignal;
use crate::{clock, random, wait};

/// Which clock to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PtpConfig {
    /// Where it is heard.
    pub interface: Interface,
    /// The PTP domain.
    pub domain: u8,
    /// Real-time priority of the thread; 0: ordinary scheduling.
    pub priority: u8,
}

/// Why a clock can't be followed.
#[derive(Debug, Error)]
pub enum PtpError {
    /// Its ports are below 1024.
    #[error(
        "PTP: the ports {EVENT_PORT} and {GENERAL_PORT} are refused to this user: give the program the capability \
         CAP_NET_BIND_SERVICE (the packaged services have it), or set the sysctl net.ipv4.ip_unprivileged_port_start to \
         {EVENT_PORT}"
    )]
    Forbidden,
    /// Its group can't be joined.
    #[error("PTP: {0}")]
    Listen(MulticastError),
    /// Nothing can be sent to its group.
    #[error("PTP: {0}")]
    Send(StampedError),
    /// The thread could not be made.
    #[error("PTP: no thread: {0}")]
    Thread(#[from] io::Error),
}

/// How a clock is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PtpStatus {
    /// In one word.
    pub lock: Lock,
    /// Whose time the published map is.
    pub grandmaster: Option<ClockIdentity>,
    /// Measurements taken in of it.
    pub samples: u64,
    /// Where requests are stamped as they leave.
    pub sent_stamps: Option<StampSource>,
    /// Where the master's messages are stamped as they come in.
    pub arrival_stamps: Option<StampSource>,
    /// Last round trip, in microseconds.
    pub round_trip_us: f64,
    /// Standard deviation of the offset at the last sample, in microseconds.
    pub sigma_us: f64,
    /// How much faster than ours the grandmaster's clock runs, in parts per million.
    pub rate_ppm: f64,
}

/// The running slave. Dropping it ends the thread at once.
#[derive(Debug)]
pub struct PtpClock {
    domain: u8,
    following: Following<PtpStatus>,
}

/// Starts to follow the grandmaster of a domain. It need not be there yet.
pub fn spawn(config: PtpConfig) -> Result<PtpClock, PtpError> {
    let PtpConfig { interface, domain, priority } = config;
    let join = |port| MulticastReceiver::join(SocketAddr::new(GROUP.into(), port), &interface).map_err(listen_error);
    let (event, general) = (join(EVENT_PORT)?, join(GENERAL_PORT)?);
    let requests = requests(&interface)?;
    let following = Following::spawn("ptp", priority, move |teller, stop| {
        let worker = Worker {
            domain,
            event,
            general,
            requests,
            departures: Departures::default(),
            tracking: Tracking::default(),
            teller,
            status: PtpStatus::default(),
            heard: clock::now(),
        };
        worker.run(stop);
    })?;
    Ok(PtpClock { domain, following })
}

impl PtpClock {
    /// A way to read the map from any thread. The epoch of a map is that of its grandmaster.
    pub fn reader(&self) -> ClockReader {
        self.following.reader()
    }

    /// How the clock is followed.
    pub fn status(&self) -> PtpStatus {
        self.following.status()
    }

    /// The domain that it is heard in.
    pub fn domain(&self) -> u8 {
        self.domain
    }
}

/// The socket that requests leave by.
fn requests(interface: &Interface) -> Result<StampedSocket, PtpError> {
    let options = SendOptions { source_port: EVENT_PORT, ttl: 1, dscp: DSCP };
    StampedSocket::multicast(interface, options).map_err(PtpError::Send)
}

fn listen_error(error: MulticastError) -> PtpError {
    match error {
        MulticastError::Refused { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            PtpError::Forbidden
        }
        error => PtpError::Listen(error),
    }
}

/// Requests whose departure stamps may be under way at once.
const REQUESTS: usize = 16;
/// How things are is looked at this often.
const LOOK_NS: i64 = 250_000_000;
/// Without a message for so long the group is joined anew: a switch may have forgotten us, or the interface be another one.
const REJOIN_NS: i64 = 10_000_000_000;

struct Worker {
    domain: u8,
    event: MulticastReceiver,
    general: MulticastReceiver,
    requests: StampedSocket,
    departures: Departures<REQUESTS>,
    tracking: Tracking,
    teller: Teller<PtpStatus>,
    status: PtpStatus,
    heard: LocalTime,
}

impl Worker {
    fn run(mut self, stop: &StopSignal) {
        let node = Node::new(ClockIdentity(random::number().to_be_bytes()), self.domain);
        let mut slave = Slave::new(&node, random::number(), clock::now());
        let mut looked = clock::now();
        while !stop.is_raised() {
            let now = clock::now();
            if let Some(request) = slave.handle_timer(now) {
                self.send(&mut slave, request.number, &request.bytes);
            }
            let until = slave.next().min(looked + LOOK_NS);
            let sockets = [self.event.as_fd(), self.general.as_fd(), self.requests.as_fd()];
            if let Err(error) = wait::any(sockets, until, Some(stop)).and_then(|_| self.take(&mut slave)) {
                tracing::warn!(domain = self.domain, "PTP: {error}");
                clock::sleep_until(now + LOOK_NS);
            }
            if now - looked >= LOOK_NS {
                looked = now;
                self.look(slave.grandmaster(), now);
            }
        }
    }

    fn send(&mut self, slave: &mut Slave<'_>, number: u32, bytes: &[u8]) {
        // What can't be sent (no network yet, a full queue) is lost like a packet on the way.
        let Ok(sent) = self.requests.send(bytes, SocketAddr::new(GROUP.into(), EVENT_PORT), None) else { return };
        self.departures.note(sent.number, number);
        let measured = slave.handle_sent(number, sent.stamp);
        self.learn(measured);
    }

    /// Takes the stamps of what went out, then what came in.
    fn take(&mut self, slave: &mut Slave<'_>) -> io::Result<()> {
        let mut packet = [0; 1_500];
        while let Some(sent) = self.requests.sent()? {
            if let Some(number) = self.departures.request(sent.number) {
                let measured = slave.handle_sent(number, sent.stamp);
                self.learn(measured);
            }
        }
        // What comes to its own port and not to the group's is not for it.
        while self.requests.receive(&mut packet)?.is_some() {}
        while let Some(received) = self.event.receive(&mut packet)? {
            self.heard = received.stamp.at;
            let measured = slave.handle_event(&packet[..received.len], received.stamp);
            self.learn(measured);
        }
        while let Some(received) = self.general.receive(&mut packet)? {
            let measured = slave.handle_general(&packet[..received.len], received.stamp.at);
            self.learn(measured);
        }
        Ok(())
    }

    fn learn(&mut self, measured: Option<Measured>) {
        let Some(measured) = measured else { return };
        let sample = &measured.sample;
        self.status.round_trip_us = sample.delay_ns() as f64 * 1e-3;
        self.status.sent_stamps = Some(sample.sent_source);
        self.status.arrival_stamps = Some(sample.arrived_source);
        if let Some(map) = self.tracking.take(&measured) {
            self.teller.publish(&map);
        }
    }

    fn look(&mut self, heard: Option<ClockIdentity>, now: LocalTime) {
        let lock = self.tracking.look(now, heard);
        let grandmaster = self.tracking.grandmaster();
        self.tell(lock, grandmaster);
        let map: Option<ClockMap> = self.tracking.map();
        let status = &mut self.status;
        (status.lock, status.grandmaster, status.samples) = (lock, grandmaster, self.tracking.samples());
        (status.sigma_us, status.rate_ppm) = map.map_or((0.0, 0.0), |map| (map.sigma_ns * 1e-3, map.rate * 1e6));
        self.teller.show(status);
        if now - self.heard > REJOIN_NS {
            self.heard = now;
            if let Err(error) = self.revive() {
                tracing::debug!("can't join again: {error}");
            }
        }
    }

    /// Joins anew; where the interface is another one of its name by now, also asks on that one.
    fn revive(&mut self) -> Result<(), PtpError> {
        let before = self.general.interface();
        let now = Interface::by_name(&before.name).map_err(|error| PtpError::Listen(error.into()))?;
        if now.index != before.index {
            self.requests = requests(&now)?;
            // It counts its packets from the beginning.
            self.departures = Departures::default();
        }
        // The one that was looked at comes last: what has failed is tried again.
        self.event.revive().and_then(|()| self.general.revive()).map_err(PtpError::Listen)
    }

    /// Tells of changes in the log.
    fn tell(&self, lock: Lock, grandmaster: Option<ClockIdentity>) {
        let (before, domain) = (&self.status, self.domain);
        if (lock, grandmaster) == (before.lock, before.grandmaster) {
            return;
        }
        let name = grandmaster.map(|name| name.to_string()).unwrap_or_default();
        match lock {
            Lock::Searching => tracing::warn!(domain, "PTP: no grandmaster"),
            Lock::Learning => tracing::info!(domain, "PTP: a grandmaster is heard, its time is not known yet"),
            Lock::Locked => tracing::info!(domain, grandmaster = name, "PTP: locked"),
            Lock::Holdover => {
                tracing::warn!(domain, grandmaster = name, "PTP: the grandmaster is not heard; its time is held");
            }
        }
    }
}
