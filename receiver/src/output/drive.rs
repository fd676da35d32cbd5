//! The audio thread of a driven card: keeps the ring filled, measures the card, and does nothing else.
//!
//! It allocates nothing, locks nothing and logs nothing: orders, packets and sessions come in through wait-free queues,
//! sessions that are done with and telemetry go out the same way. It keeps time by the card's own clock as measured:
//! it sleeps until the ring has room for the next chunk, not until somebody wakes it.

use std::sync::atomic::{AtomicBool, Ordering};

use rtrb::{Consumer, Producer};
use unisono_common::config::receiver::OutputConfig;
use unisono_common::playout_delay::PlayoutDelay;
use unisono_common::time::LocalTime;
use unisono_host::clock;

use super::{Card, CardError};
use crate::dac::Edge;
use crate::mix::{ChannelMode, RAMP_S, Wakefulness};
use crate::playout::{Playout, State, Telemetry};
use crate::pointer::EdgeFinder;
use crate::session::Session;

/// Chunks are this long, or a quarter of the lead if that is less.
const CHUNK_MS: i64 = 10;

/// Where the ring is deep, so many chunks at most are made at one wake-up, as long as these are left in it: 50 ms, for a
/// stall of this machine.
const MOST_TOGETHER: i64 = 4;
const LEFT: i64 = 5;

/// The ring is filled this far until a session says how far it may be.
const IDLE_LEAD_MS: i64 = 80;

/// Most time that the first look at the card may take; the ring is deeper.
const PROBE_NS: i64 = 30_000_000;

/// Edges wanted of the first look.
const PROBE_EDGES: u32 = 8;

/// Time between edges while the estimate settles, and after: each costs a wake-up and a look at the card of 60 us or more.
/// (Twice as many would make the estimate better by a fifth: some hundredths of a microsecond where the position moves
/// sharply.)
const SETTLING_NS: i64 = 10_000_000;
const SETTLED_NS: i64 = 200_000_000;
const SETTLES_NS: i64 = 2_000_000_000;

/// How long before an edge is due the reading begins; doubled when that was too late.
const APPROACH_NS: i64 = 60_000;
const LONGEST_APPROACH_NS: i64 = 1_000_000;

/// Whatever the estimates say, others get the processor for so long.
const SHORTEST_SLEEP_NS: i64 = 200_000;

/// The longest ring, its fade included, is played in this time.
const LONGEST_END_NS: i64 = 400_000_000;

/// Telemetry goes out this often.
const TELEMETRY_NS: i64 = 100_000_000;

/// Orders to the audio thread.
pub enum Command {
    /// Play this, or nothing.
    Session(Option<Box<Session>>),
    /// The playout delay of the session of this id is another from now on.
    PlayoutDelay(u64, PlayoutDelay),
    /// Volume, and what nothing may be louder than, as linear factors.
    Volume {
        /// Of what plays.
        gain: f32,
        /// Of that and of the chirp.
        most: f32,
    },
    /// Which channels to play.
    Channels(ChannelMode),
    /// From the card's edge to the sound, less the room's trim, in ns.
    ExtraDelay(i64),
    /// Sound "this is me".
    Chirp,
}

/// The audio thread's ends of the queues.
pub struct Link {
    /// Orders.
    pub commands: Consumer<Command>,
    /// Sessions that are done with, to be dropped elsewhere.
    pub retired: Producer<Box<Session>>,
    /// What it knows about itself, now and then; when nobody takes it, it is lost.
    pub telemetry: Producer<Telemetry>,
    /// When it last told.
    pub told: LocalTime,
}

impl Link {
    /// Carries out the orders that have come; `delayed` hears the playout delay of a new session, in ns.
    pub(super) fn obey(&mut self, playout: &mut Playout, mut delayed: impl FnMut(i64)) {
        while let Ok(command) = self.commands.pop() {
            match command {
                Command::Session(session) => {
                    if let Some(session) = &session {
                        delayed(session.playout_delay().shortest_ns());
                    }
                    playout.set_session(session);
                }
                Command::PlayoutDelay(id, delay) => {
                    delayed(delay.shortest_ns());
                    playout.set_playout_delay(id, delay);
                }
                Command::Volume { gain, most } => playout.set_volume(gain, most),
                Command::Channels(mode) => playout.set_channel_mode(mode),
                Command::ExtraDelay(ns) => playout.set_extra_delay(ns),
                Command::Chirp => playout.chirp(),
            }
            self.hand_back(playout);
        }
    }

    /// Sessions that are done with go to be dropped elsewhere; if the queue is full they wait in playout.
    pub(super) fn hand_back(&mut self, playout: &mut Playout) {
        while !self.retired.is_full() {
            let Some(session) = playout.take_retired() else { return };
            let _ = self.retired.push(session);
        }
    }

