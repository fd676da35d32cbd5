//! What a source says of itself: to the API, the page and the log.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use unisono_common::time::LocalTime;
use unisono_host::clock;

use super::queue::Wish;
use super::told::{Say, Told};

/// The one state a source is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state", content = "reason")]
pub enum State {
    /// Audio flows.
    Playing,
    /// There is nothing to play: no writer at the pipe, the list is at its end, paused.
    Idle,
    /// There should be audio, and none comes: the pipe's writer is silent.
    Stalled,
    /// There can be none, and why; it is tried again.
    Failed(String),
}

/// A piece of music, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Track {
    pub title: Option<String>,
    pub artist: Option<String>,
    pub album: Option<String>,
    /// The file.
    pub path: Option<PathBuf>,
    /// How long it is, where that is known.
    pub duration: Option<Duration>,
    /// Tells it from every other piece that this stream has played: its entry in the queue.
    pub entry: Option<u64>,
}

/// The track whose frames are being taken, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NowPlaying {
    /// The track.
    #[serde(flatten)]
    pub track: Track,
    /// From its beginning to the frame taken last.
    pub position: Duration,
}

/// What has been counted since the source began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Frames put into the queue.
    pub frames: u64,
    /// Times the queue ran empty while audio was expected.
    pub underruns: u64,
    /// Samples held at full scale by the conversion.
    pub clipped: u64,
    /// Files played to their end.
    pub tracks: u64,
    /// Files skipped, whole or in part, because they are damaged or cannot be read.
    pub skipped: u64,
    /// Bytes of incomplete frames dropped at a pipe.
    pub dropped_bytes: u64,
    /// Packets of another sender that did not come.
    pub lost_packets: u64,
    /// Packets that came for another sender's and were none: no RTP, of another type, of another source.
    pub bogus_packets: u64,
    /// Times that a card's input ran over, or was so late that some of it was left out.
    pub overruns: u64,
}

/// A source at one instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Its state.
    #[serde(flatten)]
    pub state: State,
    /// Whether [`Control::pause`](super::Control::pause) holds it.
    pub paused: bool,
    /// What is being heard of it.
    pub now_playing: Option<NowPlaying>,
    /// Names the cover of it; none when it has none.
    pub artwork: Option<u64>,
    /// Which of `play`, `pause`, `next`, `previous` and `seek` it understands now.
    pub can: &'static [&'static str],
    /// How fast the writer's clock runs against the media clock, in parts per million, when it has one of its own.
    pub writer_ppm: Option<f64>,
    /// Audio in the queue.
    pub queued: Duration,
    /// Audio the queue can hold.
    pub capacity: Duration,
    /// Counters.
    pub counters: Counters,
}

/// The status of one source; clones show the same source.
#[derive(Clone, Debug)]
pub struct SourceStatus(pub(super) Arc<Shared>);

impl SourceStatus {
    /// The source as it is now. Never called by a real-time thread: it waits for the source's.
    pub fn snapshot(&self) -> Snapshot {
        let shared = &*self.0;
        let taken = shared.taken.load(Relaxed);
        let paused = shared.paused.load(Relaxed);
        let mut detail = shared.detail();
        detail.forget_before(taken);
        Snapshot {
            state: if paused && detail.state == State::Playing { State::Idle } else { detail.state.clone() },
            paused: paused || detail.outside.as_ref().is_some_and(|outside| outside.paused),
            now_playing: detail.now_playing(taken, shared),
            artwork: detail.outside.as_ref().and_then(|outside| Some(outside.artwork.as_ref()?.id)),
            can: detail.can,
            writer_ppm: detail.writer_ppm,
            queued: shared.duration(shared.queued()),
            capacity: shared.duration(shared.capacity),
            counters: Counters {
                frames: shared.written.load(Relaxed),
                underruns: shared.underruns.load(Relaxed),
                ..detail.counters
            },
        }
    }
}

impl SourceStatus {
    /// Whether the source's thread still runs.
    #[cfg(test)]
    pub(crate) fn is_alive(&self) -> bool {
        !self.has_ended()
    }

    /// Whether the source's thread has ended, and let go of all it had open.
    pub fn has_ended(&self) -> bool {
        self.0.ended.load(Acquire)
    }

    /// Sets the state; a new one is told in the log.
    pub(super) fn set_state(&self, state: State) {
        let mut detail = self.0.detail();
        if detail.state == state {
            return;
        }
        let say = detail.told.change(clock::now().as_ns());
        detail.state.clone_from(&state);
        drop(detail);
        match (state, say) {
            // What fails waits before it is tried again: it can't flood the log.
            (State::Failed(reason), _) => tracing::warn!("failed: {reason}"),
            (_, Say::Nothing) => {}
            (_, Say::TooMany) => tracing::info!("its state changes all the time; the next changes are not told"),
            (State::Playing, Say::It) => tracing::info!("playing"),
            (State::Idle, Say::It) => tracing::info!("idle: it has nothing to play"),
            (State::Stalled, Say::It) => tracing::info!("stalled: nothing comes"),
        }
    }

    /// The source's thread has ended.
    pub(super) fn end(&self) {
        self.0.ended.store(true, Release);
    }

