//! The house: which rooms there are, what each plays and how loud, and how they hang together.
//!
//! Pure: the hub hands in what happened and asks for the [`Orders`] that follow. A house is a plain value; the hub
//! keeps the old one beside the new one, and what differs is what gets stored and sent.
//!
//! - [`room`]: a room and its settings;
//! - [`volume`]: the curve between a fader's travel and dB;
//! - [`group`]: rooms that follow each other, and the rule that keeps their balance;
//! - [`scene`]: the whole patch, kept and recalled;
//! - [`trouble`]: plain sentences about what is wrong with a room.

pub mod group;
pub mod room;
pub mod scene;
pub mod trouble;
pub mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use unisono_common::control::{Announced, Hello, Orders};

use group::Group;
use room::{Admission, Room, RoomChange};
use scene::Scene;

/// So many rooms, groups or scenes and no more, so that nobody can fill the house.
pub const MOST: usize = 1_024;

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 64;

/// Everything the hub remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct House {
    /// Rooms by id; shared with the house before as long as nothing of them changes, for a house is copied at each change.
    pub rooms: BTreeMap<String, Arc<Room>>,
    /// Groups by id.
    pub groups: BTreeMap<String, Group>,
    /// Scenes by id.
    pub scenes: BTreeMap<String, Scene>,
    /// Streams that are switched off, by id.
    pub disabled: BTreeSet<String>,
}

