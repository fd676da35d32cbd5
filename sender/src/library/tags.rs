//! What a file says of itself. Tags are strangers' data: every text is bounded, and what cannot be read is as good as
//! absent.

use std::path::Path;
use std::time::Duration;

use lofty::config::ParseOptions;
use lofty::file::{AudioFile, FileType, TaggedFile, TaggedFileExt};
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey, Tag};

use super::gain::{self, Gains};
use super::names::bounded;
use crate::source::Track;
use unisono_audio::decode::contained;

/// The longest title or name that is kept, in characters.
const LONGEST_TEXT: usize = 300;
/// The most artists of one track.
const MOST_ARTISTS: usize = 16;

/// A file's tags and properties, as far as they can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tags {
    pub(super) title: Option<String>,
    /// As the file writes it; several are joined.
    pub(super) artist: Option<String>,
    /// Each of them.
    pub(super) artists: Vec<String>,
    pub(super) album: Option<String>,
    pub(super) album_artist: Option<String>,
    /// MusicBrainz's id of the release.
    pub(super) release: Option<String>,
    pub(super) disc: Option<u32>,
    pub(super) number: Option<u32>,
    pub(super) year: Option<u16>,
    pub(super) genre: Option<String>,
    pub(super) duration: Option<Duration>,
    pub(super) codec: Option<&'static str>,
    pub(super) rate: Option<u32>,
    pub(super) bits: Option<u8>,
    pub(super) channels: Option<u8>,
    pub(super) gains: Gains,
}

/// Reads a file's tags and properties; `None` when it is not what its name says.
pub(super) fn read(path: &Path) -> Option<Tags> {
    contained(|| of(&open(path, true)?)).ok().flatten()
}

/// What the player shows and needs of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) track: Track,
    pub(super) gains: Gains,
    /// Disc and number on its album.
    place: Option<(u32, u32)>,
}

impl Piece {
    /// Whether it comes right after `before` on one album, so that nothing belongs between them.
    pub(super) fn follows(&self, before: &Piece) -> bool {
        let folder = |piece: &Piece| piece.track.path.as_ref().and_then(|path| Some(path.parent()?.to_owned()));
        let same =
            self.track.album.is_some() && self.track.album == before.track.album && folder(self) == folder(before);
        let next = self.place.zip(before.place).is_some_and(|((disc, number), (disc_before, before))| {
            if disc == disc_before { number == before + 1 } else { disc == disc_before + 1 && number == 1 }
        });
        same && next
    }
}

/// Reads what the player needs; the file's name stands in for a title.
pub(super) fn piece(path: &Path) -> Piece {
    let tags = contained(|| of(&open(path, false)?)).ok().flatten().unwrap_or_default();
    let title = tags.title.or_else(|| stem(path));
    let track =
        Track { title, artist: tags.artist, album: tags.album, path: Some(path.to_owned()), ..Track::default() };
    Piece { track, gains: tags.gains, place: tags.number.map(|number| (tags.disc.unwrap_or(1), number)) }
}

/// A file's name without its extension.
pub(super) fn stem(path: &Path) -> Option<String> {
    bounded(&path.file_stem()?.to_string_lossy(), LONGEST_TEXT)
}

fn open(path: &Path, properties: bool) -> Option<TaggedFile> {
    let options = ParseOptions::new().read_properties(properties).read_cover_art(false);
    Probe::open(path).ok()?.options(options).guess_file_type().ok()?.read().ok()
}

fn of(file: &TaggedFile) -> Option<Tags> {
    let properties = file.properties();
    let mut tags = Tags {
        duration: Some(properties.duration()).filter(|duration| !duration.is_zero()),
        codec: codec(file.file_type()),
        rate: properties.sample_rate(),
        bits: properties.bit_depth(),
        channels: properties.channels(),
        ..Tags::default()
    };
    if let Some(tag) = file.primary_tag().or_else(|| file.first_tag()) {
        tags.take(tag);
    }
    Some(tags)
}

impl Tags {
    fn take(&mut self, tag: &Tag) {
        let text = |key| tag.get_string(key).and_then(|text| bounded(text, LONGEST_TEXT));
        let all = |key| tag.get_strings(key).filter_map(|text| bounded(text, LONGEST_TEXT));
        self.title = text(ItemKey::TrackTitle);
        self.album = text(ItemKey::AlbumTitle);
        self.album_artist = text(ItemKey::AlbumArtist);
        self.release = text(ItemKey::MusicBrainzReleaseId);
        self.genre = text(ItemKey::Genre);
        self.disc = tag.disk().filter(|&n| n > 0);
        self.number = tag.track().filter(|&n| n > 0);
        self.year = tag.date().map(|date| date.year).filter(|&year| year > 0);
        let credited: Vec<String> = all(ItemKey::TrackArtist).take(MOST_ARTISTS).collect();
        self.artist = bounded(&credited.join(", "), LONGEST_TEXT);
        for artist in all(ItemKey::TrackArtists).take(MOST_ARTISTS) {
            self.artists.push(artist);
        }
        if self.artists.is_empty() {
            self.artists = credited;
        }
        self.gains = gain::of_tags(|key| tag.get_string(key));
    }
}

fn codec(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        FileType::Aac => "AAC",
        FileType::Aiff => "AIFF",
        FileType::Flac => "FLAC",
        FileType::Mpeg => "MP3",
        FileType::Mp4 => "MP4",
        FileType::Opus => "Opus",
        FileType::Vorbis => "Vorbis",
        FileType::Speex => "Speex",
        FileType::Wav => "WAV",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
