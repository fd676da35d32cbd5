//! Packets of one stream, from the group to the audio thread's queue, and those that were lost on the way.
//!
//! One thread for each stream that is played or about to be. It checks and counts, and asks for what is missing as
//! [`repair`](crate::repair) says; the order of packets, their place and their lateness are the jitter buffer's business,
//! which has the clock.

mod arrivals;
mod counts;
mod mending;
mod numbers;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use rtrb::Producer;
use unisono_common::config::receiver;
use unisono_common::control::Way as Delivered;
use unisono_common::format::Depth;
use unisono_common::rtp;
use unisono_common::sdp::{Fec, Repair};
use unisono_common::sequence;
use unisono_common::time::LocalTime;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, MulticastReceiver};
use unisono_host::stop::{self, StopHandle, StopSignal};
use unisono_host::{clock, realtime, wait};

pub use self::counts::Arrived;
pub use self::mending::Schedule;

use self::arrivals::Arrivals;
use self::counts::Counts;
use self::mending::{Mending, Said};
use self::numbers::{Numbers, Place};
use crate::delivery::Delivery;
use crate::repair::Way;
use crate::session::{PAYLOAD_CAPACITY, Packet};

/// A source that was silent for so long may be replaced by another.
const SOURCE_HOLD_NS: i64 = 300_000_000;

/// Without a packet for so long the group is joined anew: a switch may have forgotten us.
const REJOIN_NS: i64 = 1_000_000_000;

/// Real-time priority of the thread, below the audio thread's.
const PRIORITY: u8 = 50;

/// How long the thread sleeps at most: then it looks whether the group is still heard.
const LOOK_NS: i64 = 200_000_000;

/// So many packets are taken in from one socket before it is seen to what else there is to do: a flood does not keep the
/// thread from asking, or from its end.
const MOST_AT_ONCE: usize = 256;

/// The thread rests for this part of the time that packets have before playout takes them, and for no longer than
/// [`MOST_REST_NS`]: what came meanwhile waits in the socket, stamped, and costs one wake-up together.
const REST: i64 = 16;
const MOST_REST_NS: i64 = 20_000_000;

/// The same where nothing has been missed for [`CALM_NS`] and packets have [`AMPLE_NS`] or more: no answer is waited for, and a
/// first loss that is noticed 40 ms after it leaves time for several requests.
const CALM_REST: i64 = 4;
const MOST_CALM_REST_NS: i64 = 40_000_000;
const CALM_NS: i64 = 10_000_000_000;
const AMPLE_NS: i64 = 100_000_000;

/// Where a stream's packets are found, and how they are to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// Group and port.
    pub group: SocketAddr,
    /// The only sender to listen to, for a source-specific join.
    pub source: Option<IpAddr>,
    /// RTP payload type.
    pub payload_type: u8,
    /// Depth of its samples.
    pub depth: Depth,
    /// Where lost packets are asked for, if the sender takes requests.
    pub repair: Option<Repair>,
    /// Where their parity is found, if there is any.
    pub fec: Option<Fec>,
    /// Multicast or unicast.
    pub delivery: receiver::Delivery,
    /// Share of multicast that is lost above which packets are had by unicast.
    pub unicast_above_loss: f64,
}

