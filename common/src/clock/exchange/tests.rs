use std::net::IpAddr;

use super::*;
use crate::clock::Stamp;
use crate::clock::ntp::Packet;
use proptest::prelude::*;

const MS: i64 = 1_000_000;
const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 11));

/// A client and a server with a perfect clock each and a network between them, in virtual time.
struct Pair {
    now: LocalTime,
    client: Client,
    server: Server,
    offset_ns: i64,
    /// From a request's departure to its arrival, and the same for replies.
    delay_ns: i64,
    /// The server writes its reply this long before it leaves.
    late_ns: i64,
}

impl Pair {
    fn new() -> Self {
        Self {
            now: LocalTime::from_ns(77_000 * MS),
            client: Client::new(7),
            server: Server::new(ClockEpoch(5)),
            offset_ns: 1_790_000_000_000 * MS,
            delay_ns: 100_000,
            late_ns: 40_000,
        }
    }

    fn media(&self, local: LocalTime) -> MediaTime {
        MediaTime::from_ns(local.as_ns() + self.offset_ns)
    }

    /// Sends the next request and returns it without telling the server.
    fn ask(&mut self) -> Request {
        loop {
            let timer = self.client.handle_timer(self.now);
            match timer.request {
                Some(request) => {
                    self.client.handle_sent(request.number, Stamp::kernel(self.now));
                    return request;
                }
                None => self.now = timer.next,
            }
        }
    }

    /// The server's reply to a request that left now, and its arrival at the client.
    fn answer(&mut self, request: &Request) -> (Reply, LocalTime) {
        let reached = self.now + self.delay_ns;
        let leaves = reached + self.late_ns;
        let reply = self.server.handle_request(&request.bytes, ADDRESS, self.media(reached), self.media(reached));
        let reply = reply.expect("a reply");
        if let Some(ticket) = reply.ticket {
            self.server.handle_sent(ticket, self.media(leaves));
        }
        (reply, leaves + self.delay_ns)
    }

    fn round_trip(&mut self) -> Event {
        let request = self.ask();
        let (reply, arrives) = self.answer(&request);
        self.client.handle_reply(&reply.bytes, Stamp::kernel(arrives))
    }
}

#[test]
fn the_first_reply_is_a_sample_and_later_ones_bring_the_kernels_stamp() {
    let mut pair = Pair::new();
    let Event::Sample(first) = pair.round_trip() else { panic!("no sample") };
    assert!(!first.interleaved);
    assert!((first.delay_ns() - 2 * pair.delay_ns - pair.late_ns).abs() <= 2, "the reply left later than it says");
    for _ in 0..20 {
        let Event::Sample(sample) = pair.round_trip() else { panic!("no sample") };
        assert!(sample.interleaved);
        assert!((sample.delay_ns() - 2 * pair.delay_ns).abs() <= 2);
        assert!((sample.offset_ns() - pair.offset_ns).abs() <= 2);
    }
    assert_eq!(pair.client.statistics().interleaved, 20);
    assert_eq!(pair.server.statistics().interleaved, 20);
}

#[test]
fn lost_packets_do_not_end_interleaved_mode() {
    let mut pair = Pair::new();
    let _ = pair.round_trip();
    for round in 0..50 {
        let request = pair.ask();
        if round % 3 == 0 {
            continue; // the request is lost
        }
        let (reply, arrives) = pair.answer(&request);
        if round % 5 == 0 {
            continue; // the reply is lost
        }
        let Event::Sample(sample) = pair.client.handle_reply(&reply.bytes, Stamp::kernel(arrives)) else {
            panic!("no sample in round {round}")
        };
        assert!(sample.interleaved, "round {round}");
        assert!((sample.offset_ns() - pair.offset_ns).abs() <= 2);
    }
    pair.now = pair.now + 5_000 * MS;
    let _ = pair.client.handle_timer(pair.now);
    assert!(pair.client.statistics().timeouts > 20);
}

#[test]
fn a_reply_that_was_held_up_for_seconds_is_late_and_not_bogus() {
    let mut pair = Pair::new();
    let _ = pair.round_trip();
    let request = pair.ask();
    let (reply, arrives) = pair.answer(&request);
    pair.now = pair.now + 4_000 * MS;
    let _ = pair.client.handle_timer(pair.now);
    let late = Stamp::kernel(arrives + 4_000 * MS);
    assert_eq!(pair.client.handle_reply(&reply.bytes, late), Event::Nothing);
    let counts = pair.client.statistics();
    assert_eq!((counts.timeouts, counts.too_slow, counts.bogus), (1, 1, 0));
    assert_eq!(pair.client.handle_reply(&reply.bytes, late), Event::Bogus, "answered twice");
}

#[test]
fn a_basic_server_is_followed_too() {
    let mut pair = Pair::new();
    for _ in 0..5 {
        let request = pair.ask();
        // Such a server forgets: one that was never asked before.
        pair.server = Server::new(ClockEpoch(5));
        let (reply, arrives) = pair.answer(&request);
        let Event::Sample(sample) = pair.client.handle_reply(&reply.bytes, Stamp::kernel(arrives)) else {
            panic!("no sample")
        };
        assert!(!sample.interleaved);
    }
}

#[test]
fn a_restarted_server_is_a_new_epoch_and_asked_again_at_once() {
    let mut pair = Pair::new();
    for _ in 0..100 {
        let _ = pair.round_trip();
    }
    pair.server = Server::new(ClockEpoch(6));
    pair.offset_ns -= 3_000_000;
    let Event::Restarted(sample) = pair.round_trip() else { panic!("not noticed") };
    assert_eq!(sample.epoch, ClockEpoch(6));
    assert!((sample.offset_ns() - pair.offset_ns).abs() <= pair.late_ns);
    let soon = pair.client.handle_timer(pair.now + MS);
    assert!(soon.request.is_some() && soon.next - pair.now <= 30 * MS, "no burst after a restart");
}

