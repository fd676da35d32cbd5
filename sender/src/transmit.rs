//! The transmit thread: one for all streams, in real time where that is allowed.
//!
//! It sleeps until packets leave, as [`pace`](crate::pace) says, takes their frames from the sources' queues and sends
//! them. It waits for nothing else, allocates nothing and logs nothing; what is worth telling it counts. Streams come and
//! go by a wait-free ring of orders; what it is done with goes back by another, to be dropped where that may take its time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use tracing::{debug, warn};
use unisono_common::format::MAX_PAYLOAD;
use unisono_common::time::{LocalTime, MediaTime};
use unisono_host::clock;
use unisono_host::multicast::MulticastSender;
use unisono_host::published::ClockReader;
use unisono_host::realtime;

use crate::pace::{Pace, hold_ns};
use crate::packetize::Packetizer;
use crate::repair::Sent;
use crate::source::SourceHandle;
use crate::streams::{Counters, LATE_NS, Stream};
use crate::timeserver::MediaClock;
use unisono_audio::mixdown::Mixdown;

/// Real-time priority of the thread: above the clock server, which the kernel stamps for.
const PRIORITY: u8 = 60;

/// How late a packet may leave at most; with a shorter playout delay, two thirds of that.
const LATE_LIMIT_NS: i64 = 200_000_000;

/// So many streams at once, those included that are only mixed into others.
pub const MOST: usize = 256;

/// The longest sleep: orders are looked for at least this often. Longer than packets of the usual length wait for each
/// other, so that looking is no wake-up more.
const LOOK_NS: i64 = 25_000_000;

/// Samples of the largest packet.
const MAX_SAMPLES: usize = MAX_PAYLOAD / 2;

/// One stream's part of the work.
#[derive(Debug)]
pub struct Outgoing {
    /// Names it among the thread's streams.
    pub key: u64,
    /// How many mixes deep it is: 0 for a source, and more than any of its inputs for a mix.
    pub rank: u8,
    /// The stream.
    pub stream: Arc<Stream>,
    /// The PTP domain by whose clock it is sent; nothing means the sender's own.
    pub clock: Option<(u8, ClockReader)>,
    /// Its frames.
    pub feed: Feed,
    /// Sends from its fixed port; a stream without is only mixed into others.
    pub socket: Option<Arc<MulticastSender>>,
    /// It is silent before this frame.
    pub from_frame: i64,
    /// Copies for those who lose them; nothing means those of the stream whose place it takes, if there is one.
    pub copies: Option<Producer<Sent>>,
}

/// Where a stream's frames come from.
#[derive(Debug)]
pub enum Feed {
    /// Nowhere: silence.
    Silence,
    /// A source's queue.
    Source(SourceHandle),
    /// Other streams.
    Mix(Box<Mixdown>),
}