/// The running thread; dropping it leaves the group.
#[derive(Debug)]
pub struct Intake {
    counts: Arc<Counts>,
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

/// Why a stream can't be listened to.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The group can't be joined.
    #[error(transparent)]
    Multicast(#[from] MulticastError),
    /// No thread.
    #[error("no thread to listen to a stream: {0}")]
    Thread(#[from] std::io::Error),
}

impl Intake {
    /// Joins the stream's group and begins to fill `packets`; `schedule` tells when each must be here.
    ///
    /// # Errors
    /// when the group can't be joined on this interface.
    pub fn spawn(
        address: &Address,
        interface: &Interface,
        schedule: Schedule,
        packets: Producer<Packet>,
    ) -> Result<Self, IntakeError> {
        let socket = match address.source {
            Some(source) => MulticastReceiver::join_source(address.group, source, interface)?,
            None => MulticastReceiver::join(address.group, interface)?,
        };
        let taken_after_ns = Arc::clone(&schedule.taken_after_ns);
        // Only of senders that can be asked it is known that their numbers follow from the clock.
        let numbers = Numbers::new(address.repair.map(|_| schedule.packet_ns()));
        // A stream without repair is better than none.
        let mending =
            address.repair.and_then(|repair| match Mending::open(&repair, address.fec.as_ref(), interface, schedule) {
                Ok(mending) => Some(mending),
                Err(error) => {
                    tracing::warn!("lost packets can't be asked for: {error}");
                    None
                }
            });
        let counts = Arc::new(Counts::default());
        let (stop, signal) = stop::pair()?;
        let worker = Worker {
            socket,
            mending,
            packets,
            counts: Arc::clone(&counts),
            payload_type: address.payload_type,
            depth: address.depth,
            source: None,
            numbers,
            arrivals: Arrivals::default(),
            delivery: Delivery::new(address.delivery, address.unicast_above_loss, clock::now()),
            by_multicast: 0,
            taken_after_ns,
            missed: clock::now(),
        };
        let thread = std::thread::Builder::new().name("intake".into()).spawn(move || worker.run(&signal))?;
        Ok(Self { counts, stop: Some(stop), thread: Some(thread) })
    }

    /// What arrived.
    pub fn counts(&self) -> Arrived {
        self.counts.read()
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    socket: MulticastReceiver,
    mending: Option<Mending>,
    packets: Producer<Packet>,
    counts: Arc<Counts>,
    payload_type: u8,
    depth: Depth,
    source: Option<Source>,
    numbers: Numbers,
    arrivals: Arrivals,
    delivery: Delivery,
    /// Packets of the stream that came by multicast.
    by_multicast: u64,
    /// How long after its timestamp a frame is taken by playout, in ns.
    taken_after_ns: Arc<AtomicI64>,
    /// When a packet was last missed, or the thread began.
    missed: LocalTime,
}

/// Whether a payload has anything in it beyond the noise of a good input: more than -72 dB of full scale.
fn sounds(depth: Depth, payload: &[u8]) -> bool {
    // The upper two bytes of a sample tell.
    let loud = |sample: &[u8]| i16::from_be_bytes([sample[0], sample[1]]).unsigned_abs() > 8;
    payload.chunks_exact(depth.bytes()).any(loud)
}

/// Whom we listen to. Two senders of one stream would otherwise be heard in turns.
struct Source {
    /// Where its multicast comes from, once some has come.
    address: Option<IpAddr>,
    ssrc: u32,
    heard: LocalTime,
}

impl Source {
    fn may_be_at(&self, address: Option<IpAddr>) -> bool {
        self.address.zip(address).is_none_or(|(known, other)| known == other)
    }
}

impl Worker {
    fn run(mut self, stop: &StopSignal) {
        if let Err(error) = realtime::raise(PRIORITY) {
            tracing::debug!("packets are taken in without real-time priority: {error}");
        }
        let mut buffer = [0; 2_048];
        let mut quiet_since = clock::now();
        while !stop.is_raised() {
            let now = clock::now();
            if now - quiet_since > REJOIN_NS {
                quiet_since = now;
                self.rejoin();
            }
            let [stream, own, group, parity] = self.wait(now + LOOK_NS, stop);
            let mut taken = 0;
            if stream {
                taken = self.hear(&mut buffer, &mut quiet_since);
            }
            if own || group {
                taken = taken.max(self.listen(&mut buffer));
            }
            if stream || own || parity {
                taken = taken.max(self.compute(&mut buffer));
            }
            self.ask();
            if taken < MOST_AT_ONCE {
                self.rest(stop);
            }
        }
    }

    /// Takes in what came by multicast, and notes in `heard` when the last packet did; how many.
    fn hear(&mut self, buffer: &mut [u8], heard: &mut LocalTime) -> usize {
        for taken in 0..MOST_AT_ONCE {
            let Ok(Some(received)) = self.socket.receive(buffer) else { return taken };
            *heard = received.stamp.at;
            let from = Some(received.from.ip());
            if received.truncated || !self.take(&buffer[..received.len], from, received.stamp.at) {
                self.counts.malformed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.by_multicast += 1;
            self.delivery.heard(received.stamp.at);
        }
        MOST_AT_ONCE
    }

    /// Lets packets gather, unless it is time to ask for one.
    fn rest(&mut self, stop: &StopSignal) {
        let now = clock::now();
        let next = self.mending.as_ref().and_then(Mending::next);
        if next.is_some() {
            self.missed = now;
        }
        let taken_ns = self.taken_after_ns.load(Ordering::Relaxed);
        let calm = now - self.missed > CALM_NS && taken_ns > AMPLE_NS;
        let (part, most_ns) = if calm { (CALM_REST, MOST_CALM_REST_NS) } else { (REST, MOST_REST_NS) };
        let until = now + (taken_ns / part).clamp(0, most_ns);
        // Raised or not is asked next.
        let _ = wait::any([], next.map_or(until, |next| next.min(until)), Some(stop));
    }

    /// Waits until a socket has something, it is time to ask again, or `until`: the stream, answers to this room, answers to
    /// all, parity.
    fn wait(&self, until: LocalTime, stop: &StopSignal) -> [bool; 4] {
        let ready = match &self.mending {
            None => self.socket.wait(until, Some(stop)).map(|ready| [ready, false, false, false]),
            Some(mending) => {
                let until = mending.next().map_or(until, |next| next.min(until));
                let parity = mending.parity.as_ref().map_or(mending.group.as_fd(), |parity| parity.group.as_fd());
                wait::any([self.socket.as_fd(), mending.own.as_fd(), mending.group.as_fd(), parity], until, Some(stop))
            }
        };
        ready.unwrap_or_default()
    }

    /// Listens anew to everything that the stream is made of.
    fn rejoin(&mut self) {
        let mending = self.mending.as_mut().map_or(Ok(()), Mending::revive);
        if let Err(error) = self.socket.revive().and(mending) {
            tracing::debug!("can't join again: {error}");
        }
    }

    /// Takes one packet in; false if it is none of this stream. What came by unicast is from the sender, whatever address it
    /// sends its multicast from.
    fn take(&mut self, bytes: &[u8], from: Option<IpAddr>, arrival: LocalTime) -> bool {
        let Ok(packet) = rtp::Packet::parse(bytes) else { return false };
        if packet.header.payload_type != self.payload_type || packet.payload.len() > PAYLOAD_CAPACITY {
            return false;
        }
        if !self.is_ours(from, packet.header.ssrc, arrival) {
            self.counts.foreign.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let number = self.count(packet.header.sequence, arrival);
        if sounds(self.depth, packet.payload) {
            self.counts.sound_ns.store(arrival.as_ns(), Ordering::Relaxed);
        }
        if let (Some(number), Some(mending)) = (number, &mut self.mending) {
            mending.arrived(number, &packet, arrival);
        }
        self.hand_on(packet.header.timestamp, packet.payload, false);
        true
    }

    /// Takes in what the sender says to this room or to all: what was sent again, and what is delivered by unicast; how many.
    fn listen(&mut self, buffer: &mut [u8]) -> usize {
        for taken in 0..MOST_AT_ONCE {
            let said = self.mending.as_mut().and_then(|mending| mending.receive(buffer));
            let Some((said, arrival)) = said else { return taken };
            let taken = match said {
                Said::Packet(length) => self.take(&buffer[..length], None, arrival),
                Said::Again(length, way) => self.take_again(&buffer[..length], way, arrival),
                Said::AskAgain => {
                    self.delivery.ask_again();
                    true
                }
                Said::Other => true,
                Said::Nothing => false,
            };
            self.counts.malformed.fetch_add(u64::from(!taken), Ordering::Relaxed);
        }
        MOST_AT_ONCE
    }

    /// Takes in a packet that was sent again; false if it is none.
    fn take_again(&mut self, bytes: &[u8], way: Way, arrival: LocalTime) -> bool {
        let Some(mending) = &mut self.mending else { return false };
        let Ok(again) = mending.parse(bytes) else { return false };
        // Nothing can have been lost of a stream that was not heard yet.
        let (Some(source), Some(highest)) = (&self.source, self.numbers.highest()) else { return true };
        if again.ssrc != source.ssrc || again.payload.len() > PAYLOAD_CAPACITY {
            self.counts.foreign.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let number = sequence::unwrap(again.sequence, highest);
        mending.again(number, &again, way, arrival, self.payload_type);
        self.arrivals.mended(number);
        self.counts.again.fetch_add(1, Ordering::Relaxed);
        self.hand_on(again.timestamp, again.payload, true);
        true
    }

    /// Takes in parity, and what can be computed from it; how many packets of parity.
    fn compute(&mut self, buffer: &mut [u8]) -> usize {
        let (Some(mending), Some(highest)) = (&mut self.mending, self.numbers.highest()) else { return 0 };
        let source = mending.address();
        let Some(parity) = &mut mending.parity else { return 0 };
        let mut taken = 0;
        while taken < MOST_AT_ONCE
            && let Ok(Some(received)) = parity.group.receive(buffer)
        {
            taken += 1;
            let ours = received.from == source && parity.decoder.parity(&buffer[..received.len]).is_ok();
            self.counts.malformed.fetch_add(u64::from(!ours), Ordering::Relaxed);
        }
        while let Some((number, packet)) = mending.compute(highest, self.payload_type, clock::now()) {
            number.into_iter().for_each(|number| self.arrivals.mended(number));
            self.counts.again.fetch_add(1, Ordering::Relaxed);
            if self.packets.push(packet).is_err() {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        taken
    }

    /// Asks for what is missing, and for another way if there must be one.
    fn ask(&mut self) {
        let Some(mending) = &mut self.mending else { return };
        let now = clock::now();
        let expected = self.counts.expected.load(Ordering::Relaxed);
        let before = self.delivery.way();
        let say = self.delivery.look(now, expected, self.by_multicast, mending.clock_heard());
        if let Some(kind) = say {
            mending.say(kind);
        }
        let way = self.delivery.way();
        if way != before {
            tracing::info!(
                "packets come by {} from now on",
                if way == Delivered::Unicast { "unicast" } else { "multicast" }
            );
        }
        self.counts.by_unicast.store(way == Delivered::Unicast, Ordering::Relaxed);
        let Some(source) = &self.source else { return };
        let asked = mending.ask(source.ssrc, now);
        self.counts.asked.fetch_add(asked as u64, Ordering::Relaxed);
    }

    fn hand_on(&mut self, timestamp: u32, payload: &[u8], again: bool) {
        if self.packets.push(Packet::new(timestamp, payload, again)).is_err() {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_ours(&mut self, address: Option<IpAddr>, ssrc: u32, now: LocalTime) -> bool {
        match &mut self.source {
            Some(source) if source.ssrc == ssrc && source.may_be_at(address) => {
                source.heard = now;
                source.address = source.address.or(address);
            }
            Some(source) if now - source.heard < SOURCE_HOLD_NS => return false,
            _ => {
                self.source = Some(Source { address, ssrc, heard: now });
                self.numbers.restart();
                self.forget();
            }
        }
        true
    }

    /// Counts a packet of the stream, and returns its number, unless it is still to be seen what that is.
    fn count(&mut self, sequence: u16, arrival: LocalTime) -> Option<i64> {
        let place = self.numbers.place(sequence, arrival);
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        self.counts.expected.store(self.numbers.expected(), Ordering::Relaxed);
        let number = match place {
            Place::Follows(number) => number,
            Place::Anew(number) => {
                self.forget();
                number
            }
            Place::Astray => return None,
        };
        self.arrivals.arrived(number);
        self.counts.lost.store(self.arrivals.lost(), Ordering::Relaxed);
        Some(number)
    }

    /// Numbers have nothing to do with those before.
    fn forget(&mut self) {
        self.arrivals.restart();
        self.delivery.restart();
        if let Some(mending) = &mut self.mending {
            mending.restart();
        }
    }
}
