//! Covers: the picture beside the music, or the one inside of it. Read when somebody looks: the ETag follows from the file
//! that holds the picture, so that who has it need not get it again. Only the small ones made last are kept.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lofty::config::ParseOptions;
use lofty::file::TaggedFileExt;
use lofty::picture::PictureType;
use lofty::probe::Probe;

use super::index::query::{self, Pictures};
use super::names::Key;
use super::thumbnail::thumbnail;
use super::{Library, LibraryError};
use unisono_audio::decode::contained;

/// A larger picture is not served, in bytes.
const LARGEST: u64 = 10 * 1024 * 1024;

/// The sizes that small pictures are made in, in pixels of the longer side.
const SIZES: [u16; 3] = [96, 320, 640];
/// So many small pictures are kept: a few megabytes.
const KEPT: usize = 400;

/// A cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// What kind of picture it is, by its first bytes.
    pub mime: &'static str,
    /// Changes when the file that holds it does; in quotes, as HTTP wants it.
    pub etag: String,
    /// The picture; `None` when the asker has this one.
    pub bytes: Option<Vec<u8>>,
}

impl Library {
    /// The cover of a piece: its own, or that of its folder. `known` are the ETags that the asker has.
    pub fn track_cover(&self, id: &str, known: Option<&str>) -> Result<Cover, LibraryError> {
        let pictures = self.one("track", id, query::pictures_of_track)?;
        let cover = pictures.inside.iter().find_map(|path| inside(path, known));
        cover.or_else(|| beside(&pictures, known)).ok_or_else(|| missing(id))
    }

    /// The cover of an album: that of its folder, or one inside of its first pieces.
    pub fn album_cover(&self, id: &str, known: Option<&str>) -> Result<Cover, LibraryError> {
        let pictures = self.one("album", id, query::pictures_of_album)?;
        let cover = beside(&pictures, known);
        cover.or_else(|| pictures.inside.iter().find_map(|path| inside(path, known))).ok_or_else(|| missing(id))
    }

    /// The cover that `find` gets for the ETags it is given: of at most `size` pixels either way, or rather of the next
    /// size that there is; as it is where no size is asked for, or no smaller one can be made.
    pub fn sized<E>(
        &self,
        size: Option<u32>,
        known: Option<&str>,
        find: impl FnOnce(Option<&str>) -> Result<Cover, E>,
    ) -> Result<Cover, E> {
        let Some(size) = size.and_then(|wanted| SIZES.into_iter().find(|&size| u32::from(size) >= wanted)) else {
            return find(known);
        };
        // Who has the small picture of a file has the file's.
        let suffix = format!("-{size}\"");
        let cover = find(known.map(|known| known.replace(&suffix, "\"")).as_deref())?;
        let etag = format!("{}{suffix}", cover.etag.trim_end_matches('"'));
        let Some(bytes) = &cover.bytes else { return Ok(Cover { etag, ..cover }) };
        match self.0.thumbnails.get(&etag, bytes, size) {
            Some(small) => Ok(Cover { mime: "image/jpeg", etag, bytes: Some(small.to_vec()) }),
            None => Ok(cover),
        }
    }

    /// The cover of what a file plays, in the index or not.
    pub fn file_cover(&self, path: &Path, known: Option<&str>) -> Option<Cover> {
        let id = Key::of_path(path).to_string();
        self.track_cover(&id, known).ok().or_else(|| inside(path, known))
    }
}

/// Small pictures, the one made last at the back.
#[derive(Debug, Default)]
pub(super) struct Thumbnails {
    kept: Mutex<VecDeque<(String, Arc<[u8]>)>>,
    /// One is made at a time: a page that asks for a hundred is not to take every processor from the music.
    making: Mutex<()>,
}

impl Thumbnails {
    fn get(&self, etag: &str, picture: &[u8], size: u16) -> Option<Arc<[u8]>> {
        let found = |kept: &VecDeque<(String, Arc<[u8]>)>| {
            kept.iter().rev().find(|(known, _)| known == etag).map(|(_, small)| small.clone())
        };
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(small) = found(&kept()) {
            return Some(small);
        }
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(small) = found(&kept()) {
            return Some(small);
        }
        let small: Arc<[u8]> = contained(|| thumbnail(picture, size)).ok().flatten()?.into();
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((etag.to_owned(), small.clone()));
        Some(small)
    }
}

fn missing(id: &str) -> LibraryError {
    LibraryError::Missing { kind: "cover", id: id.to_owned() }
}

fn beside(pictures: &Pictures, known: Option<&str>) -> Option<Cover> {
    pictures.beside.iter().find_map(|path| {
        let etag = etag(path)?;
        let bytes = read(path).ok()?;
        cover(bytes, etag, known)
    })
}

/// A file's own picture: the front cover, or else the first.
fn inside(path: &Path, known: Option<&str>) -> Option<Cover> {
    let etag = etag(path)?;
    let picture = contained(|| {
        let options = ParseOptions::new().read_properties(false);
        let file = Probe::open(path).ok()?.options(options).guess_file_type().ok()?.read().ok()?;
        let pictures = || file.tags().iter().flat_map(|tag| tag.pictures());
        let front = pictures().find(|picture| picture.pic_type() == PictureType::CoverFront);
        front.or_else(|| pictures().next()).map(|picture| picture.data().to_vec())
    });
    let bytes = picture.ok().flatten().filter(|bytes| bytes.len() as u64 <= LARGEST)?;
    cover(bytes, etag, known)
}

fn cover(bytes: Vec<u8>, etag: String, known: Option<&str>) -> Option<Cover> {
    let mime = mime(&bytes)?;
    let has_it = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    Some(Cover { mime, etag, bytes: (!has_it).then_some(bytes) })
}

fn etag(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let parts = [metadata.ino() as i64, metadata.size() as i64, metadata.mtime(), metadata.mtime_nsec()];
    let parts: Vec<[u8; 8]> = parts.iter().map(|part| part.to_le_bytes()).collect();
    Some(format!("\"{}\"", Key::of(&[&parts.concat()])))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// By the first bytes, whatever the file's name or tag says: only pictures leave.
fn mime(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