    /// The cover of what is being heard.
    pub fn artwork(&self) -> Option<Arc<Artwork>> {
        self.0.detail().outside.as_ref()?.artwork.clone()
    }

    /// What the program that feeds the source says of itself.
    pub(super) fn set_outside(&self, outside: Option<Outside>) {
        self.0.detail().outside = outside;
    }

    /// Wishes go to `remote` from now on, which understands these; or again to the source.
    pub(super) fn set_remote(&self, remote: Option<Sender<Wish>>, can: &'static [&'static str]) {
        let mut detail = self.0.detail();
        (detail.remote, detail.can) = (remote, can);
    }

    /// The source's thread has come to an end that it did not foresee.
    pub(super) fn failed(&self, reason: String) {
        tracing::error!("{reason}");
        self.0.draining.store(true, Relaxed);
        self.0.detail().state = State::Failed(reason);
    }
}

/// What a source's thread, its taker and its observers share. Frames are counted from the source's start.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) rate: u32,
    /// Of the queue, in frames.
    pub(super) capacity: u64,
    /// Frames put in; written by the source's thread.
    pub(super) written: AtomicU64,
    /// Frames taken or dropped; written by the taker.
    pub(super) taken: AtomicU64,
    /// Frames before this one are no longer wanted (seek, next).
    pub(super) flush_to: AtomicU64,
    /// No more is to be waited for: the taker plays what there is.
    pub(super) draining: AtomicBool,
    /// The taker gives nothing out.
    pub(super) paused: AtomicBool,
    /// The taker is giving frames out; written by the taker.
    pub(super) sounding: AtomicBool,
    /// The handle is gone.
    pub(super) stop: AtomicBool,
    /// There is a wish that the source's thread has not read yet.
    pub(super) asked: AtomicBool,
    /// The source's thread has ended.
    pub(super) ended: AtomicBool,
    pub(super) underruns: AtomicU64,
    detail: Mutex<Detail>,
}

/// What no real-time thread touches.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) state: State,
    /// Tracks in the queue, the one being heard first.
    pub(super) tracks: VecDeque<Mark>,
    pub(super) counters: Counters,
    /// What the program that feeds the source says of itself.
    pub(super) outside: Option<Outside>,
    /// Where wishes go when not to the source's thread.
    pub(super) remote: Option<Sender<Wish>>,
    pub(super) can: &'static [&'static str],
    pub(super) writer_ppm: Option<f64>,
    /// Which changes of the state the log has heard of.
    told: Told,
}

/// What a program that feeds a source says of itself.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    pub(super) track: Track,
    /// How far it was at `since`.
    pub(super) elapsed: Duration,
    pub(super) since: LocalTime,
    pub(super) paused: bool,
    pub(super) artwork: Option<Arc<Artwork>>,
}

/// A picture of what is being heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artwork {
    /// Another one for another picture.
    pub id: u64,
    /// MIME type.
    pub mime: &'static str,
    /// The picture.
    pub bytes: Vec<u8>,
}

impl Outside {
    fn now_playing(&self) -> NowPlaying {
        let running = if self.paused { 0 } else { (clock::now() - self.since).max(0) };
        let position = self.elapsed + Duration::from_nanos(running.unsigned_abs());
        let position = self.track.duration.map_or(position, |duration| position.min(duration));
        NowPlaying { track: self.track.clone(), position }
    }
}

/// Where in the queue a track begins.
#[derive(Debug)]
pub(super) struct Mark {
    /// Its first frame.
    pub(super) at: u64,
    /// What of the track is before that frame.
    pub(super) offset: Duration,
    /// Nothing: what follows is of no track.
    pub(super) track: Option<Track>,
}

impl Shared {
    pub(super) fn new(rate: u32, capacity: u64) -> Self {
        Self {
            rate,
            capacity,
            written: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            flush_to: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            sounding: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            underruns: AtomicU64::new(0),
            detail: Mutex::new(Detail {
                state: State::Idle,
                tracks: VecDeque::new(),
                counters: Counters::default(),
                outside: None,
                remote: None,
                can: &[],
                writer_ppm: None,
                told: Told::default(),
            }),
        }
    }

    /// The detail; a panic of another holder leaves it usable.
    pub(super) fn detail(&self) -> MutexGuard<'_, Detail> {
        self.detail.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Frames in the queue.
    pub(super) fn queued(&self) -> u64 {
        self.written.load(Relaxed).saturating_sub(self.taken.load(Relaxed))
    }

    fn duration(&self, frames: u64) -> Duration {
        let nanos = u128::from(frames) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
    }
}

impl Detail {
    /// Drops the tracks that ended before frame `taken`.
    pub(super) fn forget_before(&mut self, taken: u64) {
        while self.tracks.get(1).is_some_and(|next| next.at <= taken) {
            self.tracks.pop_front();
        }
    }

    fn now_playing(&self, taken: u64, shared: &Shared) -> Option<NowPlaying> {
        if let Some(outside) = &self.outside {
            return Some(outside.now_playing());
        }
        let mark = self.tracks.front().filter(|mark| mark.at <= taken)?;
        let position = mark.offset + shared.duration(taken - mark.at);
        Some(NowPlaying { track: mark.track.clone()?, position })
    }
}
