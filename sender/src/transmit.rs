//! The transmit thread: one for all streams, in real time where that is allowed.
//!
//! It sleeps until the next packet is due, takes its frames from the source's queue and sends it. It waits for
//! nothing else, allocates nothing and logs nothing; what is worth telling it counts.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tracing::{info, warn};
use unisono_host::clock;
use unisono_host::multicast::MulticastSender;
use unisono_host::realtime;

use crate::pace::Pace;
use crate::packetize::Packetizer;
use crate::source::SourceHandle;
use crate::streams::{Counters, LATE_NS, OnAir, Stream};
use crate::timeline::Timeline;
use crate::timeserver::MediaClock;

/// Real-time priority of the thread: above the clock server, which the kernel stamps for.
const PRIORITY: u8 = 60;

/// How late a packet may leave at most; with a shorter playout delay, two thirds of that.
const LATE_LIMIT_NS: i64 = 200_000_000;

/// One stream's part of the work.
#[derive(Debug)]
pub struct Outgoing {
    /// The stream, which is on air.
    pub stream: Arc<Stream>,
    /// Its frames.
    pub source: SourceHandle,
    /// Sends from its fixed port.
    pub socket: Arc<MulticastSender>,
}

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub struct Transmitter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Transmitter {
    /// Starts sending `outgoing` by `clock`.
    pub fn start(outgoing: Vec<Outgoing>, clock: MediaClock, playout_delay_ms: u32) -> io::Result<Self> {
        let late_limit_ns = LATE_LIMIT_NS.min(i64::from(playout_delay_ms) * 1_000_000 * 2 / 3);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("transmit".to_owned()).spawn(move || {
            match realtime::raise(PRIORITY) {
                Ok(scheduling) => info!(?scheduling, "transmit thread runs in real time"),
                Err(error) => warn!("transmit thread without real-time priority: {error}"),
            }
            realtime::prefault_stack();
            run(outgoing, clock, late_limit_ns, &stopped);
        })?;
        Ok(Transmitter { stop, thread: Some(thread) })
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

fn run(outgoing: Vec<Outgoing>, clock: MediaClock, late_limit_ns: i64, stop: &AtomicBool) {
    let mut lanes: Vec<Lane> = outgoing.into_iter().filter_map(Lane::new).collect();
    let start = clock.at(clock::now());
    let timelines = lanes.iter().map(|lane| {
        let format = lane.stream.format;
        Timeline::new(format.rate, format.packet_frames(), start)
    });
    let mut pace = Pace::new(timelines, late_limit_ns);
    while let Some((index, at)) = pace.next() {
        clock::sleep_until(clock.local_at(at));
        if stop.load(Ordering::Acquire) {
            return;
        }
        let departure = pace.depart(index, clock.at(clock::now()));
        let lane = &mut lanes[index];
        lane.send(departure.frame);
        if let Some(on_air) = &lane.stream.on_air {
            Counters::count(&on_air.counters.skipped, departure.skipped);
            Counters::count(&on_air.counters.late, u64::from(departure.late_ns > LATE_NS));
        }
    }
}

/// A stream as the thread drives it.
struct Lane {
    stream: Arc<Stream>,
    source: SourceHandle,
    socket: Arc<MulticastSender>,
    group: SocketAddr,
    packetizer: Packetizer,
}

impl Lane {
    fn new(outgoing: Outgoing) -> Option<Self> {
        let Outgoing { stream, source, socket } = outgoing;
        let &OnAir { group, ssrc, .. } = stream.on_air.as_ref()?;
        let packetizer = Packetizer::new(stream.format, ssrc);
        Some(Lane { group: SocketAddr::from(group), packetizer, stream, source, socket })
    }

    fn send(&mut self, frame: i64) {
        // One that is switched off keeps its frames: it goes on where it was.
        let Some(OnAir { counters, .. }) = self.stream.on_air.as_ref().filter(|on_air| on_air.is_on()) else {
            return;
        };
        let packet = self.packetizer.packet(frame, |samples| {
            let wanted = samples.len() / usize::from(self.stream.format.channels);
            let silent = self.source.take(samples) < wanted;
            Counters::count(&counters.silent, u64::from(silent));
        });
        let octets = (packet.len() - unisono_common::rtp::HEADER_LEN) as u64;
        match self.socket.send_to(packet, self.group) {
            Ok(()) => {
                Counters::count(&counters.packets, 1);
                Counters::count(&counters.octets, octets);
            }
            // The network is gone or full: it may come back, and the timeline goes on.
            Err(_) => Counters::count(&counters.failed, 1),
        }
    }
}

/// The address that RTCP of a stream goes to.
pub fn rtcp_group(group: SocketAddrV4) -> SocketAddrV4 {
    SocketAddrV4::new(*group.ip(), group.port() + 1)
}
