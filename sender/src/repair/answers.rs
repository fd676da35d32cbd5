//! Which requests for lost packets are answered, to whom and when. Pure.
//!
//! # Rules
//! - The first room that asks for a packet gets it by unicast, at once.
//! - When a second room asks for the same one, it is sent to the group: whoever else lost it has it then. Requests that
//!   were on their way meanwhile are covered by that answer ([`COVERED_NS`]) and get no other.
//! - Where packets of late were lost to several rooms at once, already the first request is answered to the group. Then no
//!   second one comes that could tell whether it is still so; it is forgotten slowly, and found out anew.
//! - A room that asks again after that did not get the group's answer; it gets one of its own.
//! - Answers leave one by one, at most eight times as fast as the stream, and over time never more of them than the
//!   stream has packets: a storm of requests, or a forger of them, can't make the sender a flood.

use std::collections::VecDeque;
use std::net::SocketAddr;

use unisono_common::rtp;
use unisono_common::time::LocalTime;

/// Requests that come so soon after an answer were made before it could be heard.
pub const COVERED_NS: i64 = 8_000_000;

/// Answers leave this many times faster than the stream's own packets.
pub const FASTER: i64 = 8;

/// Answers that may be given at once after a quiet time: a burst of losses in several rooms.
const BURST: i64 = 96;

/// Answers that wait to leave, at most.
const MOST_WAITING: usize = 512;

/// Packets were lost to several rooms of late, from this share of them on.
const OFTEN: f64 = 0.5;

/// How far one packet that several rooms ask for, or that only one does, moves that share; and an answer to the group, of
/// which that is not known.
const LEARNT: f64 = 0.25;
const UNLEARNT: f64 = 1.0 / 8.0;
const FORGOTTEN: f64 = 1.0 / 64.0;

/// A packet of the stream as it was sent; room for the longest.
pub type Bytes = [u8; rtp::MAX_PACKET];

/// The history of one stream and what is to be sent of it again.
#[derive(Debug)]
pub struct Answers {
    /// Packets by their sequence number, in a ring.
    history: Vec<Kept>,
    newest: Option<u16>,
    waiting: VecDeque<u16>,
    packet_ns: i64,
    /// No answer leaves earlier.
    not_before: LocalTime,
    /// Answers that may be given, in nanoseconds of the stream, as of `counted`.
    credit_ns: i64,
    counted: LocalTime,
    /// Of the packets that were lost of late, the share that several rooms lost.
    together: f64,
    counts: Counts,
}

/// What became of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets asked for.
    pub asked: u64,
    /// Answers to one room.
    pub to_rooms: u64,
    /// Answers to the group.
    pub to_group: u64,
    /// Requests that an answer on its way covers.
    pub covered: u64,
    /// Requests for what is not, or no longer, there.
    pub unknown: u64,
    /// Requests beyond what may be answered.
    pub refused: u64,
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To one room.
    Room(SocketAddr),
    /// To all that listen.
    Group,
}

#[derive(Clone, Debug)]
struct Kept {
    sequence: Option<u16>,
    length: usize,
    bytes: Box<Bytes>,
    /// Who asked first, and where the answer goes or went.
    asker: Option<SocketAddr>,
    to: Option<To>,
    waits: bool,
    /// More than one room has asked.
    several: bool,
    answered: Option<LocalTime>,
}

impl Answers {
    /// Keeps `packets` packets, rounded up to a power of two, of a stream that sends one each `packet_ns`.
    pub fn new(packets: usize, packet_ns: i64, now: LocalTime) -> Self {
        let kept = Kept {
            sequence: None,
            length: 0,
            bytes: Box::new([0; rtp::MAX_PACKET]),
            asker: None,
            to: None,
            waits: false,
            several: false,
            answered: None,
        };
        Answers {
            history: vec![kept; packets.clamp(16, 1 << 15).next_power_of_two()],
            newest: None,
            waiting: VecDeque::with_capacity(MOST_WAITING),
            packet_ns,
            not_before: now,
            credit_ns: BURST * packet_ns,
            counted: now,
            together: 0.0,
            counts: Counts::default(),
        }
    }

    /// A packet has been sent.
    pub fn store(&mut self, sequence: u16, packet: &[u8]) {
        self.learn(sequence);
        let kept = self.slot(sequence);
        let length = packet.len().min(rtp::MAX_PACKET);
        kept.bytes[..length].copy_from_slice(&packet[..length]);
        (kept.sequence, kept.length) = (Some(sequence), length);
        (kept.asker, kept.to, kept.waits, kept.several, kept.answered) = (None, None, false, false, None);
        self.newest = Some(sequence);
    }

