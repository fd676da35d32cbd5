//! A room with nothing to play lets go of its card, if that is wished, and takes it back for a sound or a chirp.

use std::sync::Arc;

use rtrb::RingBuffer;
use unisono_common::sdp;
use unisono_common::time::LocalTime;

use super::Room;
use super::streams::{address, schedule, taken_after};
use crate::follow::{Clock, Followed};
use crate::intake::Intake;

/// A stream that is listened to for its first sound, and its clock, so that both are at hand then.
pub(super) struct Watched {
    pub(super) description: Arc<sdp::Session>,
    pub(super) intake: Intake,
    pub(super) clock: Arc<dyn Followed>,
}

impl Room {
    /// Tells whoever wants to know that there is something to play, or nothing.
    pub(super) fn note_sound(&mut self, now: LocalTime) {
        let heard = match &self.watched {
            Some(watched) => watched.intake.counts().sound,
            None => self.tuned.last().and_then(|playing| playing.intake.counts().sound),
        };
        let heard = heard.filter(|_| self.gain > 0.0).max(self.identifying.last());
        if let Some(change) = self.idleness.note(heard, now) {
            self.hooks.run(change);
            self.appliances.switch(change, now);
        }
        self.tend_card();
    }

    /// Lets go of the card of a room that idles, also of one that came late, or takes it back.
    fn tend_card(&mut self) {
        let idles = self.idleness.idles();
        if idles && self.release_card && self.shape.is_some() {
            tracing::info!("nothing to play: the card is let go of");
            self.audio.release();
            self.released = self.shape.take();
            self.tuned.clear();
            self.watch();
        } else if !idles && self.released.take().is_some() {
            self.audio.take_back();
        }
    }

    /// Listens to what is wanted while the card is let go of.
    pub(super) fn watch(&mut self) {
        let wanted = self.find();
        if self.watched.as_ref().map(|watched| &watched.description) == wanted.as_ref() {
            return;
        }
        self.watched = None;
        let Some(description) = wanted else { return };
        // Its packets are counted and left: nobody takes them.
        let (producer, _) = RingBuffer::new(1);
        let Ok(clock) = self.clock(&description) else { return };
        let address = address(&description, self.delivery, self.unicast_above_loss);
        let schedule = schedule(&description, clock.reader(), taken_after(&description));
        let which = Clock::of(&description);
        if let Ok(intake) = Intake::spawn(&address, &self.interface, schedule, producer) {
            self.watched = Some(Watched { description, intake, clock });
        }
        self.forget_clocks(which);
    }
}
