//! The audio thread allocates nothing and frees nothing: playout is run with an allocator that tells.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rtrb::RingBuffer;
use unisono_common::clock::ClockMap;
use unisono_common::config::receiver::{OutputConfig, OutputDevice, Quality, SimDevice};
use unisono_common::format::Format;
use unisono_common::playout_delay::PlayoutDelay;
use unisono_common::time::{ClockEpoch, LocalTime, MediaTime};
use unisono_host::clock;
use unisono_host::published::{ClockReader, Published};
use unisono_receiver::audio::{Audio, AudioEvent};
use unisono_receiver::dac::Edge;
use unisono_receiver::output::drive::Command;
use unisono_receiver::playout::{Playout, State};
use unisono_receiver::session::{ClockSource, PAYLOAD_CAPACITY, Packet, Session, SessionConfig};

const RATE: u32 = 48_000;
const CHUNK: usize = 480;
const DELAY_NS: i64 = 250_000_000;

/// Counts what a thread asks of the allocator while it is being watched.
struct Watching;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// This is the audio thread.
    static AUDIO: Cell<bool> = const { Cell::new(false) };
}

/// What the audio thread asks of it, for others to read.
static AUDIO_CALLS: AtomicU64 = AtomicU64::new(0);

fn count() {
    if WATCHED.try_with(Cell::get).unwrap_or(false) {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    }
    if AUDIO.try_with(Cell::get).unwrap_or(false) {
        AUDIO_CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// What the allocator was asked for while `work` ran.
fn calls_of(work: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    WATCHED.set(true);
    work();
    WATCHED.set(false);
    CALLS.get() - before
}

/// Media time is local time; `epoch` changes when `now` passes four seconds, as if the sender had restarted.
struct Clock(Arc<AtomicI64>);

impl ClockSource for Clock {
    fn read(&self) -> Option<ClockMap> {
        let now = self.0.load(Ordering::Relaxed);
        Some(ClockMap {
            epoch: ClockEpoch(1 + u32::from(now > 4_000_000_000)),
            at: LocalTime::from_ns(now),
            offset_ns: 0,
            offset_fraction_ns: 0.0,
            rate: 0.0,
            sigma_ns: 300.0,
            rate_sigma: 1e-8,
        })
    }
}

#[test]
fn the_allocator_is_watched() {
    assert!(calls_of(|| drop(vec![1_u8; 100])) >= 2);
}

#[test]
fn playing_starting_losing_and_restarting_allocate_nothing() {
    for quality in [Quality::Low, Quality::Normal, Quality::High, Quality::Slip] {
        let now = Arc::new(AtomicI64::new(0));
        let (mut packets, consumer) = RingBuffer::new(512);
        let config = SessionConfig {
            id: 1,
            format: Format::DEFAULT,
            playout_delay: PlayoutDelay::fixed(DELAY_NS),
            timestamp_offset: 0,
            quality,
            device_rate: RATE,
            max_chunk: CHUNK,
            taken_after_ns: Arc::default(),
        };
        let session = Session::new(&config, consumer, Box::new(Clock(now.clone()))).expect("valid");
        let mut playout = Playout::new(RATE, 2, CHUNK);
        playout.set_session(Some(Box::new(session)));
        let mut out = vec![0.0; CHUNK * 2];
        let mut played = 0;
        for chunk in 0..800_i64 {
            let local = chunk * 10_000_000;
            now.store(local, Ordering::Relaxed);
            for half in 0..2 {
                let first = MediaTime::from_ns(local).to_frame(RATE) + half * 240;
                let packet =
                    Packet { timestamp: first as u32, length: 960, again: false, payload: [1; PAYLOAD_CAPACITY] };
                // Every fiftieth is lost.
                if (chunk * 2 + half) % 50 != 0 {
                    packets.push(packet).expect("room");
                }
            }
            let calls = calls_of(|| {
                playout.observe(Edge { frame: chunk * 480, at: LocalTime::from_ns(local), sigma_ns: 500.0 });
                playout.set_volume(if chunk % 7 == 0 { 0.5 } else { 1.0 }, 1.0);
                if chunk == 300 {
                    playout.chirp();
                }
                playout.render(LocalTime::from_ns(local), (chunk + 8) * 480, &mut out);
            });
            assert_eq!(calls, 0, "{quality:?}, chunk {chunk}");
            played += u32::from(playout.telemetry().state == State::Playing);
        }
        let telemetry = playout.telemetry();
        assert!(played > 600 && telemetry.starts >= 2 && telemetry.missing > 0, "{quality:?}: {telemetry:?}");
    }
}

struct Read(ClockReader);

impl ClockSource for Read {
    fn read(&self) -> Option<ClockMap> {
        self.0.read()
    }
}

/// Media time is local time, for ever.
fn published() -> ClockReader {
    let published = Arc::<Published>::default();
    published.publish(&ClockMap {
        epoch: ClockEpoch(1),
        at: clock::now(),
        offset_ns: 0,
        offset_fraction_ns: 0.0,
        rate: 0.0,
        sigma_ns: 300.0,
        rate_sigma: 1e-9,
    });
    ClockReader::new(published)
}

/// The thread as it runs in a room: its loop, its look at the card, the clock's map, the queues; on a simulated card.
#[test]
fn the_audio_thread_allocates_nothing() {
    let device = OutputDevice::Sim(SimDevice { ppm: 40.0, grain: 8, record: None });
    let config = OutputConfig { device: Some(device), ..OutputConfig::default() };
    // It is told on that thread, before the card is driven.
    let watch = |event| AUDIO.set(matches!(event, AudioEvent::Opened(_)));
    let mut audio = Audio::spawn(&config, false, watch).expect("a simulated card");
    let begin = |id| {
        let (packets, consumer) = RingBuffer::new(512);
        let config = SessionConfig {
            id,
            format: Format::DEFAULT,
            playout_delay: PlayoutDelay::fixed(DELAY_NS),
            timestamp_offset: 0,
            quality: Quality::Normal,
            device_rate: RATE,
            max_chunk: CHUNK,
            taken_after_ns: Arc::default(),
        };
        (packets, Box::new(Session::new(&config, consumer, Box::new(Read(published()))).expect("valid")))
    };
    let (mut packets, session) = begin(1);
    audio.order(Command::Volume { gain: 1.0, most: 1.0 });
    audio.order(Command::Session(Some(session)));
    // What it makes before it begins, it may make.
    let mut calls = None;
    let (mut first, mut plays) = (clock::now().as_ns() / 5_000_000, 0);
    for turn in 0..600 {
        std::thread::sleep(Duration::from_millis(5));
        while (first + 1) * 5_000_000 <= clock::now().as_ns() {
            let timestamp = MediaTime::from_ns(first * 5_000_000).to_frame(RATE) as u32;
            let packet = Packet { timestamp, length: 960, again: false, payload: [1; PAYLOAD_CAPACITY] };
            first += 1;
            // Every fiftieth is lost.
            if first % 50 != 0 && packets.push(packet).is_err() {
                break;
            }
        }
        match turn {
            100 => calls = Some(AUDIO_CALLS.load(Ordering::Relaxed)),
            200 => audio.order(Command::Chirp),
            300 => audio.order(Command::Volume { gain: 0.5, most: 0.5 }),
            400 => {
                let session;
                (packets, session) = begin(2);
                audio.order(Command::Session(Some(session)));
            }
            _ => {}
        }
        plays += u32::from(audio.poll(|_| {}).state == State::Playing);
    }
    let before = calls.expect("it ran");
    let made = AUDIO_CALLS.load(Ordering::Relaxed) - before;
    assert!(before > 0, "it is watched: its buffers are made on that thread");
    assert!(plays > 100, "it plays");
    assert_eq!(made, 0, "calls of the allocator");
}
