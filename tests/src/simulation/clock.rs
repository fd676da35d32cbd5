//! The clock from end to end in virtual time: a server, a room with a crystal of its own, a network between them.
//!
//! Everything but the network is the real code: the client's and the server's state machines, interleaved mode and the
//! filter. Random delays stand in for the network, a random crystal for the room's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use unisono_common::clock::exchange::{Client, Event, Server, Ticket};
use unisono_common::clock::{ClockMap, Filter, Stamp, StampSource};
use unisono_common::time::{ClockEpoch, LocalTime, MediaTime};

pub mod network;
pub(super) mod oscillator;
pub mod report;

use self::network::{Family, Link, Way};
use self::oscillator::Oscillator;
use super::random::Random;

/// What one run is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// How packets are delayed.
    pub family: Family,
    /// Share of packets lost beside that, 0 to 1.
    pub loss: f64,
    /// Something that happens in the middle of the run.
    pub fault: Option<Fault>,
    /// The room's crystal is off by this, in ppm; `None`: by up to 40 either way.
    pub ppm: Option<f64>,
    /// How long the run is, in seconds.
    pub length_s: f64,
}

/// Something that happens at [`FAULT_S`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The sender restarts: a new epoch, media time 3 ms off the old.
    Restart,
    /// The path becomes longer by so many microseconds, up and down.
    Path(f64, f64),
}

/// When a [`Fault`] happens, in seconds.
pub const FAULT_S: f64 = 90.0;

impl Scenario {
    /// An ordinary run of three minutes.
    pub fn of(family: Family) -> Self {
        Self { family, loss: 0.0, fault: None, ppm: None, length_s: 180.0 }
    }
}

/// The clock error of a room over time.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Every 20 ms of true time since the first map.
    pub points: Vec<Point>,
}

/// One reading of the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// True time in seconds since the start.
    pub t_s: f64,
    /// What the room's map says minus what the server's clock reads, in microseconds.
    pub error_us: f64,
    /// What the filter thinks of it, in microseconds.
    pub sigma_us: f64,
}

/// Runs a scenario.
pub fn run(scenario: Scenario, seed: u64) -> Trace {
    let mut house = House::new(scenario, seed);
    let mut trace = Trace::default();
    let mut t_s = 0.1;
    while t_s <= scenario.length_s {
        house.run_until(t_s);
        trace.points.extend(house.look(t_s));
        t_s += SAMPLE_S;
    }
    trace
}

const SAMPLE_S: f64 = 0.02;
const MEDIA_NS: f64 = 1.79e18;
const ROOM: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 11));

/// What is going to happen.
enum Happening {
    Timer,
    Request { bytes: [u8; 48] },
    Reply { bytes: [u8; 48] },
    Departed { ticket: Ticket, at: MediaTime },
}

pub(super) struct House {
    scenario: Scenario,
    random: Random,
    link: Link,
    crystal: Oscillator,
    client: Client,
    filter: Filter,
    server: Server,
    map: Option<ClockMap>,
    /// By time in nanoseconds, then in the order in which they were arranged.
    ahead: BTreeMap<(i64, u64), Happening>,
    arranged: u64,
    restarted: bool,
    source: StampSource,
}

impl House {
    pub(super) fn new(scenario: Scenario, seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let ppm = scenario.ppm.unwrap_or_else(|| random.between(-40.0, 40.0));
        let mut house = Self {
            scenario,
            link: Link::new(scenario.family, scenario.loss, seed),
            crystal: Oscillator::new(ppm * 1e-6, scenario.length_s, &mut random),
            client: Client::new(random.next()),
            filter: Filter::new(),
            server: Server::new(ClockEpoch(1)),
            map: None,
            ahead: BTreeMap::new(),
            arranged: 0,
            restarted: false,
            source: if scenario.family == Family::WiredUser { StampSource::User } else { StampSource::Kernel },
            random,
        };
        house.arrange(0.1, Happening::Timer);
        house
    }