    /// A room asks for a packet.
    pub fn ask(&mut self, by: SocketAddr, sequence: u16, now: LocalTime) {
        self.counts.asked += 1;
        let full = self.waiting.len() >= MOST_WAITING;
        let first = if self.together > OFTEN { To::Group } else { To::Room(by) };
        let kept = self.slot(sequence);
        if kept.sequence != Some(sequence) {
            self.counts.unknown += 1;
            return;
        }
        kept.several |= kept.asker.is_some_and(|asker| asker != by);
        let recent = kept.answered.is_some_and(|at| now - at < COVERED_NS);
        let to = match (kept.to, kept.asker) {
            // Asked again by the only one that ever did, or by anybody before the group's answer could be heard.
            (Some(To::Group), _) if kept.waits || recent => None,
            (Some(To::Room(room)), _) if room == by && (kept.waits || recent) => None,
            (Some(To::Room(room)), _) if room != by => Some(To::Group),
            (None, _) => Some(first),
            (Some(_), _) => Some(To::Room(by)),
        };
        let Some(to) = to else {
            self.counts.covered += 1;
            return;
        };
        let waits = kept.waits;
        if !waits && full {
            self.counts.refused += 1;
            return;
        }
        let kept = self.slot(sequence);
        kept.asker.get_or_insert(by);
        kept.to = Some(to);
        kept.waits = true;
        if !waits {
            self.waiting.push_back(sequence);
        }
    }

    /// When the next answer may leave; nothing while none waits. Changes with every call of the others.
    pub fn next(&self) -> Option<LocalTime> {
        self.waiting.front().map(|_| self.not_before)
    }

    /// The answer that leaves now, if one may: the packet as it was sent, and where to.
    pub fn answer(&mut self, now: LocalTime) -> Option<(&[u8], To)> {
        while let Some(&sequence) = self.waiting.front() {
            if self.not_before - now > 0 {
                return None;
            }
            self.waiting.pop_front();
            let kept = self.slot(sequence);
            // Meanwhile the ring may have come round.
            let Some(to) = kept.to.filter(|_| kept.sequence == Some(sequence) && kept.waits) else { continue };
            kept.waits = false;
            if !self.pay(now) {
                self.slot(sequence).to = None;
                self.counts.refused += 1;
                continue;
            }
            self.not_before = now + self.packet_ns / FASTER;
            match to {
                To::Room(_) => self.counts.to_rooms += 1,
                To::Group => self.counts.to_group += 1,
            }
            let kept = self.slot(sequence);
            kept.answered = Some(now);
            return Some((&kept.bytes[..kept.length], to));
        }
        None
    }

    /// What became of requests so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The packet of this number, if it is kept.
    pub fn packet(&self, sequence: u16) -> Option<&[u8]> {
        let kept = &self.history[usize::from(sequence) & (self.history.len() - 1)];
        (kept.sequence == Some(sequence)).then(|| &kept.bytes[..kept.length])
    }

    /// Number of the packet that was sent last.
    pub fn newest(&self) -> Option<u16> {
        self.newest
    }

    /// What was asked of the packet whose place is taken by a new one tells how the next ones are lost.
    fn learn(&mut self, sequence: u16) {
        let Kept { asker: Some(_), several, to, .. } = *self.slot(sequence) else { return };
        self.together += match (several, to) {
            (true, _) => LEARNT * (1.0 - self.together),
            (false, Some(To::Group)) => -FORGOTTEN * self.together,
            (false, _) => -UNLEARNT * self.together,
        };
    }

    /// Takes the price of an answer, if there is that much.
    fn pay(&mut self, now: LocalTime) -> bool {
        self.credit_ns = (self.credit_ns + (now - self.counted).max(0)).min(BURST * self.packet_ns);
        self.counted = now;
        let enough = self.credit_ns >= self.packet_ns;
        if enough {
            self.credit_ns -= self.packet_ns;
        }
        enough
    }

    fn slot(&mut self, sequence: u16) -> &mut Kept {
        let mask = self.history.len() - 1;
        &mut self.history[usize::from(sequence) & mask]
    }
}

#[cfg(test)]
mod tests;
