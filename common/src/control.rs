//! What the hub and a room say to each other: JSON messages, each one WebSocket message.
//!
//! A room dials in and says [`Hello`]; the hub answers [`Welcome`] with every stream it knows, so that a room with
//! nothing on disk can play at once, and then sends [`Orders`] whenever they change. The room reports [`Health`] every
//! second, or as often as [`Reports`] says. Orders are the whole of what the room should do, never a difference: the last ones received are always
//! right, and a room that hears nothing goes on with them. Between messages the hub sends an unsolicited Pong every three
//! seconds (RFC 6455, section 5.5.3), by which a room knows that it is there.
//!
//! Old and new versions mix during an upgrade: unknown fields are ignored, missing ones take their default, and a
//! message of an unknown type reads as `Unknown` and is skipped. [`VERSION`] rises only when that is not enough.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::ptp::Lock;

/// Version of this protocol; each side states its own and talks the lower of the two.
pub const VERSION: u32 = 1;

/// The service under which a hub is found by multicast DNS (RFC 6763).
pub const SERVICE: &str = "_unisono._tcp.local.";

/// Where a room's WebSocket dials, on the hub's HTTP port.
pub const LINK_PATH: &str = "/api/v1/receivers/link";

/// The largest message either side takes. The longest real one, a `Welcome` of 32 streams, has about 30 kB.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// Volume at and below which a room is silent, in dB.
pub const SILENCE_DB: f32 = -60.0;

/// The largest trim either way, in microseconds: a second is 343 m of air.
pub const MAX_TRIM_US: i64 = 1_000_000;

/// What a room says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromRoom {
    /// First of all: who it is.
    Hello(Hello),
    /// Every second, or as [`Reports`] says, and at once when its state changes: how it is.
    Health(Box<Health>),
    /// Something newer than this version.
    #[serde(other)]
    Unknown,
}

/// What the hub says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromHub {
    /// The answer to `Hello`.
    Welcome(Welcome),
    /// The room is known but not let in yet; it keeps the connection and waits.
    Wait(Wait),
    /// What to play and how.
    Orders(Orders),
    /// The streams there are now, when that changed.
    Streams(Streams),
    /// Sound a chirp in this room.
    Identify,
    /// How often to say how it is; until then every second. A big house asks for less.
    Reports(Reports),
    /// Another room with this id and other hardware is here: this one is a copy and must take a new id.
    Cloned,
    /// Something newer than this version.
    #[serde(other)]
    Unknown,
}

/// Who a room is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The room's [`VERSION`].
    pub version: u32,
    /// Names the room for good: outlives renames, new addresses and restarts.
    pub room_id: String,
    /// The name in the room's own configuration; the hub's name for it wins once it has one.
    pub room: String,
    /// Fingerprint of the hardware, which tells a copied card from its original.
    pub machine: String,
    /// Host name.
    pub host: String,
    /// Software version.
    pub software: String,
    /// The output in words, such as `hw:CARD=sndrpihifiberry, 48 kHz, 32 bit`.
    pub output: String,
    /// The stream that the room's own configuration names, which it plays until the hub says otherwise.
    pub stream: Option<String>,
    /// The volume that the room starts with on its own, in dB; the hub's first, so that being found changes nothing.
    pub volume_db: Option<f32>,
    /// The trim in the room's own configuration, in microseconds; the hub's first.
    pub trim_us: i64,
}

/// What the hub tells a room that it lets in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Welcome {
    /// The hub's [`VERSION`].
    pub version: u32,
    /// Names the hub for good.
    pub hub_id: String,
    /// The hub's name for people.
    pub hub: String,
    /// The hub's name for the room.
    pub room: String,
    /// SDP of every stream the hub knows.
    pub streams: Vec<Announced>,
}

/// A room's answer at the door while nobody has let it in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wait {
    /// The hub's name for people.
    pub hub: String,
    /// Digits that the hub shows for this room: equal ones prove that it is this room that waits there.
    pub code: String,
    /// The streams, which anybody may hear of.
    pub streams: Vec<Announced>,
}

