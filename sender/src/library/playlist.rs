//! Playlists as files: M3U and M3U8, PLS, XSPF. (P)
//!
//! Strangers wrote them, on whatever system: what is not understood is left out, and a list ends where it gets too long.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// The longest list that is read, in entries and in bytes.
pub(super) const MOST_ENTRIES: usize = 20_000;
pub(super) const MOST_BYTES: u64 = 8 * 1024 * 1024;
const EXTENSIONS: [&str; 4] = ["m3u", "m3u8", "pls", "xspf"];

/// Where an entry leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To a file.
    File(PathBuf),
    /// Somewhere else, such as a radio station.
    Elsewhere(String),
}

/// Whether a file is a playlist, by its name.
pub(super) fn is_playlist(path: &Path) -> bool {
    extension(path).is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// The entries of the playlist at `path`, whose content is `bytes`.
pub(super) fn entries(path: &Path, bytes: &[u8]) -> Vec<Place> {
    let text = text(bytes);
    let lines = || text.lines().map(str::trim);
    let places: Vec<String> = match extension(path).as_deref() {
        Some("pls") => pls(lines()),
        Some("xspf") => xspf(&text),
        _ => lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect(),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    places.iter().take(MOST_ENTRIES).filter_map(|place| self::place(folder, place)).collect()
}

fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase)
}

/// UTF-8 with or without its mark, UTF-16 with one, or else Latin-1, as old M3U files are.
fn text(bytes: &[u8]) -> String {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        },
    }
}

/// `FileN=...`, by N.
fn pls<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut files: Vec<(u32, String)> = lines
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let key = key.trim();
            let number = key.get(..4).filter(|word| word.eq_ignore_ascii_case("file")).and(key.get(4..))?;
            Some((number.parse().ok()?, value.trim().to_owned()))
        })
        .take(MOST_ENTRIES)
        .collect();
    files.sort_by_key(|(number, _)| *number);
    files.into_iter().map(|(_, file)| file).collect()
}

/// The `location` of each `track` (xspf.org, version 1).
fn xspf(text: &str) -> Vec<String> {
    let Ok(document) = roxmltree::Document::parse(text) else { return Vec::new() };
    let tracks = document.descendants().filter(|node| node.tag_name().name() == "track");
    let location = |track: roxmltree::Node<'_, '_>| {
        let node = track.children().find(|node| node.tag_name().name() == "location")?;
        // Locations are URIs; a relative one is escaped like any.
        let uri = node.text()?.trim();
        Some(if uri.contains("://") { uri.to_owned() } else { unescape(uri) })
    };
    tracks.filter_map(location).take(MOST_ENTRIES).collect()
}

/// A path or a URI as a place; a relative path is one from the playlist's folder.
fn place(folder: &Path, text: &str) -> Option<Place> {
    if text.is_empty() || text.contains('\0') {
        return None;
    }
    if let Some(rest) = strip_scheme(text, "file://") {
        // `file:///path` or `file://host/path`.
        let path = rest.find('/').map(|at| unescape(&rest[at..]))?;
        return (!path.contains('\0')).then(|| Place::File(tidy(Path::new(&path))));
    }
    if text.contains("://") {
        return Some(Place::Elsewhere(text.chars().take(2_000).collect()));
    }
    // A list made on Windows, beside its music.
    let path = if text.contains('\\') && !text.contains('/') { text.replace('\\', "/") } else { text.to_owned() };
    Some(Place::File(tidy(&folder.join(path))))
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).and(text.get(scheme.len()..))
}

/// Without `.` and `..`, as the index writes paths.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(tidy.pop()),
            Component::CurDir => {}
            part => tidy.push(part),
        }
    }
    tidy
}

/// `%20` is a space.
fn unescape(uri: &str) -> String {
    let bytes = uri.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests;
