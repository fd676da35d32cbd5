//! The hub: the house, its rooms' links, and everybody who watches.
//!
//! [`House`] decides; this keeps it, and carries out what follows from a change: orders that differ go to their rooms
//! at once, the house goes to the [`Store`], and a new picture of it to everybody who watches. Nothing here is near
//! the audio path, and no stream waits for it.

pub mod catalogue;
mod heard;
mod own;
pub mod page;
pub mod presence;
pub mod run;
mod spare;
mod spread;
pub mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, oneshot};
pub use unisono_common::config::sender::AutoApprove;
use unisono_common::control::{Announced, FromHub, Health, Hello, Orders, Streams, VERSION, Wait, Welcome};
use unisono_common::time::LocalTime;
use unisono_host::clock;
use unisono_host::seal::Keys;

use crate::api::door::Secrets;
use crate::house::room::Admission;
use crate::house::{House, Refusal};
use crate::store::{Kept, Store, StoreError};
use catalogue::{Action, ActionError, Catalogue, StreamFacts};
use presence::{Link, Presence};
use spare::Spares;
use spread::Spreads;

/// So many rooms may wait at the door at once.
const MOST_AT_THE_DOOR: usize = 32;
/// A room that was turned away is not let knock for so long.
const TURNED_AWAY_NS: i64 = 3_600_000_000_000;
/// So many of them are remembered; the oldest may knock again.
const MOST_TURNED_AWAY: usize = 256;

/// What the hub is started with.
#[derive(Clone, Debug, Default)]
pub struct HubSettings {
    /// Its name for people.
    pub name: String,
    /// Which new rooms are let in without anybody's word.
    pub auto_approve: AutoApprove,
}

/// Why the hub can't start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The house can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key can't be kept.
    #[error("the hub's key: {0}")]
    Key(std::io::Error),
}

/// What everybody who watches is told: the name of an event and its JSON.
#[derive(Clone, Debug)]
pub struct Note {
    /// `house` or `now`.
    pub event: &'static str,
    /// JSON.
    pub data: Arc<str>,
}

/// The running hub; clones are the same one.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    settings: HubSettings,
    keys: Keys,
    catalogue: Box<dyn Catalogue>,
    store: Store,
    /// One announcement at a time.
    pager: page::Pager,
    notes: broadcast::Sender<Note>,
    state: Mutex<State>,
}

struct State {
    kept: Kept,
    /// Rooms that are linked now, let in or at the door.
    present: BTreeMap<String, Presence>,
    streams: Vec<StreamFacts>,
    spreads: Spreads,
    spares: Spares,
    /// Keys of rooms that were turned away, and when.
    turned_away: VecDeque<(String, LocalTime)>,
    /// Ids of streams that have been silent for long.
    idle: BTreeSet<String>,
    /// What rooms play while they are spoken to, in place of their own stream.
    paged: BTreeMap<String, Announced>,
    /// Serial of the last orders sent to anybody.
    serial: u64,
    /// Counts links, so that an old link's end is not taken for a new one's.
    links: u64,
}

/// What became of a hello.
#[derive(Debug)]
pub enum Greeting {
    /// The room has its link, by this number, whether let in or at the door.
    Linked(u64),
    /// Another room with this id is linked and alive, as far as is known; ask it, then greet again with `replace`.
    Taken(Link),
}

impl Hub {
    /// Opens the house in `state_dir`.
    pub fn open(state_dir: &Path, settings: HubSettings, catalogue: Box<dyn Catalogue>) -> Result<Self, HubError> {
        let (store, kept) = Store::open(&state_dir.join("house.db"))?;
        let keys = Keys::load_or_create(&state_dir.join("hub.key")).map_err(HubError::Key)?;
        let streams = catalogue.streams();
        streams.iter().for_each(|stream| catalogue.switch(&stream.id, !kept.house.disabled.contains(&stream.id)));
        let state = State {
            kept,
            present: BTreeMap::new(),
            streams,
            spreads: Spreads::default(),
            spares: Spares::default(),
            turned_away: VecDeque::new(),
            idle: BTreeSet::new(),
            paged: BTreeMap::new(),
            serial: 0,
            links: 0,
        };
        let (notes, _) = broadcast::channel(64);
        Ok(Hub(Arc::new(Inner {
            settings,
            keys,
            catalogue,
            store,
            pager: page::Pager::default(),
            notes,
            state: Mutex::new(state),
        })))
    }

