//! What is told about a room: one picture, put together from its parts, for the hub, the log and the terminal.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use unisono_common::clock::StampSource;
use unisono_common::control::{Health, Orders, State};
use unisono_common::sdp;
use unisono_common::time::LocalTime;
use unisono_host::clock;

use crate::intake::Arrived;
use crate::output::Shape;
use crate::playout::{self, Telemetry};
use crate::timeclient::ClockStatus;

/// The stream that the room is tuned to.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// As it describes itself.
    pub description: Arc<sdp::Session>,
    /// How well its clock is known.
    pub clock: ClockStatus,
    /// What arrived of it.
    pub arrived: Arrived,
}

/// How the room is now.
#[derive(Debug)]
pub struct Status {
    /// The last orders carried out.
    pub orders: Option<Orders>,
    /// Why the wanted stream is not played.
    pub trouble: Option<String>,
    /// Why there is no card.
    pub card_trouble: Option<String>,
    began: LocalTime,
    shape: Option<Shape>,
    searching: bool,
    tuned: Option<Tuned>,
    telemetry: Telemetry,
    /// Packets that were no announcements, as whoever listens for those counts them.
    bogus_announcements: Arc<AtomicU64>,
    /// Largest errors of the second that runs and of the one before, in ns, and when the running one began.
    peaks_ns: [f64; 2],
    peaks_since: LocalTime,
    /// What had been expected and lost at some instants of the last minute, oldest first.
    losses: VecDeque<(LocalTime, u64, u64)>,
    /// When a packet came last, and how many there were then.
    heard: (LocalTime, u64),
}

/// The largest error is that of the last one to two of these.
const PEAK_NS: i64 = 1_000_000_000;

/// Losses are told of the last minute.
const LOSS_WINDOW_NS: i64 = 60_000_000_000;
const LOSS_STEP_NS: i64 = 5_000_000_000;

/// Without packets for so long a stream is starved.
const STARVED_NS: i64 = 1_000_000_000;

impl Status {
    /// Of a room that has done nothing yet; `bogus_announcements` goes on being counted elsewhere.
    pub fn new(bogus_announcements: Arc<AtomicU64>) -> Self {
        let now = clock::now();
        Self {
            orders: None,
            trouble: None,
            card_trouble: None,
            began: now,
            shape: None,
            searching: false,
            tuned: None,
            telemetry: Telemetry::default(),
            bogus_announcements,
            peaks_ns: [0.0; 2],
            peaks_since: now,
            losses: VecDeque::new(),
            heard: (now, 0),
        }
    }

    /// Takes a new look.
    pub fn update(&mut self, shape: Option<Shape>, searching: bool, tuned: Option<Tuned>, telemetry: Telemetry) {
        if shape.is_some() {
            self.card_trouble = None;
        }
        let now = clock::now();
        let received = tuned.as_ref().map_or(0, |tuned| tuned.arrived.received);
        if received != self.heard.1 || self.tuned.is_none() {
            self.heard = (now, received);
        }
        if now - self.peaks_since > PEAK_NS {
            (self.peaks_ns, self.peaks_since) = ([0.0, self.peaks_ns[0]], now);
        }
        if telemetry.state == playout::State::Playing {
            self.peaks_ns[0] = self.peaks_ns[0].max(telemetry.error_ns.abs());
        }
        self.remember_losses(now, tuned.as_ref());
        (self.shape, self.searching, self.tuned, self.telemetry) = (shape, searching, tuned, telemetry);
    }

    fn remember_losses(&mut self, now: LocalTime, tuned: Option<&Tuned>) {
        let (expected, lost) = tuned.map_or((0, 0), |tuned| (tuned.arrived.expected, tuned.arrived.lost));
        if self.losses.back().is_some_and(|last| expected < last.1) {
            self.losses.clear();
        }
        if self.losses.back().is_none_or(|last| now - last.0 > LOSS_STEP_NS) {
            self.losses.push_back((now, expected, lost));
        }
        while self.losses.front().is_some_and(|first| now - first.0 > LOSS_WINDOW_NS) {
            self.losses.pop_front();
        }
    }

    fn lost(&self) -> u64 {
        self.tuned.as_ref().map_or(0, |tuned| tuned.arrived.lost)
    }

    fn loss_ratio(&self) -> f64 {
        let Some(&(_, expected, lost_then)) = self.losses.front() else { return 0.0 };
        let expected_now = self.tuned.as_ref().map_or(0, |tuned| tuned.arrived.expected);
        let lost_now = self.lost();
        lost_now.saturating_sub(lost_then) as f64 / expected_now.saturating_sub(expected).max(1) as f64
    }

