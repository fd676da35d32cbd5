//! The streams of this sender, as everybody beside the audio path sees them: what they are, what they do, how they are.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use unisono_common::format::Format;
use unisono_common::time::LocalTime;

use crate::source::{Control, SourceStatus};

/// All streams, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Vec<Arc<Stream>>>);

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Names it for machines.
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// What is on the wire.
    pub format: Format,
    /// Whether it is sent at all; if not, `on_air` is empty.
    pub enabled: bool,
    /// What only a stream that is sent has.
    pub on_air: Option<OnAir>,
}

/// What a stream that is sent has.
#[derive(Debug)]
pub struct OnAir {
    /// Multicast group and RTP port.
    pub group: SocketAddrV4,
    /// Synchronisation source of its packets.
    pub ssrc: u32,
    /// Its description, as it is announced.
    pub sdp: String,
    /// What its source says of itself.
    pub source: SourceStatus,
    /// What its source can be asked.
    pub control: Control,
    /// What the transmit thread counts.
    pub counters: Counters,
    /// Switched off, it stays described and ready, but nothing of it is sent.
    on: AtomicBool,
    conflict: Mutex<Option<Conflict>>,
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

/// Another sender on the same id or in the same group.
#[derive(Clone, Debug)]
struct Conflict {
    text: String,
    seen: LocalTime,
}

/// A conflict that was not seen again for so long is over: two announcements in the slow rhythm, and a little.
const CONFLICT_OVER_NS: i64 = 70_000_000_000;

impl Streams {
    /// These streams.
    pub fn new(streams: Vec<Stream>) -> Self {
        Streams(Arc::new(streams.into_iter().map(Arc::new).collect()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.0.iter()
    }

    /// Those that are sent.
    pub fn on_air(&self) -> impl Iterator<Item = (&Arc<Stream>, &OnAir)> {
        self.0.iter().filter_map(|stream| Some((stream, stream.on_air.as_ref()?)))
    }

    /// The stream of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Stream>> {
        self.0.iter().find(|stream| stream.id == id)
    }
}

impl OnAir {
    /// A stream about to be sent.
    pub fn new(group: SocketAddrV4, ssrc: u32, sdp: String, source: SourceStatus, control: Control) -> Self {
        let (counters, conflict) = (Counters::default(), Mutex::default());
        OnAir { group, ssrc, sdp, source, control, counters, on: AtomicBool::new(true), conflict }
    }

    /// Switches it on or off.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Release);
    }

    /// Whether it is switched on.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Notes that another sender disturbs this stream; true when that is news.
    pub fn note_conflict(&self, text: String, now: LocalTime) -> bool {
        let mut conflict = self.conflict.lock().unwrap_or_else(PoisonError::into_inner);
        let news = conflict.as_ref().is_none_or(|known| known.text != text);
        *conflict = Some(Conflict { text, seen: now });
        news
    }

    /// How another sender disturbs this stream, if one does.
    pub fn conflict(&self, now: LocalTime) -> Option<String> {
        let mut conflict = self.conflict.lock().unwrap_or_else(PoisonError::into_inner);
        conflict.take_if(|conflict| now - conflict.seen > CONFLICT_OVER_NS);
        conflict.as_ref().map(|conflict| conflict.text.clone())
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
