//! Follows the clock of one sender and publishes what is known of it.
//!
//! One thread asks and listens; what to ask and what to make of the answers is decided in
//! [`unisono_common::clock::exchange`] and [`unisono_common::clock::filter`]. The audio thread reads the result through
//! a [`ClockReader`], without a lock. To follow another server, drop the client and spawn a new one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use unisono_common::clock::exchange::{Client, Event};
use unisono_common::clock::ptp::Lock;
use unisono_common::clock::{DSCP, Filter, Sample, Stamp, StampSource};
use unisono_common::time::ClockEpoch;
use unisono_host::following::{Departures, Following, Teller};
use unisono_host::interface::Interface;
use unisono_host::stamped::{StampedError, StampedSocket};
use unisono_host::stop::StopSignal;
use unisono_host::{clock, random};

pub use unisono_host::published::ClockReader;

/// Whose clock to follow, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeClientConfig {
    /// The server, as a stream's `ts-refclk` names it.
    pub server: SocketAddr,
    /// Where it is, for addresses that mean nothing without (IPv6 link-local). Routing finds all others.
    pub interface: Option<Interface>,
    /// Real-time priority of the thread; 0: ordinary scheduling.
    pub priority: u8,
}

/// Why the clock can't be followed.
#[derive(Debug, Error)]
pub enum TimeClientError {
    /// The socket could not be had.
    #[error("the clock of {server} can't be followed: {source}")]
    Socket {
        /// Whose clock.
        server: SocketAddr,
        /// Why not.
        source: StampedError,
    },
    /// The thread could not be made.
    #[error("the clock of a sender can't be followed: no thread for it: {0}")]
    Thread(#[from] io::Error),
}

/// How well the clock is known, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClockStatus {
    /// Measurements taken in since the server's clock last began anew.
    pub samples: u64,
    /// Where requests are stamped as they leave; `None` before the first reply.
    pub sent_stamps: Option<StampSource>,
    /// Where replies are stamped as they come in; `None` before the first reply.
    pub arrival_stamps: Option<StampSource>,
    /// Last round trip, in microseconds.
    pub round_trip_us: f64,
    /// Standard deviation of the offset at the last sample, in microseconds.
    pub sigma_us: f64,
    /// How much faster than ours the sender's clock runs, in parts per million.
    pub rate_ppm: f64,
    /// Replies taken.
    pub replies: u64,
    /// Requests without a reply in time.
    pub timeouts: u64,
    /// Packets that were no replies to us, or could not be true.
    pub bogus: u64,
    /// The run of the server's clock that is followed.
    pub epoch: Option<ClockEpoch>,
    /// Share of replies that brought the server's own transmit stamp, 0 to 1.
    pub interleaved_share: f64,
    /// Enough is known to play by.
    pub locked: bool,
    /// How it is followed, when it is a PTP clock.
    pub ptp: Option<Lock>,
}

/// The running client. Dropping it ends the thread at once.
#[derive(Debug)]
pub struct TimeClient {
    server: SocketAddr,
    following: Following<ClockStatus>,
}

/// Starts to follow a server. It need not be there yet, nor the network.
pub fn spawn(config: TimeClientConfig) -> Result<TimeClient, TimeClientError> {
    let server = with_scope(config.server, config.interface.as_ref());
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = StampedSocket::bind(SocketAddr::new(any, 0), DSCP)
        .map_err(|source| TimeClientError::Socket { server, source })?;
    let following = Following::spawn("timeclient", config.priority, move |teller, stop| {
        let follower = Follower {
            server,
            socket,
            client: Client::new(random::number()),
            filter: Filter::new(),
            departures: Departures::default(),
            teller,
            status: ClockStatus::default(),
            strangers: 0,
        };
        follower.run(stop);
    })?;
    Ok(TimeClient { server, following })
}

impl TimeClient {
    /// A way to read the map from any thread.
    pub fn reader(&self) -> ClockReader {
        self.following.reader()
    }

    /// How well the clock is known.
    pub fn status(&self) -> ClockStatus {
        self.following.status()
    }

