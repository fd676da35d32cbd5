//! Playout: which content goes into which frame of the device.
//!
//! Pure: the card's edges, the packets and the clock's maps come in, frames go out; a simulated card in virtual time is
//! as good as a real one. The caller's contract: [`render`](Playout::render) is called for consecutive device frames;
//! a call that does not continue where the last one ended tells that the card ran on without us.

use unisono_common::playout_delay::PlayoutDelay;
use unisono_common::time::LocalTime;

use crate::dac::{DacClock, DacMap, Edge, Observed};
use crate::mix::{ChannelMode, Chirp, FadeIn, Gain, Tail, map_channels};
use crate::session::{Chunk, PacketCounts, Session, Steering};

/// Length of the fade-in of a first sound.
const FADE_IN_S: f64 = 0.010;

/// Length of what is faded out when the sound moves elsewhere or ends.
const FADE_OUT_S: f64 = 0.010;

/// What playout is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum State {
    /// There is nothing to play.
    #[default]
    Idle,
    /// The card's clock is still being measured.
    WaitingForCard,
    /// The sender's clock is not known well enough.
    WaitingForClock,
    /// What is due has not arrived.
    WaitingForContent,
    /// Sound.
    Playing,
}

/// What playout knows about itself; all of it since the card was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// What it is doing.
    pub state: State,
    /// How far content lags behind where it is due, in ns, as the servo sees it.
    pub error_ns: f64,
    /// Standard deviation of the sender's clock, in ns.
    pub clock_sigma_ns: f64,
    /// Standard deviation of the DAC's clock, in ns.
    pub dac_sigma_ns: f64,
    /// Card's rate error, relative to this host's clock.
    pub card_rate: f64,
    /// The rate at which content is played, relative to the card's.
    pub content_rate: f64,
    /// Content that has arrived and is not played yet, in ns.
    pub buffered_ns: i64,
    /// First sounds, aligned: one for each start.
    pub starts: u64,
    /// Moves under a crossfade, because the error was too large to slew.
    pub splices: u64,
    /// Times that the card ran on without us.
    pub laps: u64,
    /// Content frames that were due and not there.
    pub missing: u64,
    /// Packets of the session that is played.
    pub packets: PacketCounts,
    /// By how much they came before they were taken, at the least, in the last ten to twenty seconds, in ns.
    pub spare_ns: Option<i64>,
}

/// The engine between packets and a card.
pub struct Playout {
    rate: u32,
    channels: usize,
    dac: DacClock,
    /// From the instant at which the card lets go of a frame to its sound, less the room's trim.
    extra_ns: i64,
    current: Option<Box<Session>>,
    incoming: Option<Box<Session>>,
    /// Sessions that are done with, until somebody takes them.
    retired: [Option<Box<Session>>; 4],
    mode: ChannelMode,
    gain: Gain,
    tail: Tail,
    fade_in: FadeIn,
    chirp: Chirp,
    /// The frame that the next call continues with.
    next: Option<i64>,
    content: Vec<f32>,
    telemetry: Telemetry,
}

impl Playout {
    /// For a device of this rate and channel count, in chunks of at most `max_chunk` frames. Silent, chirps too, until
    /// it is told a volume: no card begins louder than its room may be.
    pub fn silent(rate: u32, channels: usize, max_chunk: usize) -> Self {
        let mut playout = Self::new(rate, channels, max_chunk);
        playout.set_volume(0.0, 0.0);
        playout
    }

    /// The same at full volume: for simulations, which nobody hears.
    pub fn new(rate: u32, channels: usize, max_chunk: usize) -> Self {
        Self {
            rate,
            channels,
            dac: DacClock::new(rate),
            extra_ns: 0,
            current: None,
            incoming: None,
            retired: [const { None }; 4],
            mode: ChannelMode::Stereo,
            gain: Gain::new(1.0, rate),
            tail: Tail::new((FADE_OUT_S * f64::from(rate)) as usize, channels),
            chirp: Chirp::new(rate),
            fade_in: FadeIn::new((FADE_IN_S * f64::from(rate)) as usize),
            next: None,
            content: vec![0.0; max_chunk * 8],
            telemetry: Telemetry::default(),
        }
    }

    /// An edge of the card's position.
    pub fn observe(&mut self, edge: Edge) -> Observed {
        self.dac.observe(edge)
    }

    /// When each frame leaves the DAC, once that is known.
    pub fn dac(&self) -> Option<DacMap> {
        self.dac.map()
    }

    /// Time from the card's edge to the sound (the device's latency less the room's trim), in ns. A change is heard as
    /// a slow slide, or as a splice if it is large.
    pub fn set_extra_delay(&mut self, ns: i64) {
        self.extra_ns = ns;
    }

    /// Volume, as a linear factor, and the amplitude that nothing exceeds, neither music nor a chirp. Ramps while
    /// something sounds; what is told before that holds from the first frame on.
    pub fn set_volume(&mut self, gain: f32, most: f32) {
        self.chirp.set_most(most);
        self.gain.set(gain.min(most));
        let sounds = self.current.as_ref().is_some_and(|session| session.is_anchored());
        if !sounds && self.tail.is_over() {
            self.gain.arrive();
        }
    }

    /// Which channel of the content goes where.
    pub fn set_channel_mode(&mut self, mode: ChannelMode) {
        self.mode = mode;
    }

    /// Sounds "this is me", whatever the volume, but no louder than the room may be.
    pub fn chirp(&mut self) {
        self.chirp.begin();
    }

