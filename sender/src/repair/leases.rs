//! Rooms that get a stream by unicast, because they do not hear its group. Pure.
//!
//! A lease costs as much of the network as the stream does, so it is given only to who has shown that it is where it says
//! (the token comes back), to no more than a set number of rooms, and for a few seconds at a time.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};
use unisono_common::delivery::{Kind, LEASE_NS, Message};
use unisono_common::time::LocalTime;

/// The rooms served by unicast now.
#[derive(Debug)]
pub struct Leases {
    secret: [u8; 16],
    most: usize,
    leases: Vec<Lease>,
    refused: u64,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    room: SocketAddr,
    media: u32,
    until: LocalTime,
}

impl Leases {
    /// None yet, and never more than `most`. Nobody must be able to guess `secret`.
    pub fn new(secret: [u8; 16], most: usize) -> Self {
        Leases { secret, most, leases: Vec::with_capacity(most), refused: 0 }
    }

    /// A room says something about a stream that is ours; what it is answered.
    pub fn handle(&mut self, message: &Message, from: SocketAddr, now: LocalTime) -> Option<Message> {
        let token = self.token(from, message.media);
        let room_for_more = self.leases.len() < self.most;
        let known = self.leases.iter_mut().find(|lease| lease.room == from && lease.media == message.media);
        match (message.kind, known) {
            (Kind::Ask, _) if message.token != token => Some(Message { kind: Kind::Token, token, ..*message }),
            (Kind::Ask, Some(lease)) => {
                lease.until = now + LEASE_NS;
                None
            }
            (Kind::Ask, None) if room_for_more => {
                self.leases.push(Lease { room: from, media: message.media, until: now + LEASE_NS });
                None
            }
            (Kind::Ask, None) => {
                self.refused += 1;
                None
            }
            (Kind::End, Some(lease)) if message.token == token => {
                lease.until = now;
                None
            }
            (Kind::End | Kind::Token, _) => None,
        }
    }

    /// Ends what nobody has asked for again.
    pub fn expire(&mut self, now: LocalTime) {
        self.leases.retain(|lease| lease.until - now > 0);
    }

    /// The rooms that get the stream `media`.
    pub fn rooms(&self, media: u32) -> impl Iterator<Item = SocketAddr> {
        self.leases.iter().filter(move |lease| lease.media == media).map(|lease| lease.room)
    }

    /// Whether nobody is served.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Requests beyond the number of rooms that may be served.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn token(&self, room: SocketAddr, media: u32) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        match room.ip() {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(address.octets()),
        }
        hash.update(room.port().to_be_bytes());
        hash.update(media.to_be_bytes());
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |token, byte| token << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> LocalTime {
        LocalTime::from_ns(ms * 1_000_000)
    }

    fn ask(token: u64) -> Message {
        Message { kind: Kind::Ask, media: 7, token }
    }

    fn room(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 77, 0, n], 40_000))
    }

    fn lease(leases: &mut Leases, n: u8, ms: i64) {
        let token = leases.handle(&ask(0), room(n), at(ms)).expect("a token first").token;
        assert_eq!(leases.handle(&ask(token), room(n), at(ms)), None);
    }

    #[test]
    fn only_who_has_the_token_is_served_and_only_as_long_as_it_asks() {
        let mut leases = Leases::new([1; 16], 4);
        lease(&mut leases, 1, 0);
        let stolen = leases.handle(&ask(0), room(1), at(0)).unwrap().token;
        assert!(leases.handle(&ask(stolen), room(2), at(0)).is_some(), "a token is of one room");
        assert_eq!(leases.rooms(7).collect::<Vec<_>>(), [room(1)]);
        assert_eq!(leases.rooms(8).count(), 0);
        leases.expire(at(4_999));
        assert!(!leases.is_empty());
        leases.handle(&ask(stolen), room(1), at(4_999));
        leases.expire(at(6_000));
        assert!(!leases.is_empty());
        leases.handle(&Message { kind: Kind::End, ..ask(1) }, room(1), at(6_000));
        leases.expire(at(6_000));
        assert!(!leases.is_empty(), "nobody else can end it");
        leases.handle(&Message { kind: Kind::End, ..ask(stolen) }, room(1), at(6_000));
        leases.expire(at(6_000));
        assert!(leases.is_empty());
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let mut leases = Leases::new([1; 16], 2);
        (1..=3).for_each(|n| lease(&mut leases, n, 0));
        assert_eq!((leases.rooms(7).count(), leases.refused()), (2, 1));
    }

    proptest! {
        #[test]
        fn whatever_is_said_only_honest_rooms_are_served_and_never_too_many(
            said in prop::collection::vec((0_usize..3, 1_u8..8, 0_u32..3, any::<u64>(), 0_i64..3_000), 0..300)
        ) {
            let mut leases = Leases::new([1; 16], 3);
            let mut ms = 0;
            for (kind, n, media, forged, later) in said {
                ms += later;
                leases.expire(at(ms));
                let kind = [Kind::Ask, Kind::Token, Kind::End][kind];
                let real = leases.token(room(n), media);
                // Rooms of odd numbers know their token, the others guess.
                let token = if n % 2 == 1 { real } else { forged };
                if let Some(answer) = leases.handle(&Message { kind, media, token }, room(n), at(ms)) {
                    prop_assert_eq!(answer, Message { kind: Kind::Token, media, token: real });
                }
                prop_assert!(leases.leases.len() <= 3);
                prop_assert!(leases.leases.iter().all(|lease| is_odd(lease.room)));
            }
        }
    }

    fn is_odd(room: SocketAddr) -> bool {
        matches!(room.ip(), IpAddr::V4(address) if address.octets()[3] % 2 == 1)
    }
}
