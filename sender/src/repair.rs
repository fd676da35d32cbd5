//! Sends again what rooms have lost.
//!
//! The transmit thread hands over a copy of every packet through a wait-free ring, and knows nothing of rooms. One thread
//! takes them in, reads requests (generic NACK, RFC 4585) on the repair port and answers them (RTX, RFC 4588), to the room
//! that asks or to a group of its own; which and when is decided in [`answers`]. A room that does not hear the stream's group
//! gets the whole stream from here by unicast ([`leases`]), and parity is sent from here where it is configured. Nothing of it ever enters the stream's own
//! group and port: a second source there silences PulseAudio and PipeWire for good.

pub mod answers;
pub mod leases;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use rtrb::{Consumer, Producer, RingBuffer};
use tracing::{debug, info, warn};
use unisono_common::config::DEFAULT_REPAIR_PORT;
use unisono_common::config::sender::StreamConfig;
use unisono_common::delivery::{self, Message};
use unisono_common::fec::Encoder;
use unisono_common::rtcp::{self, Item};
use unisono_common::rtx;
use unisono_common::time::LocalTime;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, SendOptions};
use unisono_host::peer::PeerSocket;
use unisono_host::stop::{self, StopHandle, StopSignal};
use unisono_host::{clock, random, realtime, wait};

use self::answers::{Answers, Bytes, To};
use self::leases::Leases;
use crate::describe::Groups;
use crate::streams::OnAir;

/// Real-time priority of the thread: below those that keep time.
const PRIORITY: u8 = 40;

/// Without requests the thread looks after its rings this often.
const IDLE_NS: i64 = 50_000_000;

/// While rooms are served by unicast, or parity is sent, it looks this often: what it adds to the packets' way.
const SERVING_NS: i64 = 2_500_000;

/// Packets that the ring from the transmit thread holds: what the fastest stream sends in [`IDLE_NS`], four times.
const RING_NS: i64 = 4 * IDLE_NS;

/// Kept beyond the playout delay: nobody asks for what it could no longer play.
const HISTORY_BEYOND_NS: i64 = 250_000_000;

/// Requests are read this many at a time, so that a flood of them keeps no answer waiting.
const READ_AT_ONCE: usize = 64;

/// A packet that was sent.
#[derive(Debug)]
pub struct Sent {
    sequence: u16,
    length: u16,
    bytes: Bytes,
}

impl Sent {
    /// A copy of an RTP packet as it is sent.
    pub fn new(packet: &[u8]) -> Self {
        let sequence = packet.get(2..4).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        let length = packet.len().min(unisono_common::rtp::MAX_PACKET);
        let mut bytes = [0; unisono_common::rtp::MAX_PACKET];
        bytes[..length].copy_from_slice(&packet[..length]);
        Sent { sequence, length: length as u16, bytes }
    }
}

/// What was repaired of a stream; each only ever grows.
#[derive(Debug, Default)]
pub struct RepairCounters {
    /// Packets that rooms asked for.
    pub asked: AtomicU64,
    /// Packets sent again to one room.
    pub to_rooms: AtomicU64,
    /// Packets sent again to all rooms.
    pub to_group: AtomicU64,
    /// Requests that could not be answered: too old, too many.
    pub unanswered: AtomicU64,
    /// Packets delivered by unicast.
    pub delivered: AtomicU64,
}

impl RepairCounters {
    /// What they stand at.
    pub fn read(&self) -> Repaired {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Repaired {
            asked: read(&self.asked),
            to_rooms: read(&self.to_rooms),
            to_group: read(&self.to_group),
            unanswered: read(&self.unanswered),
            delivered: read(&self.delivered),
        }
    }
}

/// What [`RepairCounters`] stood at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Packets that rooms asked for.
    pub asked: u64,
    /// Packets sent again to one room.
    pub to_rooms: u64,
    /// Packets sent again to all rooms.
    pub to_group: u64,
    /// Requests that could not be answered: too old, too many.
    pub unanswered: u64,
    /// Packets delivered by unicast.
    pub delivered: u64,
}

/// The socket, opened before anything is announced: its port goes into the descriptions.
#[derive(Debug)]
pub struct RepairSocket {
    socket: PeerSocket,
    local: SocketAddr,
}

