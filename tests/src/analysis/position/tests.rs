use super::*;
use crate::records::Record;
use crate::signals::noise;

const RATE: f64 = 48_000.0;
const LENGTH: usize = 12_000;

/// What a card records that plays `signal` from `begin` on at `step` frames a frame.
fn played(signal: &Signal, begin: f64, step: f64, count: usize) -> Vec<f64> {
    let first = begin.floor() as i64 - HALF_WIDTH as i64;
    let input = signal.cut(first, (count as f64 * step) as usize + 2 * HALF_WIDTH + 2);
    interpolate(&input, begin - first as f64, step, count)
}

#[test]
fn a_known_position_is_found_to_a_few_nanoseconds_through_a_card_that_is_off() {
    let signal = noise(48_000, 1 << 17, 7);
    let mut finder = Finder::new(&signal, LENGTH);
    for (ppm, offset) in [(0.0, 0.0), (40.0, 0.31), (-250.0, 0.5), (250.0, -17.93), (10.0, 1e-3)] {
        // The player corrects what the card is off, and is `offset` frames ahead.
        let rate = RATE * (1.0 + ppm * 1e-6);
        let step = RATE / rate;
        let begin = 20_000.0 + offset;
        // Rounded to 24 bits, as a card records it.
        let round = |x: &f64| (x * 8_388_608.0).round() / 8_388_608.0;
        let record = Record::from_samples(0, rate, played(&signal, begin, step, 40_000).iter().map(round).collect());
        let sound = record.heard(100_000_000, LENGTH, RATE).unwrap();
        let fix = finder.locate(&sound, None).unwrap();
        let expected = begin + 0.1 * RATE + (LENGTH - 1) as f64 / 2.0;
        let error_us = (fix.position - expected) / RATE * 1e6;
        assert!(error_us.abs() < 0.01, "{ppm} ppm, {offset} frames: {error_us} us");
        assert!(fix.rate_error.abs() < 1e-7, "{}", fix.rate_error);
        assert_eq!(fix.damaged, 0);
    }
}

#[test]
fn sixteen_bit_rounding_and_another_gain_leave_less_than_a_fifth_of_a_microsecond() {
    let signal = noise(48_000, 1 << 17, 7);
    let mut finder = Finder::new(&signal, LENGTH);
    for offset in [0.1, 0.25, 0.77] {
        let begin = 3_000.0 + offset;
        let sound: Vec<f64> =
            played(&signal, begin, 1.0, LENGTH).iter().map(|x| (x * 0.1 * 32_768.0).round() / 32_768.0).collect();
        let fix = finder.locate(&sound, Some(9_000.0)).unwrap();
        let error_us = (fix.position - begin - (LENGTH - 1) as f64 / 2.0) / RATE * 1e6;
        assert!(error_us.abs() < 0.2, "{error_us} us");
    }
}

#[test]
fn a_bent_pitch_is_measured_and_its_middle_is_placed() {
    let signal = noise(48_000, 1 << 17, 7);
    let mut finder = Finder::new(&signal, LENGTH);
    let sound = played(&signal, 5_000.0, 1.000_3, LENGTH);
    let fix = finder.locate(&sound, None).unwrap();
    assert!((fix.rate_error - 300e-6).abs() < 1e-6, "{}", fix.rate_error);
    assert!((fix.position - 5_000.0 - 1.000_3 * (LENGTH - 1) as f64 / 2.0).abs() < 1e-2, "{}", fix.position);
}

#[test]
fn a_position_keeps_its_period() {
    let signal = noise(48_000, 1 << 17, 7);
    let mut finder = Finder::new(&signal, LENGTH);
    let begin = 3.0 * f64::from(1 << 17) - 4_000.0; // the stretch lies across the seam
    let sound = played(&signal, begin, 1.0, LENGTH);
    let middle = begin + (LENGTH - 1) as f64 / 2.0;
    for hint in [middle + 100.0, middle + 40_000.0] {
        let fix = finder.locate(&sound, Some(hint)).unwrap();
        assert!((fix.position - middle).abs() < 1e-3, "{} {middle}", fix.position);
    }
}

#[test]
fn damage_is_counted_in_blocks() {
    let signal = noise(48_000, 1 << 17, 7);
    let mut finder = Finder::new(&signal, LENGTH);
    let mut sound = played(&signal, 1_000.0, 1.0, LENGTH);
    sound[2_400..2_640].fill(0.0); // 5 ms of silence on a block's edge
    let fix = finder.locate(&sound, None).unwrap();
    assert_eq!((fix.damaged, fix.gaps), (2, 1));
    let other = noise(48_000, 1 << 17, 8);
    assert_eq!(finder.locate(&other.cut(0, LENGTH), None), None);
    assert_eq!(finder.locate(&vec![0.0; LENGTH], None), None);
}