/// The streams there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Streams {
    /// All of them.
    pub streams: Vec<Announced>,
}

/// How often a room reports, when nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reports {
    /// From one report to the next, in milliseconds.
    pub every_ms: u32,
}

impl Reports {
    /// Shortest and longest, in milliseconds.
    const RANGE: std::ops::RangeInclusive<u32> = 1_000..=10_000;
    /// So many reports a second are no burden to a hub.
    const MOST_PER_S: usize = 80;

    /// What a house of so many rooms needs, in whole seconds.
    pub fn of_a_house(rooms: usize) -> Self {
        let seconds = u32::try_from(rooms.div_ceil(Self::MOST_PER_S)).unwrap_or(u32::MAX);
        Self { every_ms: seconds.saturating_mul(1_000) }.sane()
    }

    /// Inside its range, whatever came over the wire.
    #[must_use]
    pub fn sane(self) -> Self {
        Self { every_ms: self.every_ms.clamp(*Self::RANGE.start(), *Self::RANGE.end()) }
    }

    /// The time from one to the next.
    pub fn every(self) -> Duration {
        Duration::from_millis(self.every_ms.into())
    }
}

impl Default for Reports {
    fn default() -> Self {
        Self { every_ms: 1_000 }
    }
}

/// A stream by name and description.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Announced {
    /// The hub's id of the stream.
    pub id: String,
    /// Its session description (RFC 8866); carries address, format, clock and playout delay.
    pub sdp: String,
}

/// What a room should do from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orders {
    /// Counts up; the room's health says which orders it has carried out.
    pub serial: u64,
    /// What to play; `None` is silence.
    pub stream: Option<Announced>,
    /// Volume in dB, at most 0; [`SILENCE_DB`] or below is silent.
    pub volume_db: f32,
    /// The room is never louder than this, in dB, whatever the volume says.
    pub max_db: f32,
    /// Silent, but in step.
    pub mute: bool,
    /// Sounds later by this much, in microseconds; negative is earlier.
    pub trim_us: i64,
    /// Which channels come out; a word from a newer version means stereo.
    #[serde(deserialize_with = "known_or_default")]
    pub channels: Channels,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            serial: 0,
            stream: None,
            volume_db: 0.0,
            max_db: 0.0,
            mute: false,
            trim_us: 0,
            channels: Channels::Stereo,
        }
    }
}

impl Orders {
    /// The gain to play at, in dB: `None` is silence.
    pub fn gain_db(&self) -> Option<f32> {
        let db = self.volume_db.min(self.max_db).min(0.0);
        (!self.mute && db > SILENCE_DB).then_some(db)
    }

    /// With every figure inside its range, whatever came over the wire.
    #[must_use]
    pub fn sane(mut self) -> Self {
        let db = |value: f32| if value.is_finite() { value.clamp(SILENCE_DB, 0.0) } else { SILENCE_DB };
        (self.volume_db, self.max_db) = (db(self.volume_db), db(self.max_db));
        self.trim_us = self.trim_us.clamp(-MAX_TRIM_US, MAX_TRIM_US);
        self
    }
}

/// Which channels of a stereo stream a room plays.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Left from the left, right from the right.
    #[default]
    Stereo,
    /// The left channel from both.
    Left,
    /// The right channel from both.
    Right,
    /// The mean of both from both.
    Mono,
}

/// What a room is doing.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Has nothing to play.
    #[default]
    Idle,
    /// Knows the stream's name but has no description of it yet.
    Searching,
    /// Hears the stream, follows its clock until that is good enough to play.
    Locking,
    /// Sounds.
    Playing,
    /// Would sound, but for mute or a volume of silence.
    Muted,
    /// The stream is announced but no packets come.
    Starved,
    /// The sound card is not there or refuses.
    NoCard,
    /// Something newer than this version.
    #[serde(other)]
    Unknown,
}

