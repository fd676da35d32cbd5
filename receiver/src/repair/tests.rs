use super::*;
use proptest::prelude::*;

/// Packets leave every 5 ms and are due 160 ms after.
const PACKET_MS: i64 = 5;
const DUE_MS: i64 = 160;

fn at(ms: i64) -> LocalTime {
    LocalTime::from_ns(1_000_000_000 + ms * MS)
}

fn due(number: i64) -> LocalTime {
    at(number * PACKET_MS + DUE_MS)
}

fn ask(repair: &mut Repair, ms: i64) -> Vec<i64> {
    let mut out = Vec::with_capacity(MOST_MISSED);
    repair.ask(at(ms), due, &mut out);
    out
}

/// A room that hears packets 0 to `until`, but not those that are lost, and gets no answers: when it asks for what.
fn hear(repair: &mut Repair, until: i64, lost: impl Fn(i64) -> bool) -> Vec<(i64, i64)> {
    let mut asked = vec![];
    for ms in 0..until * PACKET_MS {
        if ms % PACKET_MS == 0 && !lost(ms / PACKET_MS) {
            repair.arrived(ms / PACKET_MS, Way::Stream, at(ms));
        }
        asked.extend(ask(repair, ms).into_iter().map(|number| (ms, number)));
    }
    asked
}

#[test]
fn what_is_lost_is_asked_for_until_it_is_too_late_and_nothing_else_is() {
    let mut repair = Repair::new(1);
    let asked = hear(&mut repair, 100, |number| number == 40);
    assert!(asked.iter().all(|(_, number)| *number == 40), "{asked:?}");
    assert!(asked.len() >= 4, "{asked:?}");
    assert!(asked[0].0 >= 205 && asked.last().unwrap().0 <= 40 * PACKET_MS + DUE_MS, "{asked:?}");
    let counts = repair.counts();
    assert_eq!((counts.missed, counts.given_up, counts.answered), (1, 1, 0));
    assert_eq!(repair.next(), None);
}

#[test]
fn an_answer_ends_it_and_teaches_the_round_trip() {
    let mut repair = Repair::new(1);
    let mut answers = 0;
    let mut late: Option<(i64, i64)> = None;
    for ms in 0..20_000 {
        let number = ms / PACKET_MS;
        if ms % PACKET_MS == 0 && number % 10 != 3 {
            repair.arrived(number, Way::Stream, at(ms));
        }
        if let Some((_, number)) = late.take_if(|(when, _)| *when == ms) {
            repair.arrived(number, Way::Answer, at(ms));
            answers += 1;
        }
        if let Some(number) = ask(&mut repair, ms).first() {
            late = Some((ms + 2, *number));
        }
    }
    let counts = repair.counts();
    assert_eq!((counts.missed, counts.given_up), (400, 0));
    assert!((399..=401).contains(&answers) && counts.asked <= 401, "one request each: {counts:?}");
    assert_eq!(repair.answers.mean_ns / MS, 2);
    assert!(repair.together < 0.01, "it is alone");
}

#[test]
fn a_burst_is_asked_for_in_time_whatever_was_learned_before() {
    for seed in 0..50 {
        let mut repair = Repair::new(seed);
        repair.together = 1.0;
        repair.learn_disorder(80 * MS, at(0));
        let asked = hear(&mut repair, 60, |number| (20..30).contains(&number));
        for number in 20..30 {
            let times = asked.iter().filter(|(_, asked)| *asked == number).count();
            assert!(times >= 2, "packet {number} was asked for {times} times: {asked:?}");
        }
    }
}

#[test]
fn what_was_overtaken_is_not_asked_for_once_that_is_known() {
    let mut repair = Repair::new(1);
    let mut asked = 0;
    for number in 0..2_000 {
        let ms = number * PACKET_MS;
        // Every even packet comes 12 ms late.
        if number % 2 == 1 {
            repair.arrived(number, Way::Stream, at(ms));
        }
        if number >= 20 {
            asked += ask(&mut repair, ms).len();
        }
        let late = number - 2;
        if late >= 0 && late % 2 == 0 {
            repair.arrived(late, Way::Stream, at(ms + 2));
        }
    }
    assert_eq!(asked, 0);
    assert!(repair.counts().overtaken > 900);
}

