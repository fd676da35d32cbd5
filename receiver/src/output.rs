//! Sound cards, and the thread that keeps one fed.
//!
//! - [`Card`]: what a card is to us: frames go in at the end of a ring, and it tells how far it has played;
//! - [`alsa`], [`simulated`]: the two that are driven by [`drive`], [`cpal`](mod@cpal): the one that calls us;
//! - [`cards`]: which card to take when none is named;
//! - [`latency`]: what lies between a card's position and its analog output.

use std::fmt;
use std::time::Duration;

use unisono_common::config::receiver::{OutputConfig, OutputDevice, SimDevice};
use unisono_host::clock;
use unisono_host::facts::{self, Root};

use crate::pointer::Reading;

pub mod alsa;
pub mod cards;
pub mod cpal;
pub mod drive;
pub mod latency;
pub mod simulated;

/// The rate that a card is opened at when nothing speaks for another.
pub const PREFERRED_RATE: u32 = 48_000;

/// What a card turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Frames per second, nominal.
    pub rate: u32,
    /// Channels, 1 to 8.
    pub channels: usize,
    /// Frames that its ring holds.
    pub ring: usize,
    /// The device that was opened, as it is written in the configuration.
    pub device: String,
    /// What it is, for people: card, driver and sample format.
    pub description: String,
    /// From the instant at which its position says that a frame left to the analog output, in ns.
    pub latency_ns: i64,
}

/// Why a card can't be used, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// It is not there (yet, or any more): worth another try later.
    #[error("sound card \"{device}\" is not there: {reason}")]
    Absent {
        /// As configured.
        device: String,
        /// What the system says.
        reason: String,
    },
    /// This user may not open it. Worth another try: a card that has just come is given its rights a moment later.
    #[error("sound card \"{device}\" may not be opened: {reason}")]
    Denied {
        /// As configured.
        device: String,
        /// What the system says, and what would be right.
        reason: String,
    },
    /// Another program has it: worth another try later.
    #[error("sound card \"{device}\" is in use by another program")]
    Busy {
        /// As configured.
        device: String,
    },
    /// It can't do what is needed: no use to try again.
    #[error("sound card \"{device}\" can't be used: {reason}")]
    Unfit {
        /// As configured.
        device: String,
        /// What it can't do, and what would be right.
        reason: String,
    },
}

impl CardError {
    /// Whether waiting may help.
    pub fn is_passing(&self) -> bool {
        !matches!(self, CardError::Unfit { .. })
    }
}

/// A sound card that is driven: a ring that we fill and it empties at its own pace, for ever.
///
/// Frames are counted from the first that was ever written. The card never stops by itself once started; what it
/// wants and has not got is silence.
pub trait Card {
    /// What it is.
    fn shape(&self) -> &Shape;

    /// Frames written so far, with those skipped.
    fn written(&self) -> i64;

    /// Appends frames (interleaved, -1..1); the caller sees to it that the ring has room for them.
    ///
    /// # Errors
    /// when the card is gone.
    fn write(&mut self, frames: &[f32]) -> Result<(), CardError>;

    /// Moves the end of the ring forward without writing: over what the card has played in our absence.
    ///
    /// # Errors
    /// when the card is gone.
    fn skip(&mut self, frames: i64) -> Result<(), CardError>;

    /// Begins to play what was written.
    ///
    /// # Errors
    /// when the card is gone.
    fn start(&mut self) -> Result<(), CardError>;

    /// How far it has played.
    ///
    /// # Errors
    /// when the card is gone.
    fn read(&mut self) -> Result<Reading, CardError>;
}

/// The configured device, or those to try when none is: the best cards there are now, else a simulated one, but for a room
/// that waits. The one that can be opened stays: a card that goes away is waited for and not replaced.
///
/// # Errors
/// when there is none and the room `waits` for one.
pub fn pick(config: &OutputConfig, waits: bool) -> Result<Vec<OutputDevice>, CardError> {
    if let Some(device) = &config.device {
        return Ok(vec![device.clone()]);
    }
    let (cards, raspberry_pi) = (cards::list(), facts::on_raspberry_pi(&Root::default()));
    let candidates = cards::candidates(&cards, raspberry_pi);
    let absent = |reason| CardError::Absent { device: "the best one".into(), reason };
    // Local time counts from the machine's start.
    let up = Duration::from_nanos(clock::now().as_ns().unsigned_abs());
    match candidates.first().map(|card| card.kind(raspberry_pi)) {
        Some(kind) if waits && !kind.may_be_taken(up) => {
            Err(absent("this machine has just started; a better one may still turn up".into()))
        }
        Some(_) => Ok(candidates.iter().map(|card| OutputDevice::Alsa(card.device())).collect()),
        None if waits => Err(absent(cards::why_none(&cards, raspberry_pi))),
        None => {
            let reason = cards::why_none(&cards, raspberry_pi);
            tracing::warn!("playing to a simulated card, which nobody hears: {reason}");
            Ok(vec![OutputDevice::Sim(SimDevice::default())])
        }
    }
}

/// Opens the first of these devices that can be opened, and says which that is.
///
/// # Errors
/// when none can be: why the first can't.
pub fn open_first(
    devices: &[OutputDevice],
    latency_us: Option<u32>,
) -> Result<(OutputDevice, Box<dyn Card + Send>), CardError> {
    let mut first = None;
    for device in devices {
        match open(device, latency_us) {
            Ok(card) => return Ok((device.clone(), card)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let none = || CardError::Absent { device: "the best one".into(), reason: "there is none".into() };
    Err(first.unwrap_or_else(none))
}

/// Opens a card that is driven.
///
/// # Errors
/// as [`CardError`] says.
pub fn open(device: &OutputDevice, latency_us: Option<u32>) -> Result<Box<dyn Card + Send>, CardError> {
    match device {
        OutputDevice::Sim(device) => Ok(Box::new(simulated::SimulatedCard::open(device)?)),
        OutputDevice::Alsa(name) => Ok(Box::new(alsa::AlsaCard::open(name, latency_us)?)),
        OutputDevice::Cpal(name) => Err(CardError::Unfit {
            device: name.clone(),
            reason: "it is opened through cpal, which calls us and is not driven".into(),
        }),
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, channels, ring, description, .. } = self;
        write!(f, "{description}, {rate} Hz, {channels} channels, ring of {} ms", ring * 1000 / *rate as usize)
    }
}
