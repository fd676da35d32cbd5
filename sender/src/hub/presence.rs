//! A room that is linked now.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::sync::mpsc;
use unisono_common::control::{FromHub, Health, Orders};
use unisono_common::time::LocalTime;

/// Reports kept for the page's graphs: five minutes.
const HISTORY: usize = 300;
/// Reports come once a second; those between, when the state changes, are not history.
const HISTORY_STEP_NS: i64 = 900_000_000;

/// The hub's end of a room's link.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where the room dials from.
    pub address: SocketAddr,
    /// What is to be sent; `None` once it was full: the room is too slow, and is hung up on.
    outbox: Option<mpsc::Sender<FromHub>>,
}

impl Link {
    /// A link whose other end sends what comes out of the outbox, and ends when the outbox is closed.
    pub fn new(address: SocketAddr, outbox: mpsc::Sender<FromHub>) -> Self {
        Link { address, outbox: Some(outbox) }
    }

    /// Puts a message into the outbox. False when the link is dead or stuck: it is hung up on, for good, as a room that
    /// misses one message may do the wrong thing for ever. It dials again, and is told everything anew.
    pub fn say(&mut self, message: FromHub) -> bool {
        let said = self.outbox.as_ref().is_some_and(|outbox| outbox.try_send(message).is_ok());
        if !said {
            self.outbox = None;
        }
        said
    }

    /// Whether nothing can be said any more.
    pub fn is_dead(&self) -> bool {
        self.outbox.as_ref().is_none_or(|outbox| outbox.is_closed())
    }
}

/// One second of a room's past.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was reported.
    pub at: LocalTime,
    /// How late, in microseconds.
    pub offset_us: Option<f64>,
    /// Share of packets lost.
    pub loss_ratio: f64,
}

/// A linked room.
#[derive(Debug)]
pub struct Presence {
    /// Number of the link.
    pub number: u64,
    /// The link.
    pub link: Link,
    /// The key that it has proved.
    pub key: String,
    /// Whether it takes part, or waits at the door.
    pub inside: bool,
    /// Digits shown for it at the door.
    pub code: String,
    /// The last orders it was sent.
    pub orders: Option<Orders>,
    /// Its last report, and when.
    pub health: Option<(Health, LocalTime)>,
    /// The last minutes.
    pub history: VecDeque<Sample>,
}

impl Presence {
    pub(super) fn new(number: u64, link: Link, key: String, inside: bool) -> Self {
        let history = VecDeque::new();
        Presence { number, link, key, inside, code: String::new(), orders: None, health: None, history }
    }

    /// Takes a report in; true when it says something that should be shown at once.
    pub(super) fn report(&mut self, health: Health, now: LocalTime) -> bool {
        let key = |health: &Health| (health.state, health.stream.clone(), health.orders, health.trouble.clone());
        let news = self.health.as_ref().is_none_or(|(last, _)| key(last) != key(&health));
        if self.history.back().is_none_or(|last| now - last.at >= HISTORY_STEP_NS) {
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            let offset_us = health.offset_us.filter(|offset| offset.is_finite());
            self.history.push_back(Sample { at: now, offset_us, loss_ratio: health.loss_ratio });
        }
        self.health = Some((health, now));
        news
    }
}
