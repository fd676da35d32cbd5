//! Metadata in between the sound of a station, as Shoutcast does it. (P)
//!
//! After every `icy-metaint` bytes of sound comes one byte, the length of a piece of metadata in units of 16 bytes,
//! and then that: `StreamTitle='Artist - Title';StreamUrl='...';` and zeros. A length of zero means nothing new.

use crate::source::status::Track;

/// Takes sound and metadata apart.
#[derive(Debug)]
pub(super) struct Deinterleaver {
    interval: usize,
    /// Bytes of sound before the next length.
    sound: usize,
    /// Bytes of metadata still to come.
    metadata: usize,
    text: Vec<u8>,
}

impl Deinterleaver {
    /// With `interval` bytes of sound between two lengths; at least 1.
    pub(super) fn new(interval: usize) -> Self {
        Self { interval, sound: interval, metadata: 0, text: Vec::new() }
    }

    /// Appends the sound in `bytes` to `out`; returns the last title that was completed.
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Option<String> {
        let mut title = None;
        while let Some(&first) = bytes.first() {
            if self.metadata > 0 {
                let (now, later) = bytes.split_at(self.metadata.min(bytes.len()));
                self.text.extend_from_slice(now);
                self.metadata -= now.len();
                bytes = later;
                if self.metadata == 0 {
                    title = stream_title(&self.text).or(title);
                    self.text.clear();
                }
            } else if self.sound > 0 {
                let (now, later) = bytes.split_at(self.sound.min(bytes.len()));
                out.extend_from_slice(now);
                self.sound -= now.len();
                bytes = later;
            } else {
                self.metadata = usize::from(first) * 16;
                self.sound = self.interval;
                bytes = &bytes[1..];
            }
        }
        title
    }
}

/// The title in a piece of metadata.
fn stream_title(text: &[u8]) -> Option<String> {
    // Older stations send Latin-1.
    let text = std::str::from_utf8(text).map_or_else(|_| text.iter().map(|&b| char::from(b)).collect(), str::to_owned);
    let rest = text.split_once("StreamTitle='")?.1;
    // Titles have quotes in them: the one before the semicolon ends it.
    let title = rest.split_once("';").map_or_else(|| rest.trim_end_matches(['\0', '\'', ';']), |(title, _)| title);
    Some(title.chars().filter(|c| !c.is_control()).take(300).collect::<String>().trim().to_owned())
}

/// What a station's title says of the music; `station` is its name.
pub(super) fn track(title: &str, station: Option<&str>) -> Track {
    let album = station.map(str::to_owned);
    match title.split_once(" - ") {
        Some((artist, title)) => {
            Track { title: Some(title.to_owned()), artist: Some(artist.to_owned()), album, ..Track::default() }
        }
        None if title.is_empty() => Track { title: album, ..Track::default() },
        None => Track { title: Some(title.to_owned()), album, ..Track::default() },
    }
}

#[cfg(test)]
mod tests;
