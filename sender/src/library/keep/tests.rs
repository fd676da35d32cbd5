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
fn however_much_is_said_of_a_stream_only_the_last_of_it_waits() {
    let mut job = Job::default();
    for id in 0..1_000 {
        let (done, _) = oneshot::channel();
        job.played.insert(Key::from_sql(id));
        job.keep(kept(&[id as u64]), Some(done));
    }
    let (done, written) = oneshot::channel();
    job.keep(kept(&[7]), Some(done));
    assert_eq!((job.kept.clone(), job.done.len()), (Some(kept(&[7])), 1), "nobody else waits any more");
    job.begin_round();
    assert!(job.round && job.played.is_empty());
    drop(written);
}

#[test]
fn a_stream_that_comes_back_finds_what_it_left_however_busy_the_disk_is() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(&dir.path().join("queue.db")).unwrap();
    for id in 1..50 {
        keeper.note("radio", kept(&[id]));
        assert_eq!(keeper.find("radio").unwrap().0, kept(&[id]));
    }
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
