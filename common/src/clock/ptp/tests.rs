use proptest::prelude::*;

use super::pairing::{OneWay, Pairing};
use super::*;
use crate::clock::{Stamp, StampSource};
use crate::time::LocalTime;

const MS: i64 = 1_000_000;
const S: i64 = 1_000 * MS;
const GRANDMASTER: ClockIdentity = ClockIdentity([0xbe, 0x3c, 0x46, 0xff, 0xfe, 0xab, 0xab, 0x92]);
const BACKUP: ClockIdentity = ClockIdentity([0xbe, 0x3c, 0x46, 0xff, 0xfe, 0xab, 0xab, 0x93]);

fn at(ns: i64) -> LocalTime {
    LocalTime::from_ns(ns)
}

/// A master that keeps to the standard, and runs so much faster than we do.
struct Master {
    name: ClockIdentity,
    domain: u8,
    ahead_ns: i64,
    ppm: f64,
    way_ns: i64,
    sequence: u16,
}

impl Master {
    fn new(name: ClockIdentity) -> Self {
        Master { name, domain: 5, ahead_ns: 1_790_000_000 * S, ppm: 40.0, way_ns: 80_000, sequence: 0 }
    }

    fn time_ns(&self, t: LocalTime) -> i64 {
        t.as_ns() + self.ahead_ns + (t.as_ns() as f64 * self.ppm * 1e-6) as i64
    }

    fn message(&self, kind: u8, length: usize, sequence: u16) -> Vec<u8> {
        let mut bytes = vec![0; length];
        (bytes[0], bytes[1], bytes[4]) = (kind, 2, self.domain);
        bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        bytes[20..28].copy_from_slice(&self.name.0);
        bytes[29] = 1;
        bytes[30..32].copy_from_slice(&sequence.to_be_bytes());
        bytes
    }

    fn announce(&mut self) -> Vec<u8> {
        self.sequence += 1;
        let mut bytes = self.message(0xb, 64, self.sequence);
        (bytes[33], bytes[47], bytes[48], bytes[52]) = (1, 128, 248, 128);
        bytes[53..61].copy_from_slice(&self.name.0);
        bytes
    }

    /// A two-step `Sync` that leaves at our `t`: itself, when it is here, and what follows it.
    fn sync(&mut self, t: LocalTime) -> (Vec<u8>, LocalTime, Vec<u8>) {
        self.sequence += 1;
        let mut sync = self.message(0, 44, self.sequence);
        sync[6] = 2;
        let mut follow_up = self.message(8, 44, self.sequence);
        stamp(&mut follow_up, self.time_ns(t));
        (sync, t + self.way_ns, follow_up)
    }

    /// The answer to a request that left at our `t`.
    fn answer(&self, request: &[u8], t: LocalTime) -> Vec<u8> {
        let mut answer = self.message(9, 54, u16::from_be_bytes([request[30], request[31]]));
        answer[33] = 0;
        stamp(&mut answer, self.time_ns(t + self.way_ns));
        answer[44..54].copy_from_slice(&request[20..30]);
        answer
    }
}

fn stamp(message: &mut [u8], ns: i64) {
    message[34..40].copy_from_slice(&(ns / S).to_be_bytes()[2..]);
    message[40..44].copy_from_slice(&((ns % S) as u32).to_be_bytes());
}

/// Lets a slave hear these masters for a while; what it measured, and how often it asked.
fn listen(slave: &mut Slave<'_>, masters: &mut [Master], from: LocalTime, until: LocalTime) -> (Vec<Measured>, usize) {
    let (mut measured, mut requests, mut now) = (Vec::new(), 0, from);
    let (mut announce, mut sync) = (from, from + 3 * MS);
    while now - until < 0 {
        now = slave.next().min(announce).min(sync);
        if let Some(request) = slave.handle_timer(now) {
            requests += 1;
            assert_eq!((request.bytes.len(), request.bytes[0] & 0xf, request.bytes[1] & 0xf), (44, 1, 2));
            measured.extend(slave.handle_sent(request.number, Stamp::user(now - 700)));
            measured.extend(slave.handle_sent(request.number, Stamp::kernel(now)));
            for master in masters.iter() {
                measured.extend(slave.handle_general(&master.answer(&request.bytes, now), now + 2 * master.way_ns));
            }
        }
        if now == announce {
            announce = announce + 2 * S;
            masters.iter_mut().for_each(|master| assert!(slave.handle_general(&master.announce(), now).is_none()));
        }
        if now == sync {
            sync = sync + 125 * MS;
            for master in masters.iter_mut() {
                let (first, arrived, second) = master.sync(now);
                measured.extend(slave.handle_event(&first, Stamp::kernel(arrived)));
                measured.extend(slave.handle_general(&second, arrived + 1_000));
            }
        }
    }
    (measured, requests)
}

