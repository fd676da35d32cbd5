//! What readers ask of the index.

mod rows;
mod words;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use self::rows::{ALBUM, ARTIST, FOLDER, PLAYLIST, TRACK, album, artist, file, folder, playlist, track};
use self::words::{MOST_CHARS, search_tiers};
use super::view::{
    AlbumDetail, AlbumView, ArtistDetail, ArtistView, FolderDetail, FolderView, PlaylistView, Totals, TrackView,
};
use super::write::below;
use crate::library::gain::{Gain, Gains};
use crate::library::names::Key;

type Answer<T> = rusqlite::Result<T>;

/// The longest list of pieces inside something else.
const LONGEST_LIST: u32 = 1_000;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many at most.
    pub limit: u32,
    /// How many are left out before.
    pub offset: u32,
}

/// By folder, then as an album runs.
const IN_ORDER: &str = "ORDER BY folders.sort, coalesce(albums.sort, ''), coalesce(tracks.disc, 1),
    tracks.number IS NULL, tracks.number, tracks.sort";
/// As an album runs, in however many folders.
const ALBUM_ORDER: &str = "ORDER BY coalesce(tracks.disc, 1), tracks.number IS NULL, tracks.number, folders.sort,
    tracks.sort";

/// Finds pieces.
pub(in crate::library) fn search(db: &Connection, text: &str, page: Page) -> Answer<Vec<TrackView>> {
    let columns = ["title", "artist", "album"];
    let ids = search_tiers(db, "track_words", &columns, text, page)?;
    let mut one = db.prepare_cached(&format!("SELECT {TRACK} WHERE tracks.id = ?1"))?;
    ids.iter().filter_map(|id| one.query_row([id], track).optional().transpose()).collect()
}

/// Albums in alphabetical order, or those that fit some words; of one artist, if one is given.
pub(in crate::library) fn albums(
    db: &Connection,
    text: &str,
    artist: Option<Key>,
    page: Page,
) -> Answer<Vec<AlbumView>> {
    if let Some(artist) = artist {
        let select = format!(
            "SELECT {ALBUM} WHERE id IN (SELECT DISTINCT album FROM credits JOIN tracks ON tracks.id = track
             WHERE credits.artist = (SELECT id FROM artists WHERE key = ?1)) ORDER BY year, sort LIMIT ?2 OFFSET ?3"
        );
        return list(db, &select, params![artist.to_sql(), page.limit, page.offset], album);
    }
    if !text.trim().is_empty() {
        let ids = search_tiers(db, "album_words", &["title", "artist"], text, page)?;
        return by_ids(db, &format!("SELECT {ALBUM} WHERE id = ?1"), &ids, album);
    }
    list(db, &format!("SELECT {ALBUM} ORDER BY sort LIMIT ?1 OFFSET ?2"), params![page.limit, page.offset], album)
}

/// Artists in alphabetical order, or those that fit some words.
pub(in crate::library) fn artists(db: &Connection, text: &str, page: Page) -> Answer<Vec<ArtistView>> {
    if !text.trim().is_empty() {
        let ids = search_tiers(db, "artist_words", &["name"], text, page)?;
        return by_ids(db, &format!("SELECT {ARTIST} WHERE id = ?1"), &ids, artist);
    }
    list(db, &format!("SELECT {ARTIST} ORDER BY sort LIMIT ?1 OFFSET ?2"), params![page.limit, page.offset], artist)
}

/// Playlists in alphabetical order; those whose title has the text in it.
pub(in crate::library) fn playlists(db: &Connection, text: &str, page: Page) -> Answer<Vec<PlaylistView>> {
    let select =
        format!("SELECT {PLAYLIST} WHERE instr(playlists.sort, ?1) ORDER BY playlists.sort LIMIT ?2 OFFSET ?3");
    let text: String = text.chars().take(MOST_CHARS).collect();
    let text = crate::library::names::fold(text.trim());
    list(db, &select, params![text, page.limit, page.offset], playlist)
}

/// The folders of the libraries themselves.
pub(in crate::library) fn root_folders(db: &Connection) -> Answer<Vec<FolderView>> {
    list(db, &format!("SELECT {FOLDER} WHERE parent IS NULL ORDER BY path"), [], folder)
}