/// How a stream's packets come to a room.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In the stream's group.
    #[default]
    Multicast,
    /// To this room alone, because the group is not heard or too much of it is lost.
    Unicast,
    /// Something newer than this version.
    #[serde(other)]
    Unknown,
}

/// How a room is. Figures that are not known yet are `None`; counters run from the start of the process.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Serial of the orders that are carried out.
    pub orders: u64,
    /// Id of the stream that is being played, or tried.
    pub stream: Option<String>,
    /// What the room is doing.
    pub state: State,
    /// Plain words when something is wrong, with what to do about it.
    pub trouble: Option<String>,
    /// Seconds since the process started.
    pub uptime_s: f64,
    /// How late the DAC's output is against the shared clock now, in microseconds; negative is early.
    pub offset_us: Option<f64>,
    /// The largest magnitude of `offset_us` in the last one to two seconds.
    pub offset_peak_us: Option<f64>,
    /// One standard deviation of the clock's estimate, in microseconds.
    pub clock_sigma_us: Option<f64>,
    /// Round trip of the last exchange with the clock, in microseconds.
    pub rtt_us: Option<f64>,
    /// Where time stamps are taken: `kernel`, `user`, ...
    pub stamps: String,
    /// How a PTP clock is followed; `None` where the stream's clock is a sender's.
    #[serde(deserialize_with = "known_or_default")]
    pub ptp: Option<Lock>,
    /// How fast the card runs against the clock, in parts per million.
    pub card_ppm: Option<f64>,
    /// How fast the host's clock runs against the sender's, in parts per million.
    pub clock_ppm: Option<f64>,
    /// Audio held between the network and the DAC, in milliseconds.
    pub buffer_ms: Option<f64>,
    /// By how much packets came before they were needed, at the least, in the last ten to twenty seconds, in milliseconds; less
    /// than 0 is too late. One that was sent again counts when it came then.
    pub spare_ms: Option<f64>,
    /// The volume that is being played now, in dB, while it ramps.
    pub volume_db: Option<f32>,
    /// How packets come.
    pub delivery: Option<Way>,
    /// Packets that came.
    pub packets_received: u64,
    /// Packets that never came, nor were repaired.
    pub packets_lost: u64,
    /// Packets that came too late to be played.
    pub packets_late: u64,
    /// Packets that were lost and asked for again, or computed, in time.
    pub packets_repaired: u64,
    /// Packets that came twice.
    pub packets_duplicate: u64,
    /// Packets that were no such, or another source's, on the stream's port, from its clock or as announcements: dropped.
    pub packets_bogus: u64,
    /// Frames that were faded over because their packet was missing.
    pub frames_concealed: u64,
    /// Times that the card ran dry.
    pub xruns: u64,
    /// Times that playing was put back in place by a jump.
    pub reanchors: u64,
    /// Times that the buffer was overrun by a whole ring.
    pub laps: u64,
    /// Share of packets that were lost and not repaired in the last minute, 0 to 1.
    pub loss_ratio: f64,
}

/// A word that this version doesn't know reads as the default.
fn known_or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Lenient<T> {
        Known(T),
        Newer(serde::de::IgnoredAny),
    }
    Ok(match Lenient::deserialize(deserializer)? {
        Lenient::Known(value) => value,
        Lenient::Newer(_) => T::default(),
    })
}

/// Text of a message.
pub fn encode<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

/// Why a text is not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_MESSAGE`].
    #[error("a message of {0} bytes; at most {MAX_MESSAGE} are taken")]
    TooLong(usize),
    /// Not JSON, or a field of the wrong type.
    #[error("not a message: {0}")]
    NotAMessage(#[from] serde_json::Error),
}

/// Reads a message.
pub fn decode<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, DecodeError> {
    if text.len() > MAX_MESSAGE {
        return Err(DecodeError::TooLong(text.len()));
    }
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests;
