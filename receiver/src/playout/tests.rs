//! A room in virtual time: a card that is off, a clock that is known more or less well, a sender, and a true ear.

use std::sync::{Arc, Mutex};

use rtrb::{Producer, RingBuffer};
use unisono_common::clock::ClockMap;
use unisono_common::config::receiver::Quality;
use unisono_common::format::Format;
use unisono_common::playout_delay::PlayoutDelay;
use unisono_common::time::{ClockEpoch, MediaTime};

use super::*;
use crate::session::{ClockSource, PAYLOAD_CAPACITY, Packet, SessionConfig};

const RATE: u32 = 48_000;
const CHUNK: usize = 480;
const DELAY_NS: i64 = 250_000_000;

/// Media time of local time zero.
const MEDIA_ZERO: i64 = 1_795_000_000_123_456_789;

/// A slow sine: its value tells its phase, and so which content frame is heard, wherever it is steep.
fn content(frame: i64) -> f32 {
    let cycle = (frame.rem_euclid(4_800)) as f64 / 4_800.0;
    ((cycle * std::f64::consts::TAU).sin() * 0.5) as f32
}

#[derive(Clone)]
struct TestClock(Arc<Mutex<Option<ClockMap>>>);

impl ClockSource for TestClock {
    fn read(&self) -> Option<ClockMap> {
        *self.0.lock().expect("one thread")
    }
}

/// The house around one room's playout.
struct House {
    now: i64,
    /// How much the card is fast, and how much media time is fast against this host, in ppm.
    card_ppm: f64,
    clock_ppm: f64,
    epoch: u32,
    media_zero: i64,
    playout: Playout,
    clock: TestClock,
    packets: Option<Producer<Packet>>,
    next_packet: i64,
    written: i64,
    heard: Vec<f32>,
    seed: u64,
    /// Every so many packets one is lost; 0 is none.
    lose_every: i64,
    sending: bool,
    /// What the ear expects.
    delay: PlayoutDelay,
}

impl House {
    fn new(card_ppm: f64, clock_ppm: f64) -> Self {
        Self {
            now: 1_000_000_000,
            card_ppm,
            clock_ppm,
            epoch: 1,
            media_zero: MEDIA_ZERO,
            playout: Playout::new(RATE, 2, CHUNK),
            clock: TestClock(Arc::new(Mutex::new(None))),
            packets: None,
            next_packet: 0,
            written: 0,
            heard: Vec::new(),
            seed: 1,
            lose_every: 0,
            sending: true,
            delay: PlayoutDelay::fixed(DELAY_NS),
        }
    }

    fn noise(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }

    fn media(&self, local: i64) -> MediaTime {
        MediaTime::from_ns(self.media_zero + local + (local as f64 * self.clock_ppm * 1e-6) as i64)
    }

    /// True local time at which a device frame leaves: the card starts at 1.0002 s.
    fn card_time(&self, frame: i64) -> f64 {
        1_000_200_000.0 + frame as f64 * 1e9 / f64::from(RATE) / (1.0 + self.card_ppm * 1e-6)
    }

    fn publish_clock(&mut self, noise_ns: f64) {
        let noise = self.noise() * noise_ns;
        let offset = self.media(self.now).as_ns() - self.now + noise as i64;
        *self.clock.0.lock().expect("one thread") = Some(ClockMap {
            epoch: ClockEpoch(self.epoch),
            at: LocalTime::from_ns(self.now),
            offset_ns: offset,
            offset_fraction_ns: 0.0,
            rate: self.clock_ppm * 1e-6,
            sigma_ns: 300.0,
            rate_sigma: 1e-8,
        });
    }

    fn tune(&mut self, format: Format) {
        let (producer, consumer) = RingBuffer::new(512);
        self.packets = Some(producer);
        let config = SessionConfig {
            id: 7,
            format,
            playout_delay: PlayoutDelay::fixed(DELAY_NS),
            timestamp_offset: 0,
            quality: Quality::Normal,
            device_rate: RATE,
            max_chunk: CHUNK,
            taken_after_ns: Arc::default(),
        };
        let session = Session::new(&config, consumer, Box::new(self.clock.clone())).expect("valid");
        self.playout.set_session(Some(Box::new(session)));
        self.next_packet = self.media(self.now).to_frame(RATE).div_euclid(240);
    }

