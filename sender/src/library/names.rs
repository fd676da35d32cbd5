//! Names of files and people: what tells one from another, and how lists are sorted. (P)

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Names a file, a folder, an album or an artist for good: the same one after the index was made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

impl Key {
    /// Of what is at a path.
    pub fn of_path(path: &Path) -> Self {
        Self::of(&[path.as_os_str().as_bytes()])
    }

    /// Of something that these parts make up.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        Key(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// As SQLite keeps it.
    pub(super) fn to_sql(self) -> i64 {
        self.0 as i64
    }

    /// As SQLite kept it.
    pub(super) fn from_sql(number: i64) -> Self {
        Key(number as u64)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex { u64::from_str_radix(text, 16).map(Key).map_err(|_| ()) } else { Err(()) }
    }
}

/// Without case and accents: "Björk" and "BJORK" are one.
pub(super) fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// What a title or a person's name is sorted by: folded, without a leading article, numbers by their value.
pub(super) fn sort_name(text: &str) -> String {
    let folded = fold(text);
    let bare = ["the ", "a ", "an "].iter().find_map(|article| folded.strip_prefix(article)).unwrap_or(&folded);
    natural(bare.trim_start_matches(|c: char| !c.is_alphanumeric()))
}

/// What a file or a folder is sorted by among its neighbours: as people sort.
pub(super) fn sort_file(name: &OsStr) -> String {
    natural(&fold(&name.to_string_lossy()))
}

/// What a folder is sorted by in the whole tree: after its parent, and with all below it before its next neighbour.
pub(super) fn sort_folder(below_root: &Path) -> String {
    let parts: Vec<String> = below_root.iter().map(sort_file).collect();
    parts.join("\u{1}")
}

/// A text whose plain order is the natural one: each run of digits is preceded by its length.
fn natural(text: &str) -> String {
    let mut sorted = String::with_capacity(text.len() + 4);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..end].trim_start_matches('0');
            // '0' and the length keep numbers among digits; lengths beyond 78 are no track numbers.
            sorted.push(char::from(b'0' + number.len().min(78) as u8));
            sorted.push_str(number);
            rest = &rest[end..];
        } else {
            sorted.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    sorted
}

/// A stranger's text: one line of at most `most` characters, or nothing.
pub(super) fn bounded(text: &str, most: usize) -> Option<String> {
    let line: String = text.trim().chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests;