impl RepairSocket {
    /// Opens the repair port. Of the default port any other will do when it is taken; a configured one must be had.
    pub fn open(
        interface: &Interface,
        family: IpAddr,
        options: SendOptions,
        configured: Option<u16>,
    ) -> Result<Self, MulticastError> {
        let open = |source_port| PeerSocket::open(interface, family, SendOptions { source_port, ..options });
        let socket = match (open(configured.unwrap_or(DEFAULT_REPAIR_PORT)), configured) {
            (Err(MulticastError::PortInUse { port }), None) => {
                info!(port, "the repair port is in use by another process: another one is taken");
                open(0)?
            }
            (socket, _) => socket?,
        };
        let refused = |source| MulticastError::Refused {
            step: "ask for the address of",
            address: SocketAddr::new(family, 0),
            interface: interface.name.clone(),
            source,
        };
        Ok(RepairSocket { local: socket.local_addr().map_err(refused)?, socket })
    }

    /// Where rooms ask.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// One stream as the thread sees it.
struct Lane {
    ssrc: u32,
    group: SocketAddr,
    packets: Consumer<Sent>,
    answers: Answers,
    /// Sequence of the retransmissions themselves.
    sequence: u16,
    parity: Option<(Encoder, SocketAddr)>,
    counters: Arc<RepairCounters>,
}

/// What the thread is told.
enum Word {
    /// A stream is new.
    Begin(Box<Lane>),
    /// The interface is another one, with the same address.
    Follow(Interface),
    /// The address is another one.
    Move(PeerSocket),
}

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub struct RepairServer {
    words: Sender<Word>,
    bogus: Arc<AtomicU64>,
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

impl RepairServer {
    /// Starts to answer, and to deliver to at most `unicast_rooms` rooms by unicast.
    pub fn start(socket: RepairSocket, unicast_rooms: usize) -> io::Result<Self> {
        let (stop, signal) = stop::pair()?;
        let (words, inbox) = mpsc::channel();
        let secret = (u128::from(random::number()) << 64 | u128::from(random::number())).to_be_bytes();
        let leases = Leases::new(secret, unicast_rooms);
        let bogus = Arc::<AtomicU64>::default();
        let worker = Worker { socket: socket.socket, inbox, lanes: Vec::new(), leases, bogus: Arc::clone(&bogus) };
        let thread = std::thread::Builder::new().name("repair".to_owned()).spawn(move || {
            if let Err(error) = realtime::raise(PRIORITY) {
                debug!("repair without real-time priority: {error}");
            }
            worker.run(&signal);
        })?;
        Ok(RepairServer { words, bogus, stop: Some(stop), thread: Some(thread) })
    }

    /// Packets so far that were no requests; goes on counting.
    pub fn bogus(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bogus)
    }

    /// Sends to groups by this interface, which is another one of its name, with the same address.
    pub fn follow(&self, interface: Interface) {
        self.say(Word::Follow(interface));
    }

    /// Answers from this socket on, which has another address.
    pub fn move_to(&self, socket: RepairSocket) {
        self.say(Word::Move(socket.socket));
    }

    /// Looks after one more stream: what is sent of it must be put into the ring's end that is returned, and when that is
    /// dropped the stream is done with.
    pub fn begin(
        &self,
        stream: &StreamConfig,
        groups: &Groups,
        on_air: &OnAir,
        playout_delay_ms: u32,
    ) -> Producer<Sent> {
        let packet_ns = i64::from(stream.packet_frames()) * 1_000_000_000 / i64::from(stream.format.rate);
        // The delay may be doubled later.
        let history_ns = 2 * i64::from(playout_delay_ms) * 1_000_000 + HISTORY_BEYOND_NS;
        let (producer, packets) = RingBuffer::new((RING_NS / packet_ns + 1) as usize);
        let answers = Answers::new((history_ns / packet_ns) as usize, packet_ns, clock::now());
        let encoder = |(matrix, group)| (Encoder::new(matrix, on_air.ssrc), SocketAddr::V4(group));
        let parity = stream.fec.zip(groups.fec).map(encoder);
        let (ssrc, group, counters) = (on_air.ssrc, groups.repair.into(), on_air.repair.clone());
        let lane = Lane { ssrc, group, packets, answers, sequence: 0, parity, counters };
        self.say(Word::Begin(Box::new(lane)));
        producer
    }

    fn say(&self, word: Word) {
        if self.words.send(word).is_err() {
            warn!("the repair thread is gone: lost packets stay lost");
        }
    }
}

impl Drop for RepairServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It can only have failed by a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

struct Worker {
    socket: PeerSocket,
    inbox: mpsc::Receiver<Word>,
    #[allow(clippy::vec_box, reason = "they come and go in their boxes")]
    lanes: Vec<Box<Lane>>,
    leases: Leases,
    bogus: Arc<AtomicU64>,
}

impl Worker {
    fn run(mut self, stop: &StopSignal) {
        while !stop.is_raised() {
            let serving = !self.leases.is_empty() || self.lanes.iter().any(|lane| lane.parity.is_some());
            let idle = clock::now() + if serving { SERVING_NS } else { IDLE_NS };
            let next = self.lanes.iter().filter_map(|lane| lane.answers.next()).fold(idle, LocalTime::min);
            if let Err(error) = wait::any([self.socket.as_fd()], next, Some(stop)) {
                warn!("repair: {error}");
                clock::sleep_until(idle);
            }
            self.lanes.retain(|lane| !lane.packets.is_abandoned());
            self.hear();
            // What was asked for may have been sent since the last look.
            self.leases.expire(clock::now());
            for lane in &mut self.lanes {
                lane.take_in(&self.leases, &self.socket);
            }
            self.read();
            for lane in &mut self.lanes {
                lane.answer(&self.socket);
            }
        }
    }

