//! Packets of one stream, from the group to the audio thread's queue.
//!
//! One thread for each stream that is played or about to be. It checks and counts; the order of packets, their place
//! and their lateness are the jitter buffer's business, which has the clock.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rtrb::Producer;
use unisono_common::format::Depth;
use unisono_common::rtp;
use unisono_common::sequence::Extender;
use unisono_common::time::LocalTime;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, MulticastReceiver};
use unisono_host::stop::{self, StopHandle, StopSignal};
use unisono_host::{clock, realtime};

use crate::session::{PAYLOAD_CAPACITY, Packet};

/// A source that was silent for so long may be replaced by another.
const SOURCE_HOLD_NS: i64 = 300_000_000;

/// Without a packet for so long the group is joined anew: a switch may have forgotten us.
const REJOIN_NS: i64 = 3_000_000_000;

/// Real-time priority of the thread, below the audio thread's.
const PRIORITY: u8 = 50;

/// Where a stream's packets are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Group and port.
    pub group: SocketAddr,
    /// The only sender to listen to, for a source-specific join.
    pub source: Option<IpAddr>,
    /// RTP payload type.
    pub payload_type: u8,
    /// Depth of its samples.
    pub depth: Depth,
}

/// What arrived; all since the thread began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Packets of the stream.
    pub received: u64,
    /// Packets that there should have been, by their numbering; those that came twice are received twice.
    pub expected: u64,
    /// Packets of another source than the one that is listened to.
    pub foreign: u64,
    /// Packets that were no RTP, of another type, or too long.
    pub malformed: u64,
    /// Packets that found the audio thread's queue full.
    pub refused: u64,
    /// When the last packet came that was not silent.
    pub sound: Option<LocalTime>,
}

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    expected: AtomicU64,
    foreign: AtomicU64,
    malformed: AtomicU64,
    refused: AtomicU64,
    /// Local time in nanoseconds; 0 before the first.
    sound_ns: AtomicI64,
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
    /// Joins the stream's group and begins to fill `packets`.
    ///
    /// # Errors
    /// when the group can't be joined on this interface.
    pub fn spawn(address: &Address, interface: &Interface, packets: Producer<Packet>) -> Result<Self, IntakeError> {
        let socket = match address.source {
            Some(source) => MulticastReceiver::join_source(address.group, source, interface)?,
            None => MulticastReceiver::join(address.group, interface)?,
        };
        let counts = Arc::new(Counts::default());
        let (stop, signal) = stop::pair()?;
        let worker = Worker {
            socket,
            packets,
            counts: Arc::clone(&counts),
            payload_type: address.payload_type,
            depth: address.depth,
            source: None,
            sequence: Extender::default(),
            first: None,
            counted: 0,
        };
        let thread = std::thread::Builder::new().name("intake".into()).spawn(move || worker.run(&signal))?;
        Ok(Self { counts, stop: Some(stop), thread: Some(thread) })
    }

    /// What arrived.
    pub fn counts(&self) -> Arrived {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        Arrived {
            received: read(&counts.received),
            expected: read(&counts.expected),
            foreign: read(&counts.foreign),
            malformed: read(&counts.malformed),
            refused: read(&counts.refused),
            sound: Some(counts.sound_ns.load(Ordering::Relaxed)).filter(|ns| *ns != 0).map(LocalTime::from_ns),
        }
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
    packets: Producer<Packet>,
    counts: Arc<Counts>,
    payload_type: u8,
    depth: Depth,
    source: Option<Source>,
    sequence: Extender,
    /// First extended sequence number of this source; `None` before its first packet.
    first: Option<i64>,
    /// Packets expected of earlier sources.
    counted: u64,
}

/// Whether a payload has anything in it beyond the noise of a good input: more than -72 dB of full scale.
fn sounds(depth: Depth, payload: &[u8]) -> bool {
    // The upper two bytes of a sample tell.
    let loud = |sample: &[u8]| i16::from_be_bytes([sample[0], sample[1]]).unsigned_abs() > 8;
    payload.chunks_exact(depth.bytes()).any(loud)
}

/// Whom we listen to. Two senders of one stream would otherwise be heard in turns.
struct Source {
    address: IpAddr,
    ssrc: u32,
    heard: LocalTime,
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
                if let Err(error) = self.socket.rejoin() {
                    tracing::debug!("can't join again: {error}");
                }
            }
            if !self.socket.wait(now + REJOIN_NS, Some(stop)).unwrap_or(false) {
                continue;
            }
            while let Ok(Some(received)) = self.socket.receive(&mut buffer) {
                quiet_since = received.stamp.at;
                if received.truncated || !self.take(&buffer[..received.len], received.from.ip(), received.stamp.at) {
                    self.counts.malformed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Takes one packet in; false if it is none of this stream.
    fn take(&mut self, bytes: &[u8], from: IpAddr, arrival: LocalTime) -> bool {
        let Ok(packet) = rtp::Packet::parse(bytes) else { return false };
        if packet.header.payload_type != self.payload_type || packet.payload.len() > PAYLOAD_CAPACITY {
            return false;
        }
        if !self.is_ours(from, packet.header.ssrc, arrival) {
            self.counts.foreign.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.count(packet.header.sequence);
        if sounds(self.depth, packet.payload) {
            self.counts.sound_ns.store(arrival.as_ns(), Ordering::Relaxed);
        }
        let mut out = Packet {
            timestamp: packet.header.timestamp,
            length: packet.payload.len() as u16,
            arrival,
            payload: [0; PAYLOAD_CAPACITY],
        };
        out.payload[..packet.payload.len()].copy_from_slice(packet.payload);
        if self.packets.push(out).is_err() {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    fn is_ours(&mut self, address: IpAddr, ssrc: u32, now: LocalTime) -> bool {
        match &mut self.source {
            Some(source) if source.address == address && source.ssrc == ssrc => source.heard = now,
            Some(source) if now - source.heard < SOURCE_HOLD_NS => return false,
            _ => {
                self.source = Some(Source { address, ssrc, heard: now });
                self.sequence = Extender::default();
                self.first = None;
                self.counted = self.counts.expected.load(Ordering::Relaxed);
            }
        }
        true
    }

    fn count(&mut self, sequence: u16) {
        let extended = self.sequence.extend(sequence);
        let first = *self.first.get_or_insert(extended);
        let expected = self.sequence.highest().unwrap_or(extended) - first + 1;
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        self.counts.expected.store(self.counted + expected.max(0) as u64, Ordering::Relaxed);
    }
}
