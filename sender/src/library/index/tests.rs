use super::query::{self, Page, Part};
use super::write::{self, Seen, SeenFolder, Table};
use super::*;
use crate::library::names::Key;
use crate::library::tags::Tags;

const ALL: Page = Page { limit: 100, offset: 0 };

/// An index in a directory that goes with it.
struct Shelf {
    dir: tempfile::TempDir,
    index: Index,
    db: Connection,
}

impl Shelf {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (index, db) = Index::open(&dir.path().join("library.db")).unwrap();
        let shelf = Shelf { dir, index, db };
        shelf.folder("");
        shelf
    }

    fn folder(&self, below: &str) {
        let path = if below.is_empty() { "/music".into() } else { Path::new("/music").join(below) };
        write::folder(&self.db, &SeenFolder { path, below: below.into(), cover: Some("cover.jpg".into()) }).unwrap();
    }

    fn put(&self, file: &str, tags: Tags) -> PathBuf {
        let path = Path::new("/music").join(file);
        let seen = Seen { path: path.clone(), size: 1, modified_ns: 1 };
        write::track(&self.db, &seen, Some(&tags)).unwrap();
        path
    }

    fn found(&self, words: &str) -> Vec<String> {
        let found = self.index.read(|db| query::search(db, words, ALL)).unwrap();
        found.into_iter().map(|track| track.title.unwrap()).collect()
    }

    fn names(&self, part: Part) -> Vec<String> {
        let files = self.index.read(|db| query::files(db, part, 100)).unwrap();
        files.iter().map(|path| path.strip_prefix("/music").unwrap().display().to_string()).collect()
    }
}

fn song(title: &str, artist: &str, album: &str) -> Tags {
    Tags {
        title: Some(title.into()),
        artist: Some(artist.into()),
        artists: vec![artist.into()],
        album: (!album.is_empty()).then(|| album.into()),
        ..Tags::default()
    }
}

#[test]
fn search_folds_accents_and_case_and_finds_beginnings() {
    let shelf = Shelf::new();
    shelf.put("a", song("Jóga", "Björk", "Homogenic"));
    shelf.put("b", song("Yoga Fire", "Someone", "Else"));
    for words in ["joga", "JÓG", "bjo", "björk jo", "homo bjork", "  jo -- \"bj*", "joga'"] {
        assert_eq!(shelf.found(words).first().map(String::as_str), Some("Jóga"), "{words}");
    }
    for words in ["oga", "bjork fire", "", " \"*'():^-", "NEAR", "x:y"] {
        assert_eq!(shelf.found(words), Vec::<String>::new(), "{words}");
    }
}

#[test]
fn what_fits_best_comes_first() {
    let shelf = Shelf::new();
    shelf.put("a", song("Anything", "Someone", "Love Album"));
    shelf.put("b", song("Other", "Love Band", "X"));
    shelf.put("c", song("Lovers", "Someone", "X"));
    shelf.put("d", song("Love", "Someone", "X"));
    assert_eq!(shelf.found("love"), ["Love", "Lovers", "Other", "Anything"]);
    let page = |offset| shelf.index.read(|db| query::search(db, "love", Page { limit: 1, offset })).unwrap();
    let one = |offset| page(offset).into_iter().map(|track| track.title.unwrap()).collect::<String>();
    assert_eq!([one(0), one(1), one(3), one(4)], ["Love", "Lovers", "Anything", ""]);
}

#[test]
fn albums_run_by_disc_and_number_across_the_folders_of_their_discs() {
    let shelf = Shelf::new();
    for folder in ["A", "A/CD 1", "A/CD2", "B"] {
        shelf.folder(folder);
    }
    let numbered = |disc, number| Tags { disc: Some(disc), number: Some(number), ..song("x", "Y", "Best") };
    shelf.put("A/CD2/1.flac", numbered(2, 1));
    shelf.put("A/CD 1/a.flac", numbered(1, 2));
    shelf.put("A/CD 1/b.flac", numbered(1, 1));
    shelf.put("A/CD 1/c.flac", numbered(1, 10));
    shelf.put("B/1.flac", numbered(1, 1));
    let albums = shelf.index.read(|db| query::albums(db, "", None, ALL)).unwrap();
    assert_eq!(albums.iter().map(|album| album.tracks).collect::<Vec<_>>(), [4, 1], "the same title elsewhere");
    let key = albums[0].id.parse().unwrap();
    let right = ["A/CD 1/b.flac", "A/CD 1/a.flac", "A/CD 1/c.flac", "A/CD2/1.flac"];
    assert_eq!(shelf.names(Part::Album(key)), right);
    let detail = shelf.index.read(|db| query::one_album(db, key)).unwrap().unwrap();
    assert_eq!(detail.list.iter().map(|track| track.number.unwrap()).collect::<Vec<_>>(), [1, 2, 10, 1]);
    assert_eq!(detail.list[0].file.as_deref(), Some("A/CD 1/b.flac"));
    assert_eq!(shelf.names(Part::Folder(Key::of_path(Path::new("/music/A")))), right);
    let all = shelf.index.read(|db| query::keys_below(db, Path::new("/music"))).unwrap();
    assert_eq!(all.len(), 5);
}

