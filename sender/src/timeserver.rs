//! Serves this sender's media clock to receivers, as NTP.
//!
//! One thread answers requests as they come, each stamped by the kernel as it came in; the stamps of the replies'
//! departures follow with the next reply (interleaved mode). What to answer is decided in
//! [`unisono_common::clock::exchange`].

mod media_clock;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use thiserror::Error;
use unisono_common::clock::exchange::{Server, ServerStatistics, Ticket};
use unisono_common::clock::{DEFAULT_PORT, DSCP};
use unisono_host::stamped::{StampedError, StampedSocket};
use unisono_host::stop::{self, StopHandle, StopSignal};
use unisono_host::{clock, realtime};

pub use media_clock::MediaClock;

/// How to serve the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeServerConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Real-time priority of the thread; 0: ordinary scheduling.
    pub priority: u8,
}

impl Default for TimeServerConfig {
    /// On all IPv4 addresses, at the default port, at a priority below that of audio.
    fn default() -> Self {
        Self { listen: (Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into(), priority: 50 }
    }
}

/// Why the clock can't be served.
#[derive(Debug, Error)]
pub enum TimeServerError {
    /// The socket could not be had.
    #[error("the clock can't be served: {0}")]
    Socket(#[from] StampedError),
    /// The thread could not be made.
    #[error("the clock can't be served: no thread for it: {0}")]
    Thread(#[from] io::Error),
}

/// The running server. Dropping it ends the thread.
#[derive(Debug)]
pub struct TimeServer {
    local: SocketAddr,
    statistics: Arc<Mutex<ServerStatistics>>,
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

/// Starts serving `clock`.
pub fn spawn(config: TimeServerConfig, clock: MediaClock) -> Result<TimeServer, TimeServerError> {
    let socket = StampedSocket::bind(config.listen, DSCP)?;
    let local = socket.local_addr()?;
    let statistics = Arc::new(Mutex::new(ServerStatistics::default()));
    let (stop, signal) = stop::pair()?;
    let service = Service {
        socket,
        clock,
        server: Server::new(clock.epoch()),
        tickets: [None; TICKETS],
        shown: Arc::clone(&statistics),
    };
    let thread = std::thread::Builder::new().name("timeserver".to_owned()).spawn(move || {
        if config.priority > 0 {
            match realtime::raise(config.priority) {
                Ok(got) => tracing::debug!(?got, "clock server"),
                Err(error) => tracing::info!("clock server without real-time priority: {error}"),
            }
        }
        service.run(&signal);
    })?;
    Ok(TimeServer { local, statistics, stop: Some(stop), thread: Some(thread) })
}

impl TimeServer {
    /// Where it listens, with the true port if any was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What happened so far, at most a second old.
    pub fn statistics(&self) -> ServerStatistics {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Replies whose departure stamps may be under way at once.
const TICKETS: usize = 256;
const IDLE_NS: i64 = 1_000_000_000;

/// When more is asked than once in this time, requests gather for as long and are answered at one wake-up; for longer where
/// that makes so many of them. Nobody's clock suffers: arrival and departure are stamped as they happen, and what lies between
/// is no part of the way.
const GATHER_NS: i64 = 5_000_000;
const LONGEST_GATHER_NS: i64 = 30_000_000;
const GATHERED: i64 = 8;

/// So many requests are answered before the stamps of what went out are taken: there are no more [`TICKETS`].
const MOST_AT_ONCE: usize = TICKETS;

struct Service {
    socket: StampedSocket,
    clock: MediaClock,
    server: Server,
    /// Which exchange each packet number belongs to.
    tickets: [Option<(u32, Ticket)>; TICKETS],
    shown: Arc<Mutex<ServerStatistics>>,
}

impl Service {
    fn run(mut self, stop: &StopSignal) {
        let (mut last, mut gather_ns, mut answered) = (clock::now(), GATHER_NS, 0);
        while !stop.is_raised() {
            // Where several came together the next ones will: not even the first of them is worth a wake-up of its own.
            let woken = if answered > 1 { Ok(true) } else { self.socket.wait(clock::now() + IDLE_NS, Some(stop)) };
            let now = clock::now();
            if answered > 1 || now - last < GATHER_NS {
                clock::sleep_until(now + gather_ns);
            }
            let (passed_ns, before) = (clock::now() - last, self.server.statistics().replies);
            last = last + passed_ns;
            let result = woken.and_then(|_| self.serve());
            answered = self.server.statistics().replies - before;
            gather_ns = (passed_ns * GATHERED / (answered as i64).max(1)).clamp(GATHER_NS, LONGEST_GATHER_NS);
            if let Err(error) = result {
                tracing::warn!("clock server: {error}");
                clock::sleep_until(clock::now() + IDLE_NS / 10);
            }
            // Whoever reads the figures must never hold up an answer.
            if let Ok(mut shown) = self.shown.try_lock() {
                *shown = self.server.statistics();
            }
        }
    }

    /// Answers all that is there, then takes the stamps of what went out.
    fn serve(&mut self) -> io::Result<()> {
        let mut packet = [0; 512];
        for _ in 0..MOST_AT_ONCE {
            let Some(request) = self.socket.receive(&mut packet)? else { break };
            let reached = self.clock.at(request.stamp.at);
            let bytes = &packet[..request.len];
            let Some(reply) = self.server.handle_request(bytes, request.from.ip(), reached, self.clock.now()) else {
                continue;
            };
            // A reply that can't be sent now is a reply lost: the client asks again.
            if let (Ok(sent), Some(ticket)) = (self.socket.send(&reply.bytes, request.from, request.to), reply.ticket) {
                self.tickets[sent.number as usize % TICKETS] = Some((sent.number, ticket));
            }
        }
        while let Some(sent) = self.socket.sent()? {
            match self.tickets[sent.number as usize % TICKETS] {
                Some((number, ticket)) if number == sent.number => {
                    self.server.handle_sent(ticket, self.clock.at(sent.stamp.at));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