/// One piece.
pub(in crate::library) fn one_track(db: &Connection, key: Key) -> Answer<Option<TrackView>> {
    let select = format!("SELECT {TRACK} WHERE tracks.key = ?1");
    db.prepare_cached(&select)?.query_row([key.to_sql()], track).optional()
}

/// One album and its pieces.
pub(in crate::library) fn one_album(db: &Connection, key: Key) -> Answer<Option<AlbumDetail>> {
    let select = format!("SELECT {ALBUM} WHERE key = ?1");
    let Some(found) = db.prepare_cached(&select)?.query_row([key.to_sql()], album).optional()? else { return Ok(None) };
    let select = format!("SELECT {TRACK} WHERE albums.key = ?1 {ALBUM_ORDER} LIMIT {LONGEST_LIST}");
    let tracks = list(db, &select, [key.to_sql()], track)?;
    Ok(Some(AlbumDetail { album: found, list: tracks }))
}

/// One artist, their albums and pieces.
pub(in crate::library) fn one_artist(db: &Connection, key: Key) -> Answer<Option<ArtistDetail>> {
    let select = format!("SELECT {ARTIST} WHERE key = ?1");
    let found = db.prepare_cached(&select)?.query_row([key.to_sql()], artist).optional()?;
    let Some(found) = found else { return Ok(None) };
    let album_list = albums(db, "", Some(key), Page { limit: LONGEST_LIST, offset: 0 })?;
    let select = format!(
        "SELECT {TRACK} WHERE tracks.id IN (SELECT track FROM credits WHERE artist =
         (SELECT id FROM artists WHERE key = ?1)) {IN_ORDER} LIMIT {LONGEST_LIST}"
    );
    let tracks = list(db, &select, [key.to_sql()], track)?;
    Ok(Some(ArtistDetail { artist: found, album_list, list: tracks }))
}

/// One folder and what is in it.
pub(in crate::library) fn one_folder(db: &Connection, key: Key) -> Answer<Option<FolderDetail>> {
    let select = format!("SELECT {FOLDER} WHERE key = ?1");
    let with_parent = |row: &Row<'_>| Ok((folder(row)?, row.get::<_, Option<i64>>(2)?));
    let found = db.prepare_cached(&select)?.query_row([key.to_sql()], with_parent).optional()?;
    let Some((found, parent)) = found else { return Ok(None) };
    let parent: Option<i64> = match parent {
        Some(id) => db.query_row("SELECT key FROM folders WHERE id = ?1", [id], |row| row.get(0)).optional()?,
        None => None,
    };
    let inside = "(SELECT id FROM folders WHERE key = ?1)";
    let select = format!("SELECT {FOLDER} WHERE parent = {inside} ORDER BY sort LIMIT {LONGEST_LIST}");
    let folder_list = list(db, &select, [key.to_sql()], folder)?;
    let select = format!("SELECT {PLAYLIST} WHERE folder = {inside} ORDER BY playlists.sort LIMIT {LONGEST_LIST}");
    let playlists = list(db, &select, [key.to_sql()], playlist)?;
    let select = format!("SELECT {TRACK} WHERE folder = {inside} {IN_ORDER} LIMIT {LONGEST_LIST}");
    let tracks = list(db, &select, [key.to_sql()], track)?;
    let parent = parent.map(|key| Key::from_sql(key).to_string());
    Ok(Some(FolderDetail { folder: found, parent, folder_list, playlists, list: tracks }))
}

/// One playlist, and its file.
pub(in crate::library) fn one_playlist(db: &Connection, key: Key) -> Answer<Option<(PlaylistView, PathBuf)>> {
    let select = format!("SELECT {PLAYLIST} WHERE playlists.key = ?1");
    let both = |row: &Row<'_>| Ok((playlist(row)?, file(row, 4, 3)?));
    db.prepare_cached(&select)?.query_row([key.to_sql()], both).optional()
}

/// How much there is.
pub(in crate::library) fn totals(db: &Connection) -> Answer<Totals> {
    db.prepare_cached(
        "SELECT (SELECT count(*) FROM tracks), (SELECT count(*) FROM albums), (SELECT count(*) FROM artists),
         (SELECT count(*) FROM folders), (SELECT count(*) FROM playlists),
         (SELECT coalesce(sum(duration_ms), 0) / 1000 FROM tracks)",
    )?
    .query_row([], |row| {
        Ok(Totals {
            tracks: row.get(0)?,
            albums: row.get(1)?,
            artists: row.get(2)?,
            folders: row.get(3)?,
            playlists: row.get(4)?,
            duration_s: row.get::<_, i64>(5)?.max(0) as u64,
        })
    })
}

