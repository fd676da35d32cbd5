//! A room and its settings.

use serde::{Deserialize, Serialize};
use unisono_common::control::{Channels, Hello, MAX_TRIM_US, SILENCE_DB};
use utoipa::ToSchema;

use super::volume;
use super::{LONGEST_NAME, Refusal, valid_name};

/// Whether a room may take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// It is known but can do nothing yet.
    #[default]
    AtTheDoor,
    /// It takes part.
    LetIn,
}

/// A room, as it is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Room {
    /// Given by the room itself, for good.
    pub id: String,
    /// The hub's name for it; first the one in the room's file.
    pub name: String,
    /// Whether it may take part.
    pub admission: Admission,
    /// Public key by which it proves that it is itself, in hexadecimal; set at its first visit.
    pub key: String,
    /// Host name at the last visit.
    pub host: String,
    /// Software version at the last visit.
    pub software: String,
    /// Output at the last visit, in words.
    pub output: String,
    /// Unix time of the end of the last visit, in seconds.
    pub last_seen_s: i64,
    /// Id of the stream it is patched to.
    pub stream: Option<String>,
    /// Ids of the streams it plays while that one is idle, in order.
    pub otherwise: Vec<String>,
    /// Volume in dB; never above `max_db`.
    pub volume_db: f32,
    /// The loudest this room may be, in dB.
    pub max_db: f32,
    /// Silent, but in step.
    pub mute: bool,
    /// Later by so many microseconds.
    pub trim_us: i64,
    /// Which channels come out.
    pub channels: Channels,
}

/// A change of some settings of a room; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoomChange {
    /// 1 to 64 characters.
    pub name: Option<String>,
    /// Volume in dB, -60 (silence) to 0; held at the maximum.
    pub volume_db: Option<f32>,
    /// Volume as the travel of a fader, 0 to 1; wins over `volume_db`.
    pub volume: Option<f64>,
    /// The loudest this room may be, in dB, -60 to 0.
    pub max_db: Option<f32>,
    /// Silent, but in step.
    pub mute: Option<bool>,
    /// Later by so many microseconds; negative is earlier; a second at most.
    pub trim_us: Option<i64>,
    /// Ids of streams to play, in this order, while the one it is patched to is idle; at most 8.
    pub otherwise: Option<Vec<String>>,
    /// Which channels come out.
    #[schema(value_type = Option<String>, examples("stereo", "left", "right", "mono"))]
    pub channels: Option<Channels>,
}

/// So many streams may stand in for one that is idle.
const MOST_CHOICES: usize = 8;

impl Room {
    /// What it plays: the stream it is patched to or, while that is idle, the first of the others that is not.
    pub fn choice(&self, idle: impl Fn(&str) -> bool) -> Option<&String> {
        let first = self.stream.as_ref()?;
        let awake = std::iter::once(first).chain(&self.otherwise).find(|id| !idle(id));
        Some(awake.unwrap_or(first))
    }

    pub(super) fn new(hello: &Hello, first_stream: Option<&str>) -> Self {
        let shown: String = hello.room.chars().filter(|c| !c.is_control()).take(LONGEST_NAME - 4).collect();
        Room {
            id: hello.room_id.clone(),
            name: valid_name(&shown).unwrap_or_else(|_| "Room".to_owned()),
            stream: hello.stream.clone().or_else(|| first_stream.map(str::to_owned)),
            volume_db: hello.volume_db.map_or(0.0, volume::clamped),
            trim_us: hello.trim_us.clamp(-MAX_TRIM_US, MAX_TRIM_US),
            ..Room::default()
        }
    }

    /// What a room tells of itself at each visit.
    pub(super) fn update(&mut self, hello: &Hello) {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect();
        self.host = short(&hello.host);
        self.software = short(&hello.software);
        self.output = short(&hello.output);
    }

    pub(super) fn change(&mut self, change: &RoomChange) -> Result<(), Refusal> {
        let volume_db = change.volume.map(volume::to_db).or(change.volume_db);
        if let Some(name) = &change.name {
            self.name = valid_name(name)?;
        }
        if let Some(max) = change.max_db {
            self.max_db = in_range("max_db", max)?;
            self.volume_db = self.volume_db.min(self.max_db);
        }
        if let Some(db) = volume_db {
            self.volume_db = in_range("volume_db", db)?.min(self.max_db);
        }
        if let Some(trim) = change.trim_us {
            if trim.unsigned_abs() > MAX_TRIM_US.unsigned_abs() {
                return Err(Refusal::Range { what: "trim_us", range: "-1000000 to 1000000" });
            }
            self.trim_us = trim;
        }
        if let Some(otherwise) = &change.otherwise {
            let fits = |id: &String| (1..=LONGEST_NAME).contains(&id.len());
            if otherwise.len() > MOST_CHOICES || !otherwise.iter().all(fits) {
                return Err(Refusal::Range { what: "otherwise", range: "up to 8 ids of streams" });
            }
            self.otherwise.clone_from(otherwise);
        }
        self.mute = change.mute.unwrap_or(self.mute);
        self.channels = change.channels.unwrap_or(self.channels);
        Ok(())
    }
}

/// A level that somebody typed.
pub(super) fn in_range(what: &'static str, db: f32) -> Result<f32, Refusal> {
    if (SILENCE_DB..=0.0).contains(&db) {
        Ok(volume::clamped(db))
    } else {
        Err(Refusal::Range { what, range: "-60 (silence) to 0 dB" })
    }
}
