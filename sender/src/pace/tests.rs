use super::*;

const MS: i64 = 1_000_000;
const START: LocalTime = LocalTime::from_ns(5_000_000_000);
const AHEAD_NS: i64 = 1_790_000_000_000_000_000;

/// A clock that is `off_ns` from the first.
fn clock(off_ns: i64) -> ClockMap {
    let epoch = unisono_common::time::ClockEpoch(1);
    let offset_ns = AHEAD_NS + off_ns;
    ClockMap { epoch, at: START, offset_ns, offset_fraction_ns: 0.0, rate: 0.0, sigma_ns: 0.0, rate_sigma: 0.0 }
}

fn pace(streams: usize) -> Pace {
    let mut pace = Pace::new(200 * MS);
    pace.steer(None, &clock(0), START);
    (0..streams).for_each(|_| pace.add(48_000, 240, None, 0, START));
    pace
}

/// Runs the schedule until `until_ms`, with wake-ups exactly on time but for a stall; returns (time in ns since the
/// start, stream, departure) of every packet.
fn run(mut pace: Pace, until_ms: i64, stall_ms: std::ops::Range<i64>) -> Vec<(i64, usize, Departure)> {
    let mut now = START;
    let mut packets = Vec::new();
    while let Some((index, at)) = pace.next() {
        now = now.max(at);
        if (START + stall_ms.start * MS..START + stall_ms.end * MS).contains(&now) {
            now = START + stall_ms.end * MS;
        }
        if now - START >= until_ms * MS {
            break;
        }
        packets.push((now - START, index, pace.depart(index, now).unwrap()));
    }
    packets
}

#[test]
fn every_packet_leaves_when_it_is_due() {
    let packets = run(pace(2), 1_000, 0..0);
    assert_eq!(packets.len(), 2 * 199);
    assert!(packets.iter().all(|(_, _, departure)| departure.late_ns == 0 && departure.skipped == 0));
}

/// As [`run`], but as the sender does it: at each wake-up all that is due.
fn run_held(mut pace: Pace, until_ms: i64, stall_ms: std::ops::Range<i64>) -> Vec<(i64, usize, Departure)> {
    let (mut now, mut packets) = (START, Vec::new());
    while let Some(wake) = pace.wake() {
        now = now.max(wake);
        if (START + stall_ms.start * MS..START + stall_ms.end * MS).contains(&now) {
            now = START + stall_ms.end * MS;
        }
        if now - START >= until_ms * MS {
            break;
        }
        while let Some((index, _)) = pace.next().filter(|(_, at)| *at <= now) {
            packets.push((now - START, index, pace.depart(index, now).unwrap()));
        }
    }
    packets
}

#[test]
fn where_there_is_time_four_packets_of_each_stream_leave_at_once_and_none_too_early() {
    let mut pace = pace(2);
    (0..2).for_each(|index| pace.set_hold(index, hold_ns(250 * MS, 5 * MS)));
    pace.set_rank(0, 1);
    let packets = run_held(pace, 1_010, 0..0);
    assert!(packets.chunk_by(|(a, ..), (b, ..)| a == b).all(|together| together.len() == 8));
    for (at, _, Departure { frame, late_ns, skipped }) in &packets {
        let end = unisono_common::time::MediaTime::from_frame(frame + 240, 48_000);
        let waited = clock(0).media_at(START + *at) - end;
        assert!((0..=15 * MS).contains(&waited) && (*late_ns, *skipped) == (0, 0), "{waited}");
    }
    assert_eq!(packets.len(), 2 * 200);
    let by_packet = packets.chunks(2).map(|pair| [pair[0].1, pair[1].1, (pair[1].2.frame - pair[0].2.frame) as usize]);
    assert!(by_packet.into_iter().all(|pair| pair == [1, 0, 0]), "a mix follows its inputs, packet by packet");
}

#[test]
fn packets_that_wait_are_caught_up_after_a_stall_as_others_are() {
    let mut pace = pace(1);
    pace.set_hold(0, hold_ns(250 * MS, 5 * MS));
    let packets = run_held(pace, 1_010, 300..450);
    let frames: Vec<i64> = packets.iter().map(|(_, _, departure)| departure.frame).collect();
    assert!(frames.windows(2).all(|pair| pair[1] - pair[0] == 240), "no frame is left out");
    let bursts: Vec<usize> = packets.chunk_by(|(a, ..), (b, ..)| a == b).map(<[_]>::len).collect();
    assert!(bursts.iter().all(|burst| *burst <= 5), "{bursts:?}");
    let caught_up = packets.iter().find(|(at, _, departure)| *at > 450 * MS && departure.late_ns == 0).unwrap().0;
    assert!(caught_up < 480 * MS, "on time again after {} ms", (caught_up - 450 * MS) / MS);
}

