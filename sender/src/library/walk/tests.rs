use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn names(found: &Found, root: &Path) -> Vec<String> {
    found.files.iter().map(|f| f.strip_prefix(root).unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn files_come_in_natural_order_and_before_the_folders() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for path in [
        "b/10 x.flac",
        "b/9 x.flac",
        "b/CD2/1.mp3",
        "b/cd10/1.mp3",
        "a/z.ogg",
        "Z.wav",
        "c.flac/inside.opus",
        ".hidden/a.flac",
        ".a.flac",
        "b/cover.jpg",
        "notes.txt",
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let expected =
        ["Z.wav", "a/z.ogg", "b/9 x.flac", "b/10 x.flac", "b/CD2/1.mp3", "b/cd10/1.mp3", "c.flac/inside.opus"];
    assert_eq!(names(&walk(root).unwrap(), root), expected);
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("a")).unwrap();
    fs::write(root.join("a/1.flac"), "x").unwrap();
    symlink(root, root.join("a/loop")).unwrap();
    symlink(root.join("a"), root.join("again")).unwrap();
    symlink(root.join("a/1.flac"), root.join("linked.flac")).unwrap();
    symlink("nowhere", root.join("dangling.flac")).unwrap();
    assert_eq!(names(&walk(root).unwrap(), root), ["linked.flac", "a/1.flac"]);
}

#[test]
fn a_folder_that_cannot_be_read_is_named_and_the_rest_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("closed")).unwrap();
    fs::write(root.join("open.flac"), "x").unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    let readable_anyhow = fs::read_dir(root.join("closed")).is_ok();
    let found = walk(root).unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(names(&found, root), ["open.flac"]);
    // Root reads everything.
    assert!(readable_anyhow || found.unreadable.len() == 1);
    assert!(walk(&root.join("missing")).is_err());
}

#[test]
fn the_fingerprint_changes_with_the_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.flac"), "x").unwrap();
    let first = walk(dir.path()).unwrap().fingerprint;
    assert_eq!(first, walk(dir.path()).unwrap().fingerprint);
    fs::write(dir.path().join("1.flac"), "xy").unwrap();
    let second = walk(dir.path()).unwrap().fingerprint;
    assert_ne!(first, second);
    fs::write(dir.path().join("2.flac"), "x").unwrap();
    assert_ne!(second, walk(dir.path()).unwrap().fingerprint);
}

#[test]
fn one_file_is_a_library_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whatever.bin");
    fs::write(&path, "x").unwrap();
    assert_eq!(walk(&path).unwrap().files, [path]);
}

#[test]
fn numbers_sort_by_value_and_ties_by_bytes() {
    let sorted = ["1", "01", "2", "10", "a", "A2", "a10", "b"];
    for pair in sorted.windows(2) {
        assert!(natural(pair[0].as_ref(), pair[1].as_ref()).is_le() || pair == ["1", "01"], "{pair:?}");
    }
    assert!(natural("01".as_ref(), "1".as_ref()).is_ne());
}