/// Why the house doesn't change as asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The id is unknown.
    #[error("there is no {what} \"{id}\"")]
    Missing {
        /// "room", "stream", "group" or "scene".
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The room has not been let in.
    #[error("room \"{0}\" has not been let in yet")]
    AtTheDoor(String),
    /// A name is empty, too long or has control characters.
    #[error("a name has 1 to {LONGEST_NAME} characters and none that control a terminal")]
    Name,
    /// A figure is out of range.
    #[error("{what} must be {range}")]
    Range {
        /// Which figure.
        what: &'static str,
        /// What would be right.
        range: &'static str,
    },
    /// There are [`MOST`] already.
    #[error("there are {MOST} {0} already; forget some first")]
    Full(&'static str),
    /// Somebody turned the room away a short while ago.
    #[error("this room was turned away; it may knock again an hour later")]
    TurnedAway,
    /// A group of fewer than two rooms is none.
    #[error("a group needs two rooms or more")]
    Alone,
}

impl Refusal {
    pub(crate) fn missing(what: &'static str, id: &str) -> Self {
        Refusal::Missing { what, id: id.chars().take(LONGEST_NAME).collect() }
    }
}

impl House {
    /// A room says hello: known ones are brought up to date, new ones get a place, let in or at the door.
    ///
    /// A new room starts with the stream, volume and trim of its own file, so that being found changes nothing.
    pub fn greet(&mut self, hello: &Hello, admission: Admission, first_stream: Option<&str>) -> Result<&Room, Refusal> {
        if !self.rooms.contains_key(&hello.room_id) {
            if self.rooms.len() >= MOST {
                return Err(Refusal::Full("rooms"));
            }
            let mut room = Room::new(hello, first_stream);
            room.name = self.free_name(&room.name);
            self.rooms.insert(hello.room_id.clone(), Arc::new(room));
        }
        let room = self.room_mut(&hello.room_id)?;
        room.update(hello);
        if admission == Admission::LetIn {
            room.admission = Admission::LetIn;
        }
        Ok(room)
    }

    /// Lets a room in that waits at the door.
    pub fn admit(&mut self, id: &str) -> Result<(), Refusal> {
        self.room_mut(id)?.admission = Admission::LetIn;
        Ok(())
    }

    /// Forgets a room; when it comes back it is a new one.
    pub fn forget(&mut self, id: &str) -> Result<(), Refusal> {
        self.rooms.remove(id).ok_or_else(|| Refusal::missing("room", id))?;
        self.leave_group(id);
        self.scenes.values_mut().for_each(|scene| scene.forget(id));
        Ok(())
    }

    /// Changes settings of a room; all of them or, when one is refused, none.
    pub fn change_room(&mut self, id: &str, change: &RoomChange) -> Result<(), Refusal> {
        let mut room = self.let_in(id)?.clone();
        room.change(change)?;
        let volume_moved = room.volume_db;
        self.rooms.insert(id.to_owned(), Arc::new(room));
        if change.volume_db.is_some() || change.max_db.is_some() {
            self.rebalance(id, volume_moved);
        }
        Ok(())
    }

    /// Patches a room to a stream, or to silence; the rooms of its group follow.
    pub fn patch(&mut self, room: &str, stream: Option<&str>) -> Result<(), Refusal> {
        self.let_in(room)?;
        let followers: Vec<String> = match self.group_of(room) {
            Some(group) => group.rooms().map(str::to_owned).collect(),
            None => vec![room.to_owned()],
        };
        for id in followers {
            if let Ok(room) = self.room_mut(&id) {
                room.stream = stream.map(str::to_owned);
            }
        }
        Ok(())
    }

    /// Patches every room to one stream, or to silence.
    pub fn patch_everywhere(&mut self, stream: Option<&str>) {
        for room in self.rooms.values_mut().filter(|room| room.admission == Admission::LetIn) {
            Arc::make_mut(room).stream = stream.map(str::to_owned);
        }
    }

    /// Switches a stream on or off; rooms keep their place on it.
    pub fn enable_stream(&mut self, id: &str, enabled: bool) {
        if enabled {
            self.disabled.remove(id);
        } else {
            self.disabled.insert(id.to_owned());
        }
    }

    /// What a room should do; `None` while it waits at the door. `sdp` gives a stream's description while it is there,
    /// and `idle` says that it has been silent for long.
    pub fn orders(
        &self,
        room: &str,
        sdp: impl Fn(&str) -> Option<String>,
        idle: impl Fn(&str) -> bool,
    ) -> Option<Orders> {
        let room = self.rooms.get(room).filter(|room| room.admission == Admission::LetIn)?;
        let off = |id: &str| self.disabled.contains(id);
        let stream = room.choice(|id| off(id) || idle(id)).filter(|id| !off(id));
        Some(Orders {
            serial: 0,
            // A stream that is not there has no description: the room waits for it in silence.
            stream: stream.map(|id| Announced { id: id.clone(), sdp: sdp(id).unwrap_or_default() }),
            volume_db: room.volume_db.min(room.max_db),
            max_db: room.max_db,
            mute: room.mute,
            trim_us: room.trim_us,
            channels: room.channels,
        })
    }

    pub(crate) fn let_in(&self, id: &str) -> Result<&Room, Refusal> {
        let room = self.rooms.get(id).ok_or_else(|| Refusal::missing("room", id))?;
        match room.admission {
            Admission::LetIn => Ok(room),
            Admission::AtTheDoor => Err(Refusal::AtTheDoor(room.name.clone())),
        }
    }

    pub(crate) fn room_mut(&mut self, id: &str) -> Result<&mut Room, Refusal> {
        self.rooms.get_mut(id).map(Arc::make_mut).ok_or_else(|| Refusal::missing("room", id))
    }

    /// `name`, or `name 2` and so on when another room has it.
    fn free_name(&self, name: &str) -> String {
        let taken = |name: &str| self.rooms.values().any(|room| room.name == name);
        if !taken(name) {
            return name.to_owned();
        }
        (2..).map(|n| format!("{name} {n}")).find(|name| !taken(name)).unwrap_or_default()
    }
}

/// `name` with its ends trimmed, if it can be one.
pub(crate) fn valid_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    let fits = (1..=LONGEST_NAME).contains(&name.chars().take(LONGEST_NAME + 1).count());
    if fits && !name.chars().any(char::is_control) { Ok(name.to_owned()) } else { Err(Refusal::Name) }
}

#[cfg(test)]
mod tests;
