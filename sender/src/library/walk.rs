//! The music files below a folder.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Extensions of files that are worth opening, in lower case.
const EXTENSIONS: [&str; 21] = [
    "aac", "aif", "aifc", "aiff", "alac", "caf", "flac", "m4a", "m4b", "mka", "mp1", "mp2", "mp3", "mp4", "oga", "ogg",
    "opus", "spx", "wav", "wave", "weba",
];

/// Folders inside folders that are followed.
pub(super) const DEEPEST: usize = 64;

/// What a walk has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The files: each folder's own in natural order, then those of the folders in it.
    pub(super) files: Vec<PathBuf>,
    /// Folders that could not be read.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
    /// Changes when any of the files does.
    pub(super) fingerprint: u64,
}

/// Walks `root`, or takes it alone when it is a file. Hidden files and folders are left out; links are followed, but
/// into no folder twice.
pub(super) fn walk(root: &Path) -> io::Result<Found> {
    let metadata = fs::metadata(root)?;
    let mut walk = Walk { found: Found::default(), visited: HashSet::new(), hasher: DefaultHasher::new() };
    if metadata.is_dir() {
        fs::read_dir(root)?;
        walk.folder(root, &metadata, 0);
    } else {
        walk.file(root.to_owned(), &metadata);
    }
    walk.found.fingerprint = walk.hasher.finish();
    Ok(walk.found)
}

struct Walk {
    found: Found,
    visited: HashSet<(u64, u64)>,
    hasher: DefaultHasher,
}

impl Walk {
    fn folder(&mut self, path: &Path, metadata: &fs::Metadata, depth: usize) {
        if depth > DEEPEST || !self.visited.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        let mut names = match fs::read_dir(path).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
        }) {
            Ok(names) => names,
            Err(error) => return self.found.unreadable.push((path.to_owned(), error)),
        };
        names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
        names.sort_by(|a, b| natural(a, b));
        let mut folders = Vec::new();
        for name in names {
            let path = path.join(name);
            // A link that leads nowhere is nothing.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if metadata.is_dir() {
                folders.push((path, metadata));
            } else if metadata.is_file() && is_music(&path) {
                self.file(path, &metadata);
            }
        }
        for (path, metadata) in folders {
            self.folder(&path, &metadata, depth + 1);
        }
    }

    fn file(&mut self, path: PathBuf, metadata: &fs::Metadata) {
        (&path, metadata.len(), metadata.ctime(), metadata.ctime_nsec()).hash(&mut self.hasher);
        self.found.files.push(path);
    }
}

pub(super) fn is_music(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// As people sort: without regard to case, and numbers by their value.
fn natural(a: &OsStr, b: &OsStr) -> Ordering {
    let (left, right) = (a.to_string_lossy(), b.to_string_lossy());
    let (mut left, mut right) = (left.as_ref(), right.as_ref());
    while let (Some(l), Some(r)) = (left.chars().next(), right.chars().next()) {
        let order = if l.is_ascii_digit() && r.is_ascii_digit() {
            let ((l, rest_l), (r, rest_r)) = (split_number(left), split_number(right));
            (left, right) = (rest_l, rest_r);
            l.len().cmp(&r.len()).then_with(|| l.cmp(r))
        } else {
            (left, right) = (&left[l.len_utf8()..], &right[r.len_utf8()..]);
            l.to_lowercase().cmp(r.to_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits at the beginning, without leading zeros, and the rest.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests;
