//! The room's end of the link to the hub: found, dialled, obeyed, and done without.
//!
//! One thread finds the hub ([`query`]), keeps one WebSocket to it ([`link`]), reports health over it and passes on
//! what the hub says as [`Event`]s. It also keeps the last orders on disk ([`kept`]) and hands them out first, so that
//! a room plays on with no hub at all. Nothing here touches audio: when the hub goes, the room is told
//! [`Event::Lost`] and goes on with what it has.

pub mod identity;
pub mod kept;
mod link;
pub mod query;
mod seek;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use unisono_common::config::receiver::HubConfig;
use unisono_common::control::{Announced, Health, Hello, Orders};
use unisono_host::seal::Keys;

use identity::Identity;

/// A hub that answers by mDNS on this interface.
pub fn find(interface: &str) -> Option<SocketAddr> {
    seek::any(interface)
}

/// What the link needs to know of its room.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// Who gives the orders, as configured.
    pub hub: HubConfig,
    /// Interface to look for it on; `None` is every one, loopback too.
    pub interface: Option<String>,
    /// Identity and last orders are kept here.
    pub state_dir: PathBuf,
    /// The room's name in its own configuration.
    pub room: String,
    /// The output in words.
    pub output: String,
    /// The stream in the room's own configuration.
    pub stream: Option<String>,
    /// The volume that the room starts with when nobody has said otherwise, in dB.
    pub volume_db: f32,
    /// The trim in the room's own configuration, in microseconds.
    pub trim_us: i64,
}

/// What the hub says, or what became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Do this from now on. The first, if any, are the last ones of the previous run.
    Orders(Orders),
    /// Every stream the hub knows, with its description; comes before the orders of a connection.
    Streams(Vec<Announced>),
    /// Sound a chirp.
    Identify,
    /// A hub answered and let the room in.
    Connected {
        /// The hub's name.
        hub: String,
        /// Its address.
        address: SocketAddr,
    },
    /// A hub answered but somebody has to let the room in; the same code is shown there.
    Waiting {
        /// The hub's name.
        hub: String,
        /// Digits that tell this room from another at the same door.
        code: String,
    },
    /// The link is down; the room goes on as it is.
    Lost {
        /// Why, in words.
        reason: String,
    },
}

/// Source of the room's reports; called about five times a second on the link's thread.
pub type HealthSource = Arc<dyn Fn() -> Health + Send + Sync>;

/// The running link; dropping it ends it within a moment.
#[derive(Debug)]
pub struct Hub {
    events: Receiver<Event>,
    room_id: String,
    stop: Arc<AtomicBool>,
}

/// Starts the link. Never fails: a room without a hub is a room all the same.
pub fn spawn(settings: HubSettings, health: HealthSource) -> Hub {
    let (sender, events) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let identity = Identity::load_or_create(&settings.state_dir);
    let room_id = identity.room_id.clone();
    if settings.hub != HubConfig::None {
        if let Some(orders) = kept::load(&settings.state_dir) {
            let _ = sender.send(Event::Orders(orders));
        }
        let runner = Runner { settings, identity, health, events: sender, stop: stop.clone() };
        let builder = std::thread::Builder::new().name("hub".into()).stack_size(256 * 1024);
        if let Err(error) = builder.spawn(move || runner.run()) {
            tracing::error!(%error, "no thread for the link to the hub; this room plays on its own");
        }
    }
    Hub { events, room_id, stop }
}

