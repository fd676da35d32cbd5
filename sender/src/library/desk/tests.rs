use super::*;

const ALL: Page = Page { limit: 100, offset: 0 };
const MANNER: Manner = Manner { shuffle: false, repeat: true, replay_gain: ReplayGain::Off, crossfade_s: 0.0 };

#[test]
fn a_stream_without_a_library_has_no_queue() {
    let library = Library::detached();
    assert!(matches!(library.queue("x", ALL), Err(LibraryError::NoQueue(_))));
    assert!(matches!(library.enqueue("x", &Parts::default()), Err(LibraryError::NoQueue(_))));
}

#[test]
fn what_is_not_in_the_library_is_not_queued() {
    let state = tempfile::tempdir().unwrap();
    let library = Library::open(state.path(), &[]);
    let _desk = library.desk("x", MANNER, 1);
    for id in ["", "../../etc/passwd", "0123456789abcdef"] {
        let parts = Parts { tracks: vec![id.to_owned()], ..Parts::default() };
        assert!(matches!(library.enqueue("x", &parts), Err(LibraryError::Missing { kind: "track", .. })), "{id}");
    }
    assert!(matches!(library.remove_entry("x", "7"), Err(LibraryError::NoEntry(_))));
    assert!(matches!(library.move_entry("x", "seven", 0), Err(LibraryError::NoEntry(_))));
    let change = MannerChange { shuffle: Some(true), ..MannerChange::default() };
    library.change_manner("x", &change).unwrap().blocking_recv().unwrap();
    assert!(library.queue_state("x").unwrap().manner.shuffle);
}

#[test]
fn a_stream_that_plays_something_else_has_no_queue_until_it_plays_a_library_again() {
    let state = tempfile::tempdir().unwrap();
    let library = Library::open(state.path(), &[]);
    let _desk = library.desk("x", MANNER, 1);
    let change = MannerChange { crossfade_s: Some(2.0), ..MannerChange::default() };
    library.change_manner("x", &change).unwrap().blocking_recv().unwrap();
    library.leave("x");
    assert!(matches!(library.queue_state("x"), Err(LibraryError::NoQueue(_))));
    let _desk = library.desk("x", MANNER, 2);
    assert_eq!(library.queue_state("x").unwrap().manner.crossfade_s, 2.0);
    library.leave_all_but(&["x", "y"]);
    assert!(library.queue_state("x").is_ok());
    library.leave_all_but(&["y"]);
    assert!(matches!(library.queue_state("x"), Err(LibraryError::NoQueue(_))));
}
