//! The life of the audio thread: opens the card, keeps it playing, and opens it again when it went away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use unisono_common::config::receiver::{OutputConfig, OutputDevice};
use unisono_common::time::LocalTime;
use unisono_host::realtime;

use crate::output::drive::{self, Command, Link};
use crate::output::{self, Card, CardError, Shape, alsa, cpal};
use crate::playout::Telemetry;
use crate::session::Session;

/// Real-time priority of the audio thread: above everything else of ours.
const PRIORITY: u8 = 60;

/// A card that is not there is looked for this often.
const RETRY: Duration = Duration::from_millis(500);

/// Looks at a thread that is to let go, within [`RETRY`].
const MOST_LOOKS: u32 = 100;

/// What became of the card.
#[derive(Debug)]
pub enum AudioEvent {
    /// It is open and plays, silence at first. Sessions made for an earlier shape are gone.
    Opened(Shape),
    /// It is not there; it will be tried again.
    Lost(CardError),
}

/// The audio thread as its owner sees it.
pub struct Audio {
    commands: Producer<Command>,
    retired: Consumer<Box<Session>>,
    telemetry: Consumer<Telemetry>,
    latest: Telemetry,
    told: bool,
    stop: Arc<AtomicBool>,
    hold: Arc<Hold>,
    thread: Option<JoinHandle<()>>,
}

impl Audio {
    /// Opens the configured card and begins; `notify` hears what becomes of it, on the audio thread while it has no
    /// deadline. A card that goes away later is waited for; one that is not there yet only if `wait` says so.
    ///
    /// # Errors
    /// when the card is unfit, or not there and not waited for.
    pub fn spawn(
        config: &OutputConfig,
        wait: bool,
        notify: impl Fn(AudioEvent) + Send + 'static,
    ) -> Result<Self, CardError> {
        alsa::hush();
        let opened = output::pick(config, wait).and_then(|devices| match devices.as_slice() {
            [device @ OutputDevice::Cpal(name)] => cpal::check(name).map(|()| (Some(device.clone()), None)),
            devices => output::open_first(devices, config.latency_us).map(|(device, card)| (Some(device), Some(card))),
        });
        let (device, first) = match opened {
            Ok(opened) => opened,
            // A card that is named and can't do what is needed never will; where none is, a better one may come.
            Err(error) if wait && (error.is_passing() || config.device.is_none()) => {
                notify(AudioEvent::Lost(error));
                (config.device.clone(), None)
            }
            Err(error) => return Err(error),
        };
        let (commands, commands_out) = RingBuffer::new(64);
        let (retired_in, retired) = RingBuffer::new(16);
        let (telemetry_in, telemetry) = RingBuffer::new(4);
        let told = LocalTime::default();
        let link = Link { commands: commands_out, retired: retired_in, telemetry: telemetry_in, told };
        let stop = Arc::new(AtomicBool::new(false));
        let hold = Arc::new(Hold::default());
        let worker = Worker {
            device,
            config: config.clone(),
            link: Some(link),
            stop: Arc::clone(&stop),
            hold: Arc::clone(&hold),
        };
        let thread = std::thread::Builder::new()
            .name("audio".into())
            .spawn(move || worker.run(first, notify))
            .map_err(|error| CardError::Unfit { device: "audio".into(), reason: format!("no thread: {error}") })?;
        let latest = Telemetry::default();
        Ok(Self { commands, retired, telemetry, latest, told: false, stop, hold, thread: Some(thread) })
    }

    /// Gives an order. If the thread has not taken the last 64 the order is lost, and said to be.
    pub fn order(&mut self, command: Command) {
        if self.commands.push(command).is_err() {
            tracing::warn!("the audio thread takes no orders: an order is lost");
        }
    }