#[test]
fn a_master_is_followed_to_the_nanosecond_whatever_the_clocks_drift() {
    let node = Node::new(ClockIdentity([7; 8]), 5);
    let mut slave = Slave::new(&node, 1, at(0));
    let mut master = [Master::new(GRANDMASTER)];
    let (measured, requests) = listen(&mut slave, &mut master, at(0), at(60 * S));
    assert_eq!(slave.grandmaster(), Some(GRANDMASTER));
    assert!((30..90).contains(&requests), "asked {requests} times in a minute");
    assert!(measured.len() * 4 >= requests * 3, "{} of {requests}", measured.len());
    for Measured { sample, grandmaster } in &measured {
        let true_ns = master[0].time_ns(sample.middle()) - sample.middle().as_ns();
        assert!((sample.offset_ns() - true_ns).abs() <= 3, "{} ns off", sample.offset_ns() - true_ns);
        assert!((sample.delay_ns() - 160_000).abs() <= 10, "{}", sample.delay_ns());
        assert_eq!((*grandmaster, sample.epoch), (GRANDMASTER, GRANDMASTER.epoch()));
        assert_eq!(sample.worse_source(), StampSource::Kernel);
    }
    let mut tracking = Tracking::default();
    let map = measured.iter().filter_map(|measured| tracking.take(measured)).last().unwrap();
    assert_eq!(tracking.look(at(60 * S), slave.grandmaster()), Lock::Locked);
    assert!((map.rate * 1e6 - 40.0).abs() < 0.1, "{}", map.rate * 1e6);
    assert!((map.media_at(at(60 * S)).as_ns() - master[0].time_ns(at(60 * S))).abs() < 200);
}

#[test]
fn another_domain_is_not_heard() {
    let node = Node::new(ClockIdentity([7; 8]), 4);
    let mut slave = Slave::new(&node, 1, at(0));
    let (measured, requests) = listen(&mut slave, &mut [Master::new(GRANDMASTER)], at(0), at(20 * S));
    assert_eq!((measured.len(), requests, slave.grandmaster()), (0, 0, None));
}

#[test]
fn a_master_that_goes_is_held_until_its_successors_time_is_known() {
    let node = Node::new(ClockIdentity([7; 8]), 5);
    let mut slave = Slave::new(&node, 1, at(0));
    let mut tracking = Tracking::default();
    let (measured, _) = listen(&mut slave, &mut [Master::new(GRANDMASTER)], at(0), at(20 * S));
    measured.iter().for_each(|measured| {
        let _ = tracking.take(measured);
    });
    let (nothing, _) = listen(&mut slave, &mut [], at(20 * S), at(40 * S));
    assert!(nothing.is_empty());
    assert_eq!(tracking.look(at(40 * S), slave.grandmaster()), Lock::Holdover);
    assert_eq!(tracking.grandmaster(), Some(GRANDMASTER));
    let mut backup = [Master { ahead_ns: 1_790_000_037 * S, ..Master::new(BACKUP) }];
    let (measured, _) = listen(&mut slave, &mut backup, at(40 * S), at(60 * S));
    let maps: Vec<_> = measured.iter().map(|measured| tracking.take(measured)).collect();
    assert!(maps[..3].iter().all(Option::is_none), "not before it is known as well: {maps:?}");
    assert_eq!(tracking.grandmaster(), Some(BACKUP));
    assert_eq!(maps.last().unwrap().unwrap().epoch, BACKUP.epoch());
    assert_eq!(tracking.look(at(60 * S), slave.grandmaster()), Lock::Locked);
    assert_eq!(tracking.look(at(500 * S), None), Lock::Searching, "nothing is held for ever");
}

#[test]
fn a_grandmaster_that_is_set_is_learned_anew() {
    let node = Node::new(ClockIdentity([7; 8]), 5);
    let mut slave = Slave::new(&node, 1, at(0));
    let mut tracking = Tracking::default();
    let mut master = [Master::new(GRANDMASTER)];
    let (measured, _) = listen(&mut slave, &mut master, at(0), at(20 * S));
    measured.iter().for_each(|measured| {
        let _ = tracking.take(measured);
    });
    master[0].ahead_ns += 5 * S;
    let (measured, _) = listen(&mut slave, &mut master, at(20 * S), at(40 * S));
    let map = measured.iter().filter_map(|measured| tracking.take(measured)).last().unwrap();
    assert!((map.media_at(at(40 * S)).as_ns() - master[0].time_ns(at(40 * S))).abs() < 1_000);
}

