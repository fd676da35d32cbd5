//! A whole room in virtual time: the clock of [`clock`](super::clock) with its exchange, filter and network, a card with a
//! crystal of its own, and the real playout between them: edges, the DAC's clock, jitter buffer, servo, resampler.
//!
//! What is judged is the sound: content is a slow sine, whose value tells which instant of the content a frame shows. So
//! the error includes everything: what the filter gets wrong, what the card's estimate gets wrong, and what the servo does
//! with both.

use std::cell::RefCell;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};

use rtrb::{Producer, RingBuffer};
use unisono_common::clock::ClockMap;
use unisono_common::config::receiver::Quality;
use unisono_common::format::{Depth, Format};
use unisono_common::playout_delay::PlayoutDelay;
use unisono_receiver::playout::{Playout, Telemetry};
use unisono_receiver::pointer::{EdgeFinder, Reading};
use unisono_receiver::session::{ClockSource, Packet, Session, SessionConfig};

use super::clock::network::{Family, Link, Way};
use super::clock::oscillator::Oscillator;
use super::clock::{House, Scenario};
use super::random::Random;

mod report;

pub use report::{Figures, HEAD, table};

const RATE: u32 = 48_000;
const CHUNK: usize = 480;
const PACKET_FRAMES: i64 = 240;
const DELAY_NS: i64 = 250_000_000;

/// How far ahead of the card its ring is filled, in frames.
const LEAD: i64 = 3_840;

/// The card is opened at this true time, in seconds; the stream runs already.
const OPENED_S: f64 = 0.5;

/// Period of the content's sine, in frames, and its amplitude.
const CYCLE: i64 = 4_800;
const LEVEL: f64 = 0.5;

/// What one run is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The network.
    pub family: Family,
    /// Steps of the card's position, in frames.
    pub grain: i64,
    /// Largest error of the card's crystal, in ppm.
    pub card_ppm: f64,
    /// How long the run is, in seconds.
    pub length_s: f64,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Where the sound was, one point for every half cycle of the content: true time in seconds, and by how much it was
    /// late, in microseconds.
    pub points: Vec<(f64, f64)>,
    /// What playout says of itself at the end.
    pub telemetry: Telemetry,
}

/// Runs a room.
pub fn run(conditions: Conditions, seed: u64) -> Trace {
    Room::new(conditions, seed).run()
}

#[derive(Clone)]
struct Followed(Arc<Mutex<Option<ClockMap>>>);

impl ClockSource for Followed {
    fn read(&self) -> Option<ClockMap> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Room {
    conditions: Conditions,
    clock: House,
    followed: Followed,
    random: Random,
    /// The card's crystal; it starts at [`OPENED_S`].
    card: Oscillator,
    finder: RefCell<EdgeFinder>,
    next_edge_s: f64,
    playout: Playout,
    packets: Producer<Packet>,
    link: Link,
    next_packet: i64,
    /// Packets on their way, by arrival: true time in ns (negative: the earliest is the greatest) and number.
    under_way: BinaryHeap<(i64, i64)>,
    written: i64,
    trace: Trace,
}

impl Room {
    fn new(conditions: Conditions, seed: u64) -> Self {
        let mut random = Random::new(seed, 3);
        let scenario = Scenario { length_s: conditions.length_s, ..Scenario::of(conditions.family) };
        let clock = House::new(scenario, seed);
        let ppm = random.between(-conditions.card_ppm, conditions.card_ppm);
        let card = Oscillator::new(ppm * 1e-6, conditions.length_s, &mut random);
        let followed = Followed(Arc::default());
        let (packets, incoming) = RingBuffer::new(512);
        let config = SessionConfig {
            id: 1,
            format: Format { channels: 1, depth: Depth::S24, ..Format::DEFAULT },
            playout_delay: PlayoutDelay::fixed(DELAY_NS),
            timestamp_offset: 0,
            quality: Quality::Low,
            device_rate: RATE,
            max_chunk: CHUNK,
            taken_after_ns: Arc::default(),
        };
        let mut playout = Playout::new(RATE, 1, CHUNK);
        // Fails for unequal rates at quality "slip" only.
        playout.set_session(Session::new(&config, incoming, Box::new(followed.clone())).ok().map(Box::new));
        let next_packet = clock.media(OPENED_S).to_frame(RATE) / PACKET_FRAMES;
        Self {
            conditions,
            clock,
            followed,
            card,
            finder: RefCell::default(),
            next_edge_s: OPENED_S + 0.002,
            playout,
            packets,
            link: Link::new(conditions.family, 0.0, seed ^ 0x5eed),
            next_packet,
            under_way: BinaryHeap::new(),
            written: 0,
            trace: Trace::default(),
            random,
        }
    }

