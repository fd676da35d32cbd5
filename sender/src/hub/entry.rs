//! Rooms come and go: greeted, let in, turned away, forgotten, hung up on.

use std::collections::VecDeque;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use unisono_common::control::{self, FromHub, Health, Hello, Reports, VERSION, Wait, Welcome};
use unisono_common::time::LocalTime;
use unisono_host::clock;

use super::presence::{Link, Presence};
use super::{AutoApprove, Hub, State};
use crate::house::Refusal;
use crate::house::room::Admission;

/// So many rooms may wait at the door at once.
const MOST_AT_THE_DOOR: usize = 32;
/// A room that was turned away is not let knock for so long.
const TURNED_AWAY_NS: i64 = 3_600_000_000_000;
/// So many of them are remembered; the oldest may knock again.
const MOST_TURNED_AWAY: usize = 256;

/// What became of a hello.
#[derive(Debug)]
pub enum Greeting {
    /// The room has its link, by this number, whether let in or at the door.
    Linked(u64),
    /// Another room with this id is linked and alive, as far as is known; ask it, then greet again with `replace`.
    Taken(Link),
}

/// Why a room does not chirp.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoChirp {
    /// It is not known.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is not linked.
    #[error("the room is not here now")]
    Gone,
    /// It is linked, but has nothing to sound with.
    #[error("{0} has no sound card to chirp with; check that it is plugged in and that no other program holds it")]
    NoCard(String),
}

/// Keys of rooms that were turned away, and when.
#[derive(Debug, Default)]
pub(super) struct TurnedAway(VecDeque<(String, LocalTime)>);

impl TurnedAway {
    fn add(&mut self, key: String, now: LocalTime) {
        self.0.push_back((key, now));
        let over = self.0.len().saturating_sub(MOST_TURNED_AWAY);
        self.0.drain(..over);
    }

    fn has(&mut self, key: &str, now: LocalTime) -> bool {
        self.0.retain(|(_, at)| now - *at < TURNED_AWAY_NS);
        self.0.iter().any(|(away, _)| away == key)
    }
}

impl Hub {
    /// A room has proved its `key` and said hello. `replace` takes the place of an older link with the same id.
    pub fn greet(&self, hello: &Hello, key: &str, link: Link, replace: bool) -> Result<Greeting, Refusal> {
        let mut state = self.state();
        if let Some(other) = state.present.get(&hello.room_id).filter(|_| !replace) {
            return Ok(Greeting::Taken(other.link.clone()));
        }
        let known = state.kept.house.rooms.get(&hello.room_id);
        let trusted = known.is_some_and(|room| room.admission == Admission::LetIn && room.key == key);
        // Who lives here is not kept out by a copy of itself that was turned away, nor by a crowd at the door.
        if !trusted {
            state.may_knock(key)?;
        }
        let welcome = self.lets_in(link.address.ip());
        let first = state.streams.first().map(|stream| stream.id.clone());
        let house = &mut state.kept.house;
        let admission = if welcome { Admission::LetIn } else { Admission::AtTheDoor };
        let room = house.greet(hello, admission, first.as_deref())?;
        let inside = room.admission == Admission::LetIn && (trusted || welcome || room.key.is_empty());
        let room = house.room_mut(&hello.room_id)?;
        if inside {
            room.key = key.to_owned();
        }
        state.links += 1;
        let number = state.links;
        let presence = Presence::new(number, link, key.to_owned(), inside);
        state.present.insert(hello.room_id.clone(), presence);
        if inside {
            self.welcome(&mut state, &hello.room_id);
        } else {
            self.keep_waiting(&mut state, &hello.room_id);
        }
        drop(self.0.store.keep(state.kept.clone()));
        self.tell_house(&state);
        Ok(Greeting::Linked(number))
    }

    /// Lets a room in that waits at the door; when it is there, with the key that it has shown.
    pub fn admit(&self, id: &str) -> Result<oneshot::Receiver<()>, Refusal> {
        let mut state = self.state();
        state.kept.house.admit(id)?;
        if let Some((key, false)) = state.present.get(id).map(|there| (there.key.clone(), there.inside)) {
            state.kept.house.room_mut(id)?.key = key;
            if let Some(there) = state.present.get_mut(id) {
                there.inside = true;
            }
            self.welcome(&mut state, id);
        }
        let written = self.0.store.keep(state.kept.clone());
        self.tell_house(&state);
        Ok(written)
    }