/// What something stands for when it is put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::library) enum Part {
    /// One piece.
    Track(Key),
    /// All of an album, as it runs.
    Album(Key),
    /// All of an artist, by folder and album.
    Artist(Key),
    /// A folder and all below it.
    Folder(Key),
}

/// The files of a part of the library, at most `most`.
pub(in crate::library) fn files(db: &Connection, part: Part, most: usize) -> Answer<Vec<PathBuf>> {
    let (key, which) = match part {
        Part::Track(key) => (key, "tracks.key = ?1 ".to_owned()),
        Part::Album(key) => (key, format!("albums.key = ?1 {ALBUM_ORDER}")),
        Part::Artist(key) => (
            key,
            format!(
                "tracks.id IN (SELECT track FROM credits WHERE artist = (SELECT id FROM artists WHERE key = ?1))
                 {IN_ORDER}"
            ),
        ),
        Part::Folder(key) => {
            let path: Option<Vec<u8>> =
                db.query_row("SELECT path FROM folders WHERE key = ?1", [key.to_sql()], |row| row.get(0)).optional()?;
            let Some(path) = path else { return Ok(Vec::new()) };
            let (from, to) = below(Path::new(&OsString::from_vec(path.clone())));
            let select = format!(
                "SELECT folders.path, tracks.name {} WHERE folders.path = ?1 OR (folders.path > ?2 AND folders.path < ?3)
                 {IN_ORDER} LIMIT ?4",
                from_tracks()
            );
            return list(db, &select, params![path, from, to, most as i64], |row| file(row, 0, 1));
        }
    };
    let select = format!("SELECT folders.path, tracks.name {} WHERE {which} LIMIT ?2", from_tracks());
    list(db, &select, params![key.to_sql(), most as i64], |row| file(row, 0, 1))
}

/// The `FROM` of [`TRACK`].
fn from_tracks() -> &'static str {
    TRACK.find("FROM").map_or("", |at| &TRACK[at..])
}

/// Every piece below a root, in the order in which it is played through.
pub(in crate::library) fn keys_below(db: &Connection, root: &Path) -> Answer<Vec<Key>> {
    let (from, to) = below(root);
    let select = format!(
        "SELECT tracks.key {} WHERE folders.path = ?1 OR (folders.path > ?2 AND folders.path < ?3) {IN_ORDER}",
        from_tracks()
    );
    let path = root.as_os_str().as_bytes();
    list(db, &select, params![path, from, to], |row| Ok(Key::from_sql(row.get(0)?)))
}

/// Where a piece is.
pub(in crate::library) fn path_of(db: &Connection, key: Key) -> Answer<Option<PathBuf>> {
    let select =
        "SELECT folders.path, tracks.name FROM tracks JOIN folders ON folders.id = folder WHERE tracks.key = ?1";
    db.prepare_cached(select)?.query_row([key.to_sql()], |row| file(row, 0, 1)).optional()
}

/// Whether a root has been read from end to end.
pub(in crate::library) fn is_scanned(db: &Connection, root: &Path) -> Answer<bool> {
    let mut find = db.prepare_cached("SELECT scanned FROM roots WHERE key = ?1")?;
    let scanned: Option<bool> = find.query_row([Key::of_path(root).to_sql()], |row| row.get(0)).optional()?;
    Ok(scanned == Some(true))
}

/// What was measured of a file.
pub(in crate::library) fn measured(db: &Connection, key: Key) -> Answer<Gains> {
    let select = "SELECT loudness, peak, album_loudness, album_peak FROM tracks WHERE key = ?1";
    let gains = |row: &Row<'_>| {
        let gain = |loudness, peak| -> Answer<Option<Gain>> {
            let both = row.get::<_, Option<f64>>(loudness)?.zip(row.get::<_, Option<f64>>(peak)?);
            Ok(both.and_then(|(loudness, peak)| Gain::measured(loudness, peak)))
        };
        Ok(Gains { track: gain(0, 1)?, album: gain(2, 3)? })
    };
    Ok(db.prepare_cached(select)?.query_row([key.to_sql()], gains).optional()?.unwrap_or_default())
}