    /// Packets that were no such, or another source's, wherever they came in.
    fn bogus(&self) -> u64 {
        let of_stream = |tuned: &Tuned| tuned.arrived.malformed + tuned.arrived.foreign + tuned.clock.bogus;
        self.bogus_announcements.load(Ordering::Relaxed) + self.tuned.as_ref().map_or(0, of_stream)
    }

    /// What playout knows about itself.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// What the room is doing.
    pub fn state(&self) -> State {
        let silent = self.orders.as_ref().is_some_and(|orders| orders.gain_db().is_none());
        match (&self.shape, &self.tuned, self.telemetry.state) {
            (None, ..) => State::NoCard,
            (_, None, _) if self.searching => State::Searching,
            (_, None, _) => State::Idle,
            _ if clock::now() - self.heard.0 > STARVED_NS => State::Starved,
            (_, _, playout::State::Playing) if silent => State::Muted,
            (_, _, playout::State::Playing) => State::Playing,
            _ => State::Locking,
        }
    }

    /// The report for the hub.
    pub fn health(&self) -> Health {
        let playing = matches!(self.telemetry.state, playout::State::Playing).then_some(self.telemetry);
        let clock = self.tuned.as_ref().map(|tuned| tuned.clock).filter(|clock| clock.samples > 0);
        let arrived = self.tuned.as_ref().map(|tuned| tuned.arrived).unwrap_or_default();
        let counts = self.telemetry.packets;
        Health {
            orders: self.orders.as_ref().map_or(0, |orders| orders.serial),
            stream: self.tuned.as_ref().and_then(|tuned| tuned.description.stream_id.clone()),
            state: self.state(),
            trouble: self.card_trouble.clone().or_else(|| self.trouble.clone()),
            uptime_s: (clock::now() - self.began) as f64 * 1e-9,
            offset_us: playing.map(|t| t.error_ns * 1e-3),
            offset_peak_us: playing.map(|_| self.peaks_ns[0].max(self.peaks_ns[1]) * 1e-3),
            clock_sigma_us: clock.map(|clock| clock.sigma_us),
            rtt_us: clock.map(|clock| clock.round_trip_us),
            stamps: clock.map(|clock| stamps(&clock)).unwrap_or_default(),
            ptp: self.tuned.as_ref().and_then(|tuned| tuned.clock.ptp),
            card_ppm: playing.map(|t| t.card_rate * 1e6),
            clock_ppm: clock.map(|clock| -clock.rate_ppm),
            buffer_ms: playing.map(|t| t.buffered_ns as f64 * 1e-6),
            spare_ms: playing.and_then(|t| t.spare_ns).map(|ns| ns as f64 * 1e-6),
            volume_db: self.orders.as_ref().and_then(Orders::gain_db),
            delivery: self.tuned.as_ref().map(|tuned| tuned.arrived.way),
            packets_received: arrived.received,
            packets_lost: self.lost(),
            packets_late: counts.late,
            packets_repaired: counts.repaired,
            packets_duplicate: counts.duplicate,
            packets_bogus: self.bogus(),
            frames_concealed: self.telemetry.missing,
            xruns: self.telemetry.laps,
            reanchors: self.telemetry.splices,
            laps: self.telemetry.laps,
            loss_ratio: self.loss_ratio(),
        }
    }
}

fn stamps(clock: &ClockStatus) -> String {
    let name = |source: Option<StampSource>| match source {
        Some(StampSource::Kernel) => "kernel",
        Some(StampSource::Queue) => "queue",
        Some(StampSource::User) => "user",
        None => "none",
    };
    match (name(clock.sent_stamps), name(clock.arrival_stamps)) {
        (sent, arrival) if sent == arrival => sent.to_owned(),
        (sent, arrival) => format!("{sent} out, {arrival} in"),
    }
}

/// The line for the log.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(tuned) = &self.tuned else {
            write!(f, "{:?}", self.state())?;
            let why = self.card_trouble.as_ref().or(self.trouble.as_ref());
            return why.map_or(Ok(()), |why| write!(f, ": {why}"));
        };
        let t = &self.telemetry;
        write!(
            f,
            "{:?} \"{}\": {:+.1} us, clock within {:.1} us, card {:+.2} ppm, {:.0} ms buffered, {} lost, {} repaired, \
             {} late, {} bogus, {} frames concealed, {} laps",
            self.state(),
            tuned.description.name,
            t.error_ns * 1e-3,
            tuned.clock.sigma_us,
            t.card_rate * 1e6,
            t.buffered_ns as f64 * 1e-6,
            tuned.arrived.lost,
            t.packets.repaired,
            t.packets.late,
            self.bogus(),
            t.missing,
            t.laps,
        )
    }
}

#[cfg(test)]
mod tests;
