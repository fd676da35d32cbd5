//! By which way packets come: multicast, or unicast where that does not work. Pure.
//!
//! # Rules
//! - A room whose sender's clock answers, and which hears nothing in the stream's group for [`SILENCE_NS`], asks for
//!   unicast: there is a network, but it does not carry the group (Wi-Fi, a switch without a querier).
//! - So does one that loses more than a set share of what comes by multicast, over [`WINDOW_NS`].
//! - It stays a member of the group. When multicast has lost less than a quarter of that share for a while, it goes back.
//!   Each time that this turns out to have been too early the while doubles.

use std::collections::VecDeque;

use unisono_common::config::receiver::Delivery as Wish;
use unisono_common::control::Way;
use unisono_common::delivery::{ASK_NS, Kind};
use unisono_common::time::LocalTime;

const NS_PER_S: i64 = 1_000_000_000;

/// Without a packet by multicast for so long the group is not heard.
const SILENCE_NS: i64 = 700_000_000;

/// The sender is there if its clock has answered within so long.
const ALIVE_NS: i64 = 2 * NS_PER_S;

/// Losses are counted over so long, looked at so often.
const WINDOW_NS: i64 = 5 * NS_PER_S;
const LOOK_NS: i64 = NS_PER_S / 4;

/// Fewer packets than this tell nothing about a share.
const FEWEST: u64 = 100;

/// How long multicast must have been good before a room goes back to it: at first, and at most.
const FIRST_TRIAL_NS: i64 = 10 * NS_PER_S;
const LONGEST_TRIAL_NS: i64 = 600 * NS_PER_S;

/// Share of multicast that is lost above which unicast is asked for, if nothing is configured.
pub const DEFAULT_SHARE: f64 = 0.25;

/// The way of one stream's packets.
#[derive(Clone, Debug)]
pub struct Delivery {
    wish: Wish,
    share: f64,
    way: Way,
    /// When a packet came last by multicast, or when it was begun to listen.
    heard: LocalTime,
    /// What should have come, and what came by multicast, at some instants of the window; oldest first.
    window: VecDeque<(LocalTime, u64, u64)>,
    /// Since when multicast is good, and for how long it must be.
    good_since: Option<LocalTime>,
    trial_ns: i64,
    /// When the room last went back to multicast.
    returned: Option<LocalTime>,
    asked: Option<LocalTime>,
}

impl Delivery {
    /// A room that begins to listen now.
    pub fn new(wish: Wish, share: f64, now: LocalTime) -> Self {
        Self {
            wish,
            share,
            way: if wish == Wish::Unicast { Way::Unicast } else { Way::Multicast },
            heard: now,
            window: VecDeque::new(),
            good_since: None,
            trial_ns: FIRST_TRIAL_NS,
            returned: None,
            asked: None,
        }
    }

    /// How packets come now, or are asked for.
    pub fn way(&self) -> Way {
        self.way
    }

    /// A packet came by multicast.
    pub fn heard(&mut self, now: LocalTime) {
        self.heard = now;
    }

    /// Takes a look, a few times a second: `expected` packets there should have been so far, `by_multicast` of them came so;
    /// `clock_heard` is when the sender's clock answered last. What is to be said to the sender, if anything.
    #[must_use]
    pub fn look(
        &mut self,
        now: LocalTime,
        expected: u64,
        by_multicast: u64,
        clock_heard: Option<LocalTime>,
    ) -> Option<Kind> {
        self.remember(now, expected, by_multicast);
        let alive = clock_heard.is_some_and(|heard| now - heard < ALIVE_NS);
        let silent = now - self.heard > SILENCE_NS;
        let lost = self.lost();
        let before = self.way;
        match (self.wish, self.way) {
            (Wish::Auto, Way::Multicast) if alive && (silent || lost.is_some_and(|lost| lost > self.share)) => {
                self.leave_multicast(now);
            }
            (Wish::Auto, Way::Unicast) => self.try_multicast(now, silent, lost),
            _ => {}
        }
        match (before, self.way) {
            (Way::Unicast, Way::Multicast) => Some(Kind::End),
            (_, Way::Unicast) if self.asked.is_none_or(|asked| now - asked >= ASK_NS) => {
                self.asked = Some(now);
                Some(Kind::Ask)
            }
            _ => None,
        }
    }

    /// The sender wants to be asked again at once, with its token.
    pub fn ask_again(&mut self) {
        self.asked = None;
    }

    /// Another source, whose packets are counted anew.
    pub fn restart(&mut self) {
        self.window.clear();
        self.good_since = None;
    }

    fn leave_multicast(&mut self, now: LocalTime) {
        self.way = Way::Unicast;
        (self.good_since, self.asked) = (None, None);
        // Back and away again at once: that was too early.
        let flapped = self.returned.is_some_and(|returned| now - returned < 2 * self.trial_ns);
        self.trial_ns = if flapped { (2 * self.trial_ns).min(LONGEST_TRIAL_NS) } else { FIRST_TRIAL_NS };
    }

    fn try_multicast(&mut self, now: LocalTime, silent: bool, lost: Option<f64>) {
        let good = !silent && lost.is_some_and(|lost| lost <= self.share / 4.0);
        if !good {
            self.good_since = None;
            return;
        }
        if now - *self.good_since.get_or_insert(now) >= self.trial_ns {
            self.way = Way::Multicast;
            self.returned = Some(now);
        }
    }

    fn remember(&mut self, now: LocalTime, expected: u64, by_multicast: u64) {
        if self.window.back().is_none_or(|last| now - last.0 >= LOOK_NS) {
            self.window.push_back((now, expected, by_multicast));
        }
        while self.window.len() > 2 && self.window.front().is_some_and(|first| now - first.0 > WINDOW_NS) {
            self.window.pop_front();
        }
    }

    /// Share of the window's packets that did not come by multicast; nothing while there were too few.
    fn lost(&self) -> Option<f64> {
        let (first, last) = self.window.front().zip(self.window.back())?;
        let expected = last.1.saturating_sub(first.1);
        let came = last.2.saturating_sub(first.2).min(expected);
        (expected >= FEWEST && last.0 - first.0 >= WINDOW_NS / 2).then(|| 1.0 - came as f64 / expected as f64)
    }
}

#[cfg(test)]
mod tests;