impl Hub {
    /// What the hub says, in order. Disconnected at once when the hub is [`HubConfig::None`].
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// The id under which the hub knows this room.
    pub fn room_id(&self) -> &str {
        &self.room_id
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Runner {
    settings: HubSettings,
    identity: Identity,
    health: HealthSource,
    events: Sender<Event>,
    stop: Arc<AtomicBool>,
}

impl Runner {
    /// Pause after the first failed attempt; doubles up to [`Runner::LONGEST_PAUSE`].
    const FIRST_PAUSE: Duration = Duration::from_millis(200);
    /// Rooms appear within two seconds of their hub: an attempt that began just before it came has failed after
    /// [`link::DIAL_PATIENCE`] or [`seek::PATIENCE`], and the next one succeeds at once.
    const LONGEST_PAUSE: Duration = Duration::from_millis(800);

    fn run(mut self) {
        let Some(mut keys) = self.keys() else { return };
        let mut pause = Self::FIRST_PAUSE;
        let mut choice = seek::Choice::default();
        while !self.stopped() {
            match self.find_and_serve(&mut keys, &mut choice) {
                // The link was up: its hub restarts, most likely, so try again soon.
                Ok(()) => pause = Self::FIRST_PAUSE,
                Err(error) => {
                    match error {
                        link::LinkError::Stranger(address) => {
                            if !std::mem::replace(&mut choice.warned, true) {
                                tracing::warn!("{error}");
                            }
                            choice.shunned.push(address);
                        }
                        // Nobody else answers: whom we passed by may be another one now.
                        _ => choice.shunned.clear(),
                    }
                    tracing::debug!(%error, "no hub yet");
                    self.sleep(pause);
                    pause = (pause * 2).min(Self::LONGEST_PAUSE);
                }
            }
        }
    }

    /// One attempt. `Ok` when a hub had answered `Hello`, even if the link broke later. A new id comes with new `keys`.
    fn find_and_serve(&mut self, keys: &mut Keys, choice: &mut seek::Choice) -> Result<(), link::LinkError> {
        choice.trusted = kept::trusted(&self.settings.state_dir);
        let address = seek::seek(&self.settings, choice, &self.stop)?;
        let mut link = link::Link::dial(&address, keys, choice.trusted.as_deref())?;
        link.send_hello(self.hello())?;
        let reason = match link.serve(self) {
            link::End::BeforeWelcome(error) => return Err(error),
            link::End::Stopped => return Ok(()),
            link::End::Cloned => {
                tracing::warn!("another room has this room's id: this card is a copy, and takes a new id and key");
                self.identity.renew(&self.settings.state_dir);
                if let Some(renewed) = self.keys() {
                    *keys = renewed;
                }
                "this room takes a new id".to_owned()
            }
            link::End::Broken(error) => error.to_string(),
        };
        tracing::info!(reason, "the link to the hub is down; this room plays on");
        let _ = self.events.send(Event::Lost { reason });
        self.sleep(Self::FIRST_PAUSE);
        Ok(())
    }

    /// The room's key pair; one for this run alone where none can be kept.
    fn keys(&self) -> Option<Keys> {
        Keys::load_or_create(&self.settings.state_dir.join(identity::KEY_FILE))
            .or_else(|error| {
                tracing::warn!(%error, "this room's key cannot be kept: the hub will take it for another at the next start");
                Keys::generate()
            })
            .inspect_err(|error| tracing::error!(%error, "no key, no link; this room plays on its own"))
            .ok()
    }

    fn hello(&self) -> Hello {
        Hello {
            version: unisono_common::control::VERSION,
            room_id: self.identity.room_id.clone(),
            room: self.settings.room.clone(),
            machine: self.identity.machine.clone(),
            host: identity::host_name(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            output: self.settings.output.clone(),
            stream: self.settings.stream.clone(),
            volume_db: Some(self.settings.volume_db),
            trim_us: self.settings.trim_us,
        }
    }

    /// True when the room ends, or nobody listens any more.
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn sleep(&self, pause: Duration) {
        let step = Duration::from_millis(50);
        let mut left = varied(pause, unisono_host::random::number());
        while !left.is_zero() && !self.stopped() {
            std::thread::sleep(left.min(step));
            left = left.saturating_sub(step);
        }
    }
}

/// `pause`, or up to a quarter less: a house's rooms, which lose their hub together, don't come back to it all at once.
fn varied(pause: Duration, random: u64) -> Duration {
    pause - pause / 4 * (random % 256) as u32 / 256
}

#[cfg(test)]
mod tests;