#[test]
fn replies_that_are_not_ours_or_not_true_are_counted_and_dropped() {
    let mut pair = Pair::new();
    let request = pair.ask();
    let (reply, arrives) = pair.answer(&request);
    let arrives = Stamp::kernel(arrives);
    let good = Packet::parse(&reply.bytes).unwrap();
    let forged = Packet { origin: good.origin ^ 1, ..good };
    assert_eq!(pair.client.handle_reply(&forged.to_bytes(), arrives), Event::Bogus);
    assert_eq!(pair.client.handle_reply(&request.bytes, arrives), Event::Bogus);
    assert_eq!(pair.client.handle_reply(b"short", arrives), Event::Bogus);
    let backwards = Packet { transmit: good.receive - (1 << 32), ..good };
    assert_eq!(pair.client.handle_reply(&backwards.to_bytes(), arrives), Event::Nothing);
    assert_eq!(pair.client.handle_reply(&reply.bytes, arrives), Event::Bogus, "answered twice");
    assert_eq!(pair.client.statistics().bogus, 5);
}

#[test]
fn a_kiss_of_death_slows_us_down() {
    let mut pair = Pair::new();
    let request = pair.ask();
    let (reply, arrives) = pair.answer(&request);
    let kiss = Packet { stratum: 0, ..Packet::parse(&reply.bytes).unwrap() };
    assert_eq!(pair.client.handle_reply(&kiss.to_bytes(), Stamp::kernel(arrives)), Event::Nothing);
    let timer = pair.client.handle_timer(arrives + 1_000 * MS);
    assert!(timer.request.is_none() && timer.next - arrives >= 4_000 * MS);
}

#[test]
fn strangers_leave_no_trace_and_a_flood_can_not_displace_a_room() {
    let mut pair = Pair::new();
    let mut request = Packet::parse(&pair.ask().bytes).unwrap();
    request.origin = 0;
    let at = pair.media(pair.now);
    let _ = pair.server.handle_request(&request.to_bytes(), ADDRESS, at, at);
    assert_eq!(pair.server.statistics().clients, 0);

    let _ = pair.round_trip();
    request.origin = 1;
    for forged in 0..10_000_u32 {
        let address = IpAddr::V4(forged.into());
        let _ = pair.server.handle_request(&request.to_bytes(), address, at + i64::from(forged), at);
    }
    assert!(pair.server.statistics().clients <= 1024);
    let Event::Sample(sample) = pair.round_trip() else { panic!("no sample") };
    assert!(sample.interleaved, "the flood displaced a room");
    // Once they have gone quiet, newcomers get their places.
    pair.now = pair.now + 6_000 * MS;
    let (now, late) = (pair.media(pair.now), IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 12)));
    let reply = pair.server.handle_request(&request.to_bytes(), late, now, now);
    assert!(reply.is_some_and(|reply| reply.ticket.is_some()));
}

#[test]
fn a_big_house_asks_less_often_and_a_small_one_as_often_as_ever() {
    for (rooms, per_s) in [(60, 240.0), (500, 250.0), (1_000, 500.0)] {
        let mut server = Server::new(ClockEpoch(5));
        let start = LocalTime::from_ns(77_000 * MS);
        let mut clients: Vec<_> = (0..rooms).map(|seed| (Client::new(seed), start)).collect();
        let mut late = 0;
        for tick in 0..30_000 {
            let now = start + tick * MS;
            let media = MediaTime::from_ns(now.as_ns());
            for (number, (client, next)) in clients.iter_mut().enumerate().filter(|(_, (_, next))| *next - now <= 0) {
                let timer = client.handle_timer(now);
                *next = timer.next;
                let Some(request) = timer.request else { continue };
                let address = IpAddr::V4(std::net::Ipv4Addr::from(0x0a4d_0000 + number as u32));
                let reply = server.handle_request(&request.bytes, address, media, media).expect("a reply");
                let _ = client.handle_reply(&reply.bytes, Stamp::kernel(now));
                late += u64::from(tick >= 20_000);
            }
        }
        let seen = late as f64 / 10.0;
        assert!((seen / per_s - 1.0).abs() < 0.1, "{rooms} rooms ask {seen} times a second");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_upset_either_end(bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<i64>()) {
        let mut pair = Pair::new();
        let _ = pair.round_trip();
        let at = at / 4;
        let _ = pair.server.handle_request(&bytes, ADDRESS, MediaTime::from_ns(at), MediaTime::from_ns(at));
        let _ = pair.client.handle_reply(&bytes, Stamp::user(LocalTime::from_ns(at)));
    }

    #[test]
    fn whatever_a_reply_claims_the_client_goes_on(
        receive in any::<u64>(), transmit in any::<u64>(), stratum in any::<u8>(), reference_id in any::<u32>(),
    ) {
        let mut pair = Pair::new();
        for _ in 0..3 {
            let request = pair.ask();
            let (reply, arrives) = pair.answer(&request);
            let reply = Packet { receive, transmit, stratum, reference_id, ..Packet::parse(&reply.bytes).unwrap() };
            if let Event::Sample(sample) | Event::Restarted(sample) =
                pair.client.handle_reply(&reply.to_bytes(), Stamp::kernel(arrives))
            {
                prop_assert!((0..=200 * MS).contains(&sample.delay_ns()));
            }
        }
    }
}
