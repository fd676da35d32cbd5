//! The room: decides what plays, and brings together what playing it takes.
//!
//! One thread, which waits for events: streams that come and go, orders, the card. Everything that may take its time
//! (joining groups, making resamplers, dropping them) is done here and not on the audio thread.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rtrb::RingBuffer;
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
use crate::follow::{Clock, Followed, Gate};
use crate::hub;
use crate::idle::{Hooks, Idleness};
use crate::intake::Intake;
use crate::mix::ChannelMode;
use crate::output::Shape;
use crate::output::drive::Command;
use crate::session::{Session, SessionConfig};
use crate::status::{Status, Tuned};
use crate::volume::Volume;
use crate::wake::Waker;

use self::appliances::Appliances;
use self::card::CardNews;
use self::identifying::Identifying;
use self::standby::Watched;
use self::streams::{
    DEFAULT_DELAY_MS, address, can_follow, described, moves_along, queue, schedule, taken_after, timestamp_offset,
};

/// Real-time priority of clock threads.
const CLOCK_PRIORITY: u8 = 50;

/// How often telemetry is looked at when nothing happens.
const LOOK: Duration = Duration::from_millis(50);

/// What is not as it should be is tried again this often.
const RETRY_NS: i64 = 1_000_000_000;

/// Where the description of the stream played last is kept.
const REMEMBERED: &str = "stream.sdp";

/// A stream that is remembered and not announced for so long is gone: longer than the longest interval of announcements.
const REMEMBERED_NS: i64 = 45_000_000_000;

/// Largest chunk that a session is made for, in device frames: 10 ms at 192 kHz.
const MAX_CHUNK: usize = 1_920;

mod appliances;
mod card;
mod identifying;
mod reload;
mod standby;
mod streams;

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
    /// Heard by SAP, and told by the hub.
    announced: Sessions,
    told: HashMap<String, Arc<sdp::Session>>,
    /// What it played before it was started: announcements are seconds apart, and sound need not wait for one. Nothing
    /// once it is announced, or has not been for long enough to be gone.
    remembered: Option<Arc<sdp::Session>>,
    /// What is remembered for the next start.
    kept: Option<Arc<sdp::Session>>,
    state: StateDir,
    began: LocalTime,
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

/// What the room is to play.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    /// Whatever there is, in the order of names: a room that nobody has told anything.
    Anything,
    /// The stream of this id.
    Stream(String),
    /// Silence.
    Nothing,
}

