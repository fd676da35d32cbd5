use std::fs;
use std::time::Duration;

use super::*;

/// Waits until something has happened.
fn news(changes: &mut Changes) -> News {
    for _ in 0..2_000 {
        let news = changes.take();
        if news != News::default() {
            return news;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no news");
}

#[test]
fn a_folder_is_news_when_something_in_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    let mut changes = Changes::new().unwrap();
    changes.watches().add(&a);
    changes.watches().add(&b);
    changes.watches().add(Path::new("/does/not/exist"));
    assert!(changes.watches().is_complete());
    assert_eq!(changes.take(), News::default());
    fs::write(b.join("song.flac"), "la").unwrap();
    assert_eq!(news(&mut changes).folders.into_iter().collect::<Vec<_>>(), std::slice::from_ref(&b));
    fs::rename(b.join("song.flac"), a.join("song.flac")).unwrap();
    let mut folders = BTreeSet::new();
    while folders.len() < 2 {
        folders.extend(news(&mut changes).folders);
    }
    assert_eq!(folders.into_iter().collect::<Vec<_>>(), [a, b]);
}

#[test]
fn another_folder_at_the_same_path_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("music"), dir.path().join("other"));
    let mut places = Places::default();
    places.note(&path);
    assert_eq!(places.changed(), Vec::<PathBuf>::new(), "nothing is still nothing");
    fs::create_dir(&other).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(places.changed(), std::slice::from_ref(&path));
    places.note(&path);
    fs::write(path.join("song.flac"), "la").unwrap();
    assert_eq!(places.changed(), Vec::<PathBuf>::new(), "what is in it is inotify's");
    fs::rename(&path, dir.path().join("away")).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(places.changed(), [path]);
}

#[test]
fn network_file_systems_are_known_by_their_mount() {
    let mounts = "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
        40 22 0:40 / /srv/my\\040music rw - nfs4 nas:/music rw\n\
        41 40 0:41 / /srv/my\\040music/local rw - xfs /dev/sdb1 rw\n";
    assert!(is_network(mounts, Path::new("/srv/my music/a")));
    assert!(!is_network(mounts, Path::new("/srv/my music/local/a")));
    assert!(!is_network(mounts, Path::new("/srv/other")));
    assert!(!is_network("", Path::new("/")));
}
