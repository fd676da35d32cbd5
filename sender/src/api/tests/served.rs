//! A hub that serves, and rooms that talk to it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tungstenite::{Message, WebSocket};
use unisono_common::control::{self, FromHub, FromRoom, Health, Hello, LINK_PATH};
use unisono_host::seal::{Handshake, Keys, Sealed};

use super::PATIENCE;
use crate::api::door::DoorSettings;
use crate::api::serve;
use crate::client::Target;
use crate::hub::catalogue::{Action, ActionError, Bogus, Catalogue, Origin, Playback, StreamFacts};
use crate::hub::{AutoApprove, Hub, HubSettings};
use crate::library::Library;
use crate::repair::Repaired;

#[derive(Default)]
struct Shelf {
    acts: Arc<Mutex<Vec<(String, Action)>>>,
}

impl Catalogue for Shelf {
    fn streams(&self) -> Vec<StreamFacts> {
        let stream = |id: &str| StreamFacts {
            id: id.into(),
            name: id.to_uppercase(),
            origin: Origin::Here,
            sender: "den".into(),
            format: "48000:16:2".into(),
            address: "239.77.0.1:5004".into(),
            sdp: format!("v=0\ns={id}\n"),
            playout_delay_ms: Some(250),
            kind: "library".into(),
        };
        vec![stream("radio"), stream("tv")]
    }

    fn playback(&self, _: &str) -> Option<Playback> {
        Some(Playback { state: "playing".into(), title: Some("So What".into()), ..Playback::default() })
    }

    fn act(&self, id: &str, action: Action) -> Result<(), ActionError> {
        self.acts.lock().unwrap().push((id.into(), action));
        Ok(())
    }

    fn bogus(&self) -> Bogus {
        Bogus { requests: 5, announcements: 6, repairs: 7 }
    }

    fn source_bogus(&self, id: &str) -> Option<u64> {
        (id == "tv").then_some(8)
    }

    fn repaired(&self, id: &str) -> Option<Repaired> {
        (id == "radio").then_some(Repaired { asked: 9, to_rooms: 4, to_group: 3, unanswered: 2, delivered: 800 })
    }
}

/// A hub that serves, with its state in a directory that goes with it.
pub(super) struct Served {
    pub(super) hub: Hub,
    pub(super) server: serve::Server,
    pub(super) state: tempfile::TempDir,
    pub(super) acts: Arc<Mutex<Vec<(String, Action)>>>,
}

impl Served {
    pub(super) fn new(auto_approve: AutoApprove) -> Self {
        Self::with(auto_approve, DoorSettings::default(), tempfile::tempdir().unwrap())
    }

    pub(super) fn with(auto_approve: AutoApprove, door: DoorSettings, state: tempfile::TempDir) -> Self {
        let shelf = Shelf::default();
        let acts = shelf.acts.clone();
        let settings = HubSettings { name: "Den".into(), auto_approve };
        let hub = Hub::open(state.path(), settings, Box::new(shelf)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = serve::spawn(hub.clone(), Library::detached(), door, listener, state.path()).unwrap();
        Served { hub, server, state, acts }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// May do everything.
    pub(super) fn local(&self) -> Target {
        Target::Socket(self.state.path().join(serve::SOCKET))
    }

    /// Anybody on the network.
    pub(super) fn network(&self, token: Option<String>) -> Target {
        Target::Network { host: self.address().to_string(), token }
    }

    pub(super) fn room(&self, id: &str) -> Room {
        Room::dial(self.address(), id, &Keys::generate().unwrap())
    }

    /// Waits until the house looks right.
    pub(super) fn wait_for(&self, path: &str, right: impl Fn(&Value) -> bool) -> Value {
        let deadline = std::time::Duration::from_secs(20);
        let mut waited = Duration::ZERO;
        loop {
            let value = self.local().get(path).unwrap_or_default();
            if right(&value) {
                return value;
            }
            assert!(waited < deadline, "{path} never came right: {value:#}");
            std::thread::sleep(Duration::from_millis(20));
            waited += Duration::from_millis(20);
        }
    }

    pub(super) fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        self.local().ask(method, path, Some(&body)).unwrap()
    }
}

/// A room's end of a link.
pub(super) struct Room {
    pub(super) socket: WebSocket<TcpStream>,
    sealed: Sealed,
}

impl Room {
    pub(super) fn dial(hub: SocketAddr, id: &str, keys: &Keys) -> Self {
        let mut room = Self::connect(hub, keys).unwrap();
        let hello = Hello { version: 1, room_id: id.into(), room: format!("Room {id}"), ..Hello::default() };
        room.say(&FromRoom::Hello(hello));
        room
    }

    pub(super) fn connect(hub: SocketAddr, keys: &Keys) -> Result<Self, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(hub)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (mut socket, _) = tungstenite::client(format!("ws://{hub}{LINK_PATH}"), stream)?;
        let mut handshake = Handshake::room(keys)?;
        socket.send(Message::binary(handshake.write()?))?;
        handshake.read(&socket.read()?.into_data())?;
        socket.send(Message::binary(handshake.write()?))?;
        Ok(Room { socket, sealed: handshake.finish()? })
    }

    pub(super) fn say(&mut self, message: &FromRoom) {
        let sealed = self.sealed.seal(&control::encode(message)).unwrap();
        self.socket.send(Message::binary(sealed)).unwrap();
    }

    pub(super) fn hear(&mut self) -> Option<FromHub> {
        loop {
            match self.socket.read().ok()? {
                Message::Binary(sealed) => return control::decode(&self.sealed.open(&sealed).unwrap()).ok(),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    pub(super) fn orders(&mut self) -> control::Orders {
        loop {
            if let FromHub::Orders(orders) = self.hear().expect("the link is up") {
                return orders;
            }
        }
    }

    pub(super) fn report(&mut self, health: Health) {
        self.say(&FromRoom::Health(Box::new(health)));
    }
}