#[test]
fn a_request_without_a_stamp_from_the_kernel_counts_by_our_own() {
    let node = Node::new(ClockIdentity([7; 8]), 5);
    let mut slave = Slave::new(&node, 1, at(0));
    let mut master = Master::new(GRANDMASTER);
    let mut now = at(0);
    while slave.grandmaster().is_none() {
        now = now + 2 * S;
        slave.handle_general(&master.announce(), now);
        slave.handle_timer(now);
    }
    let mut sync = |slave: &mut Slave<'_>, now: LocalTime| {
        let (first, arrived, second) = master.sync(now);
        slave.handle_event(&first, Stamp::kernel(arrived)).or(slave.handle_general(&second, arrived))
    };
    assert!(sync(&mut slave, now).is_none());
    let (mut request, mut asked) = (None, now);
    while request.is_none() {
        asked = slave.next();
        request = slave.handle_timer(asked);
    }
    let request = request.unwrap();
    let answer = Master::new(GRANDMASTER).answer(&request.bytes, asked);
    assert!(slave.handle_general(&answer, asked + 160_000).is_none());
    assert!(slave.handle_timer(asked + 30 * MS).is_none());
    let measured = sync(&mut slave, asked + 50 * MS).expect("a sample");
    assert_eq!(measured.sample.sent_source, StampSource::User);
}

#[test]
fn requests_are_paired_with_what_the_syncs_around_them_say() {
    let half = |ms: i64, ahead_ns| OneWay { stamp: Stamp::kernel(at(ms * MS)), ahead_ns };
    let epoch = GRANDMASTER.epoch();
    let mut pairing = Pairing::default();
    assert_eq!(pairing.sync(half(0, 1_000_000), epoch), None);
    assert_eq!(pairing.request(half(25, 1_250_000), epoch), None, "there is no sync after it yet");
    let sample = pairing.sync(half(100, 1_040_000), epoch).unwrap();
    assert_eq!((sample.delay_ns(), sample.offset_ns()), (240_000, 1_130_000));
    assert_eq!(pairing.sync(half(200, 1_080_000), epoch), None, "every request counts once");
    assert_eq!(pairing.request(half(-5, 1_000_000), epoch), None, "nor is there one before this");
    assert_eq!(pairing.sync(half(9_000, 1_080_000), epoch), None);
    assert_eq!(pairing.request(half(5_000, 1_250_000), epoch), None, "these are too far apart");
}

#[test]
fn names_are_written_as_session_descriptions_want_them() {
    let text = "BE-3C-46-FF-FE-AB-AB-92";
    assert_eq!((GRANDMASTER.to_string().as_str(), text.parse()), (text, Ok(GRANDMASTER)));
    assert_eq!("be-3c-46-ff-fe-ab-ab-92".parse(), Ok(GRANDMASTER));
    for wrong in
        ["", "BE-3C-46-FF-FE-AB-AB", "BE-3C-46-FF-FE-AB-AB-92-00", "BE-3C-46-FF-FE-AB-AB-+2", "x", "1-2-3-4-5-6-7-8"]
    {
        assert!(wrong.parse::<ClockIdentity>().is_err(), "{wrong}");
    }
    assert_ne!(GRANDMASTER.epoch(), BACKUP.epoch());
}

/// Messages that are right but for some bytes, and anything at all.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let change = prop::collection::vec((0_usize..64, any::<u8>()), 0..6);
    let damaged = (prop::sample::select(vec![0_u8, 1, 2, 3, 8, 9, 0xa, 0xb, 0xc, 0xd]), change, 30_usize..80);
    let damaged = damaged.prop_map(|(kind, changes, length)| {
        let mut bytes = match kind {
            0xb => Master::new(GRANDMASTER).announce(),
            _ => Master::new(GRANDMASTER).message(kind, 64, 1),
        };
        changes.into_iter().for_each(|(place, byte)| bytes[place] = byte);
        bytes.resize(length, 0);
        bytes
    });
    prop_oneof![damaged, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn nothing_that_comes_can_stop_a_slave(packets in prop::collection::vec((messages(), any::<bool>(), 0_i64..3_000), 0..200)) {
        let node = Node::new(ClockIdentity([7; 8]), 5);
        let mut slave = Slave::new(&node, 1, at(0));
        // One that follows a master has the most to lose.
        let mut tracking = Tracking::default();
        let (measured, _) = listen(&mut slave, &mut [Master::new(GRANDMASTER)], at(0), at(10 * S));
        measured.iter().for_each(|measured| { let _ = tracking.take(measured); });
        let mut now = at(10 * S);
        for (bytes, event, wait_ms) in packets {
            now = now + wait_ms * MS;
            let request = slave.handle_timer(now);
            let sent = request.and_then(|request| slave.handle_sent(request.number, Stamp::kernel(now)));
            let came = if event { slave.handle_event(&bytes, Stamp::kernel(now)) } else { slave.handle_general(&bytes, now) };
            sent.iter().chain(&came).for_each(|measured| { let _ = tracking.take(measured); });
            tracking.look(now, slave.grandmaster());
        }
    }
}
