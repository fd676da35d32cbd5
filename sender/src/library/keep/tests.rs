use proptest::prelude::*;

use super::*;
use crate::library::gain::ReplayGain;

fn kept(ids: &[u64]) -> Kept {
    let entry = |&id| Entry { id, path: PathBuf::from(format!("/music/{id}.flac")) };
    Kept {
        change: MannerChange { shuffle: Some(true), replay_gain: Some(ReplayGain::Album), ..MannerChange::default() },
        entries: ids.iter().map(entry).collect(),
        position: Duration::from_millis(1_234),
        resumes: true,
        last: Some(Key::from_sql(-5)),
        next_id: 77,
    }
}

#[test]
fn what_is_kept_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let keeper = Keeper::open(&path).unwrap();
    assert_eq!(keeper.find("radio"), None);
    keeper.keep("radio", kept(&[1, 2, 3])).blocking_recv().unwrap();
    keeper.note("other", kept(&[9]));
    keeper.played("radio", Key::from_sql(4));
    keeper.round("other");
    drop(keeper);
    let keeper = Keeper::open(&path).unwrap();
    assert_eq!(keeper.find("radio"), Some((kept(&[1, 2, 3]), HashSet::from([Key::from_sql(4)]))));
    assert_eq!(keeper.find("other"), Some((kept(&[9]), HashSet::new())));
    keeper.round("radio");
    drop(keeper);
    assert_eq!(Keeper::open(&path).unwrap().find("radio").unwrap().1, HashSet::new());
}

#[test]
fn a_file_that_is_no_database_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    std::fs::write(&path, "not a database, but longer than a header of one hundred bytes ".repeat(10)).unwrap();
    let keeper = Keeper::open(&path).unwrap();
    assert_eq!(keeper.find("radio"), None);
    keeper.keep("radio", kept(&[1])).blocking_recv().unwrap();
    assert!(dir.path().join("queue.broken").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_is_done_to_a_queue_its_last_state_is_kept(
        states in proptest::collection::vec(proptest::collection::vec(0..12_u64, 0..8), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        let keeper = Keeper::open(&path).unwrap();
        for ids in &states {
            let mut ids = ids.clone();
            ids.dedup();
            keeper.note("radio", kept(&ids));
        }
        let mut last = states.last().unwrap().clone();
        last.dedup();
        drop(keeper);
        let found = Keeper::open(&path).unwrap().find("radio").unwrap();
        prop_assert_eq!(found.0.entries, kept(&last).entries);
    }
}
