//! The hub: the house, its rooms' links, and everybody who watches.
//!
//! [`House`] decides; this keeps it, and carries out what follows from a change: orders that differ go to their rooms
//! at once, the house goes to the [`Store`], and a new picture of it to everybody who watches. Nothing here is near
//! the audio path, and no stream waits for it.

pub mod catalogue;
mod entry;
mod heard;
mod own;
pub mod page;
pub mod presence;
pub mod run;
mod spare;
mod spread;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, oneshot};
pub use unisono_common::config::sender::AutoApprove;
use unisono_common::control::{Announced, FromHub, Orders, Streams};
use unisono_host::seal::Keys;

use crate::api::door::Secrets;
use crate::house::{House, Refusal};
use crate::store::{Kept, Store, StoreError};
use catalogue::{Action, ActionError, Catalogue, StreamFacts};
use entry::TurnedAway;
pub use entry::{Greeting, NoChirp};
use presence::Presence;
use spare::Spares;
use spread::Spreads;

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
    turned_away: TurnedAway,
    /// Ids of streams that have been silent for long.
    idle: BTreeSet<String>,
    /// What rooms play while they are spoken to, in place of their own stream.
    paged: BTreeMap<String, Announced>,
    /// Serial of the last orders sent to anybody.
    serial: u64,
    /// Counts links, so that an old link's end is not taken for a new one's.
    links: u64,
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
            turned_away: TurnedAway::default(),
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
            pager: page::Pager::new(state_dir.join("announcements")),
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
            for there in state.present.values_mut() {
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
                // What could not be said was not ordered: that room is hung up on, and is given all anew.
                if there.link.say(FromHub::Orders(orders.clone())) {
                    there.orders = Some(orders);
                }
            }
        }
    }

    fn announced(&self) -> Vec<Announced> {
        let on = self.streams.iter().filter(|stream| !self.kept.house.disabled.contains(&stream.id));
        on.map(|stream| Announced { id: stream.id.clone(), sdp: stream.sdp.clone() }).collect()
    }
}