#[test]
fn of_two_hundred_rooms_few_ask() {
    let (mut requests, mut losses) = (0, 0);
    let mut rooms: Vec<Repair> = (0..200).map(Repair::new).collect();
    for loss in 1..60 {
        let number = loss * 40;
        let missed_ms = (number + 1) * PACKET_MS;
        losses += 1;
        rooms.iter_mut().for_each(|room| {
            (number - 38..number).for_each(|before| room.arrived(before, Way::Stream, at(before * PACKET_MS)));
            room.arrived(number + 1, Way::Stream, at(missed_ms));
        });
        // The second request is answered to all, 2 ms later.
        let mut answer_ms = None;
        for ms in missed_ms..missed_ms + DUE_MS {
            let asked: usize = rooms.iter_mut().map(|room| ask(room, ms).len()).sum();
            requests += asked;
            if requests > 0 && asked > 0 && answer_ms.is_none() {
                answer_ms = Some(ms + 2);
            }
            if answer_ms == Some(ms) {
                rooms.iter_mut().for_each(|room| room.arrived(number, Way::GroupAnswer, at(ms)));
            }
        }
    }
    assert!(rooms.iter().all(|room| room.counts().given_up == 0));
    assert!(requests < losses * 12, "{requests} requests for {losses} losses");
}

#[test]
fn a_sender_that_never_answers_is_asked_less_and_less() {
    let mut repair = Repair::new(1);
    let asked = hear(&mut repair, 8_000, |number| number % 10 == 5);
    let within = |from: i64, to: i64| asked.iter().filter(|(ms, _)| (from..to).contains(ms)).count();
    let (first, last) = (within(0, 2_000), within(38_000, 40_000));
    assert!(last * 2 < first, "{first} in the first two seconds, {last} in the last");
}

#[test]
fn an_outage_is_bounded_and_another_source_begins_anew() {
    let mut repair = Repair::new(1);
    repair.arrived(0, Way::Stream, at(0));
    repair.arrived(2_000_000, Way::Stream, at(10_000_000));
    assert_eq!(repair.missed.len(), MOST_MISSED);
    repair.arrived(2_000_002, Way::Stream, at(10_000_010));
    // What is no longer looked for is given up, and counts so.
    let counts = repair.counts();
    assert_eq!((counts.missed, counts.given_up), (2_000_000, 2_000_000 - MOST_MISSED as u64));
    repair.restart();
    assert_eq!(repair.next(), None);
    repair.arrived(7, Way::Stream, at(10_000_000));
    assert!(ask(&mut repair, 10_000_000).is_empty());
}

proptest! {
    #[test]
    fn whatever_arrives_the_bounds_hold(
        events in prop::collection::vec((any::<u16>(), 0_u8..4, 0_i64..30), 0..400), seed: u64
    ) {
        let mut repair = Repair::new(seed);
        let (mut ms, mut extender) = (0, unisono_common::sequence::Extender::default());
        for (sequence, what, later) in events {
            ms += later;
            let number = extender.extend(sequence);
            match what {
                0 => repair.arrived(number, Way::Stream, at(ms)),
                1 => repair.arrived(number, Way::Answer, at(ms)),
                2 => repair.arrived(number, Way::GroupAnswer, at(ms)),
                _ => {
                    let asked = ask(&mut repair, ms);
                    prop_assert!(asked.is_sorted() && asked.len() <= MOST_MISSED);
                }
            }
            prop_assert!(repair.missed.len() <= MOST_MISSED);
            let numbers: Vec<i64> = repair.missed.iter().map(|missed| missed.number).collect();
            prop_assert!(numbers.is_sorted());
        }
    }
}