    /// Tells what playout knows about itself, if it is time to.
    pub(super) fn tell(&mut self, playout: &Playout, now: LocalTime) {
        if now - self.told >= TELEMETRY_NS {
            self.told = now;
            let _ = self.telemetry.push(*playout.telemetry());
        }
    }
}

/// Keeps `card` playing until `stop` is set, as `config` says.
///
/// # Errors
/// when the card is gone.
pub fn run(card: &mut dyn Card, config: &OutputConfig, link: &mut Link, stop: &AtomicBool) -> Result<(), CardError> {
    let mut driver = Driver::new(card, link);
    driver.fixed_lead_ns = config.buffer_ms.map(|ms| i64::from(ms) * 1_000_000);
    driver.wakefulness = config.keep_awake.then(Wakefulness::default);
    driver.set_lead(IDLE_LEAD_MS * 1_000_000);
    let done = driver.run(stop).and_then(|()| driver.fade_out());
    // Whatever was playing ends here, in a thread that no longer has a deadline.
    driver.playout.set_session(None);
    done
}

struct Driver<'a> {
    card: &'a mut dyn Card,
    link: &'a mut Link,
    playout: Playout,
    /// What is rendered at one wake-up goes to the card in one call.
    buffer: Vec<f32>,
    chunk: usize,
    lead: i64,
    /// As configured; nothing means that the playout delay decides.
    fixed_lead_ns: Option<i64>,
    wakefulness: Option<Wakefulness>,
    meter: Meter,
}

impl<'a> Driver<'a> {
    fn new(card: &'a mut dyn Card, link: &'a mut Link) -> Self {
        let shape = card.shape();
        let (rate, channels) = (shape.rate, shape.channels);
        let longest = (i64::from(rate) * CHUNK_MS / 1_000) as usize;
        let now = clock::now();
        Self {
            playout: Playout::silent(rate, channels, longest),
            buffer: vec![0.0; MOST_TOGETHER as usize * longest * channels],
            chunk: longest,
            lead: 0,
            fixed_lead_ns: None,
            wakefulness: None,
            meter: Meter::new(now),
            card,
            link,
        }
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<(), CardError> {
        self.fill_with_silence()?;
        self.card.start()?;
        self.meter.probe(self.card, &mut self.playout)?;
        while !stop.load(Ordering::Relaxed) {
            self.obey();
            self.feed()?;
            self.meter.measure(self.card, &mut self.playout, self.lead)?;
            self.link.tell(&self.playout, clock::now());
            clock::sleep_until(self.next_wake());
        }
        Ok(())
    }

    /// Lets what plays end without a click: the volume goes down, and the card plays what it has been given until then.
    fn fade_out(&mut self) -> Result<(), CardError> {
        if self.playout.telemetry().state != State::Playing {
            return Ok(());
        }
        self.playout.set_volume(0.0, 0.0);
        let fade = (RAMP_S * self.card.shape().rate as f32) as i64 + self.chunk as i64;
        let (silent, end) = (self.card.written() + fade, clock::now() + LONGEST_END_NS);
        while self.card.read()?.played < silent && clock::now() < end {
            self.feed()?;
            clock::sleep_until(self.next_wake());
        }
        Ok(())
    }

    fn fill_with_silence(&mut self) -> Result<(), CardError> {
        self.buffer.fill(0.0);
        // The ring is deeper than the lead by a chunk, not by several.
        let chunk = self.buffer.len() / MOST_TOGETHER as usize;
        while self.card.written() < self.lead {
            self.card.write(&self.buffer[..chunk])?;
        }
        Ok(())
    }

    fn obey(&mut self) {
        let mut lead = None;
        self.link.obey(&mut self.playout, |delay_ns| lead = Some(lead_ns(delay_ns)));
        if let Some(lead) = lead {
            self.set_lead(lead);
        }
    }

    /// Renders and writes until the ring is filled as far as it should be.
    fn feed(&mut self) -> Result<(), CardError> {
        let reading = self.card.read()?;
        let behind = reading.played - self.card.written();
        if behind >= 0 {
            // The card ran on without us. What is written next must lie ahead of it.
            self.card.skip(behind + self.lead / 2)?;
        }
        let chunk = self.chunk;
        if let Some(grain) = self.meter.finder.grain() {
            // A driver that tells its position in long steps has room for more in its ring only then.
            self.lead = self.lead.min(self.card.shape().ring as i64 - grain);
        }
        // Between two steps of a coarse position the card plays on; without that the room would seem to come late.
        let played = match (self.playout.dac(), self.meter.finder.grain()) {
            (Some(dac), Some(grain)) => dac.frame_at(reading.asked).clamp(reading.played, reading.played + grain - 1),
            _ => reading.played,
        };
        let channels = self.card.shape().channels;
        loop {
            let (from, mut frames) = (self.card.written(), 0);
            while from + (frames + chunk) as i64 - played <= self.lead
                && let Some(out) = self.buffer.get_mut(frames * channels..(frames + chunk) * channels)
            {
                self.playout.render(reading.asked, from + frames as i64, out);
                if let Some(wakefulness) = &mut self.wakefulness {
                    wakefulness.apply(out);
                }
                self.link.hand_back(&mut self.playout);
                frames += chunk;
            }
            if frames == 0 {
                return Ok(());
            }
            self.card.write(&self.buffer[..frames * channels])?;
        }
    }

    /// When the ring has room for the next chunk; for several, where it is deep and the card needs no more than a look now
    /// and then.
    fn next_wake(&self) -> LocalTime {
        let (chunk, now) = (self.chunk as i64, clock::now());
        let settled = now - self.meter.begun > SETTLES_NS;
        let together = if settled { (self.lead / chunk - LEFT).clamp(1, MOST_TOGETHER) } else { 1 };
        let frame = self.card.written() - self.lead + together * chunk;
        let soonest = now + SHORTEST_SLEEP_NS;
        match self.playout.dac() {
            Some(dac) => dac.time_of(frame + 1).max(soonest),
            None => soonest + 2_000_000,
        }
    }

    fn set_lead(&mut self, lead_ns: i64) {
        let lead_ns = self.fixed_lead_ns.unwrap_or(lead_ns);
        let shape = self.card.shape();
        let rate = i64::from(shape.rate);
        let longest = rate * CHUNK_MS / 1_000;
        self.lead = (lead_ns * rate / 1_000_000_000).min(shape.ring as i64 - longest);
        self.chunk = (self.lead / 4).clamp(16, longest) as usize;
    }
}

/// How far ahead of the card the ring is filled: a good third of the playout delay rides over a stall of this machine, and
/// leaves nearly two thirds to the network.
fn lead_ns(playout_delay_ns: i64) -> i64 {
    (playout_delay_ns * 36 / 100).clamp(6_000_000, 180_000_000)
}

/// Measures the card's clock.
struct Meter {
    finder: EdgeFinder,
    last: Option<Edge>,
    approach_ns: i64,
    failed: u32,
    begun: LocalTime,
    due: LocalTime,
}

impl Meter {
    fn new(now: LocalTime) -> Self {
        Self { finder: EdgeFinder::default(), last: None, approach_ns: APPROACH_NS, failed: 0, begun: now, due: now }
    }

