//! What the room switches besides its card: an amplifier, and the machine that has the music.

use unisono_common::config::receiver::ReceiverConfig;
use unisono_common::time::LocalTime;

use super::{Room, Wanted};
use crate::amplifier::Amplifier;
use crate::idle::Change;
use crate::wake::{self, Waker};

/// The appliances of a room.
pub(super) struct Appliances {
    amplifier: Option<Amplifier>,
    /// Whether what is played is heard: there is no amplifier to wait for.
    pub(super) hears: bool,
    pub(super) waker: Waker,
}

impl Appliances {
    /// Those configured. A line that can't be had is told, and done without.
    pub(super) fn new(config: &ReceiverConfig, now: LocalTime) -> Self {
        let take = |config| Amplifier::take(config).inspect_err(|error| tracing::warn!("no amplifier: {error}")).ok();
        let amplifier = config.amplifier.as_ref().and_then(take);
        Appliances { hears: amplifier.is_none(), amplifier, waker: Waker::asked(now) }
    }

    pub(super) fn switch(&mut self, change: Change, now: LocalTime) {
        if let Some(amplifier) = &mut self.amplifier {
            amplifier.switch(change == Change::Plays, now);
        }
    }
}

impl Room {
    /// Lets an amplifier hear once it has settled, and wakes the server while what was asked for is not there.
    pub(super) fn tend_appliances(&mut self, now: LocalTime) {
        let hears = self.appliances.amplifier.as_ref().is_none_or(|amplifier| amplifier.listens(now));
        if std::mem::replace(&mut self.appliances.hears, hears) != hears {
            self.set_sound();
        }
        let Some(machine) = self.config.wake else { return };
        let arrives = self.tuned.last().is_some_and(|playing| playing.intake.counts().received > 0);
        let missing = matches!(self.wanted, Wanted::Stream(_)) && !arrives;
        if self.appliances.waker.is_due(missing, now) {
            match wake::wake(machine, &self.interface) {
                Ok(()) => tracing::info!("the stream that was asked for is not there: its server is woken"),
                Err(error) => tracing::warn!("the server can't be woken: {error}"),
            }
        }
    }
}
