use proptest::prelude::*;

use super::*;
use unisono_audio::convert::Rng;

fn keys(numbers: impl IntoIterator<Item = i64>) -> Arc<Vec<Key>> {
    Arc::new(numbers.into_iter().map(Key::from_sql).collect())
}

fn rounds(shuffle: bool, len: i64) -> Rounds {
    let mut rounds = Rounds::new(shuffle, Rng::new(1), HashSet::new(), None);
    rounds.update(keys(0..len), true);
    rounds
}

fn take(rounds: &mut Rounds, count: usize) -> Vec<i64> {
    std::iter::from_fn(|| rounds.next()).take(count).map(Key::to_sql).collect()
}

#[test]
fn in_order() {
    let mut rounds = rounds(false, 3);
    assert_eq!(take(&mut rounds, 9), [0, 1, 2]);
    rounds.begin();
    assert_eq!(take(&mut rounds, 2), [0, 1]);
    assert_eq!(rounds.peek().map(Key::to_sql).collect::<Vec<_>>(), [2]);
}

#[test]
fn in_order_what_is_new_plays_in_its_place_and_what_is_gone_does_not() {
    let mut rounds = rounds(false, 6);
    assert_eq!(take(&mut rounds, 3), [0, 1, 2]);
    rounds.update(keys([-1, 0, 2, 20, 3, 5]), true);
    assert_eq!(take(&mut rounds, 1), [20]);
    // The one that played last is gone: it goes on from its place.
    rounds.update(keys([-1, 0, 2, 3, 5]), true);
    assert_eq!(take(&mut rounds, 9), [3, 5]);
}

#[test]
fn each_round_begins_with_another_piece_than_the_last_one_ended_with() {
    let mut rounds = rounds(true, 7);
    let mut firsts = [0; 7];
    let mut last = None;
    for _ in 0..500 {
        let round = take(&mut rounds, 99);
        assert_ne!(round.first().copied(), last);
        firsts[round[0] as usize] += 1;
        last = round.last().copied();
        rounds.begin();
    }
    assert!(firsts.iter().all(|&n| n > 40), "{firsts:?}");
}

#[test]
fn a_single_piece_plays_again() {
    let mut rounds = rounds(true, 1);
    assert_eq!(take(&mut rounds, 9), [0]);
    rounds.begin();
    assert_eq!(take(&mut rounds, 9), [0]);
}

#[test]
fn shuffle_can_be_switched_within_a_round() {
    let mut rounds = rounds(false, 10);
    assert_eq!(take(&mut rounds, 4), [0, 1, 2, 3]);
    rounds.set_shuffle(true);
    let mut shuffled = take(&mut rounds, 3);
    rounds.set_shuffle(false);
    let last = shuffled[2];
    assert_eq!(take(&mut rounds, 99), (last + 1..10).collect::<Vec<_>>());
    shuffled.sort_unstable();
    assert!(shuffled[0] > 3);
}

#[test]
fn a_round_goes_on_after_a_restart() {
    let mut before = rounds(true, 100);
    let played = take(&mut before, 60);
    let mut after = Rounds::new(
        true,
        Rng::new(2),
        played.iter().map(|&n| Key::from_sql(n)).collect(),
        Some(Key::from_sql(played[59])),
    );
    after.update(keys(0..100), true);
    let mut all = played;
    all.extend(take(&mut after, 99));
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_library_that_is_still_being_read_does_not_end_the_round() {
    for shuffle in [false, true] {
        let mut after = Rounds::new(shuffle, Rng::new(2), [0, 1].map(Key::from_sql).into(), Some(Key::from_sql(1)));
        after.update(keys([]), false);
        after.update(keys(0..3), true);
        assert_eq!(take(&mut after, 9), [2], "shuffle: {shuffle}");
    }
}

proptest! {
    /// Whatever comes and goes meanwhile, nothing plays twice in a round, and all that was there all the time plays.
    #[test]
    fn shuffle_repeats_nothing_until_all_have_played(
        seed in any::<u64>(),
        steps in proptest::collection::vec((0..4_u8, 0..40_i64, 0..40_i64), 1..60),
    ) {
        let mut here: HashSet<i64> = (0..30).collect();
        let mut rounds = Rounds::new(true, Rng::new(seed), HashSet::new(), None);
        let update = |rounds: &mut Rounds, here: &HashSet<i64>| {
            let mut sorted: Vec<i64> = here.iter().copied().collect();
            sorted.sort_unstable();
            rounds.update(keys(sorted), true);
        };
        update(&mut rounds, &here);
        let mut played = HashSet::new();
        let mut gone = HashSet::new();
        for (what, one, other) in steps {
            match what {
                0 => {
                    here.insert(one);
                    here.remove(&other);
                    gone.insert(other);
                    // One that was away and came back is new.
                    played.retain(|key| here.contains(key));
                    update(&mut rounds, &here);
                }
                _ => {
                    let next = rounds.next().map(Key::to_sql);
                    if let Some(next) = next {
                        prop_assert!(here.contains(&next));
                        prop_assert!(played.insert(next), "{} twice", next);
                    } else {
                        prop_assert_eq!(&played, &here);
                        rounds.begin();
                        played.clear();
                    }
                }
            }
        }
        while let Some(next) = rounds.next() {
            prop_assert!(played.insert(next.to_sql()));
        }
        prop_assert_eq!(played, here);
    }
}