    fn hear(&mut self) {
        while let Ok(word) = self.inbox.try_recv() {
            match word {
                Word::Begin(lane) => self.lanes.push(lane),
                Word::Follow(interface) => {
                    // One that is gone again is followed when it is back.
                    if let Err(error) = self.socket.follow(&interface) {
                        debug!("repair: {error}");
                    }
                }
                Word::Move(socket) => self.socket = socket,
            }
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 2048];
        for _ in 0..READ_AT_ONCE {
            let Ok(Some(received)) = self.socket.receive(&mut buffer) else { return };
            let Ok(items) = rtcp::parse(&buffer[..received.len]) else {
                self.bogus.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            for item in items {
                match item {
                    Item::Nack { media, sequences, .. } => self.asked(media, &sequences, received.from),
                    Item::Delivery(message) => self.discuss(&message, received.from),
                    _ => {}
                }
            }
        }
    }

    fn asked(&mut self, media: u32, sequences: &[u16], by: SocketAddr) {
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.ssrc == media) else { return };
        let now = clock::now();
        sequences.iter().for_each(|sequence| lane.answers.ask(by, *sequence, now));
    }

    fn discuss(&mut self, message: &Message, room: SocketAddr) {
        if !self.lanes.iter().any(|lane| lane.ssrc == message.media) {
            return;
        }
        let mut out = [0; 64];
        let refused = self.leases.refused();
        let answer = self.leases.handle(message, room, clock::now());
        // It asks every second: now and then is enough.
        if self.leases.refused() > refused && self.leases.refused().is_power_of_two() {
            warn!(%room, "a room asks for unicast, and as many as may be are served so; see unicast_rooms");
        }
        if let Some(answer) = answer
            && let Ok(length) = delivery::write(&answer, message.media, &mut out)
        {
            // Lost or not sent is the same: the room asks again.
            let _ = self.socket.send_to(&out[..length], room);
        }
    }
}

impl Lane {
    /// Takes in what was sent, and hands it on to those who get it by unicast.
    fn take_in(&mut self, leases: &Leases, socket: &PeerSocket) {
        while let Ok(sent) = self.packets.pop() {
            let packet = &sent.bytes[..usize::from(sent.length)];
            self.answers.store(sent.sequence, packet);
            for room in leases.rooms(self.ssrc) {
                let delivered = socket.send_to(packet, room).is_ok();
                self.counters.delivered.fetch_add(u64::from(delivered), Ordering::Relaxed);
            }
            if let Some((encoder, group)) = &mut self.parity
                && let Some(parity) = encoder.push(packet)
            {
                // Not sent is lost, which is what parity is there for.
                let _ = socket.send_to(parity, *group);
            }
        }
    }

    fn answer(&mut self, socket: &PeerSocket) {
        let mut out = [0; rtx::MAX_PACKET];
        while let Some((packet, to)) = self.answers.answer(clock::now()) {
            let Ok(length) = rtx::write(packet, rtx::PAYLOAD_TYPE, self.sequence, &mut out) else { continue };
            self.sequence = self.sequence.wrapping_add(1);
            let to = match to {
                To::Room(room) => room,
                To::Group => self.group,
            };
            if let Err(error) = socket.send_to(&out[..length], to) {
                debug!(%to, "repair: not sent: {error}");
            }
        }
        let counts = self.answers.counts();
        let tell = |counter: &AtomicU64, count| counter.store(count, Ordering::Relaxed);
        tell(&self.counters.asked, counts.asked);
        tell(&self.counters.to_rooms, counts.to_rooms);
        tell(&self.counters.to_group, counts.to_group);
        tell(&self.counters.unanswered, counts.unknown + counts.refused);
    }
}