    /// Lets go of the card, if it has it; nothing plays until [`take_back`](Self::take_back). Waits until that is done,
    /// which takes no longer than what the card has been given lasts.
    pub fn release(&mut self) {
        self.hold.wanted.store(true, Ordering::Release);
        self.hold.leave.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        for _ in 0..MOST_LOOKS {
            if self.hold.done.load(Ordering::Acquire) {
                return;
            }
            std::thread::sleep(RETRY / MOST_LOOKS);
        }
        tracing::warn!("the audio thread does not let go of the card");
    }

    /// Opens the card again, which is told as [`AudioEvent::Opened`].
    pub fn take_back(&mut self) {
        self.hold.leave.store(false, Ordering::Release);
        self.hold.wanted.store(false, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Drops the sessions that are done with, telling the id of each, and gives the newest telemetry.
    pub fn poll(&mut self, mut retired: impl FnMut(u64)) -> &Telemetry {
        while let Ok(session) = self.retired.pop() {
            retired(session.id());
        }
        self.told = false;
        while let Ok(telemetry) = self.telemetry.pop() {
            self.latest = telemetry;
            self.told = true;
        }
        &self.latest
    }

    /// Whether the last [`Audio::poll`] brought anything new: the audio thread is at work.
    pub fn has_told(&self) -> bool {
        self.told
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.hold.leave.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Worker {
    /// None while none is configured and none that could be picked has been opened.
    device: Option<OutputDevice>,
    config: OutputConfig,
    /// Always there, but while cpal's callback has it.
    link: Option<Link>,
    stop: Arc<AtomicBool>,
    hold: Arc<Hold>,
}

/// That the card is to be let go of.
#[derive(Debug, Default)]
struct Hold {
    /// It is to be closed, and not to be opened again.
    wanted: AtomicBool,
    /// The thread is to stop playing: to let go, or for good.
    leave: AtomicBool,
    /// It is closed.
    done: AtomicBool,
}

impl Worker {
    fn run(mut self, first: Option<Box<dyn Card + Send>>, notify: impl Fn(AudioEvent) + Send + 'static) {
        if let Err(error) = realtime::raise(PRIORITY) {
            tracing::warn!("audio without real-time priority, expect dropouts under load: {error}");
        }
        realtime::prefault_stack();
        let mut card = first;
        while !self.stop.load(Ordering::Relaxed) {
            let hold = self.hold.wanted.load(Ordering::Acquire);
            self.hold.done.store(hold, Ordering::Release);
            if hold {
                card = None;
                std::thread::park_timeout(RETRY);
                continue;
            }
            if let Err(error) = self.play(card.take(), &notify) {
                self.forget_orders();
                notify(AudioEvent::Lost(error));
                std::thread::park_timeout(RETRY);
            }
        }
    }

    fn play(&mut self, card: Option<Box<dyn Card + Send>>, notify: &impl Fn(AudioEvent)) -> Result<(), CardError> {
        alsa::hush();
        let devices = match &self.device {
            Some(device) => vec![device.clone()],
            None => output::pick(&self.config, true)?,
        };
        // Those for an earlier card; cpal plays as soon as it is open.
        self.forget_orders();
        if let [OutputDevice::Cpal(name)] = devices.as_slice() {
            let Some(link) = self.link.take() else { return Ok(()) };
            let (link, done) =
                cpal::run(name, &self.config, link, &self.hold.leave, |shape| notify(AudioEvent::Opened(shape)));
            self.link = Some(link);
            return done;
        }
        let mut card = match card {
            Some(card) => card,
            None => {
                let (device, card) = output::open_first(&devices, self.config.latency_us)?;
                self.device = Some(device);
                card
            }
        };
        self.forget_orders();
        notify(AudioEvent::Opened(card.shape().clone()));
        match &mut self.link {
            Some(link) => drive::run(&mut *card, &self.config, link, &self.hold.leave),
            None => Ok(()),
        }
    }

    /// Sessions made for a card that is gone are of no use to the next one.
    fn forget_orders(&mut self) {
        let Some(link) = &mut self.link else { return };
        while link.commands.pop().is_ok() {}
    }
}