#[test]
fn a_folder_of_many_artists_is_one_album_of_various_ones() {
    let shelf = Shelf::new();
    shelf.put("1", song("a", "One", "Hits"));
    shelf.put("2", song("b", "Two", "Hits"));
    shelf.put("3", Tags { album_artist: Some("DJ".into()), ..song("c", "Three", "Mix") });
    shelf.put(
        "4",
        Tags { album_artist: Some("DJ".into()), artists: vec!["Four".into(), "Five".into()], ..song("d", "x", "Mix") },
    );
    let albums = shelf.index.read(|db| query::albums(db, "", None, ALL)).unwrap();
    let named: Vec<_> = albums.iter().map(|a| (a.title.as_str(), a.artist.as_deref().unwrap())).collect();
    assert_eq!(named, [("Hits", "Various Artists"), ("Mix", "DJ")]);
    let found = shelf.index.read(|db| query::albums(db, "vari", None, ALL)).unwrap();
    assert_eq!(found.len(), 1);
    let artists = shelf.index.read(|db| query::artists(db, "", ALL)).unwrap();
    let named: Vec<_> = artists.iter().map(|a| (a.name.as_str(), a.albums, a.tracks)).collect();
    assert_eq!(named, [("DJ", 1, 2), ("Five", 1, 1), ("Four", 1, 1), ("One", 1, 1), ("Three", 1, 1), ("Two", 1, 1)]);
    let dj = shelf.index.read(|db| query::artists(db, "dj", ALL)).unwrap().remove(0).id;
    let detail = shelf.index.read(|db| query::one_artist(db, dj.parse().unwrap())).unwrap().unwrap();
    assert_eq!((detail.album_list.len(), detail.list.len()), (1, 2));
    assert_eq!(shelf.found("five")[..], ["d"]);
}

#[test]
fn what_changes_replaces_what_was_and_what_goes_leaves_nothing() {
    let shelf = Shelf::new();
    let path = shelf.put("1.mp3", song("Old", "One", "A"));
    shelf.put("1.mp3", song("New", "Two", "B"));
    write::tidy(&shelf.db).unwrap();
    assert_eq!((shelf.found("old").len(), shelf.found("new").len(), shelf.found("one").len()), (0, 1, 0));
    let totals = shelf.index.read(query::totals).unwrap();
    assert_eq!((totals.tracks, totals.albums, totals.artists, totals.folders), (1, 1, 1, 1));
    let known = write::known_files(&shelf.db, Path::new("/music"), Table::Tracks).unwrap();
    assert_eq!(known[0].1.path, path);
    write::forget_folder(&shelf.db, Path::new("/music")).unwrap();
    write::tidy(&shelf.db).unwrap();
    assert_eq!(shelf.index.read(query::totals).unwrap(), super::view::Totals::default());
    assert!(shelf.found("new").is_empty());
}

#[test]
fn roots_that_are_no_more_are_forgotten() {
    let shelf = Shelf::new();
    shelf.folder("A");
    shelf.put("A/1", song("x", "y", "z"));
    write::root_scanned(&shelf.db, Path::new("/music")).unwrap();
    write::keep_roots(&shelf.db, &["/music".into()]).unwrap();
    assert!(shelf.index.read(|db| query::is_scanned(db, Path::new("/music"))).unwrap());
    assert_eq!(shelf.found("x").len(), 1);
    write::keep_roots(&shelf.db, &["/musical".into()]).unwrap();
    assert!(!shelf.index.read(|db| query::is_scanned(db, Path::new("/music"))).unwrap());
    assert_eq!(shelf.found("x").len(), 0);
}

#[test]
fn a_damaged_file_and_one_of_another_version_are_made_anew() {
    let shelf = Shelf::new();
    shelf.put("1", song("x", "y", "z"));
    let path = shelf.dir.path().join("library.db");
    let Shelf { dir, index, db } = shelf;
    drop((index, db));
    std::fs::write(&path, "not a database, but longer than a header of one hundred bytes ".repeat(10)).unwrap();
    let (index, db) = Index::open(&path).unwrap();
    assert_eq!(index.read(query::totals).unwrap().tracks, 0);
    db.pragma_update(None, "user_version", 99).unwrap();
    drop((index, db));
    let (index, db) = Index::open(&path).unwrap();
    assert_eq!(db.pragma_query_value(None, "user_version", |row| row.get(0)), Ok(VERSION));
    // Damage that shows only when it is read.
    drop(db);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    use std::os::unix::fs::FileExt;
    let length = file.metadata().unwrap().len();
    file.write_all_at(&vec![0x5a; length as usize - 4_096], 4_096).unwrap();
    let index2 = Index { path: path.clone(), spare: Mutex::default(), generation: 0.into(), damaged: false.into() };
    assert!(index2.read(query::totals).is_err_and(|error| is_damage(&error)));
    assert!(index2.take_damage() && !index2.take_damage());
    let _db = index2.renew().unwrap();
    assert_eq!(index2.read(query::totals).unwrap().tracks, 0);
    drop((index, dir));
}

#[test]
fn an_album_of_hundreds_is_measured_to_its_end() {
    let mut shelf = Shelf::new();
    for n in 0..501 {
        shelf.put(&n.to_string(), song("Chapter", "Somebody", "A long tale"));
    }
    for left in [1, 0] {
        let pieces = shelf.index.read(query::unmeasured).unwrap();
        let measured = |piece: &query::Unmeasured| {
            let &query::Unmeasured { id, modified_ns, .. } = piece;
            write::Measured { id, modified_ns, loudness: -20.0, peak: 0.5 }
        };
        let measured: Vec<write::Measured> = pieces.iter().map(measured).collect();
        write::measured(&mut shelf.db, &measured, None).unwrap();
        assert_eq!(shelf.index.read(query::to_measure).unwrap(), left);
    }
}
