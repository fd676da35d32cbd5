//! What a file says of itself.

use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::TaggedFileExt;
use lofty::probe::Probe;
use lofty::tag::Accessor;

use crate::decode::contained;
use crate::source::Track;

/// Title, artist and album of a file, as far as they can be read; the file's name in place of a title.
pub(super) fn track(path: &Path) -> Track {
    let tag = tag(path);
    let text = |of: fn(&lofty::tag::Tag) -> Option<std::borrow::Cow<'_, str>>| {
        tag.as_ref().and_then(of).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let title = text(|tag| tag.title()).or_else(|| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let (artist, album) = (text(|tag| tag.artist()), text(|tag| tag.album()));
    Track { title, artist, album, path: Some(path.to_owned()), duration: None }
}

/// Disc and track number of a file that has a track number.
pub(super) fn number(path: &Path) -> Option<(u32, u32)> {
    let tag = tag(path)?;
    Some((tag.disk().unwrap_or(1), tag.track()?))
}

/// Tags are strangers' data too: what cannot be read is as good as absent.
fn tag(path: &Path) -> Option<lofty::tag::Tag> {
    let read = || {
        let options = ParseOptions::new().read_properties(false).read_cover_art(false);
        let file = Probe::open(path).ok()?.options(options).guess_file_type().ok()?.read().ok()?;
        file.primary_tag().or_else(|| file.first_tag()).cloned()
    };
    contained(read).ok().flatten()
}
