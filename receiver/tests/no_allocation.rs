//! The audio thread allocates nothing and frees nothing: playout is run with an allocator that tells.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rtrb::RingBuffer;
use unisono_common::clock::ClockMap;
use unisono_common::config::receiver::Quality;
use unisono_common::format::Format;
use unisono_common::playout_delay::PlayoutDelay;
use unisono_common::time::{ClockEpoch, LocalTime, MediaTime};
use unisono_receiver::dac::Edge;
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
}

fn count() {
    if WATCHED.try_with(Cell::get).unwrap_or(false) {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
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
