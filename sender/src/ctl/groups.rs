//! `ctl join`, `ctl leave`, and what goes for a room and a group alike.

use serde_json::{Value, json};

use super::{House, shown};
use crate::client::ClientError;

impl House {
    /// Changes a room or, where no room is called so, a group.
    pub(super) fn either(&self, whose: &str, change: Value) -> Result<Value, ClientError> {
        match self.id("rooms", whose) {
            Ok(_) => self.room(whose, change),
            Err(error) => {
                let group = self.id("groups", whose).map_err(|_| error)?;
                self.target.ask("PATCH", &format!("/api/v1/groups/{group}"), Some(&change))
            }
        }
    }

    pub(super) fn join(&self, group: &str, rooms: &[String]) -> Result<Value, ClientError> {
        let (group, mut members) = self.members(group)?;
        members.extend(self.ids("rooms", rooms)?);
        self.seat(&group, &members)
    }

    pub(super) fn leave(&self, group: &str, rooms: &[String]) -> Result<Value, ClientError> {
        let (group, mut members) = self.members(group)?;
        for room in rooms {
            let id = self.id("rooms", room)?;
            let before = members.len();
            members.retain(|member| *member != id);
            if members.len() == before {
                return Err(ClientError::Problem(format!("\"{room}\" is not in this group")));
            }
        }
        if members.len() < 2 {
            return Err(ClientError::Problem("a group needs two rooms or more; ungroup dissolves it".to_owned()));
        }
        self.seat(&group, &members)
    }

    /// Id of a group, and those of its rooms.
    fn members(&self, group: &str) -> Result<(String, Vec<String>), ClientError> {
        let id = self.id("groups", group)?;
        let group = self.called("groups", &id);
        let rooms = group.first().and_then(|group| group["rooms"].as_array()).into_iter().flatten();
        Ok((id, rooms.map(shown).collect()))
    }

    fn seat(&self, group: &str, rooms: &[String]) -> Result<Value, ClientError> {
        self.target.ask("PATCH", &format!("/api/v1/groups/{group}"), Some(&json!({"rooms": rooms})))
    }
}
