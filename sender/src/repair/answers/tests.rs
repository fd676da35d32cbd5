use super::*;
use proptest::prelude::*;

const MS: i64 = 1_000_000;
const PACKET_NS: i64 = 5 * MS;

fn at(ms: i64) -> LocalTime {
    LocalTime::from_ns(1_000_000_000 + ms * MS)
}

fn room(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 77, (n >> 8) as u8, n as u8], 40_000))
}

/// A stream that has sent packets 0 to 99.
fn sent() -> Answers {
    let mut answers = Answers::new(256, PACKET_NS, at(0));
    (0..100).for_each(|sequence: u16| answers.store(sequence, &sequence.to_be_bytes()));
    answers
}

/// Everything that leaves until `until` milliseconds: when, what, where to.
fn leave(answers: &mut Answers, from: i64, until: i64) -> Vec<(i64, u16, To)> {
    let mut left = vec![];
    for ms in from..until {
        while let Some((packet, to)) = answers.answer(at(ms)) {
            left.push((ms, u16::from_be_bytes([packet[0], packet[1]]), to));
        }
    }
    left
}

#[test]
fn one_room_is_answered_alone_and_at_once() {
    let mut answers = sent();
    answers.ask(room(1), 7, at(0));
    answers.ask(room(1), 7, at(0));
    assert_eq!(leave(&mut answers, 0, 20), [(0, 7, To::Room(room(1)))]);
    // It asks again in time to have lost the answer.
    answers.ask(room(1), 7, at(20));
    assert_eq!(leave(&mut answers, 20, 40), [(20, 7, To::Room(room(1)))]);
    assert_eq!((answers.counts().asked, answers.counts().covered), (3, 1));
}

#[test]
fn two_hundred_rooms_cost_one_answer_to_the_group() {
    let mut answers = sent();
    let mut left = vec![];
    for n in 0..200 {
        answers.ask(room(n), 7, at(i64::from(n) / 40));
        left.extend(leave(&mut answers, i64::from(n) / 40, i64::from(n) / 40 + 1));
    }
    left.extend(leave(&mut answers, 5, 50));
    let to: Vec<To> = left.iter().map(|(_, _, to)| *to).collect();
    assert_eq!(to, [To::Room(room(0)), To::Group]);
    // One that did not hear it is answered alone.
    answers.ask(room(9), 7, at(60));
    assert_eq!(leave(&mut answers, 60, 70), [(60, 7, To::Room(room(9)))]);
}

#[test]
fn a_second_room_that_asks_before_the_answer_has_left_turns_it_to_the_group() {
    let mut answers = sent();
    answers.ask(room(1), 7, at(0));
    answers.ask(room(2), 7, at(0));
    assert_eq!(leave(&mut answers, 0, 20), [(0, 7, To::Group)]);
}

/// Packet after packet is lost to `rooms` rooms, which hear what goes to the group; the last answers.
fn lose_together(answers: &mut Answers, from: u16, packets: u16, rooms: u16) -> usize {
    let mut left = 0;
    for sequence in from..from + packets {
        answers.store(sequence, &sequence.to_be_bytes());
        let ms = i64::from(sequence) * 50;
        answers.ask(room(0), sequence, at(ms));
        let first = leave(answers, ms, ms + 1);
        left += first.len();
        if first.iter().all(|(_, _, to)| *to != To::Group) {
            (1..rooms).for_each(|n| answers.ask(room(n), sequence, at(ms + 1)));
        }
        left += leave(answers, ms + 1, ms + 40).len();
    }
    left
}

#[test]
fn where_rooms_lose_the_same_packets_the_first_request_is_answered_to_all() {
    let mut answers = Answers::new(16, PACKET_NS, at(0));
    lose_together(&mut answers, 0, 32, 200);
    let left = lose_together(&mut answers, 32, 200, 200);
    assert!((200..250).contains(&left), "{left} answers for 200 packets");
    // One room alone then.
    lose_together(&mut answers, 232, 200, 1);
    let to_group = answers.counts().to_group;
    lose_together(&mut answers, 432, 100, 1);
    assert_eq!(answers.counts().to_group, to_group);
}

#[test]
fn what_is_not_kept_is_not_answered() {
    let mut answers = sent();
    answers.ask(room(1), 100, at(0));
    (100..400).for_each(|sequence: u16| answers.store(sequence, &sequence.to_be_bytes()));
    answers.ask(room(1), 7, at(0));
    // Asked for, and overwritten before it could leave.
    answers.ask(room(1), 399, at(0));
    answers.store(399 + 256, &[0, 0]);
    assert_eq!(leave(&mut answers, 0, 50), []);
    assert_eq!(answers.counts().unknown, 2);
    assert_eq!((answers.packet(398), answers.packet(7)), (Some(&398_u16.to_be_bytes()[..]), None));
}

#[test]
fn answers_are_paced_and_never_outgrow_the_stream() {
    let mut answers = Answers::new(4_096, PACKET_NS, at(0));
    let mut left = 0;
    for ms in 0..20_000_i64 {
        if ms % 5 == 0 {
            answers.store((ms / 5) as u16, &[0; 100]);
        }
        // Every room asks for everything, again and again.
        for back in 0..20 {
            answers.ask(room(back), ((ms / 5) as u16).wrapping_sub(back), at(ms));
        }
        let now = leave(&mut answers, ms, ms + 1).len();
        assert!(now <= 2, "{now} in a millisecond");
        left += now;
    }
    assert!(left <= 4_000 + BURST as usize, "{left} answers for 4000 packets");
    assert!(left > 3_000 && answers.counts().refused > 0);
}

proptest! {
    #[test]
    fn any_requests_in_any_order_keep_the_bounds(
        events in prop::collection::vec((0_u8..3, any::<u16>(), 0_u16..5, 0_i64..20), 0..400)
    ) {
        let mut answers = Answers::new(64, PACKET_NS, at(0));
        let (mut ms, mut left) = (0, 0);
        for (what, sequence, by, later) in events {
            ms += later;
            match what {
                0 => answers.store(sequence, &sequence.to_be_bytes()),
                1 => answers.ask(room(by), sequence % 128, at(ms)),
                _ => left += i64::from(answers.answer(at(ms)).is_some()),
            }
            prop_assert!(answers.waiting.len() <= MOST_WAITING);
            prop_assert!(left <= BURST + ms / 5 + 1);
        }
    }
}