    /// Lets everything happen that happens until true time `t_s`. Call in order of time.
    pub(super) fn run_until(&mut self, t_s: f64) {
        while let Some(entry) = self.ahead.first_entry() {
            let at_s = entry.key().0 as f64 * 1e-9;
            if at_s > t_s {
                return;
            }
            let happening = entry.remove();
            if at_s >= FAULT_S && !self.restarted && self.scenario.fault == Some(Fault::Restart) {
                self.restarted = true;
                self.server = Server::new(ClockEpoch(2));
            }
            match happening {
                Happening::Timer => self.timer(at_s),
                Happening::Request { bytes } => self.request(at_s, &bytes),
                Happening::Reply { bytes } => self.reply(at_s, &bytes),
                Happening::Departed { ticket, at } => self.server.handle_sent(ticket, at),
            }
        }
    }

    /// The room's newest map of the sender's clock.
    pub(super) fn map(&self) -> Option<ClockMap> {
        self.map
    }

    fn arrange(&mut self, t_s: f64, happening: Happening) {
        self.arranged += 1;
        self.ahead.insert(((t_s * 1e9).round() as i64, self.arranged), happening);
    }

    /// What the room's clock reads at true time `t_s`.
    pub(super) fn local(&self, t_s: f64) -> LocalTime {
        LocalTime::from_ns((self.crystal.reading(t_s) * 1e9).round() as i64)
    }

    /// What the sender's clock reads then.
    pub(super) fn media(&self, t_s: f64) -> MediaTime {
        let restart_ns = if self.restarted { 3e6 } else { 0.0 };
        MediaTime::from_ns(MEDIA_NS as i64 + (t_s * 1e9 + restart_ns).round() as i64)
    }

    /// When a packet that leaves now arrives, if it does.
    fn travel(&mut self, way: Way, t_s: f64) -> Option<f64> {
        let delay_s = self.link.delay_s(way, t_s)?;
        let longer_us = match self.scenario.fault {
            Some(Fault::Path(up_us, down_us)) if t_s >= FAULT_S => {
                if way == Way::Up {
                    up_us
                } else {
                    down_us
                }
            }
            _ => 0.0,
        };
        Some(t_s + delay_s + longer_us * 1e-6)
    }

    fn timer(&mut self, t_s: f64) {
        let timer = self.client.handle_timer(self.local(t_s));
        if let Some(request) = timer.request {
            // The way from the program to the wire.
            let leaves_s = t_s + 20e-6 + self.random.exponential(10e-6);
            let at = self.local(leaves_s);
            self.client.handle_sent(request.number, Stamp { at, source: self.source });
            if let Some(arrives_s) = self.travel(Way::Up, leaves_s) {
                self.arrange(arrives_s, Happening::Request { bytes: request.bytes });
            }
        }
        let next_s = self.crystal.when(timer.next.as_ns() as f64 * 1e-9) + self.random.exponential(30e-6);
        self.arrange(next_s.max(t_s), Happening::Timer);
    }

    fn request(&mut self, t_s: f64, bytes: &[u8]) {
        // The wake-up of the server, then the way down to the wire.
        let writes_s = t_s + 30e-6 + self.random.exponential(20e-6);
        let leaves_s = writes_s + 15e-6 + self.random.exponential(5e-6);
        let (reached, writes, leaves) = (self.media(t_s), self.media(writes_s), self.media(leaves_s));
        let Some(reply) = self.server.handle_request(bytes, ROOM, reached, writes) else { return };
        if let Some(ticket) = reply.ticket {
            self.arrange(leaves_s, Happening::Departed { ticket, at: leaves });
        }
        if let Some(arrives_s) = self.travel(Way::Down, leaves_s) {
            self.arrange(arrives_s, Happening::Reply { bytes: reply.bytes });
        }
    }

    fn reply(&mut self, t_s: f64, bytes: &[u8]) {
        let arrived = Stamp { at: self.local(t_s), source: self.source };
        if let Event::Sample(sample) | Event::Restarted(sample) = self.client.handle_reply(bytes, arrived) {
            let map = self.filter.take(&sample);
            self.client.set_sigma(map.sigma_ns);
            self.map = Some(map);
        }
    }

    fn look(&self, t_s: f64) -> Option<Point> {
        let map = self.map?;
        let now = self.local(t_s);
        let error_us = (map.media_at(now) - self.media(t_s)) as f64 * 1e-3;
        Some(Point { t_s, error_us, sigma_us: map.sigma_at(now) * 1e-3 })
    }
}

#[cfg(test)]
mod tests;
