use super::*;
use proptest::prelude::*;
use unisono_common::format::Format;

/// A packet's payload of mono-valued stereo frames: frame n has the sample n mod 30000.
fn payload(first: i64, frames: i64) -> Vec<u8> {
    (first..first + frames).flat_map(|n| [value(n); 2]).flat_map(i16::to_be_bytes).collect()
}

fn value(frame: i64) -> i16 {
    (frame.rem_euclid(30_000)) as i16
}

fn sample(frame: i64) -> f32 {
    f32::from(value(frame)) / 32_768.0
}

fn insert(buffer: &mut JitterBuffer, first: i64, frames: i64) -> Insert {
    buffer.insert(first as u32, &payload(first, frames))
}

fn left(buffer: &mut JitterBuffer, first: i64, frames: usize) -> (Vec<f32>, usize) {
    let mut out = vec![f32::NAN; frames * 2];
    let report = buffer.read(first, &mut out);
    (out.chunks_exact(2).map(|frame| frame[0]).collect(), report.missing)
}

#[test]
fn frames_come_out_where_they_belong_in_whatever_order_they_came() {
    let mut buffer = JitterBuffer::new(Format::DEFAULT, 24_000);
    let start = i64::from(u32::MAX) - 1_000; // the RTP timestamp wraps on the way
    let mut order: Vec<i64> = (0..40).collect();
    order.swap(3, 4);
    order.swap(10, 20);
    for packet in order {
        assert_eq!(insert(&mut buffer, start + packet * 240, 240), Insert::Stored);
    }
    assert_eq!(insert(&mut buffer, start, 240), Insert::Duplicate);
    // The first read fades in: nothing was there before it.
    left(&mut buffer, start, 240);
    for chunk in 1..38 {
        let first = start + chunk * 240;
        let (out, missing) = left(&mut buffer, first, 240);
        assert_eq!(missing, 0);
        assert!(out.iter().zip(first..).all(|(&x, n)| x == sample(n)), "chunk {chunk}");
    }
}

/// A tone of 440 Hz in both channels.
fn tone(frame: i64) -> f32 {
    (frame as f32 * 440.0 / 48_000.0 * std::f32::consts::TAU).sin() * 0.5
}

/// Reads a tone of which some packets never came: what was heard, and how many frames were missing.
fn hear_tone(lost: impl Fn(i64) -> bool) -> (Vec<f32>, usize) {
    let mut buffer = JitterBuffer::new(Format::DEFAULT, 24_000);
    let payload = |first: i64| -> Vec<u8> {
        let sample = |n| (tone(n) * 32_768.0) as i16;
        (first..first + 240).flat_map(|n| [sample(n); 2]).flat_map(i16::to_be_bytes).collect()
    };
    let (mut heard, mut missing) = (Vec::new(), 0);
    for packet in 0..60 {
        if !lost(packet) {
            buffer.insert((packet * 240) as u32, &payload(packet * 240));
        }
        if packet >= 20 {
            let (frames, lost) = left(&mut buffer, (packet - 20) * 240, 240);
            heard.extend(frames);
            missing += lost;
        }
    }
    (heard, missing)
}

/// The largest difference of two neighbours: what a click is.
fn steepest(heard: &[f32]) -> f32 {
    heard.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn a_lost_packet_is_concealed_without_a_click_and_what_follows_is_in_place() {
    let (whole, none) = hear_tone(|_| false);
    let (heard, missing) = hear_tone(|packet| packet == 10);
    assert_eq!((none, missing), (0, 240));
    assert!(steepest(&heard[200..]) < 1.2 * steepest(&whole[200..]), "{}", steepest(&heard[200..]));
    let gap = &heard[2_400..2_640];
    let energy = |sound: &[f32]| sound.iter().map(|x| x * x).sum::<f32>();
    assert!(energy(gap) > 0.7 * energy(&whole[2_400..2_640]), "a packet's gap goes on sounding");
    for n in (200..2_400 - FADE).chain(2_640 + FADE..7_000) {
        assert_eq!(heard[n], whole[n], "frame {n}");
    }
}

#[test]
fn a_long_gap_dies_away_and_many_short_ones_do_not_click() {
    let (whole, _) = hear_tone(|_| false);
    let (heard, missing) = hear_tone(|packet| (10..20).contains(&packet));
    assert_eq!(missing, 2_400);
    assert!(heard[2_400 + 1_200..4_800].iter().all(|&x| x == 0.0), "no buzz");
    assert!(steepest(&heard[200..]) < 1.5 * steepest(&whole[200..]), "{}", steepest(&heard[200..]));
    let (heard, missing) = hear_tone(|packet| packet > 5 && packet % 2 == 0);
    assert!(missing > 3_000);
    assert!(steepest(&heard[200..]) < 3.0 * steepest(&whole[200..]), "{}", steepest(&heard[200..]));
}

#[test]
fn late_packets_are_counted_and_a_jump_of_the_timeline_is_followed() {
    let mut buffer = JitterBuffer::new(Format::DEFAULT, 24_000);
    for packet in 0..100 {
        insert(&mut buffer, packet * 240, 240);
    }
    left(&mut buffer, 20_000, 240);
    assert_eq!(insert(&mut buffer, 0, 240), Insert::Late);
    buffer.insert(30_000, &payload(30_000, 240));
    left(&mut buffer, 20_240, 12_000);
    assert_eq!(insert(&mut buffer, 31_000, 240), Insert::Late, "its place has been played already");
    assert_eq!(insert(&mut buffer, 1_000_000, 240), Insert::Stray);
    // A sender whose clock reads something else from now on.
    let jumped: Vec<Insert> = (0..STRAYS as i64).map(|p| insert(&mut buffer, 5_000_000 + p * 240, 240)).collect();
    assert!(jumped.contains(&Insert::Moved), "{jumped:?}");
    insert(&mut buffer, 5_000_000 + i64::from(STRAYS) * 240, 240);
    let first = 5_000_000 + (i64::from(STRAYS) - 1) * 240;
    assert!(buffer.has(first, first + 480));
}

#[test]
fn a_position_past_everything_does_not_lock_new_packets_out() {
    let mut buffer = JitterBuffer::new(Format::DEFAULT, 24_000);
    insert(&mut buffer, 0, 240);
    for chunk in 0..2_000 {
        assert_eq!(left(&mut buffer, 240 + chunk * 240, 240).1, 240);
    }
    let now = 240 + 2_000 * 240;
    assert_eq!(insert(&mut buffer, now + 4_800, 240), Insert::Stored);
    assert_eq!(left(&mut buffer, now + 4_800, 240).1, 0);
}

proptest! {
    #[test]
    fn whatever_arrives_reads_never_panic_and_frames_are_sound(
        packets in prop::collection::vec((any::<u32>(), 0_usize..1_500), 0..40),
        near in prop::collection::vec((0_i64..40_000, 1_i64..400), 0..40),
        reads in prop::collection::vec((-5_000_i64..60_000, 1_usize..600), 1..40),
    ) {
        let mut buffer = JitterBuffer::new(Format::DEFAULT, 24_000);
        for (first, frames) in near {
            insert(&mut buffer, first, frames);
        }
        for (first, frames) in &reads {
            let (out, missing) = left(&mut buffer, *first, *frames);
            prop_assert!(out.iter().all(|x| x.abs() <= 1.0));
            prop_assert!(missing <= *frames);
        }
        for (timestamp, length) in packets {
            buffer.insert(timestamp, &vec![1; length]);
            left(&mut buffer, i64::from(timestamp), 100);
        }
    }
}
