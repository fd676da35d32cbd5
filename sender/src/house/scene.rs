//! The whole patch with volumes, kept under a name and recalled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::room::{Admission, Room};
use super::{House, MOST, Refusal, valid_name};

/// A scene, as it is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scene {
    /// Its name for people.
    pub name: String,
    /// What each room plays and how loud, by room id.
    pub rooms: BTreeMap<String, Part>,
}

/// A room's part in a scene.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Stream id.
    pub stream: Option<String>,
    /// Volume in dB.
    pub volume_db: f32,
    /// Silent, but in step.
    pub mute: bool,
}

impl Part {
    fn of(room: &Room) -> Self {
        Part { stream: room.stream.clone(), volume_db: room.volume_db, mute: room.mute }
    }
}

impl Scene {
    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }
}

impl House {
    /// Keeps how the house stands now; an existing scene is written over.
    pub fn keep_scene(&mut self, id: &str, name: &str) -> Result<(), Refusal> {
        if !self.scenes.contains_key(id) && self.scenes.len() >= MOST {
            return Err(Refusal::Full("scenes"));
        }
        let name = valid_name(name)?;
        self.scenes.insert(id.to_owned(), Scene { name, rooms: self.parts() });
        Ok(())
    }

    /// Puts the house as it stood in a scene. Rooms that came later stay as they are; no room passes its maximum.
    pub fn recall_scene(&mut self, id: &str) -> Result<(), Refusal> {
        let scene = self.scenes.get(id).ok_or_else(|| Refusal::missing("scene", id))?.clone();
        for (room, part) in &scene.rooms {
            let Ok(room) = self.room_mut(room) else { continue };
            room.stream = part.stream.clone();
            room.mute = part.mute;
            room.volume_db = part.volume_db.min(room.max_db);
            let (id, volume_db) = (room.id.clone(), room.volume_db);
            self.rebalance(&id, volume_db);
        }
        Ok(())
    }

    /// Forgets a scene.
    pub fn forget_scene(&mut self, id: &str) -> Result<(), Refusal> {
        self.scenes.remove(id).map(|_| ()).ok_or_else(|| Refusal::missing("scene", id))
    }

    /// Whether the house stands as in the scene.
    pub fn stands_as(&self, scene: &Scene) -> bool {
        let parts = self.parts();
        let held = |(id, part): (&String, &Part)| {
            let max = self.rooms.get(id).map_or(0.0, |room| room.max_db);
            parts.get(id) == Some(&Part { volume_db: part.volume_db.min(max), ..part.clone() })
        };
        !scene.rooms.is_empty() && scene.rooms.iter().all(held)
    }

    fn parts(&self) -> BTreeMap<String, Part> {
        let inside = self.rooms.values().filter(|room| room.admission == Admission::LetIn);
        inside.map(|room| (room.id.clone(), Part::of(room))).collect()
    }
}