    /// Forgets a room, and hangs up on it; when it comes back it is at the door. One that is at the door already is
    /// turned away: its key may not knock again for an hour, or until the hub is restarted. Where that is a stranger
    /// with the id of a room that was let in, only the stranger goes: the room, its groups and its scenes stay.
    pub fn forget(&self, id: &str) -> Result<oneshot::Receiver<()>, Refusal> {
        let mut state = self.state();
        let knocks = state.present.get(id).is_some_and(|there| !there.inside);
        let stranger = knocks && state.kept.house.let_in(id).is_ok();
        if !stranger {
            state.kept.house.forget(id)?;
        }
        if let Some(there) = state.present.remove(id).filter(|there| !there.inside) {
            state.turned_away.add(there.key, clock::now());
        }
        state.give_orders();
        let written = self.0.store.keep(state.kept.clone());
        self.tell_house(&state);
        Ok(written)
    }

    /// A linked room's report.
    pub fn report(&self, id: &str, link: u64, health: Health) {
        let mut state = self.state();
        let Some(there) = state.present.get_mut(id).filter(|there| there.number == link && there.inside) else {
            return;
        };
        let news = there.report(health, clock::now());
        if news {
            self.tell_now(&state);
        }
    }

    /// How often rooms should report, so many as there are now.
    pub fn reports(&self) -> Reports {
        Reports::of_a_house(self.state().present.len())
    }

    /// When a linked room reported last.
    pub fn last_report(&self, id: &str) -> Option<LocalTime> {
        self.state().present.get(id)?.health.as_ref().map(|(_, at)| *at)
    }

    /// A link has ended.
    pub fn hang_up(&self, id: &str, link: u64) {
        let mut state = self.state();
        if state.present.get(id).is_none_or(|there| there.number != link) {
            return;
        }
        let inside = state.present.remove(id).is_some_and(|there| there.inside);
        let house = &mut state.kept.house;
        // Who was never let in leaves nothing behind: strangers can't fill the house.
        if house.rooms.get(id).is_some_and(|room| room.admission == Admission::AtTheDoor) {
            house.rooms.remove(id);
        } else if let Some(room) = house.room_mut(id).ok().filter(|_| inside) {
            room.last_seen_s = clock::time_of_day_ns() / 1_000_000_000;
        }
        drop(self.0.store.keep(state.kept.clone()));
        self.tell_house(&state);
    }

    /// Makes a room chirp, also one at the door: to hear which it is.
    pub fn identify(&self, id: &str) -> Result<(), NoChirp> {
        let mut state = self.state();
        let room = state.kept.house.rooms.get(id).ok_or_else(|| Refusal::missing("room", id))?;
        let name = room.name.clone();
        let there = state.present.get_mut(id).ok_or(NoChirp::Gone)?;
        if there.health.as_ref().is_some_and(|(health, _)| health.state == control::State::NoCard) {
            return Err(NoChirp::NoCard(name));
        }
        if there.link.say(FromHub::Identify) { Ok(()) } else { Err(NoChirp::Gone) }
    }

    fn lets_in(&self, from: IpAddr) -> bool {
        match self.0.settings.auto_approve {
            AutoApprove::Never => false,
            AutoApprove::SameHost => from.is_loopback() || self.0.catalogue.is_own_address(from),
            AutoApprove::Always => true,
        }
    }

    fn welcome(&self, state: &mut State, id: &str) {
        let streams = state.announced();
        let (Some(there), Some(room)) = (state.present.get_mut(id), state.kept.house.rooms.get(id)) else { return };
        let welcome = Welcome {
            version: VERSION,
            hub_id: self.id(),
            hub: self.name().to_owned(),
            room: room.name.clone(),
            streams,
        };
        tracing::info!(room = room.name, address = %there.link.address, "room is here");
        there.link.say(FromHub::Welcome(welcome));
        state.give_orders();
    }

    fn keep_waiting(&self, state: &mut State, id: &str) {
        let streams = state.announced();
        let Some(there) = state.present.get_mut(id) else { return };
        there.code = code(&there.key, &self.0.keys.public());
        tracing::info!(id, code = there.code, address = %there.link.address, "a new room waits to be let in");
        let code = there.code.clone();
        there.link.say(FromHub::Wait(Wait { hub: self.name().to_owned(), code, streams }));
    }
}

impl State {
    /// Whether a room that is not at home here may stand at the door.
    fn may_knock(&mut self, key: &str) -> Result<(), Refusal> {
        if self.turned_away.has(key, clock::now()) {
            return Err(Refusal::TurnedAway);
        }
        if self.present.values().filter(|there| !there.inside).count() >= MOST_AT_THE_DOOR {
            return Err(Refusal::Full("rooms at the door"));
        }
        Ok(())
    }
}

/// Six digits that follow from both keys: equal ones at both ends prove that these two talk to each other.
fn code(room_key: &str, hub_key: &str) -> String {
    let hash = Sha256::digest(format!("{room_key} {hub_key}"));
    let number = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{:06}", number % 1_000_000)
}

#[cfg(test)]
mod tests;