    /// Sends every packet whose media time has come.
    fn send(&mut self) {
        while self.packets.is_some() && (self.next_packet + 1) * 240 <= self.media(self.now).to_frame(RATE) {
            let first = self.next_packet * 240;
            self.next_packet += 1;
            if !self.sending || (self.lose_every > 0 && self.next_packet % self.lose_every == 0) {
                continue;
            }
            let mut packet =
                Packet { timestamp: first as u32, length: 960, again: false, payload: [0; PAYLOAD_CAPACITY] };
            for (bytes, frame) in packet.payload.chunks_exact_mut(4).zip(first..first + 240) {
                let value = ((content(frame) * 32_768.0) as i16).to_be_bytes();
                bytes.copy_from_slice(&[value[0], value[1], value[0], value[1]]);
            }
            if let Some(packets) = &mut self.packets {
                packets.push(packet).expect("room");
            }
        }
    }

    /// Runs for so many seconds; the ring is kept 80 ms full.
    fn run(&mut self, seconds: f64) {
        let end = self.now + (seconds * 1e9) as i64;
        while self.now < end {
            self.now += 5_000_000;
            self.send();
            self.publish_clock(200.0);
            let played = ((self.now as f64 - self.card_time(0)) / (self.card_time(1) - self.card_time(0))) as i64;
            let at = self.card_time(played) + 500.0 * self.noise();
            self.playout.observe(Edge { frame: played, at: LocalTime::from_ns(at as i64), sigma_ns: 500.0 });
            while self.written + CHUNK as i64 <= played + 3_840 {
                let mut out = vec![0.0; CHUNK * 2];
                self.playout.render(LocalTime::from_ns(self.now), self.written, &mut out);
                self.heard.extend(out.chunks_exact(2).map(|frame| frame[0]));
                self.written += CHUNK as i64;
            }
        }
    }

    /// The largest error of position over device frames `from..`, in microseconds, where the sine is steep.
    fn worst_error_us(&self, from: usize) -> f64 {
        let mut worst = 0.0_f64;
        for (frame, &sample) in self.heard.iter().enumerate().skip(from) {
            let due = self.due(frame as i64);
            let cycle = due.rem_euclid(4_800.0) / 4_800.0 * std::f64::consts::TAU;
            let slope = cycle.cos() * 0.5 * std::f64::consts::TAU / 4_800.0;
            if cycle.cos().abs() > 0.9 {
                let error = (f64::from(sample) - cycle.sin() * 0.5) / slope;
                worst = worst.max((error / f64::from(RATE) * 1e6).abs());
            }
        }
        worst
    }

    /// The content position that is due at a device frame, modulo the sine's period.
    fn due(&self, frame: i64) -> f64 {
        let local = self.card_time(frame);
        let sounds = self.media(local as i64);
        let media = sounds - self.delay.at(sounds);
        let whole = media.to_frame(RATE).rem_euclid(4_800) as f64;
        whole + media.frame_fraction(RATE)
    }

    fn first_sound(&self) -> usize {
        self.heard.iter().position(|sample| sample.abs() > 1e-4).expect("sound")
    }
}

#[test]
fn the_first_sound_is_in_place_and_every_later_one() {
    for (card_ppm, clock_ppm) in [(0.0, 0.0), (40.0, -20.0), (-250.0, 15.0), (250.0, 100.0)] {
        let mut house = House::new(card_ppm, clock_ppm);
        house.run(0.3);
        house.tune(Format::DEFAULT);
        house.run(20.0);
        let first = house.first_sound();
        // A 16-bit sine this slow is known to half a step, which is a twentieth of a frame; the clock has 200 ns.
        let (start, later) = (house.worst_error_us(first + 480), house.worst_error_us(first + 3 * 48_000));
        assert!(start < 8.0 && later < 3.0, "{card_ppm} {clock_ppm}: {start} us at first, {later} us later");
        let telemetry = house.playout.telemetry();
        assert_eq!((telemetry.starts, telemetry.splices, telemetry.missing), (1, 0, 0));
        assert!((telemetry.card_rate * 1e6 - card_ppm).abs() < 0.5);
    }
}

