//! The accurate backend: ALSA directly, on hardware devices.
//!
//! The card is started once and never stops while it is open: with `stop_threshold` and `silence_size` at the boundary
//! it plays silence when we are late and its position runs on, so a stall of this machine costs a gap and never the
//! place (and drivers whose STOP and START are broken are never asked to). Position and time stamp come from one status
//! call: two calls would be two instants.

mod pcm;
mod samples;

use std::ffi::CString;

use unisono_common::time::LocalTime;
use unisono_host::clock;

use self::pcm::{Pcm, PcmError, Wanted};
use self::samples::Encoder;
use super::latency::{self, Key};
use super::{Card, CardError, PREFERRED_RATE, Shape};
use crate::pointer::Reading;

/// Depth of the ring that is asked for, in milliseconds; how far it is filled is decided by the playout delay.
const RING_MS: u32 = 200;

/// The card wakes nobody but its driver: we keep time ourselves.
const PERIOD_MS: u32 = 10;

/// A sound card through ALSA.
pub struct AlsaCard {
    device: String,
    pcm: Pcm,
    shape: Shape,
    encoder: Encoder,
    written: i64,
    /// What the driver counts as delay beyond its ring, for devices whose status is not one call (plugins).
    hidden: Option<i64>,
    /// The stamps of its status are readings of our clock.
    stamped: bool,
}

impl AlsaCard {
    /// Opens the PCM of this name; `latency_us` overrides what is known of the card.
    ///
    /// # Errors
    /// as [`CardError`] says.
    pub fn open(device: &str, latency_us: Option<u32>) -> Result<Self, CardError> {
        let name = CString::new(device).map_err(|_| unfit(device, "its name has a NUL in it"))?;
        let mut pcm = Pcm::open(&name).map_err(|error| open_error(device, &error))?;
        let wanted = Wanted { rate: PREFERRED_RATE, channels: 2, ring_ms: RING_MS, period_ms: PERIOD_MS };
        let setup = pcm.configure(&wanted).map_err(|error| unfit(device, &error.to_string()))?;
        let names = pcm.names();
        let bits = setup.encoding.bits();
        let latency_ns = match latency_us {
            Some(us) => i64::from(us) * 1_000,
            None => {
                let driver = pcm.card().and_then(driver).unwrap_or_default();
                let board = std::fs::read_to_string("/sys/firmware/devicetree/base/model").unwrap_or_default();
                let key = Key { driver: &driver, card: &names, board: &board, bits, rate: setup.rate };
                latency::of_card(&key).unwrap_or(0)
            }
        };
        let description = format!("{device} ({names}), {bits} bits");
        let ring = setup.ring;
        let (rate, channels) = (setup.rate, setup.channels);
        let shape = Shape { rate, channels, ring, device: device.to_owned(), description, latency_ns };
        let encoder = Encoder::new(setup.encoding, ring * setup.channels);
        let mut card =
            Self { device: device.to_owned(), pcm, shape, encoder, written: 0, hidden: None, stamped: false };
        card.learn_status()?;
        Ok(card)
    }

    /// Finds out, while nothing moves yet, what the status means on this device.
    fn learn_status(&mut self) -> Result<(), CardError> {
        let status = self.pcm.status().map_err(|error| self.lost(&error))?;
        if !self.pcm.is_hardware() {
            self.hidden = Some(status.delay - self.queued(status.available));
        }
        Ok(())
    }

    fn queued(&self, available: i64) -> i64 {
        self.shape.ring as i64 - available
    }

    fn lost(&self, error: &PcmError) -> CardError {
        CardError::Absent { device: self.device.clone(), reason: error.to_string() }
    }
}

impl Card for AlsaCard {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn written(&self) -> i64 {
        self.written
    }

    fn write(&mut self, frames: &[f32]) -> Result<(), CardError> {
        let count = frames.len() / self.shape.channels;
        let bytes = self.encoder.encode(frames);
        self.pcm.write(bytes, count).map_err(|error| self.lost(&error))?;
        self.written += count as i64;
        Ok(())
    }

    fn skip(&mut self, frames: i64) -> Result<(), CardError> {
        let done = self.pcm.forward(frames).map_err(|error| self.lost(&error))?;
        self.written += done;
        Ok(())
    }

    fn start(&mut self) -> Result<(), CardError> {
        self.pcm.start().map_err(|error| self.lost(&error))?;
        let now = clock::now();
        let status = self.pcm.status().map_err(|error| self.lost(&error))?;
        // A driver that stamps in another clock, or not at all, is read with our own.
        self.stamped = status.stamp.is_some_and(|stamp| (stamp - now).abs() < 1_000_000_000);
        Ok(())
    }

    fn read(&mut self) -> Result<Reading, CardError> {
        let asked = clock::now();
        let status = self.pcm.status().map_err(|error| self.lost(&error))?;
        let played = match self.hidden {
            Some(hidden) => self.written - self.queued(status.available) - hidden,
            None => self.written - status.delay,
        };
        let stamp = match status.stamp {
            Some(stamp) if self.stamped => stamp,
            _ => clock::now(),
        };
        Ok(Reading { played, asked, stamp })
    }
}

/// Keeps what ALSA's library prints on this thread off the terminal, and lets go of what it said before: our own
/// errors say what is wrong and what would be right.
pub fn hush() {
    if let Err(error) = alsa::Output::local_error_handler() {
        tracing::debug!("ALSA's library may print errors of its own: {error}");
    }
}

/// The kernel driver of a card.
fn driver(card: i32) -> Option<String> {
    let info = alsa::Ctl::new(&format!("hw:{card}"), false).ok()?.card_info().ok()?;
    info.get_driver().ok().map(str::to_owned)
}

fn open_error(device: &str, error: &PcmError) -> CardError {
    let device = device.to_owned();
    match error.code() {
        libc::EBUSY => CardError::Busy { device },
        libc::EACCES | libc::EPERM => CardError::Denied {
            device,
            reason: format!("{error}; add this user to the group \"audio\" and log in again"),
        },
        _ => {
            let known: Vec<String> = alsa::card::Iter::new()
                .flatten()
                .filter_map(|card| Some(format!("hw:{} ({})", card.get_index(), card.get_name().ok()?)))
                .collect();
            let known = if known.is_empty() { "this machine has none".to_owned() } else { known.join(", ") };
            let reason = format!("{error}; cards here: {known}");
            CardError::Absent { device, reason }
        }
    }
}

fn unfit(device: &str, reason: &str) -> CardError {
    CardError::Unfit { device: device.to_owned(), reason: reason.to_owned() }
}

/// Local time from the pair that ALSA gives, if it gives one.
fn local_time(seconds: i64, nanoseconds: i64) -> Option<LocalTime> {
    (seconds != 0 || nanoseconds != 0).then(|| LocalTime::from_ns(seconds * 1_000_000_000 + nanoseconds))
}