#[derive(Debug)]
enum Order {
    /// A new stream, or another one in the place of the one with its key: its timeline goes on.
    Put(Box<Lane>),
    Remove(u64),
    /// The playout delay, in ns.
    PlayoutDelay(i64),
}

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub struct Transmitter {
    orders: Producer<Order>,
    retired: Consumer<Box<Lane>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Transmitter {
    /// Starts the thread, which sends by `clock`.
    pub fn start(clock: MediaClock, playout_delay_ms: u32) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let (orders, inbox) = RingBuffer::new(MOST);
        let (outbox, retired) = RingBuffer::new(MOST);
        let mut desk = Desk::new(inbox, outbox, clock, i64::from(playout_delay_ms) * 1_000_000);
        let thread = thread::Builder::new().name("transmit".to_owned()).spawn(move || {
            match realtime::raise(PRIORITY) {
                Ok(scheduling) => debug!(?scheduling, "transmit thread runs in real time"),
                Err(error) => warn!("transmit thread without real-time priority: {error}"),
            }
            realtime::prefault_stack();
            while !stopped.load(Ordering::Acquire) {
                desk.turn();
            }
        })?;
        Ok(Transmitter { orders, retired, stop, thread: Some(thread) })
    }

    /// Sends one more stream, or one in the place of the one with the same key, whose packets it continues.
    pub fn put(&mut self, outgoing: Outgoing) {
        self.give(Order::Put(Box::new(Lane::new(outgoing))));
    }

    /// Sends a stream no more.
    pub fn remove(&mut self, key: u64) {
        self.give(Order::Remove(key));
    }

    /// What is sent is played so much after its timestamp.
    pub fn set_playout_delay(&mut self, ms: u32) {
        self.give(Order::PlayoutDelay(i64::from(ms) * 1_000_000));
    }

    /// Waits until all orders are carried out, and drops what they have replaced.
    pub fn settle(&mut self) {
        // The thread looks every 25 ms; one that is dead is not waited for.
        for _ in 0..500 {
            while let Ok(lane) = self.retired.pop() {
                drop(lane);
            }
            if self.orders.slots() == MOST || self.orders.is_abandoned() {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        while let Ok(lane) = self.retired.pop() {
            drop(lane);
        }
    }

    fn give(&mut self, order: Order) {
        if self.orders.is_full() {
            self.settle();
        }
        if self.orders.push(order).is_err() {
            warn!("the transmit thread takes no orders");
        }
    }
}

impl Drop for Transmitter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It can only have failed by a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

/// Everything the thread works on.
struct Desk {
    orders: Consumer<Order>,
    retired: Producer<Box<Lane>>,
    /// PTP domains, and where their clocks are read.
    followed: Vec<(u8, ClockReader)>,
    pace: Pace,
    playout_delay_ns: i64,
    /// In the order of `pace`.
    #[allow(clippy::vec_box, reason = "they come and go in their boxes")]
    lanes: Vec<Box<Lane>>,
    mixed: [i32; MAX_SAMPLES],
}

impl Desk {
    fn new(orders: Consumer<Order>, retired: Producer<Box<Lane>>, clock: MediaClock, playout_delay_ns: i64) -> Self {
        let mut pace = Pace::new(late_limit_ns(playout_delay_ns));
        pace.reserve(MOST);
        pace.steer(None, &clock.map(), clock::now());
        let (followed, lanes) = (Vec::with_capacity(MOST), Vec::with_capacity(MOST));
        Desk { orders, retired, followed, pace, playout_delay_ns, lanes, mixed: [0; MAX_SAMPLES] }
    }

    /// Sends what is to leave next, or looks for orders.
    fn turn(&mut self) {
        while let Ok(order) = self.orders.pop() {
            self.obey(order);
        }
        let now = clock::now();
        for (domain, reader) in &self.followed {
            if let Some(map) = reader.read() {
                self.pace.steer(Some(*domain), &map, now);
            }
        }
        let look = now + LOOK_NS;
        let Some(wake) = self.pace.wake().filter(|at| *at <= look) else { return clock::sleep_until(look) };
        clock::sleep_until(wake);
        let now = clock::now();
        while let Some((index, _)) = self.pace.next().filter(|(_, at)| *at <= now)
            && let Some(departure) = self.pace.depart(index, now)
        {
            self.send(index, departure.frame, now);
            if let Some(on_air) = &self.lanes[index].stream.on_air {
                Counters::count(&on_air.counters.skipped, departure.skipped);
                Counters::count(&on_air.counters.late, u64::from(departure.late_ns > LATE_NS));
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Put(mut lane) => match self.lanes.iter().position(|other| other.key == lane.key) {
                Some(index) => {
                    self.pace.set_rank(index, lane.rank);
                    if lane.copies.is_none() {
                        lane.copies = self.lanes[index].copies.take();
                    }
                    std::mem::swap(&mut self.lanes[index], &mut lane);
                    self.retire(lane);
                }
                None if self.lanes.len() < MOST => {
                    if let Some((domain, reader)) = &lane.clock {
                        self.followed.retain(|(other, _)| other != domain);
                        self.followed.push((*domain, reader.clone()));
                    }
                    let domain = lane.clock.as_ref().map(|(domain, _)| *domain);
                    let Stream { format, packet_frames, .. } = *lane.stream;
                    self.pace.add(format.rate, packet_frames, domain, lane.rank, clock::now());
                    self.pace.set_hold(self.lanes.len(), lane.hold_ns(self.playout_delay_ns));
                    self.lanes.push(lane);
                }
                None => self.retire(lane),
            },
            Order::Remove(key) => {
                if let Some(index) = self.lanes.iter().position(|lane| lane.key == key) {
                    self.pace.swap_remove(index);
                    let lane = self.lanes.swap_remove(index);
                    self.retire(lane);
                }
            }
            Order::PlayoutDelay(ns) => {
                self.playout_delay_ns = ns;
                self.pace.set_late_limit(late_limit_ns(ns));
                for (index, lane) in self.lanes.iter().enumerate() {
                    self.pace.set_hold(index, lane.hold_ns(ns));
                }
            }
        }
    }

    fn retire(&mut self, lane: Box<Lane>) {
        // The ring holds as many as there can be orders; if it were full, dropping here would only cost time.
        let _ = self.retired.push(lane);
    }

    fn send(&mut self, index: usize, frame: i64, now: LocalTime) {
        let feed = std::mem::replace(&mut self.lanes[index].feed, Feed::Silence);
        let Feed::Mix(mut mix) = feed else {
            self.lanes[index].feed = feed;
            return self.lanes[index].send(frame, now, None);
        };
        let out = &mut self.mixed[..self.lanes[index].packetizer.samples().len()];
        let lanes = &self.lanes;
        let input = |key| {
            let lane = lanes.iter().find(|lane| lane.key == key && lane.frame == frame);
            lane.map(|lane| lane.packetizer.samples())
        };
        let heard = mix.mix(input, out);
        let lane = &mut self.lanes[index];
        if let Some(status) = lane.stream.on_air.as_ref().and_then(|on_air| on_air.mix.as_ref()) {
            status.leader.store(heard.unwrap_or(usize::MAX), Ordering::Relaxed);
        }
        lane.feed = Feed::Mix(mix);
        lane.send(frame, now, Some(out));
    }
}

/// A stream as the thread drives it.
#[derive(Debug)]
struct Lane {
    key: u64,
    rank: u8,
    stream: Arc<Stream>,
    clock: Option<(u8, ClockReader)>,
    feed: Feed,
    socket: Option<Arc<MulticastSender>>,
    group: SocketAddr,
    packetizer: Packetizer,
    from_frame: i64,
    /// First frame of the packet made last.
    frame: i64,
    copies: Option<Producer<Sent>>,
}

impl Lane {
    fn new(outgoing: Outgoing) -> Self {
        let Outgoing { key, rank, stream, clock, feed, socket, from_frame, copies } = outgoing;
        let address = stream.on_air.as_ref().map(|on_air| (on_air.group, on_air.ssrc));
        let (group, ssrc) = address.unwrap_or_else(|| (SocketAddr::from(([0; 4], 0)), 0));
        let packetizer = Packetizer::new(stream.format, stream.packet_frames, ssrc);
        Lane { key, rank, group, packetizer, stream, clock, feed, socket, from_frame, frame: i64::MIN, copies }
    }

    /// For how long its packets may wait for those after them. AES67 gear counts on an even pace.
    fn hold_ns(&self, playout_delay_ns: i64) -> i64 {
        let Stream { format, packet_frames, ref on_air, .. } = *self.stream;
        let even = on_air.as_ref().is_some_and(|on_air| on_air.timing.is_some());
        let packet_ns = MediaTime::from_frame(i64::from(packet_frames), format.rate).as_ns();
        if even { 0 } else { hold_ns(playout_delay_ns, packet_ns) }
    }

    /// Makes the packet that begins with `frame`, of `mixed` when that is given, and sends it.
    fn send(&mut self, frame: i64, now: LocalTime, mixed: Option<&[i32]>) {
        // One that is switched off keeps its frames: it goes on where it was.
        if self.stream.on_air.as_ref().is_some_and(|on_air| !on_air.is_sent()) {
            return;
        }
        let (feed, begun) = (&mut self.feed, frame >= self.from_frame);
        let mut filled = 0;
        let packet = self.packetizer.packet(frame, |samples| {
            filled = match (feed, mixed) {
                (_, Some(mixed)) => {
                    samples.copy_from_slice(mixed);
                    mixed.len()
                }
                (Feed::Source(source), None) if begun => {
                    source.take(samples) * usize::from(self.stream.format.channels)
                }
                _ => 0,
            }
        });
        // Full when nobody looks after it: then there is nobody to send anything again either.
        if let Some(copies) = &mut self.copies {
            let _ = copies.push(Sent::new(packet));
        }
        let octets = (packet.len() - unisono_common::rtp::HEADER_LEN) as u64;
        let sent = self.socket.as_ref().map(|socket| socket.send_to(packet, self.group));
        self.frame = frame;
        let Some(on_air) = &self.stream.on_air else { return };
        let samples = self.packetizer.samples();
        on_air.quiet.note(samples, now);
        Counters::count(&on_air.counters.silent, u64::from(filled < samples.len()));
        match sent {
            Some(Ok(())) => {
                Counters::count(&on_air.counters.packets, 1);
                Counters::count(&on_air.counters.octets, octets);
            }
            // The network is gone or full: it may come back, and the timeline goes on.
            Some(Err(_)) => Counters::count(&on_air.counters.failed, 1),
            None => {}
        }
    }
}

fn late_limit_ns(playout_delay_ns: i64) -> i64 {
    LATE_LIMIT_NS.min(playout_delay_ns * 2 / 3)
}

/// The address that RTCP of a stream goes to.
pub fn rtcp_group(group: SocketAddr) -> SocketAddr {
    SocketAddr::new(group.ip(), group.port() + 1)
}
