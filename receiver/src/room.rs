//! The room: decides what plays, and brings together what playing it takes.
//!
//! One thread, which waits for events: streams that come and go, orders, the card. Everything that may take its time
//! (joining groups, making resamplers, dropping them) is done here and not on the audio thread.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use unisono_common::config::receiver::{Delivery, HubConfig, Quality, ReceiverConfig};
use unisono_common::control::{Channels, Orders, SILENCE_DB};
use unisono_common::sdp;
use unisono_common::time::LocalTime;
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::state::StateDir;
use unisono_host::supervisor::{self, Watchdog};

use crate::audio::{Audio, AudioEvent};
use crate::delivery::DEFAULT_SHARE;
use crate::discover::Sessions;
use crate::follow::{Clock, Followed};
use crate::hub;
use crate::idle::{Hooks, Idleness};
use crate::intake::Intake;
use crate::mix::ChannelMode;
use crate::output::Shape;
use crate::output::drive::Command;
use crate::status::{Status, Tuned};
use crate::volume::Volume;
use crate::wake::Waker;

use self::appliances::Appliances;
use self::card::CardNews;
use self::identifying::Identifying;
use self::known::{Known, Wanted};
use self::standby::Watched;
use self::streams::{described, moves_along};

/// How often telemetry is looked at when nothing happens.
const LOOK: Duration = Duration::from_millis(100);

/// What is not as it should be is tried again this often.
const RETRY_NS: i64 = 1_000_000_000;

mod appliances;
mod card;
mod identifying;
mod known;
mod reload;
mod standby;
mod streams;
mod tune;

/// What the room waits for.
pub enum Event {
    /// The streams that announce themselves changed.
    Sessions(Sessions),
    /// The hub.
    Hub(hub::Event),
    /// The card.
    Audio(AudioEvent),
    /// The configuration, read anew.
    Reload(Box<ReceiverConfig>),
    /// Enough: end.
    Quit,
}

/// The room.
pub struct Room {
    /// As it was read last.
    config: ReceiverConfig,
    interface: Interface,
    audio: Audio,
    shape: Option<Shape>,
    /// What has been said of the card.
    card_news: CardNews,
    /// The streams it may choose of.
    known: Known,
    /// What is remembered for the next start.
    kept: Option<Arc<sdp::Session>>,
    state: StateDir,
    wanted: Wanted,
    /// What a card that is opened is told first: amplitude and channels.
    gain: f32,
    /// Amplitude that the hub's orders allow at most.
    most: f32,
    volume: Volume,
    channels: ChannelMode,
    trim_us: i64,
    quality: Quality,
    delivery: Delivery,
    unicast_above_loss: f64,
    /// What plays or is about to, newest last.
    tuned: Vec<Playing>,
    clocks: HashMap<Clock, Arc<dyn Followed>>,
    sessions_made: u64,
    /// Whether there is anything to play, and who is told.
    idleness: Idleness,
    hooks: Hooks,
    appliances: Appliances,
    identifying: Identifying,
    release_card: bool,
    /// What the card was before it was let go of.
    released: Option<Shape>,
    /// While the card is let go of: the stream that it waits for.
    watched: Option<Watched>,
    /// When it was last seen to that what plays is what should.
    looked: LocalTime,
    watchdog: Watchdog,
    status: Arc<Mutex<Status>>,
}

/// A stream that plays, or is about to, or fades out.
struct Playing {
    id: u64,
    description: Arc<sdp::Session>,
    /// The longest playout delay that it had when its buffer was made, in ns.
    made_for_ns: i64,
    intake: Intake,
    clock: Arc<dyn Followed>,
}

impl Playing {
    /// Whether it plays on when it is described so.
    fn moves_along(&self, now: &sdp::Session) -> bool {
        moves_along(&self.description, now, self.made_for_ns)
    }
}

