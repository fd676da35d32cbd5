//! What is read of each table, and what readers see of it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rusqlite::Row;

use super::Answer;
use crate::library::index::view::{AlbumView, ArtistView, FolderView, PlaylistView, TrackView};
use crate::library::names::Key;

pub(super) const TRACK: &str =
    "tracks.key, tracks.title, tracks.artist, albums.title, tracks.duration_ms, albums.key, tracks.disc,
    tracks.number, tracks.year, tracks.genre, tracks.codec, tracks.rate, tracks.bits, folders.below, tracks.name
    FROM tracks JOIN folders ON folders.id = tracks.folder LEFT JOIN albums ON albums.id = tracks.album";
pub(super) const ALBUM: &str = "albums.key, albums.title, albums.artist, albums.year,
    (SELECT count(*) FROM tracks WHERE album = albums.id),
    (SELECT coalesce(sum(duration_ms), 0) FROM tracks WHERE album = albums.id) FROM albums";
pub(super) const ARTIST: &str = "artists.key, artists.name,
    (SELECT count(DISTINCT album) FROM credits JOIN tracks ON tracks.id = track WHERE credits.artist = artists.id),
    (SELECT count(*) FROM credits WHERE credits.artist = artists.id) FROM artists";
pub(super) const FOLDER: &str = "folders.key, folders.path, folders.parent,
    (SELECT count(*) FROM tracks WHERE folder = folders.id),
    (SELECT count(*) FROM folders AS child WHERE child.parent = folders.id) FROM folders";
pub(super) const PLAYLIST: &str = "playlists.key, playlists.title, folders.below, playlists.name, folders.path
    FROM playlists JOIN folders ON folders.id = playlists.folder";

pub(super) fn track(row: &Row<'_>) -> Answer<TrackView> {
    let id = Key::from_sql(row.get(0)?).to_string();
    let duration_ms: Option<i64> = row.get(4)?;
    let album_id: Option<i64> = row.get(5)?;
    Ok(TrackView {
        title: row.get(1)?,
        artist: row.get(2)?,
        album: row.get(3)?,
        duration_s: duration_ms.map(|ms| ms as f64 / 1e3),
        album_id: album_id.map(|key| Key::from_sql(key).to_string()),
        disc: row.get(6)?,
        number: row.get(7)?,
        year: row.get(8)?,
        genre: row.get(9)?,
        format: format(row.get(10)?, row.get(11)?, row.get(12)?),
        file: Some(file(row, 13, 14)?.display().to_string()),
        artwork: Some(format!("/api/v1/library/tracks/{id}/artwork")),
        id,
    })
}

/// `FLAC 44.1 kHz 16 bit`.
fn format(codec: Option<String>, rate: Option<u32>, bits: Option<u32>) -> Option<String> {
    let rate = rate.map(|rate| format!("{} kHz", f64::from(rate) / 1e3));
    let bits = bits.map(|bits| format!("{bits} bit"));
    let parts: Vec<String> = [codec, rate, bits].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

pub(super) fn album(row: &Row<'_>) -> Answer<AlbumView> {
    let id = Key::from_sql(row.get(0)?).to_string();
    Ok(AlbumView {
        artwork: format!("/api/v1/library/albums/{id}/artwork"),
        id,
        title: row.get(1)?,
        artist: row.get(2)?,
        year: row.get(3)?,
        tracks: row.get(4)?,
        duration_s: row.get::<_, i64>(5)? as f64 / 1e3,
    })
}

pub(super) fn artist(row: &Row<'_>) -> Answer<ArtistView> {
    let id = Key::from_sql(row.get(0)?).to_string();
    Ok(ArtistView { id, name: row.get(1)?, albums: row.get(2)?, tracks: row.get(3)? })
}

pub(super) fn folder(row: &Row<'_>) -> Answer<FolderView> {
    let id = Key::from_sql(row.get(0)?).to_string();
    let path = PathBuf::from(OsString::from_vec(row.get(1)?));
    let is_root = row.get::<_, Option<i64>>(2)?.is_none();
    let name = path.file_name().filter(|_| !is_root).map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| path.display().to_string());
    Ok(FolderView { id, name, tracks: row.get(3)?, folders: row.get(4)? })
}

pub(super) fn playlist(row: &Row<'_>) -> Answer<PlaylistView> {
    let id = Key::from_sql(row.get(0)?).to_string();
    Ok(PlaylistView { id, title: row.get(1)?, file: file(row, 2, 3)?.display().to_string() })
}

pub(super) fn file(row: &Row<'_>, folder: usize, name: usize) -> Answer<PathBuf> {
    let (folder, name): (Vec<u8>, Vec<u8>) = (row.get(folder)?, row.get(name)?);
    Ok(PathBuf::from(OsString::from_vec(folder)).join(OsString::from_vec(name)))
}