#[test]
fn sound_begins_one_playout_delay_after_tuning_in() {
    let mut house = House::new(40.0, 0.0);
    house.run(0.3);
    let tuned = house.now;
    house.tune(Format::DEFAULT);
    house.run(1.0);
    let after = house.card_time(house.first_sound() as i64) - tuned as f64;
    assert!(after < DELAY_NS as f64 + 20e6, "{} ms", after * 1e-6);
}

#[test]
fn a_restarted_sender_is_followed_in_its_new_epoch() {
    let mut house = House::new(40.0, -20.0);
    house.run(0.3);
    house.tune(Format::DEFAULT);
    house.run(5.0);
    // Its new clock reads 3.7 ms more than the old one would.
    house.epoch = 2;
    house.media_zero += 3_700_000;
    house.next_packet = house.media(house.now).to_frame(RATE).div_euclid(240);
    house.run(3.0);
    assert_eq!(house.playout.telemetry().starts, 2);
    let settled = house.heard.len() - 48_000;
    assert!(house.worst_error_us(settled) < 5.0, "{} us", house.worst_error_us(settled));
}

#[test]
fn a_stream_that_pauses_comes_back_in_place_without_a_restart() {
    let mut house = House::new(-30.0, 15.0);
    house.run(0.3);
    house.tune(Format::DEFAULT);
    house.run(3.0);
    house.sending = false;
    house.run(10.0);
    house.sending = true;
    house.run(2.0);
    let telemetry = house.playout.telemetry();
    assert_eq!((telemetry.starts, telemetry.splices), (1, 0));
    assert!(telemetry.missing > 9 * 48_000);
    let back = house.heard.len() - 48_000;
    assert!(house.worst_error_us(back) < 3.0, "{} us", house.worst_error_us(back));
}

#[test]
fn a_card_that_ran_on_without_us_is_caught_up_with() {
    let mut house = House::new(10.0, 5.0);
    house.run(0.3);
    house.tune(Format::DEFAULT);
    house.run(3.0);
    // The machine was away for 300 ms: the card played silence, and the driver skipped what it had played.
    house.now += 300_000_000;
    house.written += 14_400;
    house.heard.extend(vec![0.0; 14_400]);
    house.run(2.0);
    let telemetry = house.playout.telemetry();
    assert_eq!((telemetry.laps, telemetry.starts), (1, 2));
    let back = house.heard.len() - 48_000;
    assert!(house.worst_error_us(back) < 3.0, "{} us", house.worst_error_us(back));
}

#[test]
fn a_new_delay_is_glided_to_without_a_step() {
    for to_ms in [255, 245] {
        let mut house = House::new(40.0, -20.0);
        house.run(0.3);
        house.tune(Format::DEFAULT);
        house.run(3.0);
        house.delay = PlayoutDelay::gliding(DELAY_NS, to_ms * 1_000_000, house.media(house.now) + 2_000_000_000);
        house.playout.set_playout_delay(7, house.delay);
        let from = house.heard.len();
        house.run(30.0);
        let telemetry = house.playout.telemetry();
        assert_eq!((telemetry.starts, telemetry.splices, telemetry.missing), (1, 0, 0));
        assert!(house.worst_error_us(from) < 5.0, "{to_ms}: {} us", house.worst_error_us(from));
        assert_eq!(house.delay.at(house.media(house.now)), to_ms * 1_000_000);
        assert!(telemetry.spare_ns.is_some_and(|spare| (50_000_000..200_000_000).contains(&spare)), "{telemetry:?}");
    }
}

#[test]
fn a_trim_moves_the_sound() {
    let mut house = House::new(0.0, 0.0);
    house.run(0.3);
    house.playout.set_extra_delay(-1_000_000);
    house.tune(Format::DEFAULT);
    house.run(3.0);
    house.media_zero -= 1_000_000; // the ear expects it a millisecond later
    let settled = house.heard.len() - 48_000;
    assert!(house.worst_error_us(settled) < 5.0);
}

