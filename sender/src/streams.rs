//! The streams of this sender, as everybody beside the audio path sees them: what they are, what they do, how they are.

mod conflicts;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use unisono_common::format::Format;
use unisono_common::time::LocalTime;

use crate::aes67::Timing;
use crate::repair::RepairCounters;
use crate::source::{Control, SourceStatus};
use conflicts::Conflicts;

/// All streams, in the order of the configuration; clones are the same ones.
///
/// Never touched by the transmit thread, which has its own list.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<RwLock<Vec<Arc<Stream>>>>);

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Names it for machines.
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// What is on the wire.
    pub format: Format,
    /// Frames in each packet.
    pub packet_frames: u32,
    /// The type of its source, as in the configuration.
    pub kind: &'static str,
    /// Whether it is sent at all; if not, `on_air` is empty.
    pub enabled: bool,
    /// What only a stream that is sent has.
    pub on_air: Option<OnAir>,
}

/// What a stream that is sent has.
#[derive(Debug)]
pub struct OnAir {
    /// Multicast group and RTP port.
    pub group: SocketAddr,
    /// Synchronisation source of its packets.
    pub ssrc: u32,
    /// Its description, as it is announced; empty while its clock is not known.
    sdp: Mutex<Arc<str>>,
    /// What its source says of itself.
    pub source: SourceStatus,
    /// What its source can be asked.
    pub control: Control,
    /// Which streams it is made of, when it is a mix.
    pub mix: Option<MixStatus>,
    /// The PTP clock that it goes by, when it is of the AES67 profile.
    pub timing: Option<Arc<Timing>>,
    /// What the transmit thread counts.
    pub counters: Counters,
    /// Switched off, it stays described and ready, but nothing of it is sent.
    on: AtomicBool,
    /// Since when it has been silent.
    pub quiet: Quiet,
    /// What was sent again.
    pub repair: Arc<RepairCounters>,
    conflicts: Mutex<Conflicts>,
}

/// What a mix is made of.
#[derive(Clone, Debug)]
pub struct MixStatus {
    /// Ids of the streams, the first of them first in line.
    pub inputs: Vec<String>,
    /// Index of the one that is heard; beyond the last when none is. Written by the transmit thread.
    pub leader: Arc<AtomicUsize>,
}

impl MixStatus {
    /// Id of the stream that is heard.
    pub fn heard(&self) -> Option<&str> {
        self.inputs.get(self.leader.load(Ordering::Relaxed)).map(String::as_str)
    }
}

/// Silence as it is told from sound: a stream that stays below a level for long is idle.
#[derive(Debug)]
pub struct Quiet {
    /// Samples up to this magnitude, in steps of the stream's depth, are silence.
    pub threshold: i32,
    /// A stream that has been silent for so long is idle.
    pub after_ns: i64,
    /// Local time of the last packet that was not silent; written by the transmit thread.
    last_sound_ns: AtomicI64,
}

impl Quiet {
    /// Silence is below `level_db` (of full scale at `bits` bits), and idleness begins `after_s` later.
    pub fn new(level_db: f64, bits: u32, after_s: u32, now: LocalTime) -> Self {
        let threshold = (10_f64.powf(level_db / 20.0) * f64::from(1_u32 << (bits - 1))) as i32;
        let after_ns = i64::from(after_s) * 1_000_000_000;
        // Until it has sounded once it is idle.
        Quiet { threshold, after_ns, last_sound_ns: AtomicI64::new(now.as_ns() - after_ns) }
    }

    /// A packet that leaves now holds these samples. Wait-free.
    pub fn note(&self, samples: &[i32], now: LocalTime) {
        if samples.iter().any(|sample| sample.saturating_abs() > self.threshold) {
            self.last_sound_ns.store(now.as_ns(), Ordering::Relaxed);
        }
    }

    /// For how long it has been silent, in nanoseconds.
    pub fn silent_ns(&self, now: LocalTime) -> i64 {
        (now.as_ns() - self.last_sound_ns.load(Ordering::Relaxed)).max(0)
    }

    /// Whether it has been silent for long.
    pub fn is_idle(&self, now: LocalTime) -> bool {
        self.silent_ns(now) >= self.after_ns
    }
}

/// Who a stream is on the network.
#[derive(Clone, Debug)]
pub struct Address {
    /// Multicast group and RTP port.
    pub group: SocketAddr,
    /// Synchronisation source of its packets.
    pub ssrc: u32,
    /// Its description.
    pub sdp: String,
}

/// What the transmit thread counts; each only ever grows.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets sent.
    pub packets: AtomicU64,
    /// Payload bytes sent.
    pub octets: AtomicU64,
    /// Packets in which the source left silence.
    pub silent: AtomicU64,
    /// Packets that left more than [`LATE_NS`] after they were due.
    pub late: AtomicU64,
    /// Packets left out because they were too late.
    pub skipped: AtomicU64,
    /// Packets that the network did not take.
    pub failed: AtomicU64,
}

/// A packet that leaves so much after it was due counts as late: by then jitter eats into the playout delay.
pub const LATE_NS: i64 = 2_000_000;

impl Streams {
    /// These streams.
    pub fn new(streams: Vec<Stream>) -> Self {
        Streams(Arc::new(RwLock::new(streams.into_iter().map(Arc::new).collect())))
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Arc<Stream>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those that are sent now.
    pub fn on_air(&self) -> Vec<Arc<Stream>> {
        self.all().into_iter().filter(|stream| stream.on_air.is_some()).collect()
    }

    /// The stream of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Stream>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().find(|stream| stream.id == id).cloned()
    }

    /// These from now on.
    pub fn replace(&self, streams: Vec<Arc<Stream>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = streams;
    }
}

impl OnAir {
    /// A stream about to be sent.
    pub fn new(address: Address, source: SourceStatus, control: Control, quiet: Quiet) -> Self {
        let Address { group, ssrc, sdp } = address;
        let sdp = Mutex::new(sdp.into());
        let (counters, repair) = (Counters::default(), Arc::default());
        let (on, conflicts) = (AtomicBool::new(true), Mutex::default());
        OnAir { group, ssrc, sdp, source, control, mix: None, timing: None, counters, on, quiet, repair, conflicts }
    }

    /// Its description, as it is announced; empty while its clock is not known.
    pub fn sdp(&self) -> Arc<str> {
        self.sdp.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It is described otherwise from now on, and is no other session for that.
    pub fn describe(&self, sdp: String) {
        *self.sdp.lock().unwrap_or_else(PoisonError::into_inner) = sdp.into();
    }

    /// Switches it on or off.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Release);
    }

    /// Whether it is switched on.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Whether it is sent and announced: it is switched on, and its clock is the one that it is described by.
    pub fn is_sent(&self) -> bool {
        self.is_on() && self.timing.as_ref().is_none_or(|timing| timing.is_described())
    }

    /// Notes that another sender disturbs this stream; true when that is news.
    pub fn note_conflict(&self, text: String, now: LocalTime) -> bool {
        self.conflicts().note(text, now)
    }

    /// How another sender disturbs this stream, if one does.
    pub fn conflict(&self, now: LocalTime) -> Option<String> {
        self.conflicts().first(now)
    }

    fn conflicts(&self) -> MutexGuard<'_, Conflicts> {
        self.conflicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    /// Packets and payload bytes, as RTCP reports them.
    pub fn sent(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.octets.load(Ordering::Relaxed))
    }

    /// Packets that were late, left out, and not taken by the network.
    pub fn trouble(&self) -> [u64; 3] {
        [&self.late, &self.skipped, &self.failed].map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Counts one more, or `n` more.
    pub(crate) fn count(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