    /// The hub's key pair.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Names the hub for good.
    pub fn id(&self) -> String {
        self.0.keys.public().chars().take(16).collect()
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// The streams of this sender and their sources.
    pub fn catalogue(&self) -> &dyn Catalogue {
        &*self.0.catalogue
    }

    /// Everything that happens from now on.
    pub fn watch(&self) -> broadcast::Receiver<Note> {
        self.0.notes.subscribe()
    }

    /// Plays, pauses, skips or seeks; everybody hears at once what came of it.
    pub fn act(&self, id: &str, action: Action) -> Result<(), ActionError> {
        self.catalogue().act(id, action)?;
        self.tell_now(&self.state());
        Ok(())
    }

    /// Reads the house.
    pub fn house<T>(&self, read: impl FnOnce(&House) -> T) -> T {
        read(&self.state().kept.house)
    }

    /// A stream that is there.
    pub fn stream(&self, id: &str) -> Option<StreamFacts> {
        self.state().streams.iter().find(|stream| stream.id == id).cloned()
    }

    /// Reads the secrets.
    pub fn secrets<T>(&self, read: impl FnOnce(&Secrets) -> T) -> T {
        read(&self.state().kept.secrets)
    }

    /// Changes the house: rooms hear of it at once, and the receiver when it is on the disk.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut House) -> Result<T, Refusal>,
    ) -> Result<(T, oneshot::Receiver<()>), Refusal> {
        let mut state = self.state();
        let mut house = state.kept.house.clone();
        let result = change(&mut house)?;
        state.kept.house = house;
        state.give_orders();
        let written = self.0.store.keep(state.kept.clone());
        self.tell_house(&state);
        Ok((result, written))
    }

    /// Changes the secrets; the receiver hears when that is on the disk.
    pub fn change_secrets<T>(&self, change: impl FnOnce(&mut Secrets) -> T) -> (T, oneshot::Receiver<()>) {
        let mut state = self.state();
        let result = change(&mut state.kept.secrets);
        let written = self.0.store.keep(state.kept.clone());
        (result, written)
    }

