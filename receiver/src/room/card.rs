//! What is said of a card that comes and goes: a line a minute at most, however often it does. (P)

use unisono_common::time::LocalTime;

/// Between two lines about a card that is not there.
const QUIET_NS: i64 = 60_000_000_000;

/// Whether there is something to say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CardNews {
    /// It is not there.
    lost: bool,
    /// That it is not there has been said.
    said: bool,
    /// When that was said last, of this time or an earlier one.
    last: Option<LocalTime>,
    /// It has come back unsaid, and so is what it begins to play.
    hush: bool,
}

impl CardNews {
    /// It is not there, as is told again and again: whether that is to be said now.
    #[must_use]
    pub(super) fn is_lost(&mut self, now: LocalTime) -> bool {
        self.lost = true;
        let quiet = self.last.is_some_and(|last| now - last < QUIET_NS);
        if self.said || quiet {
            return false;
        }
        (self.said, self.last) = (true, Some(now));
        true
    }

    /// It plays: whether that is to be said. Of a card whose loss was not worth a line, neither is its return.
    #[must_use]
    pub(super) fn is_back(&mut self) -> bool {
        self.hush = self.lost && !self.said;
        (self.lost, self.said) = (false, false);
        !self.hush
    }

    /// Something begins to play: whether that is to be said.
    #[must_use]
    pub(super) fn begins(&mut self) -> bool {
        !std::mem::take(&mut self.hush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> LocalTime {
        LocalTime::from_ns(ms * 1_000_000)
    }

    #[test]
    fn a_card_that_is_missing_is_told_of_once_and_its_return_too() {
        let mut news = CardNews::default();
        assert!(news.is_back(), "the first");
        let lines = (0..600_000).step_by(500).filter(|&ms| news.is_lost(at(ms))).count();
        assert_eq!(lines, 1);
        assert!(news.is_back() && news.is_back(), "also of one that was let go of");
        assert!(news.is_lost(at(700_000)));
    }

    #[test]
    fn a_card_that_comes_and_goes_twice_a_second_gives_a_line_a_minute() {
        let mut news = CardNews::default();
        let (mut lost, mut back) = (0, 0);
        for ms in (0..600_000).step_by(500) {
            lost += u32::from(news.is_lost(at(ms)));
            let (is_back, begins) = (news.is_back(), news.begins());
            assert_eq!(is_back, begins);
            back += u32::from(is_back);
        }
        assert_eq!((lost, back), (10, 10));
        assert!(news.begins(), "another stream, later");
    }

    #[test]
    fn what_was_not_worth_a_line_is_when_it_lasts() {
        let mut news = CardNews::default();
        assert!(news.is_lost(at(0)) && news.is_back());
        let told: Vec<i64> = (500..120_000).step_by(500).filter(|&ms| news.is_lost(at(ms))).collect();
        assert_eq!(told, [60_000]);
    }
}
