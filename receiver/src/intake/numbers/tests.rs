use super::*;
use proptest::prelude::*;

const PACKET_MS: i64 = 5;

fn at(ms: i64) -> LocalTime {
    LocalTime::from_ns(1_000_000_000 + ms * 1_000_000)
}

/// Of packets of 5 ms; has heard those from `first` on for half a second, and they all followed.
fn heard(first: u16) -> Numbers {
    let mut numbers = Numbers::new(Some(PACKET_MS * 1_000_000));
    for packet in 0..100 {
        let place = numbers.place(first.wrapping_add(packet), at(i64::from(packet) * PACKET_MS));
        assert_eq!(place, Place::Follows(i64::from(first) + i64::from(packet)));
    }
    assert_eq!((numbers.expected(), numbers.highest()), (100, Some(i64::from(first) + 99)));
    numbers
}

/// Packets from `sequence` on, one each 5 ms from `ms` on: the first three tell nothing, the fourth begins anew.
fn assert_begins_anew(mut numbers: Numbers, sequence: u16, ms: i64) {
    let before = numbers.expected();
    let mut place = |packet: u16| numbers.place(sequence.wrapping_add(packet), at(ms + i64::from(packet) * PACKET_MS));
    assert_eq!([0, 1, 2].map(&mut place), [Place::Astray; 3]);
    let number = i64::from(sequence.wrapping_add(3));
    assert_eq!([3, 4].map(&mut place), [Place::Anew(number), Place::Follows(number + 1)]);
    // What came counts, and nothing is missing for it.
    assert_eq!(numbers.expected(), before + 5);
}

#[test]
fn losses_disorder_and_outages_are_what_they_seem() {
    let mut numbers = heard(65_500);
    assert_eq!(numbers.place(65_502, at(510)), Place::Follows(65_502), "half a second late");
    assert_eq!(numbers.expected(), 100);
    // Ten seconds are 2000 packets, but for some jitter.
    assert_eq!(numbers.place((65_500 + 2_100 - 65_536) as u16, at(10_530)), Place::Follows(67_600));
    assert_eq!(numbers.expected(), 2_101);
}

#[test]
fn a_sender_whose_time_was_set_before_it_was_restarted_begins_anew() {
    for jump in [-32_000_i32, -3_000, -150, 150, 3_000, 32_000] {
        // A second of silence, in which there would have been 200 packets.
        let sequence = (99 + 200 + jump) as u16;
        assert_begins_anew(heard(0), sequence, 1_500);
    }
}

#[test]
fn after_a_silence_in_which_numbers_came_round_they_begin_anew() {
    for silent_s in [170_i64, 200, 328, 3_600] {
        let sequence = (99 + silent_s * 1_000 / PACKET_MS) as u16;
        assert_begins_anew(heard(0), sequence, 495 + silent_s * 1_000);
    }
}

#[test]
fn a_packet_that_was_held_up_for_long_changes_nothing() {
    let mut numbers = heard(1_000);
    for packet in 100..400_u16 {
        let ms = i64::from(packet) * PACKET_MS;
        assert_eq!(numbers.place(1_000 + packet, at(ms)), Place::Follows(1_000 + i64::from(packet)));
        if packet % 100 == 99 {
            assert_eq!(numbers.place(1_000 + packet - 120, at(ms)), Place::Astray);
        }
    }
    assert_eq!(numbers.expected(), 400);
}

#[test]
fn where_packets_are_of_unknown_length_any_number_follows() {
    let mut numbers = Numbers::new(None);
    assert_eq!(numbers.place(7, at(0)), Place::Follows(7));
    assert_eq!(numbers.place(30_007, at(5)), Place::Follows(30_007));
    numbers.restart();
    assert_eq!((numbers.highest(), numbers.expected()), (None, 30_001));
    assert_eq!(numbers.place(9, at(10)), Place::Follows(9));
    assert_eq!(numbers.expected(), 30_002);
}

proptest! {
    #[test]
    fn whatever_comes_what_is_expected_never_becomes_less(
        packets in prop::collection::vec((any::<u16>(), any::<i64>(), any::<bool>()), 0..200),
        packet_ns in prop::option::of(5_000_i64..1_000_000_000),
    ) {
        let mut numbers = Numbers::new(packet_ns);
        let mut expected = 0;
        for (sequence, ns, source) in packets {
            let place = numbers.place(sequence, LocalTime::from_ns(ns));
            if let Place::Follows(number) | Place::Anew(number) = place {
                prop_assert_eq!(number as u16, sequence);
            }
            if source {
                numbers.restart();
            }
            prop_assert!(numbers.expected() >= expected);
            expected = numbers.expected();
        }
    }
}
