//! What it takes to play a stream: a clock, a thread for its packets, a session. Made here, handed to the audio thread.

use std::sync::Arc;

use rtrb::RingBuffer;
use unisono_common::sdp;
use unisono_host::interface::Interface;
use unisono_host::state::StateDir;

use super::streams::{DEFAULT_DELAY_MS, address, playout_delay, queue, schedule, taken_after, timestamp_offset};
use super::{Playing, Room};
use crate::follow::{Clock, Followed, Gate};
use crate::intake::Intake;
use crate::output::drive::Command;
use crate::session::{Session, SessionConfig};

/// Real-time priority of clock threads.
const CLOCK_PRIORITY: u8 = 50;

/// Where the description of the stream played last is kept.
const REMEMBERED: &str = "stream.sdp";

/// Largest chunk that a session is made for, in device frames: 10 ms at 192 kHz.
const MAX_CHUNK: usize = 1_920;

/// What was played before the last start. What can't be read is as good as forgotten.
pub(super) fn remembered(state: &StateDir) -> Option<Arc<sdp::Session>> {
    let text = state.read(REMEMBERED).ok().flatten()?;
    sdp::Session::parse(text.as_bytes()).ok().map(Arc::new)
}

impl Room {
    /// Has a stream faded in, and what plays faded out.
    pub(super) fn tune(&mut self, description: Arc<sdp::Session>) {
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
                // It is tried again, and its clock is known by then; those of others that could not be played go.
                self.forget_clocks(Clock::of(&description));
            }
        }
    }

    /// The stream plays on with another playout delay, as all rooms do.
    pub(super) fn move_along(&mut self, description: Arc<sdp::Session>) {
        let Some(playing) = self.tuned.last_mut() else { return };
        let delay = description.playout_delay(DEFAULT_DELAY_MS);
        tracing::info!("the playout delay goes to {} ms", description.playout_delay_ms.unwrap_or(DEFAULT_DELAY_MS));
        self.audio.order(Command::PlayoutDelay(playing.id, delay));
        playing.description = Arc::clone(&description);
        self.remember(description);
    }

    /// The clock that a stream is played by.
    pub(super) fn clock(&mut self, description: &sdp::Session) -> anyhow::Result<Arc<dyn Followed>> {
        let Some(which) = Clock::of(description) else {
            anyhow::bail!(
                "its description names no clock that can be followed (a=ts-refclk:ntp= or ptp=, and a=mediaclk:direct=)"
            );
        };
        if let Some(clock) = self.clocks.get(&which) {
            return Ok(Arc::clone(clock));
        }
        let clock = which.follow(&self.interface, CLOCK_PRIORITY)?;
        self.clocks.insert(which, Arc::clone(&clock));
        Ok(clock)
    }

    /// Follows no clock any longer by which nothing is played, nor is about to be, but `wanted`.
    pub(super) fn forget_clocks(&mut self, wanted: Option<Clock>) {
        let Self { clocks, tuned, watched, .. } = self;
        let watched = watched.as_ref().map(|watched| &watched.clock);
        let used: Vec<_> = tuned.iter().map(|playing| &playing.clock).chain(watched).collect();
        clocks.retain(|which, clock| Some(*which) == wanted || used.iter().any(|used| Arc::ptr_eq(used, clock)));
    }

    fn make(&mut self, description: &Arc<sdp::Session>) -> anyhow::Result<(Playing, Box<Session>)> {
        let Some(shape) = self.shape.clone() else { anyhow::bail!("the sound card is not there") };
        let playout_delay = playout_delay(description)?;
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
            playout_delay,
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
        let (id, made_for_ns) = (config.id, playout_delay.longest_ns());
        let playing = Playing { id, description: Arc::clone(description), made_for_ns, intake, clock };
        Ok((playing, session))
    }

    fn remember(&mut self, description: Arc<sdp::Session>) {
        if self.kept.as_ref() != Some(&description) {
            if let Err(error) = self.state.write(REMEMBERED, &description.to_string()) {
                tracing::warn!("the next start will wait for an announcement: {error}");
            }
            self.kept = Some(description);
        }
    }
}
