use std::collections::HashSet;
use std::path::Path;

use super::*;
use unisono_audio::convert::Rng;

fn kept(ids: &[u64]) -> Kept {
    let entry = |&id: &u64| Entry { id, path: path(id) };
    Kept {
        change: MannerChange { repeat: Some(true), ..MannerChange::default() },
        entries: ids.iter().map(entry).collect(),
        position: Duration::ZERO,
        resumes: false,
        last: None,
        next_id: 100,
    }
}

const PLAIN: Manner = Manner { shuffle: false, repeat: true, replay_gain: ReplayGain::Off, crossfade_s: 0.0 };

fn path(id: u64) -> PathBuf {
    PathBuf::from(format!("/{id}"))
}

fn station(ids: &[u64], library: i64) -> Station {
    let mut station = Station::new(PLAIN, kept(ids), Rounds::new(false, Rng::new(1), HashSet::new(), None));
    let keys: Vec<Key> = (0..library).map(Key::from_sql).collect();
    station.rounds().update(keys.into(), true);
    station
}

/// Takes the next piece, those of the library as `/libN`.
fn take(station: &mut Station) -> Option<Entry> {
    Some(match station.take()? {
        Next::Queued(entry, _) => entry,
        Next::FromLibrary(key) => station.took(PathBuf::from(format!("/lib{}", key.to_sql()))),
    })
}

fn names(station: &mut Station, count: usize) -> Vec<String> {
    (0..count).filter_map(|_| take(station)).map(|entry| entry.path.display().to_string()).collect()
}

fn queue(station: &Station) -> Vec<u64> {
    station.queue().map(|entry| entry.id).collect()
}

#[test]
fn the_queue_first_then_the_library() {
    let mut station = station(&[1, 2], 2);
    assert_eq!(names(&mut station, 9), ["/1", "/2", "/lib0", "/lib1"]);
    station.add(vec![path(3)], Place::End);
    assert_eq!(names(&mut station, 9), ["/3"]);
}

#[test]
fn add_next_move_and_remove() {
    let mut station = station(&[1, 2, 3], 0);
    assert_eq!(station.add(vec![path(8), path(9)], Place::Next), [101, 102]);
    assert_eq!(station.add(vec![path(7)], Place::End), [103]);
    assert_eq!(queue(&station), [101, 102, 1, 2, 3, 103]);
    assert!(station.move_to(103, 1) && station.move_to(101, 99));
    assert_eq!(queue(&station), [103, 102, 1, 2, 3, 101]);
    assert!(station.remove(2) && !station.remove(2) && !station.move_to(2, 0));
    assert_eq!(queue(&station), [103, 102, 1, 3, 101]);
    let before = station.revision();
    station.clear();
    assert!(queue(&station).is_empty() && station.revision() > before);
}

#[test]
fn a_queue_is_bounded() {
    let mut station = station(&[], 0);
    assert_eq!(station.add(vec![path(1); MOST_QUEUED + 10], Place::End).len(), MOST_QUEUED);
    assert!(station.add(vec![path(1)], Place::Next).is_empty());
}

#[test]
fn what_was_decoded_ahead_comes_again_after_a_skip() {
    let mut station = station(&[1, 2, 3, 4], 0);
    names(&mut station, 3);
    station.hears(1, Duration::ZERO);
    // 2 and 3 were taken and not heard.
    station.go(Way::On, Some(1));
    assert_eq!(names(&mut station, 9), ["/2", "/3", "/4"]);
}

#[test]
fn back_is_to_what_was_heard_before_and_then_on_again() {
    let mut station = station(&[1, 2], 3);
    names(&mut station, 4);
    station.go(Way::Back, Some(102));
    assert_eq!(names(&mut station, 3), ["/lib0", "/lib1", "/lib2"]);
    let first = take(&mut station);
    assert_eq!(first, None);
    station.go(Way::Back, Some(1));
    assert_eq!(names(&mut station, 2), ["/1", "/2"]);
}

#[test]
fn a_piece_that_is_wanted_now_comes_at_the_next_skip() {
    let mut station = station(&[1, 2, 3, 4], 0);
    names(&mut station, 2);
    assert!(!station.want(&[99]) && station.want(&[4]));
    station.go(Way::On, Some(1));
    assert_eq!(names(&mut station, 9), ["/4", "/2", "/3"]);
    // An album that is wanted now stays together, before what was decoded ahead.
    station.add(vec![path(5)], Place::End);
    names(&mut station, 1);
    let album = station.add(vec![path(6), path(7)], Place::Next);
    assert!(station.want(&album));
    station.go(Way::On, Some(3));
    assert_eq!(names(&mut station, 9), ["/6", "/7", "/5"]);
}

#[test]
fn what_is_heard_is_kept_until_it_has_been_heard_and_goes_on_where_it_was() {
    let mut before = station(&[1, 2, 3], 0);
    names(&mut before, 1);
    // Taken, and nothing heard of it yet.
    assert_eq!(before.kept().entries.len(), 3);
    names(&mut before, 1);
    before.hears(1, Duration::from_secs(1));
    assert!(before.hears(2, Duration::from_secs(7)));
    assert!(!before.hears(2, Duration::from_secs(8)));
    let kept = before.kept();
    assert_eq!(kept.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [2, 3]);
    let mut after = Station::new(PLAIN, kept.clone(), Rounds::new(false, Rng::new(1), HashSet::new(), None));
    assert_eq!(after.kept(), kept);
    let Some(Next::Queued(entry, from)) = after.take() else { panic!("nothing") };
    assert_eq!((entry.path.as_path(), from), (Path::new("/2"), Duration::from_secs(8)));
    assert_eq!(after.kept(), kept, "taken, not heard");
    assert!(matches!(after.take(), Some(Next::Queued(entry, Duration::ZERO)) if entry.id == 3));
}

#[test]
fn what_was_asked_for_goes_over_the_configuration_and_nothing_else_does() {
    let change = MannerChange { shuffle: Some(true), crossfade_s: Some(99.0), ..MannerChange::default() };
    let mut station = station(&[], 0);
    station.change_manner(&change);
    let kept = station.kept();
    let other = Manner { shuffle: false, repeat: false, replay_gain: ReplayGain::Auto, crossfade_s: 1.0 };
    let again = Station::new(other, kept, Rounds::new(false, Rng::new(1), HashSet::new(), None));
    assert_eq!(again.manner(), Manner { shuffle: true, repeat: true, crossfade_s: 12.0, ..other });
}

#[test]
fn however_many_cannot_be_played_what_is_queued_is_kept() {
    let mut station = station(&[], 150);
    assert_eq!(names(&mut station, 150).len(), 150);
    let id = station.add(vec![path(1)], Place::End)[0];
    let kept = station.kept();
    assert_eq!((kept.entries.len(), kept.entries.last().map(|entry| entry.id)), (HISTORY + 1, Some(id)));
}

#[test]
fn what_is_put_back_comes_next_from_where_it_was() {
    let mut station = station(&[1, 2], 1);
    names(&mut station, 1);
    station.put_back(Duration::from_secs(9));
    assert_eq!((queue(&station), station.kept().position), (vec![1, 2], Duration::from_secs(9)));
    assert!(matches!(station.take(), Some(Next::Queued(entry, from)) if entry.id == 1 && from.as_secs() == 9));
    // A piece of the library is queued by that.
    assert_eq!(names(&mut station, 9), ["/2", "/lib0"]);
    station.put_back(Duration::ZERO);
    assert_eq!(names(&mut station, 9), ["/lib0"]);
}