    /// What is to be played from now on; the old stream plays until the new one has sound, then they cross over.
    ///
    /// Call [`take_retired`](Self::take_retired) until it gives nothing after each call of this and of `render`, or the
    /// audio thread will be the one to free memory.
    pub fn set_session(&mut self, session: Option<Box<Session>>) {
        match session {
            Some(session) => {
                let unheard = self.incoming.replace(session);
                self.retire(unheard);
            }
            None => {
                self.fade_out_current();
                let (unheard, ended) = (self.incoming.take(), self.current.take());
                self.retire(unheard);
                self.retire(ended);
            }
        }
    }

    /// The playout delay of the session `id`, if it is still here, is another from now on.
    pub fn set_playout_delay(&mut self, id: u64, delay: PlayoutDelay) {
        for session in [&mut self.current, &mut self.incoming].into_iter().flatten().filter(|s| s.id() == id) {
            session.set_playout_delay(delay);
        }
    }

    /// A session that is no longer played, to be dropped elsewhere.
    pub fn take_retired(&mut self) -> Option<Box<Session>> {
        self.retired.iter_mut().find_map(Option::take)
    }

    /// The session that is, or will be, heard.
    pub fn session(&self) -> Option<&Session> {
        self.incoming.as_deref().or(self.current.as_deref())
    }

    /// What playout knows about itself.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Makes device frames `first` and following (interleaved) into `out`. `now` is local time.
    pub fn render(&mut self, now: LocalTime, first: i64, out: &mut [f32]) {
        if self.next.is_some_and(|next| next != first) {
            self.telemetry.laps += 1;
            self.tail.clear();
            if let Some(session) = &mut self.current {
                session.release();
            }
        }
        let frames = out.len() / self.channels;
        self.next = Some(first + frames as i64);
        for session in [&mut self.current, &mut self.incoming].into_iter().flatten() {
            session.receive(now);
        }
        out.fill(0.0);
        self.telemetry.state = match self.dac.map() {
            _ if self.session().is_none() => State::Idle,
            None => State::WaitingForCard,
            Some(dac) => self.play(&Chunk { now, first, frames, dac, extra_ns: self.extra_ns }, out),
        };
        self.tail.mix_into(out);
        self.gain.apply(out, self.channels);
        self.chirp.mix_into(out, self.channels);
        let session = self.session().map(|s| (s.counts(), s.buffered_ns(), s.spare_ns())).unwrap_or_default();
        (self.telemetry.packets, self.telemetry.buffered_ns, self.telemetry.spare_ns) = session;
    }

    fn play(&mut self, at: &Chunk, out: &mut [f32]) -> State {
        self.telemetry.card_rate = at.dac.rate_error();
        self.telemetry.dac_sigma_ns = at.dac.sigma_ns(at.first);
        let mut waiting = State::Idle;
        if let Some(incoming) = &mut self.incoming {
            match incoming.begin(at) {
                Ok(()) => {
                    self.fade_out_current();
                    let ended = std::mem::replace(&mut self.current, self.incoming.take());
                    self.retire(ended);
                    self.begun();
                }
                Err(state) => waiting = state,
            }
        }
        // At most one move a chunk: what can't be steered is faded out, and begins anew if it can.
        for _ in 0..2 {
            let Some(session) = &mut self.current else { return waiting };
            if !session.is_anchored() {
                if let Err(state) = session.begin(at) {
                    return state;
                }
                self.begun();
                continue;
            }
            if let Ok(steering) = session.steer(at) {
                self.put_out(&steering, out);
                return State::Playing;
            }
            self.telemetry.splices += 1;
            self.fade_out_current();
        }
        // It began in the second round, or moved in it: it sounds from this chunk on all the same.
        match self.current.as_mut().map(|session| session.steer(at)) {
            Some(Ok(steering)) => {
                self.put_out(&steering, out);
                State::Playing
            }
            _ => State::WaitingForContent,
        }
    }

    fn retire(&mut self, session: Option<Box<Session>>) {
        if let Some(free) = self.retired.iter_mut().find(|place| place.is_none()) {
            *free = session;
        }
    }

    fn begun(&mut self) {
        self.telemetry.starts += 1;
        self.fade_in.begin();
    }

    fn put_out(&mut self, steering: &Steering, out: &mut [f32]) {
        let Some(session) = &mut self.current else { return };
        let channels = usize::from(session.format().channels);
        let content = &mut self.content[..out.len() / self.channels * channels];
        let report = session.render(steering.step, steering.lag, content);
        map_channels(content, channels, self.mode, out, self.channels);
        self.fade_in.apply(out, self.channels);
        let nominal = f64::from(session.format().rate) / f64::from(self.rate);
        self.telemetry.error_ns = steering.error_ns;
        self.telemetry.clock_sigma_ns = steering.sigma_ns;
        self.telemetry.content_rate = steering.step / nominal - 1.0;
        self.telemetry.missing += report.missing as u64;
    }

    /// Puts what would have come next into the tail, and stops the current session.
    fn fade_out_current(&mut self) {
        let Some(session) = self.current.as_mut().filter(|session| session.is_anchored()) else { return };
        let from = usize::from(session.format().channels);
        let (mode, to, content) = (self.mode, self.channels, &mut self.content);
        self.tail.begin(|out| {
            for out in out.chunks_mut(session.max_chunk() * to) {
                let content = &mut content[..out.len() / to * from];
                session.render(session.last_step(), 0.0, content);
                map_channels(content, from, mode, out, to);
            }
        });
        session.release();
    }
}

#[cfg(test)]
mod tests;
