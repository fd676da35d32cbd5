use super::*;
use crate::records::interpolate::{HALF_WIDTH, interpolate};
use crate::signals::noise;

const RATE: f64 = 48_000.0;

/// The record of a room whose card is `ppm` off, that starts at `start_ns` and plays what belongs there, `offset_us` late.
fn room(signal: &Signal, start_ns: i64, ppm: f64, offset_us: f64, seconds: f64) -> Record {
    let rate = RATE * (1.0 + ppm * 1e-6);
    let step = RATE / rate;
    let begin = (start_ns as f64 * 1e-9 - offset_us * 1e-6) * RATE;
    let first = begin.floor() as i64 - HALF_WIDTH as i64;
    let count = (seconds * rate) as usize;
    let input = signal.cut(first, (count as f64 * step) as usize + 2 * HALF_WIDTH + 2);
    Record::from_samples(start_ns, rate, interpolate(&input, begin - first as f64, step, count))
}

#[test]
fn three_rooms_with_known_offsets() {
    let signal = noise(48_000, 1 << 18, 7);
    let offsets = [0.0, 7.5, -2.25];
    let rooms = [
        room(&signal, 1_000_000_000, 40.0, offsets[0], 4.0),
        room(&signal, 1_100_000_003, -250.0, offsets[1], 4.0),
        room(&signal, 1_030_000_001, 10.0, offsets[2], 4.0),
    ];
    let survey = survey(&signal, &rooms);
    let verdict = survey.verdict(0.5);
    assert!(verdict.windows >= 12, "{}", verdict.windows);
    let Quantiles { median, max, .. } = verdict.spread_us;
    assert!((median - 9.75).abs() < 0.05 && (max - 9.75).abs() < 0.1, "{:?}", verdict.spread_us);
    let mean = offsets.iter().sum::<f64>() / 3.0;
    for (room, late) in verdict.rooms.iter().zip(offsets) {
        assert!((room.offset_us - (mean - late)).abs() < 0.05, "{room:?}");
        assert!(room.rate_ppm.abs() < 0.05, "{room:?}");
        assert_eq!((room.starts, room.xruns, room.lost_windows, room.damaged_blocks), (1, 0, 0, 0), "{room:?}");
    }
    // From the first window in which two rooms are heard on.
    assert_eq!(verdict.settled_s[2..], [(50.0, Some(0.25)), (20.0, Some(0.25))]);
    assert!((verdict.rooms[1].first_sound_s.unwrap() - 0.1).abs() < 1e-3);
}

#[test]
fn settling_is_counted_from_the_last_window_beyond_the_limit() {
    let signal = noise(48_000, 1 << 18, 7);
    let still = room(&signal, 0, 0.0, 0.0, 4.0);
    // 30 ppm fast for good: 10 us late at first, 110 us ahead at the end; beyond 100 us only there.
    let rate = RATE;
    let drifting = {
        let begin = -10e-6 * RATE;
        let first = begin.floor() as i64 - HALF_WIDTH as i64;
        let input = signal.cut(first, 4 * 48_000 + 2 * HALF_WIDTH + 20);
        Record::from_samples(0, rate, interpolate(&input, begin - first as f64, 1.000_03, 4 * 48_000))
    };
    let verdict = survey(&signal, &[still, drifting]).verdict(0.0);
    assert_eq!(verdict.settled_s[0], (1000.0, Some(0.0)));
    assert_eq!(verdict.settled_s[1], (100.0, None));
    assert!((verdict.rooms[1].rate_ppm - 30.0).abs() < 0.1);
}

#[test]
fn no_room_no_figures() {
    let signal = noise(48_000, 1 << 16, 7);
    let silent = Record::from_samples(0, RATE, vec![0.0; 48_000]);
    let verdict = survey(&signal, &[silent]).verdict(0.0);
    assert_eq!((verdict.windows, verdict.rooms[0].first_sound_s), (0, None));
}

#[test]
fn rooms_first_heard_on_either_side_of_half_a_period_are_together() {
    // Half of 1 << 18 frames are 2.73 s.
    let signal = noise(48_000, 1 << 18, 7);
    let rooms = [room(&signal, 2_300_000_000, 0.0, 0.0, 3.0), room(&signal, 2_900_000_000, 0.0, 5.0, 3.0)];
    let Quantiles { median, max, .. } = survey(&signal, &rooms).verdict(0.5).spread_us;
    assert!((median - 5.0).abs() < 0.05 && max < 5.2, "{median} {max}");
}