    /// A room has proved its `key` and said hello. `replace` takes the place of an older link with the same id.
    pub fn greet(&self, hello: &Hello, key: &str, link: Link, replace: bool) -> Result<Greeting, Refusal> {
        let mut state = self.state();
        if let Some(other) = state.present.get(&hello.room_id).filter(|_| !replace) {
            return Ok(Greeting::Taken(other.link.clone()));
        }
        state.turned_away.retain(|(_, at)| clock::now() - *at < TURNED_AWAY_NS);
        if state.turned_away.iter().any(|(away, _)| away == key) {
            return Err(Refusal::TurnedAway);
        }
        if state.present.values().filter(|there| !there.inside).count() >= MOST_AT_THE_DOOR {
            return Err(Refusal::Full("rooms at the door"));
        }
        let known_key = state.kept.house.rooms.get(&hello.room_id).map(|room| room.key.clone());
        let trusted = known_key.is_some_and(|known| known == key);
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
    /// turned away: it may not knock again for an hour, or until the hub is restarted.
    pub fn forget(&self, id: &str) -> Result<oneshot::Receiver<()>, Refusal> {
        let ((), written) = self.change(|house| house.forget(id))?;
        let mut state = self.state();
        if let Some(there) = state.present.remove(id).filter(|there| !there.inside) {
            state.turned_away.push_back((there.key, clock::now()));
            let over = state.turned_away.len().saturating_sub(MOST_TURNED_AWAY);
            state.turned_away.drain(..over);
        }
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
        state.present.remove(id);
        let rooms = &mut state.kept.house.rooms;
        // Who was never let in leaves nothing behind: strangers can't fill the house.
        if rooms.get(id).is_some_and(|room| room.admission == Admission::AtTheDoor) {
            rooms.remove(id);
        } else if let Some(room) = rooms.get_mut(id) {
            room.last_seen_s = clock::time_of_day_ns() / 1_000_000_000;
        }
        drop(self.0.store.keep(state.kept.clone()));
        self.tell_house(&state);
    }

    /// Makes a room chirp, also one at the door: to hear which it is; false when it is not there.
    pub fn identify(&self, id: &str) -> Result<bool, Refusal> {
        let state = self.state();
        state.kept.house.rooms.get(id).ok_or_else(|| Refusal::missing("room", id))?;
        Ok(state.present.get(id).is_some_and(|there| there.link.say(FromHub::Identify)))
    }

    /// Switches a stream on or off: its rooms fall silent or sound again, and what is off is not sent.
    pub fn switch(&self, id: &str, on: bool) -> Result<oneshot::Receiver<()>, Refusal> {
        self.stream(id).ok_or_else(|| Refusal::missing("stream", id))?;
        let ((), written) = self.change(|house| {
            house.enable_stream(id, on);
            Ok(())
        })?;
        self.catalogue().switch(id, on);
        Ok(written)
    }

    /// Once a second: streams may have come and gone, and everybody hears how things are.
    pub fn tick(&self) {
        let streams = self.0.catalogue.streams();
        let idle: BTreeSet<String> =
            streams.iter().map(|s| &s.id).filter(|id| self.0.catalogue.is_idle(id)).cloned().collect();
        let mut state = self.state();
        if idle != state.idle {
            state.idle = idle;
            state.give_orders();
        }
        if streams != state.streams {
            let disabled = &state.kept.house.disabled;
            streams.iter().for_each(|stream| self.0.catalogue.switch(&stream.id, !disabled.contains(&stream.id)));
            let delays = |streams: &[StreamFacts]| -> Vec<_> { streams.iter().map(|s| s.playout_delay_ms).collect() };
            if delays(&streams) != delays(&state.streams) {
                state.spares.forget();
            }
            state.streams = streams;
            let message = FromHub::Streams(Streams { streams: state.announced() });
            for there in state.present.values() {
                there.link.say(message.clone());
            }
            state.give_orders();
            self.tell_house(&state);
        }
        let spreads = view::spreads(&state);
        let spares = view::spares(&state);
        state.spreads.add(spreads);
        state.spares.add(spares);
        self.tell_now(&state);
    }

    /// After each tick, where waiting is allowed: what rooms play of others, and can't follow, is relayed to them.
    pub fn relay(&self) {
        let wanted = {
            let state = self.state();
            let orders = state.present.values().filter_map(|there| there.orders.as_ref());
            orders.filter_map(|orders| Some(orders.stream.as_ref()?.id.clone())).collect()
        };
        if self.0.catalogue.relay(&wanted) {
            self.tick();
        }
    }

    fn lets_in(&self, from: IpAddr) -> bool {
        match self.0.settings.auto_approve {
            AutoApprove::Never => false,
            AutoApprove::SameHost => from.is_loopback() || self.0.catalogue.is_own_address(from),
            AutoApprove::Always => true,
        }
    }

    fn welcome(&self, state: &mut State, id: &str) {
        let (Some(there), Some(room)) = (state.present.get(id), state.kept.house.rooms.get(id)) else { return };
        let welcome = Welcome {
            version: VERSION,
            hub_id: self.id(),
            hub: self.name().to_owned(),
            room: room.name.clone(),
            streams: state.announced(),
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
        there.link.say(FromHub::Wait(Wait { hub: self.name().to_owned(), code: there.code.clone(), streams }));
    }

    fn tell_house(&self, state: &State) {
        if self.0.notes.receiver_count() > 0 {
            let view = view::house(self, state);
            self.tell("house", &view);
        }
    }

    fn tell_now(&self, state: &State) {
        if self.0.notes.receiver_count() > 0 {
            let view = view::now(self, state);
            self.tell("now", &view);
        }
    }

    fn tell(&self, event: &'static str, view: &impl serde::Serialize) {
        let data = serde_json::to_string(view).unwrap_or_default().into();
        let _ = self.0.notes.send(Note { event, data });
    }

    /// Nothing that holds this lock can leave it half changed: a panic elsewhere must not end the house.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sends every room that is here the orders that differ from its last ones.
    fn give_orders(&mut self) {
        let Self { kept, present, streams, idle, paged, serial, .. } = self;
        let sdp = |id: &str| streams.iter().find(|stream| stream.id == id).map(|stream| stream.sdp.clone());
        for (id, there) in present.iter_mut().filter(|(_, there)| there.inside) {
            let Some(mut orders) = kept.house.orders(id, sdp, |stream| idle.contains(stream)) else { continue };
            if let Some(page) = paged.get(id) {
                orders.stream = Some(page.clone());
            }
            let same =
                there.orders.as_ref().is_some_and(|last| Orders { serial: last.serial, ..orders.clone() } == *last);
            if !same {
                *serial += 1;
                let orders = Orders { serial: *serial, ..orders };
                there.link.say(FromHub::Orders(orders.clone()));
                there.orders = Some(orders);
            }
        }
    }

    fn announced(&self) -> Vec<Announced> {
        let on = self.streams.iter().filter(|stream| !self.kept.house.disabled.contains(&stream.id));
        on.map(|stream| Announced { id: stream.id.clone(), sdp: stream.sdp.clone() }).collect()
    }
}

/// Six digits that follow from both keys: equal ones at both ends prove that these two talk to each other.
fn code(room_key: &str, hub_key: &str) -> String {
    let hash = Sha256::digest(format!("{room_key} {hub_key}"));
    let number = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{:06}", number % 1_000_000)
}