/// How many pieces are still to be measured.
pub(in crate::library) fn to_measure(db: &Connection) -> Answer<u32> {
    let select = "SELECT count(*) FROM tracks WHERE tagged = 0 AND loudness IS NULL";
    db.prepare_cached(select)?.query_row([], |row| row.get(0))
}

/// A piece that is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::library) struct Unmeasured {
    pub(in crate::library) id: i64,
    pub(in crate::library) modified_ns: i64,
    pub(in crate::library) path: PathBuf,
}

/// What is to be measured together: all of an album with a piece that has not been measured, or one piece that is on
/// none. Of an album with more than 500 pieces, those first that have not been, so that fewer are left each time.
pub(in crate::library) fn unmeasured(db: &Connection) -> Answer<Vec<Unmeasured>> {
    let select = "SELECT tracks.id, modified_ns, folders.path, name FROM tracks
         JOIN folders ON folders.id = folder, (SELECT id, album FROM tracks WHERE tagged = 0 AND loudness IS NULL
         LIMIT 1) AS one WHERE tracks.id = one.id OR tracks.album = one.album
         ORDER BY tracks.tagged = 0 AND tracks.loudness IS NULL DESC, tracks.id LIMIT 500";
    let read = |row: &Row<'_>| Ok(Unmeasured { id: row.get(0)?, modified_ns: row.get(1)?, path: file(row, 2, 3)? });
    list(db, select, [], read)
}

/// Where pictures of a piece or an album may be, the likeliest first: folders with the name of their picture, and
/// files that may hold one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::library) struct Pictures {
    /// Picture files.
    pub(in crate::library) beside: Vec<PathBuf>,
    /// Music files.
    pub(in crate::library) inside: Vec<PathBuf>,
}

/// Where the cover of a piece may be.
pub(in crate::library) fn pictures_of_track(db: &Connection, key: Key) -> Answer<Option<Pictures>> {
    let select = "SELECT folders.path, tracks.name, folders.cover, above.path, above.cover FROM tracks
         JOIN folders ON folders.id = tracks.folder LEFT JOIN folders AS above ON above.id = folders.parent
         WHERE tracks.key = ?1";
    let mut found = db.prepare_cached(select)?;
    found.query_row([key.to_sql()], pictures).optional()
}

/// Where the cover of an album may be.
pub(in crate::library) fn pictures_of_album(db: &Connection, key: Key) -> Answer<Option<Pictures>> {
    let select = format!(
        "SELECT folders.path, tracks.name, folders.cover, above.path, above.cover FROM albums
         JOIN tracks ON tracks.album = albums.id JOIN folders ON folders.id = tracks.folder
         LEFT JOIN folders AS above ON above.id = folders.parent WHERE albums.key = ?1 {ALBUM_ORDER} LIMIT 3"
    );
    let mut all = list(db, &select, [key.to_sql()], pictures)?.into_iter();
    let Some(mut first) = all.next() else { return Ok(None) };
    for more in all {
        first.inside.extend(more.inside);
        first.beside.extend(more.beside.into_iter().filter(|path| !first.beside.contains(path)).collect::<Vec<_>>());
    }
    Ok(Some(first))
}

fn pictures(row: &Row<'_>) -> Answer<Pictures> {
    let beside = |path: usize, name: usize| -> Answer<Option<PathBuf>> {
        let (path, name): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(path)?, row.get(name)?);
        Ok(path.zip(name).map(|(path, name)| PathBuf::from(OsString::from_vec(path)).join(OsString::from_vec(name))))
    };
    let beside = [beside(0, 2)?, beside(3, 4)?];
    Ok(Pictures { beside: beside.into_iter().flatten().collect(), inside: vec![file(row, 0, 1)?] })
}

fn by_ids<T>(db: &Connection, select: &str, ids: &[i64], read: fn(&Row<'_>) -> Answer<T>) -> Answer<Vec<T>> {
    let mut one = db.prepare_cached(select)?;
    ids.iter().filter_map(|id| one.query_row([id], read).optional().transpose()).collect()
}

fn list<T>(
    db: &Connection,
    select: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> Answer<T>,
) -> Answer<Vec<T>> {
    db.prepare_cached(select)?.query_map(params, read)?.collect()
}