impl Room {
    /// A room whose card is in the hands of `audio`, and which remembers in `state` what it played, and what its hub
    /// ordered last.
    pub fn new(
        config: &ReceiverConfig,
        interface: Interface,
        audio: Audio,
        hooks: Hooks,
        status: Arc<Mutex<Status>>,
        state: StateDir,
    ) -> Self {
        let remembered = tune::remembered(&state);
        let mut room = Self {
            config: config.clone(),
            interface,
            audio,
            shape: None,
            card_news: CardNews::default(),
            kept: remembered.clone(),
            known: Known::new(remembered, clock::now()),
            state,
            wanted: config.stream.clone().map_or(Wanted::Anything, Wanted::Stream),
            gain: config.volume_db.map_or(1.0, |db| linear(db as f32)),
            most: 1.0,
            volume: Volume::new(&config.output),
            channels: ChannelMode::default(),
            trim_us: i64::from(config.trim_us),
            quality: config.quality,
            delivery: config.delivery,
            unicast_above_loss: config.unicast_above_loss.unwrap_or(DEFAULT_SHARE),
            tuned: Vec::new(),
            clocks: HashMap::new(),
            sessions_made: 0,
            idleness: Idleness::new(config.idle.after_s),
            hooks,
            appliances: Appliances::new(config, clock::now()),
            identifying: Identifying::default(),
            release_card: config.idle.release_card,
            released: None,
            watched: None,
            looked: clock::now(),
            watchdog: Watchdog::of_this_process(clock::now()),
            status,
        };
        // The link gives these out too, but maybe after the card opens, which must not begin louder than they say.
        if config.hub != HubConfig::None
            && let Some(orders) = hub::kept::load(room.state.path())
        {
            room.obey(orders);
        }
        room
    }