/// A stream that plays, or is about to, or fades out.
struct Playing {
    id: u64,
    description: Arc<sdp::Session>,
    intake: Intake,
    clock: Arc<dyn Followed>,
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
        // What can't be read is as good as forgotten.
        let text = state.read(REMEMBERED).ok().flatten();
        let remembered = text.and_then(|text| sdp::Session::parse(text.as_bytes()).ok()).map(Arc::new);
        let mut room = Self {
            config: config.clone(),
            interface,
            audio,
            shape: None,
            card_news: CardNews::default(),
            announced: Vec::new(),
            told: HashMap::new(),
            kept: remembered.clone(),
            remembered,
            state,
            began: clock::now(),
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
            Event::Sessions(sessions) => {
                self.remembered.take_if(|known| sessions.iter().any(|s| s.origin.key() == known.origin.key()));
                self.announced = sessions;
            }
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
            hub::Event::Streams(streams) => {
                let ordered = match &self.wanted {
                    Wanted::Stream(id) => self.told.remove_entry(id),
                    _ => None,
                };
                // What was ordered with a description of its own stays known, whether it is on the list or not.
                self.told = ordered.into_iter().chain(streams.iter().filter_map(described)).collect();
            }
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
                self.told.extend(described(stream));
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
        let current = self.tuned.last().map(|playing| &playing.description);
        if self.shape.is_none() || wanted.as_ref() == current {
            return;
        }
        match wanted {
            Some(description) if current.is_some_and(|current| moves_along(current, &description)) => {
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

    /// The stream plays on with another playout delay, as all rooms do.
    fn move_along(&mut self, description: Arc<sdp::Session>) {
        let Some(playing) = self.tuned.last_mut() else { return };
        let delay = description.playout_delay(DEFAULT_DELAY_MS);
        tracing::info!("the playout delay goes to {} ms", description.playout_delay_ms.unwrap_or(DEFAULT_DELAY_MS));
        self.audio.order(Command::PlayoutDelay(playing.id, delay));
        playing.description = Arc::clone(&description);
        self.remember(description);
    }

    /// The description of the stream that is wanted, if it is known.
    fn find(&self) -> Option<Arc<sdp::Session>> {
        match &self.wanted {
            Wanted::Nothing => None,
            Wanted::Stream(id) => match self.told.get(id) {
                // The hub says whose stream is meant; its announcement, if heard, is the newer description of it.
                Some(told) => {
                    let key = told.origin.key();
                    self.announced.iter().find(|session| session.origin.key() == key).or(Some(told)).cloned()
                }
                None => self
                    .announced
                    .iter()
                    .chain(&self.remembered)
                    .find(|session| session.stream_id.as_deref() == Some(id) || session.name == *id)
                    .cloned(),
            },
            Wanted::Anything => {
                // What plays is not left for another that comes earlier in the alphabet.
                let current = self.tuned.last().map(|playing| playing.description.origin.key());
                let mut all: Vec<_> =
                    self.announced.iter().chain(self.told.values()).filter(|s| can_follow(s)).collect();
                all.sort_by(|a, b| a.name.cmp(&b.name));
                let found = all.iter().find(|s| Some(s.origin.key()) == current).or(all.first());
                found.map(|s| Arc::clone(s)).or_else(|| self.remembered.clone())
            }
        }
    }

    fn tune(&mut self, description: Arc<sdp::Session>) {
        match self.make(&description) {
            Ok((playing, session)) => {
                if self.card_news.begins() {
                    tracing::info!("tuned to \"{}\", {}", description.name, description.format);
                }
                self.audio.order(Command::Session(Some(session)));
                self.tuned.push(playing);
                self.watched = None;
                self.lock_status(|status| status.trouble = None);
                self.remember(description);
            }
            Err(trouble) => {
                let trouble = format!("\"{}\" can't be played: {trouble}", description.name);
                let known = self.lock_status(|status| status.trouble.replace(trouble.clone()));
                if known.as_ref() != Some(&trouble) {
                    tracing::warn!("{trouble}");
                }
            }
        }
    }

    fn remember(&mut self, description: Arc<sdp::Session>) {
        if self.kept.as_ref() != Some(&description) {
            if let Err(error) = self.state.write(REMEMBERED, &description.to_string()) {
                tracing::warn!("the next start will wait for an announcement: {error}");
            }
            self.kept = Some(description);
        }
    }

    /// The clock that a stream is played by.
    fn clock(&mut self, description: &sdp::Session) -> anyhow::Result<Arc<dyn Followed>> {
        let Some(which) = Clock::of(description) else {
            anyhow::bail!("its description names no clock that can be followed (a=ts-refclk:ntp= or ptp=)");
        };
        if let Some(clock) = self.clocks.get(&which) {
            return Ok(Arc::clone(clock));
        }
        let clock = which.follow(&self.interface, CLOCK_PRIORITY)?;
        self.clocks.insert(which, Arc::clone(&clock));
        Ok(clock)
    }

    fn make(&mut self, description: &Arc<sdp::Session>) -> anyhow::Result<(Playing, Box<Session>)> {
        let Some(shape) = self.shape.clone() else { anyhow::bail!("the sound card is not there") };
        // One that was plugged in again is another to the kernel. While it is not there the groups' own error says so.
        if let Ok(interface) = Interface::by_name(&self.interface.name) {
            self.interface = interface;
        }
        let clock = self.clock(description)?;
        let (producer, consumer) = RingBuffer::new(queue(description));
        self.sessions_made += 1;
        let config = SessionConfig {
            id: self.sessions_made,
            format: description.format,
            playout_delay: description.playout_delay(DEFAULT_DELAY_MS),
            timestamp_offset: timestamp_offset(description),
            quality: self.quality,
            device_rate: shape.rate,
            max_chunk: (shape.rate as usize / 100).min(MAX_CHUNK),
            taken_after_ns: taken_after(description),
        };
        let session = Box::new(Session::new(&config, consumer, Box::new(Gate::new(clock.reader(), description)))?);
        let address = address(description, self.delivery, self.unicast_above_loss);
        let schedule = schedule(description, clock.reader(), Arc::clone(&config.taken_after_ns));
        let intake = Intake::spawn(&address, &self.interface, schedule, producer)?;
        let playing = Playing { id: config.id, description: Arc::clone(description), intake, clock };
        Ok((playing, session))
    }

    /// Cleans up after sessions that are done with, and tells how things are.
    fn look(&mut self) {
        let Self { audio, tuned, clocks, watched, .. } = self;
        let mut ended = false;
        let telemetry = *audio.poll(|id| {
            tuned.retain(|playing| playing.id != id);
            ended = true;
        });
        if ended {
            let watched = watched.as_ref().map(|watched| &watched.clock);
            let used = tuned.iter().map(|playing| &playing.clock).chain(watched);
            let used: Vec<_> = used.cloned().collect();
            clocks.retain(|_, clock| used.iter().any(|used| Arc::ptr_eq(used, clock)));
        }
        let now = clock::now();
        // The audio thread tells of itself many times a second while it has a card; when it hangs so does the service.
        self.watchdog.tick(self.audio.has_told() || self.shape.is_none(), now);
        if ended || now - self.looked > RETRY_NS {
            // What could not be had (a group, a route) may be there by now.
            self.looked = now;
            self.remembered.take_if(|_| now - self.began > REMEMBERED_NS);
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