#[test]
fn short_delays_are_for_music_that_must_not_wait() {
    assert_eq!(hold_ns(20 * MS, 5 * MS), 0);
    assert_eq!(hold_ns(199 * MS, 5 * MS), 0);
    assert_eq!(hold_ns(208 * MS, 5 * MS), 13 * MS);
    assert_eq!(hold_ns(2_000 * MS, 5 * MS), 15 * MS);
    assert_eq!(hold_ns(2_000 * MS, MS), 3 * MS);
}

#[test]
fn a_short_stall_is_caught_up_without_a_burst_or_a_gap() {
    let packets = run(pace(1), 1_000, 300..450);
    let frames: Vec<i64> = packets.iter().map(|(_, _, departure)| departure.frame).collect();
    assert!(frames.windows(2).all(|pair| pair[1] - pair[0] == 240), "no frame is left out");
    let times: Vec<i64> = packets.iter().map(|(at, ..)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 5 * MS / CATCH_UP), "no burst");
    let caught_up = packets.iter().find(|(at, _, departure)| *at > 450 * MS && departure.late_ns == 0).unwrap().0;
    assert!(caught_up < 480 * MS, "on time again after {} ms", (caught_up - 450 * MS) / MS);
}

#[test]
fn a_long_stall_is_skipped_and_leaves_the_timeline_whole() {
    let packets = run(pace(1), 2_000, 300..1_300);
    let (at, _, after) = *packets.iter().find(|(at, ..)| *at >= 300 * MS).unwrap();
    assert_eq!((at, after.skipped, after.late_ns), (1_300 * MS, 200, 0));
    assert_eq!(after.frame, clock(0).media_at(START + 1_295 * MS).to_frame(48_000));
    assert!(packets.iter().filter(|(.., departure)| departure.skipped > 0).count() == 1);
}

#[test]
fn streams_come_and_go_and_a_mix_follows_its_inputs() {
    let mut pace = Pace::new(200 * MS);
    assert!(pace.next().is_none());
    pace.add(48_000, 240, Some(3), 1, START);
    pace.add(48_000, 240, Some(3), 0, START);
    pace.steer(Some(2), &clock(0), START);
    assert!(pace.next().is_none(), "nothing is due before there is a clock");
    pace.steer(Some(3), &clock(0), START);
    let (first, at) = pace.next().unwrap();
    assert_eq!(first, 1, "the input goes first");
    pace.depart(first, at);
    assert_eq!(pace.next(), Some((0, at)), "and the mix of the same packet next");
    pace.depart(0, at);
    pace.swap_remove(0);
    assert_eq!(pace.next().map(|(index, _)| index), Some(0), "what is left has moved");
}

#[test]
fn a_clock_that_changes_its_mind_is_approached_with_every_frame_in_its_place() {
    let mut pace = pace(1);
    let (mut now, mut frames, mut gaps_ns) = (START, Vec::new(), Vec::new());
    while now - START < 3_000 * MS {
        let (index, at) = pace.next().unwrap();
        gaps_ns.push(at - now);
        now = at;
        frames.push(pace.depart(index, now).unwrap().frame);
        pace.steer(None, &clock(300_000), now);
    }
    assert!(frames.windows(2).all(|pair| pair[1] - pair[0] == 240), "no frame is left out or sent twice");
    assert!(gaps_ns[1..].iter().all(|gap_ns| (gap_ns - 5 * MS).abs() <= 1_010), "evenly paced: {gaps_ns:?}");
    let end = unisono_common::time::MediaTime::from_frame(frames[frames.len() - 1] + 240, 48_000);
    let left_ns = clock(300_000).media_at(now) - end;
    assert!((0..40_000).contains(&left_ns), "{left_ns}");
}

#[test]
fn another_clock_altogether_is_taken_at_once() {
    let mut pace = pace(1);
    let (index, at) = pace.next().unwrap();
    let before = pace.depart(index, at).unwrap().frame;
    pace.steer(None, &clock(-37_000_000_000), at);
    let (index, at) = pace.next().unwrap();
    let after = pace.depart(index, at).unwrap().frame;
    assert!((before - after - 37 * 48_000).abs() <= 240, "{before} {after}");
}