    /// Runs until [`Event::Quit`].
    pub fn run(mut self, events: &Receiver<Event>) {
        loop {
            match events.recv_timeout(LOOK) {
                Ok(Event::Quit) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Sessions(sessions) => self.known.announce(sessions),
            Event::Hub(event) => self.hear(event),
            // It was let go of while it was being opened.
            Event::Audio(AudioEvent::Opened(_)) if self.released.is_some() => {}
            Event::Audio(AudioEvent::Opened(shape)) => {
                if self.card_news.is_back() {
                    tracing::info!("playing through {shape}");
                }
                self.tuned.clear();
                self.shape = Some(shape);
                // A card that was opened knows nothing, and is silent until it is told.
                self.set_sound();
                self.set_delay();
            }
            Event::Audio(AudioEvent::Lost(error)) => {
                self.lock_status(|status| status.card_trouble = Some(error.to_string()));
                if self.card_news.is_lost(clock::now()) {
                    tracing::warn!("{error}; it is waited for");
                    supervisor::status(&format!("{error}; it is waited for"));
                }
                self.shape = None;
                self.tuned.clear();
            }
            Event::Reload(config) => self.reload(*config),
            Event::Quit => {}
        }
        self.reconcile();
    }

    fn hear(&mut self, event: hub::Event) {
        match event {
            hub::Event::Orders(orders) => self.obey(orders.sane()),
            hub::Event::Streams(streams) => self.known.list(streams.iter().filter_map(described), &self.wanted),
            hub::Event::Identify => self.identifying.ask(clock::now()),
            hub::Event::Connected { hub, address } => tracing::info!("hub \"{hub}\" at {address} has this room"),
            hub::Event::Waiting { hub, code } => {
                tracing::info!("hub \"{hub}\" knows of this room; let it in there, its code is {code}");
            }
            hub::Event::Lost { reason } => tracing::info!("no hub ({reason}); this room goes on as it is"),
        }
    }

    fn obey(&mut self, orders: Orders) {
        let wanted = match &orders.stream {
            Some(stream) => {
                self.known.order(described(stream));
                Wanted::Stream(stream.id.clone())
            }
            None => Wanted::Nothing,
        };
        if wanted != self.wanted {
            self.appliances.waker = Waker::asked(clock::now());
            self.wanted = wanted;
        }
        self.gain = orders.gain_db().map_or(0.0, linear);
        self.most = if orders.max_db > SILENCE_DB { linear(orders.max_db) } else { 0.0 };
        self.channels = match orders.channels {
            Channels::Stereo => ChannelMode::Stereo,
            Channels::Left => ChannelMode::Left,
            Channels::Right => ChannelMode::Right,
            Channels::Mono => ChannelMode::Mono,
        };
        self.set_sound();
        self.trim_us = orders.trim_us;
        self.set_delay();
        self.lock_status(|status| status.orders = Some(orders));
    }

    fn set_sound(&mut self) {
        // A card that is not there is told when it opens; meanwhile it is somebody else's, and so is its mixer.
        let Some(shape) = &self.shape else { return };
        let gain = if self.appliances.hears { self.gain } else { 0.0 };
        let (gain, most) = self.volume.turn(&shape.device, gain, self.most);
        self.audio.order(Command::Volume { gain, most });
        self.audio.order(Command::Channels(self.channels));
    }

    /// Sound leaves the card's latency after its position says; a trim makes it later still.
    fn set_delay(&mut self) {
        if let Some(shape) = &self.shape {
            let trim_ns = self.trim_us * 1_000;
            self.audio.order(Command::ExtraDelay(shape.latency_ns - trim_ns));
        }
    }

    /// Makes what plays what should play.
    fn reconcile(&mut self) {
        let wanted = self.find();
        let current = self.tuned.last();
        if self.shape.is_none() || wanted.as_ref() == current.map(|playing| &playing.description) {
            return;
        }
        match wanted {
            Some(description) if current.is_some_and(|playing| playing.moves_along(&description)) => {
                self.move_along(description);
            }
            Some(description) => self.tune(description),
            None => {
                if current.is_some() {
                    tracing::info!("nothing to play");
                    self.audio.order(Command::Session(None));
                }
            }
        }
    }

    /// The description of the stream that is wanted, if it is known.
    fn find(&self) -> Option<Arc<sdp::Session>> {
        self.known.find(&self.wanted, self.tuned.last().map(|playing| &*playing.description))
    }

    /// Cleans up after sessions that are done with, and tells how things are.
    fn look(&mut self) {
        let Self { audio, tuned, .. } = self;
        let mut ended = false;
        let telemetry = *audio.poll(|id| {
            tuned.retain(|playing| playing.id != id);
            ended = true;
        });
        if ended {
            self.forget_clocks(None);
        }
        let now = clock::now();
        // The audio thread tells of itself many times a second while it has a card; when it hangs so does the service.
        self.watchdog.tick(self.audio.has_told() || self.shape.is_none(), now);
        if ended || now - self.looked > RETRY_NS {
            // What could not be had (a group, a route) may be there by now.
            self.looked = now;
            self.known.forget(now);
            self.reconcile();
            if self.released.is_some() {
                self.watch();
            }
        }
        self.note_sound(now);
        self.tend_appliances(now);
        if self.identifying.is_due(self.shape.is_some() && self.appliances.hears, now) {
            self.audio.order(Command::Chirp);
        }
        let tuned = &self.tuned;
        let tuned = tuned.last().map(|playing| Tuned {
            description: Arc::clone(&playing.description),
            clock: playing.clock.status(),
            arrived: playing.intake.counts(),
        });
        // A card that was let go of is no card that is missing.
        let shape = self.shape.clone().or_else(|| self.released.clone());
        let searching = self.wanted != Wanted::Nothing && self.released.is_none();
        self.lock_status(|status| status.update(shape, searching, tuned, telemetry));
    }

    fn lock_status<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        change(&mut self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Amplitude of a volume in dB.
fn linear(db: f32) -> f32 {
    10_f32.powf(db / 20.0)
}
