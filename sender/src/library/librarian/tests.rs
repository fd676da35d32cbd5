use std::fs;

use super::*;
use crate::library::Page;
use crate::testing::until;

fn wait_for(library: &Library, right: impl Fn(&LibraryState) -> bool) -> LibraryState {
    for _ in 0..3_000 {
        if let Ok(state) = library.state()
            && right(&state)
        {
            return state;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("never came right: {:?}", library.state());
}

fn done(files: u32) -> impl Fn(&LibraryState) -> bool {
    move |state| !state.scan.running && state.totals.tracks == files
}

#[test]
fn the_index_follows_the_folders() {
    let (music, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |name: &str| music.path().join(name);
    fs::write(file("one.mp3"), "x").unwrap();
    let library = Library::open(state.path(), &[music.path().to_owned()]);
    let librarian = library.start().unwrap();
    let first = wait_for(&library, done(1));
    assert_eq!((first.scan.seen, first.scan.unreadable, first.roots.len()), (1, 1, 1));
    fs::create_dir(file("new")).unwrap();
    fs::write(file("new/two.mp3"), "x").unwrap();
    wait_for(&library, done(2));
    // The new folder is watched too.
    fs::write(file("new/three.mp3"), "x").unwrap();
    wait_for(&library, done(3));
    fs::rename(file("new/three.mp3"), file("new/tres.mp3")).unwrap();
    let page = Page { limit: 9, offset: 0 };
    let found = |words: &str| library.search(words, page).unwrap().len();
    until("it keeps its old name", || found("tres") == 1 && found("three") == 0);
    fs::remove_dir_all(file("new")).unwrap();
    wait_for(&library, done(1));
    drop(librarian);
}

#[test]
fn a_listing_is_whole_when_the_root_is_read_and_roots_can_come_later() {
    let (music, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = Library::open(state.path(), &[]);
    let _librarian = library.start().unwrap();
    fs::create_dir(music.path().join("in")).unwrap();
    fs::write(music.path().join("in/one.mp3"), "x").unwrap();
    let inner = music.path().join("in");
    assert!(!library.listing(&inner).unwrap().complete);
    library.add_root(music.path());
    library.add_root(&inner);
    wait_for(&library, done(1));
    until("it is never listed whole", || library.listing(&inner).unwrap().complete);
    assert_eq!(library.listing(&inner).unwrap().keys.len(), 1);
    assert_eq!(library.board().roots.len(), 1, "a root in a root is none");
}

#[test]
fn a_disk_that_is_mounted_later_is_read() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (empty, full, root) = (dir.path().join("empty"), dir.path().join("full"), dir.path().join("root"));
    for folder in [&empty, &full] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(full.join("one.mp3"), "x").unwrap();
    // Another folder behind one name: what a mount is too.
    let mount = |folder: &Path| {
        let new = dir.path().join("new");
        std::os::unix::fs::symlink(folder, &new).unwrap();
        fs::rename(new, &root).unwrap();
    };
    mount(&empty);
    let library = Library::open(state.path(), std::slice::from_ref(&root));
    let _librarian = library.start().unwrap();
    wait_for(&library, |state| !state.scan.running && library.listing(&root).is_some_and(|listing| listing.complete));
    assert_eq!(library.state().unwrap().totals.tracks, 0);
    mount(&full);
    wait_for(&library, done(1));
    // Without it, what is known of it is kept.
    mount(&empty);
    wait_for(&library, |state| !state.scan.running && state.scan.seen == 0);
    assert_eq!(library.state().unwrap().totals.tracks, 1);
}

#[test]
fn an_index_that_breaks_while_it_is_used_is_made_anew() {
    let (music, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..300 {
        fs::write(music.path().join(format!("{n}.mp3")), "x").unwrap();
    }
    let library = Library::open(state.path(), &[music.path().to_owned()]);
    let _librarian = library.start().unwrap();
    wait_for(&library, done(300));
    library.0.index.as_ref().unwrap().read(|_| Err::<(), _>(damage())).unwrap_err();
    let before = library.0.progress.revision.load(Relaxed);
    wait_for(&library, |state| state.totals.tracks == 300 && library.0.progress.revision.load(Relaxed) > before);
}

#[test]
fn an_index_that_takes_nothing_for_a_while_is_completed_after_that() {
    let (music, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |name: &str| music.path().join(name);
    fs::write(file("one.mp3"), "x").unwrap();
    let library = Library::open(state.path(), &[music.path().to_owned()]);
    let _librarian = library.start().unwrap();
    wait_for(&library, done(1));
    let other = library.0.index.as_ref().unwrap().second_writer().unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    fs::write(file("two.mp3"), "x").unwrap();
    wait_for(&library, |state| state.scan.trouble.is_some());
    other.execute_batch("ROLLBACK").unwrap();
    wait_for(&library, done(2));
}

fn damage() -> rusqlite::Error {
    let code = rusqlite::ffi::Error { code: rusqlite::ErrorCode::DatabaseCorrupt, extended_code: 11 };
    rusqlite::Error::SqliteFailure(code, None)
}