    /// Whose clock it follows.
    pub fn server(&self) -> SocketAddr {
        self.server
    }
}

fn with_scope(server: SocketAddr, interface: Option<&Interface>) -> SocketAddr {
    match (server, interface) {
        (SocketAddr::V6(mut v6), Some(interface)) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            v6.set_scope_id(interface.index);
            v6.into()
        }
        _ => server,
    }
}

/// Requests whose departure stamps may be under way at once.
const REQUESTS: usize = 128;
/// Good enough to play by: rooms may still be this far apart for a moment.
const LOCKED_SIGMA_NS: f64 = 60_000.0;
const LOCKED_SAMPLES: u64 = 8;

/// So many packets are read before it is seen what else there is to do.
const MOST_AT_ONCE: usize = 64;

struct Follower {
    server: SocketAddr,
    socket: StampedSocket,
    client: Client,
    filter: Filter,
    departures: Departures<REQUESTS>,
    teller: Teller<ClockStatus>,
    status: ClockStatus,
    /// Packets from another port than the server's.
    strangers: u64,
}

impl Follower {
    fn run(mut self, stop: &StopSignal) {
        while !stop.is_raised() {
            let timer = self.client.handle_timer(clock::now());
            if let Some(request) = timer.request {
                // What can't be sent (no network yet, a full queue) is lost like a packet on the way, and counted so.
                if let Ok(sent) = self.socket.send(&request.bytes, self.server, None) {
                    self.departures.note(sent.number, request.number);
                    self.client.handle_sent(request.number, sent.stamp);
                }
            }
            let taken = self.socket.wait(timer.next, Some(stop)).and_then(|_| self.take());
            if let Err(error) = taken {
                tracing::warn!(server = %self.server, "clock client: {error}");
                clock::sleep_until(clock::now() + 100_000_000);
            }
            self.show();
        }
    }

    /// Takes the stamps of what went out, then what came in.
    fn take(&mut self) -> io::Result<()> {
        let mut packet = [0; 512];
        for _ in 0..MOST_AT_ONCE {
            while let Some(sent) = self.socket.sent()? {
                if let Some(request) = self.departures.request(sent.number) {
                    self.client.handle_sent(request, sent.stamp);
                }
            }
            let Some(reply) = self.socket.receive(&mut packet)? else { return Ok(()) };
            match reply.from.port() == self.server.port() {
                true => self.handle(&packet[..reply.len], reply.stamp),
                false => self.strangers += 1,
            }
        }
        Ok(())
    }

    fn handle(&mut self, bytes: &[u8], arrived: Stamp) {
        let sample = match self.client.handle_reply(bytes, arrived) {
            Event::Sample(sample) => sample,
            Event::Restarted(sample) => {
                tracing::info!(server = %self.server, epoch = sample.epoch.0, "the sender's clock began anew");
                sample
            }
            Event::Nothing | Event::Bogus => return,
        };
        let map = self.filter.take(&sample);
        self.client.set_sigma(map.sigma_ns);
        self.teller.publish(&map);
        self.note(&sample);
    }

    fn note(&mut self, sample: &Sample) {
        self.status.sent_stamps = Some(sample.sent_source);
        self.status.arrival_stamps = Some(sample.arrived_source);
        self.status.round_trip_us = sample.delay_ns() as f64 * 1e-3;
    }

    fn show(&mut self) {
        let statistics = self.client.statistics();
        let status = &mut self.status;
        status.samples = self.filter.samples();
        (status.replies, status.timeouts) = (statistics.replies, statistics.timeouts);
        status.bogus = statistics.bogus + self.strangers;
        status.interleaved_share = statistics.interleaved as f64 / statistics.replies.max(1) as f64;
        if let Some(map) = self.filter.map() {
            status.epoch = Some(map.epoch);
            status.sigma_us = map.sigma_ns * 1e-3;
            status.rate_ppm = map.rate * 1e6;
            status.locked = status.samples >= LOCKED_SAMPLES && map.sigma_at(clock::now()) < LOCKED_SIGMA_NS;
        }
        self.teller.show(status);
    }
}

#[cfg(test)]
mod tests;
