//! Rooms that follow each other.
//!
//! A group has one level, and each of its rooms a distance from it. The room's volume is level + distance, held
//! between silence and the room's maximum. The distance itself is never held, so a room that reached an end waits
//! there and rejoins at its old distance: balance survives a trip to the bottom and back. Only a hand on the room's
//! own fader changes its distance.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unisono_common::control::SILENCE_DB;
use utoipa::ToSchema;

use super::room::in_range;
use super::{House, MOST, Refusal, valid_name, volume};

/// A group, as it is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its name for people.
    pub name: String,
    /// Its level in dB, -60 to 0.
    pub level_db: f32,
    /// How far each room's volume is above the level, in dB, by room id.
    pub distances_db: BTreeMap<String, f32>,
}

/// A change of a group; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupChange {
    /// 1 to 64 characters.
    pub name: Option<String>,
    /// Ids of its rooms, two or more; a room leaves the group it was in.
    pub rooms: Option<Vec<String>>,
    /// Level of the group in dB, -60 to 0: every room moves by the same.
    pub volume_db: Option<f32>,
    /// The same as the travel of a fader, 0 to 1; wins over `volume_db`.
    pub volume: Option<f64>,
    /// Mutes or unmutes every room of it.
    pub mute: Option<bool>,
}

impl Group {
    /// Ids of its rooms.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.distances_db.keys().map(String::as_str)
    }

    fn volume_of(&self, room: &str) -> f32 {
        volume::clamped(self.level_db + self.distances_db.get(room).copied().unwrap_or(0.0))
    }
}

impl House {
    /// Makes a group of rooms, at the level of the loudest, playing what the first one plays.
    pub fn form_group(&mut self, id: &str, name: &str, rooms: &[String]) -> Result<(), Refusal> {
        if self.groups.len() >= MOST {
            return Err(Refusal::Full("groups"));
        }
        let name = valid_name(name)?;
        self.check_rooms(rooms)?;
        let level_db = rooms.iter().map(|room| self.rooms[room].volume_db).fold(SILENCE_DB, f32::max);
        self.groups.insert(id.to_owned(), Group { name, level_db, ..Group::default() });
        self.seat(id, rooms);
        Ok(())
    }

    /// Changes a group; all that is asked or, when something is refused, nothing.
    pub fn change_group(&mut self, id: &str, change: &GroupChange) -> Result<(), Refusal> {
        let mut group = self.groups.get(id).ok_or_else(|| Refusal::missing("group", id))?.clone();
        if let Some(name) = &change.name {
            group.name = valid_name(name)?;
        }
        let level = change.volume.map(volume::to_db).or(change.volume_db);
        if let Some(level) = level {
            group.level_db = in_range("volume_db", level)?;
        }
        if let Some(rooms) = &change.rooms {
            self.check_rooms(rooms)?;
        }
        self.groups.insert(id.to_owned(), group);
        if level.is_some() {
            self.apply_level(id);
        }
        if let Some(rooms) = &change.rooms {
            self.seat(id, rooms);
        }
        if let (Some(mute), Some(group)) = (change.mute, self.groups.get(id)) {
            for room in self.rooms.values_mut().filter(|room| group.distances_db.contains_key(&room.id)) {
                Arc::make_mut(room).mute = mute;
            }
        }
        Ok(())
    }

    /// Dissolves a group; its rooms stay as they are.
    pub fn dissolve_group(&mut self, id: &str) -> Result<(), Refusal> {
        self.groups.remove(id).map(|_| ()).ok_or_else(|| Refusal::missing("group", id))
    }

    /// The group that a room is in.
    pub fn group_of(&self, room: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.distances_db.contains_key(room))
    }

    /// A hand moved the room's own fader to `volume_db`: its distance in the group is what it is now.
    pub(super) fn rebalance(&mut self, room: &str, volume_db: f32) {
        if let Some(group) = self.groups.values_mut().find(|group| group.distances_db.contains_key(room)) {
            group.distances_db.insert(room.to_owned(), volume_db - group.level_db);
        }
    }

    pub(super) fn leave_group(&mut self, room: &str) {
        for group in self.groups.values_mut() {
            group.distances_db.remove(room);
        }
        self.groups.retain(|_, group| group.distances_db.len() > 1);
    }

    fn check_rooms(&self, rooms: &[String]) -> Result<(), Refusal> {
        rooms.iter().try_for_each(|room| self.let_in(room).map(|_| ()))?;
        let different: std::collections::BTreeSet<_> = rooms.iter().collect();
        if different.len() < 2 { Err(Refusal::Alone) } else { Ok(()) }
    }

    /// Makes `rooms`, all known, the rooms of the group; who stays keeps the distance, who comes follows.
    fn seat(&mut self, id: &str, rooms: &[String]) {
        let kept = self.groups.get(id).map(|group| group.distances_db.clone()).unwrap_or_default();
        let level = self.groups.get(id).map_or(SILENCE_DB, |group| group.level_db);
        let newcomers = rooms.iter().filter(|room| !kept.contains_key(*room));
        newcomers.for_each(|room| {
            for group in self.groups.values_mut() {
                group.distances_db.remove(room);
            }
        });
        let distance = |room: &String| self.rooms.get(room).map_or(0.0, |room| room.volume_db - level);
        let seats = rooms.iter().map(|room| (room.clone(), kept.get(room).copied().unwrap_or_else(|| distance(room))));
        let seats = seats.collect();
        // Followers play what the group plays: the stream of a room that was there, or of the first named.
        let lead = rooms.iter().find(|room| kept.contains_key(*room)).or(rooms.first());
        let stream = lead.and_then(|room| self.rooms.get(room)).and_then(|room| room.stream.clone());
        if let Some(group) = self.groups.get_mut(id) {
            group.distances_db = seats;
        }
        for room in self.rooms.values_mut().filter(|room| rooms.contains(&room.id)) {
            Arc::make_mut(room).stream = stream.clone();
        }
        self.groups.retain(|_, group| group.distances_db.len() > 1);
    }

    fn apply_level(&mut self, id: &str) {
        let Some(group) = self.groups.get(id) else { return };
        for room in self.rooms.values_mut().filter(|room| group.distances_db.contains_key(&room.id)) {
            let room = Arc::make_mut(room);
            room.volume_db = group.volume_of(&room.id).min(room.max_db);
        }
    }
}