    /// The first look: learns how coarse the position is, and enough edges to begin with.
    fn probe(&mut self, card: &mut dyn Card, playout: &mut Playout) -> Result<(), CardError> {
        let end = clock::now() + PROBE_NS;
        self.begun = clock::now();
        for _ in 0..PROBE_EDGES {
            if !self.watch(card, playout, end)? {
                break;
            }
        }
        Ok(())
    }

    /// Finds an edge if one is wanted now.
    fn measure(&mut self, card: &mut dyn Card, playout: &mut Playout, lead: i64) -> Result<(), CardError> {
        let now = clock::now();
        if now < self.due {
            return Ok(());
        }
        let interval = if now - self.begun < SETTLES_NS { SETTLING_NS } else { SETTLED_NS };
        self.due = now + interval;
        let (Some(dac), Some(last), Some(grain)) = (playout.dac(), self.last, self.finder.grain()) else {
            return self.look_again(card, playout);
        };
        let passed = (dac.frame_at(now + APPROACH_NS / 4) - last.frame).div_euclid(grain);
        let edge = dac.time_of(last.frame + (passed + 1) * grain);
        // A wait must not cost the ring more than it can spare.
        if edge - now > (lead as f64 * dac.period_ns() / 2.0) as i64 {
            return Ok(());
        }
        if edge - now > 2 * self.approach_ns {
            clock::sleep_until(edge - self.approach_ns);
        }
        self.finder.interrupt();
        if self.watch(card, playout, edge + APPROACH_NS)? {
            self.failed = 0;
            self.approach_ns = (self.approach_ns * 7 / 8).max(APPROACH_NS);
            return Ok(());
        }
        self.failed += 1;
        self.approach_ns = (self.approach_ns * 2).min(LONGEST_APPROACH_NS);
        self.due = now + SETTLING_NS;
        if self.failed > 10 { self.look_again(card, playout) } else { Ok(()) }
    }

    /// The edges are not where they were thought to be: look for as long as can be spared.
    fn look_again(&mut self, card: &mut dyn Card, playout: &mut Playout) -> Result<(), CardError> {
        self.failed = 0;
        self.watch(card, playout, clock::now() + SETTLING_NS).map(|_| ())
    }

    /// Reads the position until it is seen to change, or until `end`.
    fn watch(&mut self, card: &mut dyn Card, playout: &mut Playout, end: LocalTime) -> Result<bool, CardError> {
        loop {
            let reading = card.read()?;
            if let Some(edge) = self.finder.feed(reading) {
                playout.observe(edge);
                self.last = Some(edge);
                return Ok(true);
            }
            if reading.asked > end {
                return Ok(false);
            }
        }
    }
}
