use std::fs;

use super::*;
use crate::library::index::query;

/// A library of files that hold nothing that can be read: their names do.
struct Shelf {
    music: tempfile::TempDir,
    _state: tempfile::TempDir,
    index: Index,
    db: Connection,
    progress: Progress,
}

impl Shelf {
    fn new(files: &[&str]) -> Self {
        let (music, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (index, db) = Index::open(&state.path().join("library.db")).unwrap();
        let shelf = Shelf { music, _state: state, index, db, progress: Progress::default() };
        files.iter().for_each(|file| shelf.put(file));
        shelf
    }

    fn put(&self, file: &str) {
        let path = self.music.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    /// Reads all, or one folder; what is there then, and how many files were read.
    fn scan(&mut self, folder: Option<&str>) -> (Vec<String>, u32) {
        let root = self.music.path().to_owned();
        let target =
            Target { folder: folder.map_or(root.clone(), |below| root.join(below)), root, whole: folder.is_none() };
        let before = self.progress.read.load(Relaxed);
        scan(vec![target], &self.index, &mut self.db, None, &self.progress).unwrap();
        let root = self.music.path();
        let keys = self.index.read(|db| query::keys_below(db, root)).unwrap();
        let path = |key| self.index.read(|db| query::path_of(db, key)).unwrap().unwrap();
        let shown = |path: PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        (keys.into_iter().map(|key| shown(path(key))).collect(), self.progress.read.load(Relaxed) - before)
    }
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

#[test]
fn a_scan_finds_music_in_order_and_reads_each_file_once() {
    let files = ["b/10.mp3", "b/9.mp3", "a.flac", "b/c/x.ogg", "A/z.wav", ".h/x.mp3", "b/.x.mp3", "n.txt"];
    let mut shelf = Shelf::new(&files);
    let right = names(["a.flac", "A/z.wav", "b/9.mp3", "b/10.mp3", "b/c/x.ogg"]);
    assert_eq!(shelf.scan(None), (right.clone(), 5));
    assert_eq!(shelf.scan(None), (right.clone(), 0), "nothing has changed");
    assert!(shelf.index.read(|db| query::is_scanned(db, shelf.music.path())).unwrap());
    fs::write(shelf.music.path().join("a.flac"), "longer").unwrap();
    assert_eq!(shelf.scan(None), (right, 1));
}

#[test]
fn what_is_gone_is_forgotten_with_all_below_it() {
    let mut shelf = Shelf::new(&["a/1.mp3", "a/b/2.mp3", "c/3.mp3"]);
    shelf.scan(None);
    fs::remove_dir_all(shelf.music.path().join("a")).unwrap();
    fs::rename(shelf.music.path().join("c/3.mp3"), shelf.music.path().join("c/4.mp3")).unwrap();
    assert_eq!(shelf.scan(None).0, ["c/4.mp3"]);
    assert_eq!(shelf.index.read(query::totals).unwrap().folders, 2);
}

#[test]
fn one_folder_is_read_without_those_that_are_known_in_it() {
    let mut shelf = Shelf::new(&["a/1.mp3", "a/b/2.mp3", "a/c/3.mp3"]);
    shelf.scan(None);
    for new in ["a/4.mp3", "a/b/5.mp3", "a/d/e/6.mp3"] {
        shelf.put(new);
    }
    fs::remove_dir_all(shelf.music.path().join("a/c")).unwrap();
    assert_eq!(shelf.scan(Some("a")), (names(["a/1.mp3", "a/4.mp3", "a/b/2.mp3", "a/d/e/6.mp3"]), 2));
    assert_eq!(shelf.scan(Some("a/b")).0.len(), 5);
    // A folder that is gone by the time it is looked at.
    fs::remove_dir_all(shelf.music.path().join("a/d")).unwrap();
    assert_eq!(shelf.scan(Some("a/d")).0, ["a/1.mp3", "a/4.mp3", "a/b/2.mp3", "a/b/5.mp3"]);
}

#[test]
fn a_disk_that_is_not_mounted_takes_nothing_with_it() {
    let mut shelf = Shelf::new(&["a/1.mp3"]);
    shelf.scan(None);
    let away = shelf.music.path().with_extension("away");
    fs::rename(shelf.music.path(), &away).unwrap();
    assert_eq!(shelf.scan(None).1, 0, "not there");
    fs::create_dir(shelf.music.path()).unwrap();
    assert_eq!(shelf.scan(None).0.len(), 1, "empty");
    fs::remove_dir(shelf.music.path()).unwrap();
    fs::rename(&away, shelf.music.path()).unwrap();
    assert_eq!(shelf.scan(None), (names(["a/1.mp3"]), 0));
}

#[test]
fn the_best_picture_of_a_folder_is_its_cover_and_playlists_are_found() {
    let mut shelf = Shelf::new(&["a/1.mp3", "a/Folder.JPG", "a/back.jpg", "a/cover.png", "lists/Best of.m3u8"]);
    shelf.scan(None);
    let key = Key::of_path(&shelf.music.path().join("a/1.mp3"));
    let pictures = shelf.index.read(|db| query::pictures_of_track(db, key)).unwrap().unwrap();
    assert_eq!(pictures.beside, [shelf.music.path().join("a/cover.png")]);
    let page = query::Page { limit: 9, offset: 0 };
    let lists = shelf.index.read(|db| query::playlists(db, "BEST", page)).unwrap();
    assert_eq!((lists.len(), lists[0].title.as_str(), lists[0].file.as_str()), (1, "Best of", "lists/Best of.m3u8"));
}

#[test]
fn links_lead_nowhere_twice() {
    let mut shelf = Shelf::new(&["a/1.mp3"]);
    std::os::unix::fs::symlink(shelf.music.path(), shelf.music.path().join("a/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", shelf.music.path().join("a/2.mp3")).unwrap();
    assert_eq!(shelf.scan(None).0, ["a/1.mp3"]);
}
