use super::*;

const MS: i64 = 1_000_000;
const START: MediaTime = MediaTime::from_ns(1_790_000_000_000_000_000);

fn pace(streams: usize) -> Pace {
    Pace::new((0..streams).map(|_| Timeline::new(48_000, 240, START)), 200 * MS)
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
        packets.push((now - START, index, pace.depart(index, now)));
    }
    packets
}

#[test]
fn every_packet_leaves_when_it_is_due() {
    let packets = run(pace(2), 1_000, 0..0);
    assert_eq!(packets.len(), 2 * 199);
    assert!(packets.iter().all(|(_, _, departure)| departure.late_ns == 0 && departure.skipped == 0));
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
    assert_eq!(after.frame, (START + 1_295 * MS).to_frame(48_000));
    assert!(packets.iter().filter(|(.., departure)| departure.skipped > 0).count() == 1);
}

#[test]
fn streams_come_and_go_and_a_mix_follows_its_inputs() {
    let mut pace = Pace::new([], 200 * MS);
    assert!(pace.next().is_none());
    pace.add(Timeline::new(48_000, 240, START), 1);
    pace.add(Timeline::new(48_000, 240, START), 0);
    let (first, at) = pace.next().unwrap();
    assert_eq!(first, 1, "the input goes first");
    pace.depart(first, at);
    assert_eq!(pace.next(), Some((0, at)), "and the mix of the same packet next");
    pace.depart(0, at);
    pace.swap_remove(0);
    assert_eq!(pace.next().map(|(index, _)| index), Some(0), "what is left has moved");
}
