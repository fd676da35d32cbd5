//! "This is me", which may have to wait: for a card that was let go of, for an amplifier that settles. (P)

use unisono_common::time::LocalTime;

/// What could not sound by then is left out, as nobody listens for it any more: longer than any amplifier takes.
const PATIENCE_NS: i64 = 15_000_000_000;

/// The chirp of a room.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identifying {
    /// When it was asked for; nothing once it has sounded.
    asked: Option<LocalTime>,
    /// When it was last asked for or sounded.
    last: Option<LocalTime>,
}

impl Identifying {
    /// Somebody wants to hear which room this is.
    pub(super) fn ask(&mut self, now: LocalTime) {
        (self.asked, self.last) = (Some(now), Some(now));
    }

    /// Whether it is to sound now; `audible`: card and amplifier are there for it.
    #[must_use]
    pub(super) fn is_due(&mut self, audible: bool, now: LocalTime) -> bool {
        self.asked = self.asked.filter(|asked| now - *asked <= PATIENCE_NS);
        let due = audible && self.asked.take().is_some();
        if due {
            self.last = Some(now);
        }
        due
    }

    /// When it was last asked for or sounded: it is something to play, for which a room does not idle.
    pub(super) fn last(&self) -> Option<LocalTime> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> LocalTime {
        LocalTime::from_ns(seconds * 1_000_000_000)
    }

    #[test]
    fn a_chirp_waits_until_it_is_audible_and_sounds_once() {
        let mut identifying = Identifying::default();
        assert!(!identifying.is_due(true, at(1)) && identifying.last().is_none());
        identifying.ask(at(2));
        assert!(!identifying.is_due(false, at(3)));
        assert_eq!(identifying.last(), Some(at(2)));
        assert!(identifying.is_due(true, at(4)));
        assert!(!identifying.is_due(true, at(5)));
        assert_eq!(identifying.last(), Some(at(4)));
    }

    #[test]
    fn a_chirp_that_nobody_waits_for_any_more_is_left_out() {
        let mut identifying = Identifying::default();
        identifying.ask(at(2));
        assert!(!identifying.is_due(false, at(18)));
        assert!(!identifying.is_due(true, at(19)));
    }
}
