//! The answering end.

use std::collections::HashMap;
use std::net::IpAddr;

use super::SHORTEST_POLL;
use super::schedule::SLOWEST;
use crate::clock::ntp::{self, Mode, Packet};
use crate::time::{ClockEpoch, MediaTime};

/// Answers any NTP client with media time.
///
/// Keeps nothing about a client that does not ask for interleaved mode, and a bounded amount about those that do. A
/// flood of forged addresses can keep newcomers in basic mode, but can't take interleaved mode from a client that is
/// being served.
#[derive(Debug)]
pub struct Server {
    epoch: ClockEpoch,
    clients: Vec<Client>,
    /// Where each address's are.
    places: HashMap<IpAddr, usize>,
    /// The client that is next to make room for another, if it is idle.
    hand: usize,
    load: Load,
    /// Receive timestamps must differ: clients and we know exchanges by them.
    last_receive: u64,
    statistics: ServerStatistics,
}

/// A reply to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Reply {
    /// The packet.
    pub bytes: [u8; ntp::LENGTH],
    /// Hand this to [`Server::handle_sent`] with the stamp of the packet's departure.
    pub ticket: Option<Ticket>,
}

/// Names an exchange whose departure stamp the client will ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    client: usize,
    receive: u64,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStatistics {
    /// Requests answered.
    pub replies: u64,
    /// Of these, in interleaved mode.
    pub interleaved: u64,
    /// Packets that were no requests.
    pub bogus: u64,
    /// Clients that interleaved mode is kept for.
    pub clients: usize,
}

/// The last exchanges with one address (several clients may share it).
#[derive(Debug)]
struct Client {
    address: IpAddr,
    last_seen: MediaTime,
    exchanges: [Exchange; EXCHANGES],
    next: usize,
}

/// How many clients ask, and how much less often they should.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    since: MediaTime,
    /// Clients that asked since then: each request stands for as many as its interval is of a second, and every client asks
    /// once in its interval.
    clients: f64,
    /// As a power of two.
    slower: u32,
}

impl Load {
    /// Requests a second that a server should have to answer; more, and clients are asked to be content with less.
    const MOST_PER_S: f64 = 250.0;
    /// Of a client that is not slowed down.
    const USUAL_PER_S: f64 = 4.0;
    const WINDOW_NS: i64 = 1_000_000_000;

    /// Takes note of a request whose poll field is `poll`. Those of a second and more are not ours, and no load.
    fn asked(&mut self, poll: i8, now: MediaTime) {
        let elapsed_ns = now - self.since;
        if elapsed_ns >= Self::WINDOW_NS {
            let per_s = self.clients * Self::USUAL_PER_S * Self::WINDOW_NS as f64 / elapsed_ns as f64;
            // A little over is no reason: the count varies by some percent.
            let over = (per_s / Self::MOST_PER_S).log2() - 0.25;
            self.slower = over.ceil().clamp(0.0, f64::from(SLOWEST)) as u32;
            (self.since, self.clients) = (now, 0.0);
        }
        if poll <= 1 {
            self.clients += f64::from(poll.max(-7)).exp2();
        }
    }
}

/// One exchange: its receive timestamp, by which the client names it, and when its reply left.
#[derive(Clone, Copy, Debug, Default)]
struct Exchange {
    receive: u64,
    transmit: u64,
}

/// Enough that a room at 4 requests a second is remembered while another on the same host asks 50 times a second.
const EXCHANGES: usize = 32;
/// Addresses remembered: as many as a house has rooms at most, in half a megabyte.
const MOST_CLIENTS: usize = 1024;
/// Only who was silent for this long makes room for another: longer than any of our rooms' intervals.
const IDLE_NS: i64 = 5_000_000_000;

impl Server {
    /// A server of the run `epoch` of its clock.
    pub fn new(epoch: ClockEpoch) -> Self {
        let (clients, places, statistics) = (Vec::new(), HashMap::new(), ServerStatistics::default());
        Self { epoch, clients, places, hand: 0, load: Load::default(), last_receive: 0, statistics }
    }

    /// Answers a packet that came from `from` at `reached`. `now` is when the reply is about to be sent: read the clock
    /// right before the call. `None`: it was no request, and gets no answer.
    pub fn handle_request(&mut self, bytes: &[u8], from: IpAddr, reached: MediaTime, now: MediaTime) -> Option<Reply> {
        let request = Packet::parse(bytes).ok().filter(|packet| packet.mode == Mode::Client);
        let Some(request) = request else {
            self.statistics.bogus += 1;
            return None;
        };
        let mut receive = reached.to_ntp();
        if receive == self.last_receive {
            receive += 1; // 233 ps
        }
        self.last_receive = receive;

        self.load.asked(request.poll, now);
        let transmit = now.to_ntp();
        let client = if request.origin == 0 { None } else { self.client(from, now) };
        let earlier = client.and_then(|client| self.clients[client].find(request.origin)).map(|found| found.transmit);
        let earlier = earlier.filter(|_| request.receive != request.transmit);
        if let Some(client) = client {
            self.clients[client].remember(Exchange { receive, transmit });
        }
        self.statistics.replies += 1;
        self.statistics.interleaved += u64::from(earlier.is_some());
        let packet = Packet {
            leap: 0,
            version: request.version,
            mode: Mode::Server,
            stratum: 1,
            poll: request.poll.clamp(SHORTEST_POLL + self.load.slower as i8, 17),
            precision: -20,
            root_delay: 0,
            root_dispersion: 1,
            reference_id: self.epoch.0,
            reference: receive & !0xffff_ffff,
            origin: if earlier.is_some() { request.receive } else { request.transmit },
            receive,
            transmit: earlier.unwrap_or(transmit),
        };
        Some(Reply { bytes: packet.to_bytes(), ticket: client.map(|client| Ticket { client, receive }) })
    }

    /// Notes when a reply left, as the kernel stamped it.
    pub fn handle_sent(&mut self, ticket: Ticket, left: MediaTime) {
        let client = self.clients.get_mut(ticket.client);
        if let Some(exchange) = client.and_then(|client| client.find_mut(ticket.receive)) {
            exchange.transmit = left.to_ntp();
        }
    }

    /// What happened so far.
    pub fn statistics(&self) -> ServerStatistics {
        ServerStatistics { clients: self.clients.len(), ..self.statistics }
    }

    /// Where this address's exchanges are kept, if there is room for them.
    fn client(&mut self, address: IpAddr, now: MediaTime) -> Option<usize> {
        if let Some(&known) = self.places.get(&address) {
            self.clients[known].last_seen = now;
            return Some(known);
        }
        let fresh = Client { address, last_seen: now, exchanges: [Exchange::default(); EXCHANGES], next: 0 };
        let place = if self.clients.len() < MOST_CLIENTS {
            self.clients.push(fresh);
            self.clients.len() - 1
        } else {
            // One look for each stranger: a flood of them costs no more than its answers.
            self.hand = (self.hand + 1) % MOST_CLIENTS;
            let client = &mut self.clients[self.hand];
            if now - client.last_seen < IDLE_NS {
                return None;
            }
            self.places.remove(&client.address);
            *client = fresh;
            self.hand
        };
        self.places.insert(address, place);
        Some(place)
    }
}

impl Client {
    fn find(&self, receive: u64) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.receive == receive)
    }

    fn find_mut(&mut self, receive: u64) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().find(|exchange| exchange.receive == receive)
    }

    fn remember(&mut self, exchange: Exchange) {
        self.exchanges[self.next] = exchange;
        self.next = (self.next + 1) % EXCHANGES;
    }
}
