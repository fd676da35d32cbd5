//! Who else is on a stream's id or in its group. (P)
//!
//! Anybody can announce anything, so that neither memory nor log may grow with it.

use unisono_common::time::LocalTime;

/// A conflict that was not seen again for so long is over: two announcements in the slow rhythm, and a little.
const OVER_NS: i64 = 70_000_000_000;
/// So many of a stream are known at once; more tell nothing new, and are passed over.
const MOST: usize = 8;

/// The conflicts of one stream.
#[derive(Debug, Default)]
pub(super) struct Conflicts(Vec<Conflict>);

#[derive(Debug)]
struct Conflict {
    text: String,
    seen: LocalTime,
}

impl Conflicts {
    /// Another sender disturbs the stream; true when that is news, at most [`MOST`] times in [`OVER_NS`].
    pub(super) fn note(&mut self, text: String, now: LocalTime) -> bool {
        self.expire(now);
        if let Some(known) = self.0.iter_mut().find(|known| known.text == text) {
            known.seen = now;
            return false;
        }
        let news = self.0.len() < MOST;
        if news {
            self.0.push(Conflict { text, seen: now });
        }
        news
    }

    /// The one that is known longest, if any is.
    pub(super) fn first(&mut self, now: LocalTime) -> Option<String> {
        self.expire(now);
        self.0.first().map(|conflict| conflict.text.clone())
    }

    fn expire(&mut self, now: LocalTime) {
        self.0.retain(|conflict| now - conflict.seen <= OVER_NS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> LocalTime {
        LocalTime::from_ns(seconds * 1_000_000_000)
    }

    #[test]
    fn two_in_turn_are_news_once_each_and_again_when_they_were_over() {
        let mut conflicts = Conflicts::default();
        let mut note = |text: &str, s| conflicts.note(text.to_owned(), at(s));
        assert!(note("a", 0) && note("b", 1));
        assert!((2..100).all(|s| !note(if s % 2 == 0 { "a" } else { "b" }, s)));
        assert!(note("a", 200));
        assert_eq!(conflicts.first(at(201)).as_deref(), Some("a"));
        assert_eq!(conflicts.first(at(300)), None);
    }

    #[test]
    fn however_many_strangers_announce_few_are_told_and_none_is_forgotten_for_them() {
        let mut conflicts = Conflicts::default();
        assert!(conflicts.note("ours".to_owned(), at(0)));
        let told = (0..60_000).filter(|n| conflicts.note(format!("stranger {n}"), at(n / 1_000))).count();
        assert_eq!(told, MOST - 1);
        assert_eq!(conflicts.0.len(), MOST);
        assert_eq!(conflicts.first(at(60)).as_deref(), Some("ours"));
    }
}