    fn run(mut self) -> Trace {
        let mut t_s = OPENED_S;
        while t_s < self.conditions.length_s {
            t_s += CHUNK as f64 / f64::from(RATE) / 2.0;
            self.clock.run_until(t_s);
            *self.followed.0.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.map();
            self.send(t_s);
            self.deliver(t_s);
            self.find_edges(t_s);
            let played = self.position(t_s);
            while self.written + CHUNK as i64 <= played + LEAD {
                let mut out = [0.0; CHUNK];
                self.playout.render(self.clock.local(t_s), self.written, &mut out);
                self.listen(&out);
                self.written += CHUNK as i64;
            }
        }
        self.trace.telemetry = *self.playout.telemetry();
        self.trace
    }

    /// True time at which a frame leaves the card.
    fn leaves_s(&self, frame: i64) -> f64 {
        OPENED_S + self.card.when(frame as f64 / f64::from(RATE))
    }

    /// Frames that have left it, as its position tells.
    fn position(&self, t_s: f64) -> i64 {
        let frames = (self.card.reading(t_s - OPENED_S) * f64::from(RATE)) as i64;
        frames - frames % self.conditions.grain
    }

    /// Sends every packet whose frames are over; each takes the network's time.
    fn send(&mut self, t_s: f64) {
        while (self.next_packet + 1) * PACKET_FRAMES <= self.clock.media(t_s).to_frame(RATE) {
            if let Some(delay_s) = self.link.delay_s(Way::Down, t_s) {
                self.under_way.push((-((t_s + delay_s) * 1e9) as i64, self.next_packet));
            }
            self.next_packet += 1;
        }
    }

    fn deliver(&mut self, t_s: f64) {
        while let Some(&(arrival_ns, number)) = self.under_way.peek() {
            if -arrival_ns > (t_s * 1e9) as i64 {
                return;
            }
            self.under_way.pop();
            let first = number * PACKET_FRAMES;
            let mut payload = [0; 3 * PACKET_FRAMES as usize];
            for (bytes, frame) in payload.chunks_exact_mut(3).zip(first..) {
                let sample = (content(frame as f64) * f64::from(1 << 23)).round() as i32;
                bytes.copy_from_slice(&sample.to_be_bytes()[1..]);
            }
            let _ = self.packets.push(Packet::new(first as u32, &payload, false));
        }
    }

    /// Reads the card around an instant at which its position moves, as the driver does: often at first, ten times a second
    /// later. Now and then the thread is interrupted in between.
    fn find_edges(&mut self, t_s: f64) {
        while self.next_edge_s < t_s {
            let grain = self.conditions.grain;
            let frame = self.position(self.next_edge_s) + grain;
            let at_s = self.leaves_s(frame);
            if at_s > t_s {
                return;
            }
            let before_s = at_s - 0.2e-6 - self.random.exponential(1e-6);
            let interrupted = if self.random.chance(0.05) { self.random.exponential(50e-6) } else { 0.0 };
            let after_s = at_s + 0.2e-6 + self.random.exponential(1e-6) + interrupted;
            let reading = |played: i64, s: f64| {
                let asked = self.clock.local(s);
                Reading { played, asked, stamp: asked }
            };
            let mut finder = self.finder.borrow_mut();
            finder.interrupt();
            let edge = finder.feed(reading(frame - grain, before_s)).or(finder.feed(reading(frame, after_s)));
            if let Some(edge) = edge {
                self.playout.observe(edge);
            }
            self.next_edge_s = at_s + if t_s < OPENED_S + 2.0 { 0.01 } else { 0.1 };
        }
    }

    /// Where the content is, from the frame after each zero of its sine, where that is steepest.
    fn listen(&mut self, out: &[f32; CHUNK]) {
        const HALF: f64 = CYCLE as f64 / 2.0;
        let due = |room: &Self, frame: i64| {
            let media = room.clock.media(room.leaves_s(frame)) - DELAY_NS;
            media.to_frame(RATE).rem_euclid(CYCLE) as f64 + media.frame_fraction(RATE)
        };
        let phase = due(self, self.written).rem_euclid(HALF);
        let index = if phase < 1.0 { 0 } else { (HALF - phase).ceil() as usize };
        let last_s = self.trace.points.last().map_or(0.0, |point| point.0);
        let frame = self.written + index as i64;
        if index >= CHUNK || self.playout.telemetry().starts == 0 || self.leaves_s(frame) - last_s < 0.025 {
            return;
        }
        // The clocks' errors may leave it a little before the zero.
        let due = due(self, frame);
        let rising = (due / CYCLE as f64 * std::f64::consts::TAU).cos().signum();
        let steepness = LEVEL * std::f64::consts::TAU / CYCLE as f64;
        let late_frames = (content(due) - f64::from(out[index])) * rising / steepness;
        self.trace.points.push((self.leaves_s(frame), late_frames / f64::from(RATE) * 1e6));
    }
}

/// The content at a place in it.
fn content(frame: f64) -> f64 {
    (frame.rem_euclid(CYCLE as f64) / CYCLE as f64 * std::f64::consts::TAU).sin() * LEVEL
}

#[cfg(test)]
mod tests;