#[test]
fn another_stream_takes_over_under_a_crossfade() {
    let mut house = House::new(0.0, 0.0);
    house.run(0.3);
    house.tune(Format::DEFAULT);
    house.run(2.0);
    let before = house.heard.len();
    house.tune(Format::DEFAULT);
    assert!(house.playout.take_retired().is_none());
    house.run(1.0);
    assert_eq!(house.playout.take_retired().map(|session| session.id()), Some(7));
    // The old stream got no more packets, and ran dry before the new one began; then it was faded, never cut.
    let jumps = house.heard[before..].windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
    let at = house.heard[before..].windows(2).position(|pair| (pair[0] - pair[1]).abs() == jumps).unwrap_or(0);
    assert!(jumps < 0.02, "{jumps} at {at}: {:?}", &house.heard[before + at - 5..before + at + 8]);
    assert!(house.worst_error_us(house.heard.len() - 24_000) < 5.0);
}

#[test]
fn loss_is_a_dip_and_never_a_shift() {
    let mut house = House::new(40.0, 0.0);
    house.lose_every = 50;
    house.run(0.3);
    house.tune(Format::DEFAULT);
    house.run(6.0);
    let telemetry = house.playout.telemetry();
    assert_eq!((telemetry.starts, telemetry.splices), (1, 0));
    assert!(telemetry.error_ns.abs() < 3_000.0 && telemetry.missing > 240 * 10);
    let jumps = house.heard[60_000..].windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
    assert!(jumps < 0.02, "no click: {jumps}");
}

#[test]
fn what_is_far_out_of_place_is_moved_once_and_without_a_click() {
    // Beyond 15 ms at once, beyond 2 ms after half a second.
    for (displaced_ms, seconds) in [(5, 0.7), (-5, 0.7), (20, 0.2), (-20, 0.2)] {
        let mut house = House::new(40.0, -20.0);
        house.run(0.3);
        house.tune(Format::DEFAULT);
        house.run(3.0);
        let from = house.heard.len();
        house.media_zero += displaced_ms * 1_000_000;
        house.run(if displaced_ms.abs() < 15 { 0.3 } else { 0.0 });
        assert_eq!(house.playout.telemetry().splices, 0, "{displaced_ms} ms: too soon");
        house.run(seconds);
        assert_eq!(house.playout.telemetry().splices, 1, "{displaced_ms} ms");
        let moved = house.heard.len();
        house.run(1.0);
        let telemetry = house.playout.telemetry();
        assert_eq!((telemetry.splices, telemetry.laps), (1, 0), "{displaced_ms} ms");
        let jump = house.heard[from..].windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
        assert!(jump < 0.01, "{displaced_ms} ms: a jump of {jump}");
        assert!(house.worst_error_us(moved) < 5.0, "{displaced_ms} ms: {} us", house.worst_error_us(moved));
    }
}

#[test]
fn nothing_is_ever_louder_than_the_most() {
    for most in [0.01, 0.1, 0.5] {
        let mut house = House::new(40.0, -20.0);
        house.playout = Playout::silent(RATE, 2, CHUNK);
        house.run(0.3);
        house.tune(Format::DEFAULT);
        house.playout.chirp();
        house.run(1.0);
        assert!(house.heard.iter().all(|&sample| sample == 0.0), "silent until it is told a volume");
        house.playout.set_volume(1.0, most);
        house.run(0.5);
        house.playout.chirp();
        house.run(1.0);
        let loudest = house.heard.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
        assert!(loudest <= most * 1.000_1 && loudest > most.min(0.25) * 0.9, "{most}: {loudest}");
    }
}

#[test]
fn a_volume_that_is_told_before_the_first_sound_holds_from_its_first_frame_on() {
    let heard = |playout: Playout| {
        let mut house = House::new(40.0, -20.0);
        house.playout = playout;
        house.run(0.3);
        house.tune(Format::DEFAULT);
        house.playout.set_volume(1.0, 1.0);
        house.run(1.0);
        house.heard
    };
    let told = heard(Playout::silent(RATE, 2, CHUNK));
    assert!(told.iter().any(|sample| sample.abs() > 0.4));
    assert!(told == heard(Playout::new(RATE, 2, CHUNK)), "bit for bit");
}
