//! What a scan writes into the index.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use crate::library::names::{Key, sort_file, sort_folder, sort_name};
use crate::library::tags::{self, Tags};

/// How an album of many artists is called when no tag says so.
const VARIOUS: &str = "Various Artists";

/// A file as it was seen in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::library) struct Seen {
    pub(in crate::library) path: PathBuf,
    pub(in crate::library) size: i64,
    pub(in crate::library) modified_ns: i64,
}

/// A folder as it was seen.
#[derive(Clone, Debug)]
pub(in crate::library) struct SeenFolder {
    pub(in crate::library) path: PathBuf,
    /// Below the root; empty for the root itself.
    pub(in crate::library) below: PathBuf,
    /// File name of its picture.
    pub(in crate::library) cover: Option<OsString>,
}

/// Notes a folder.
pub(in crate::library) fn folder(db: &Connection, folder: &SeenFolder) -> rusqlite::Result<()> {
    let is_root = folder.below.as_os_str().is_empty();
    let parent = match folder.path.parent().filter(|_| !is_root) {
        Some(parent) => folder_id(db, parent)?,
        None => None,
    };
    let cover = folder.cover.as_ref().map(|name| name.as_bytes());
    db.prepare_cached(
        "INSERT INTO folders (key, path, parent, sort, cover, below) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (key) DO UPDATE SET parent = ?3, sort = ?4, cover = ?5, below = ?6
         WHERE parent IS NOT ?3 OR sort IS NOT ?4 OR cover IS NOT ?5 OR below IS NOT ?6",
    )?
    .execute(params![
        Key::of_path(&folder.path).to_sql(),
        folder.path.as_os_str().as_bytes(),
        parent,
        sort_folder(&folder.below),
        cover,
        folder.below.as_os_str().as_bytes(),
    ])?;
    Ok(())
}

fn folder_id(db: &Connection, path: &Path) -> rusqlite::Result<Option<i64>> {
    let mut find = db.prepare_cached("SELECT id FROM folders WHERE key = ?1")?;
    find.query_row([Key::of_path(path).to_sql()], |row| row.get(0)).optional()
}

/// Notes a piece, new or changed.
pub(in crate::library) fn track(db: &Connection, seen: &Seen, tags: Option<&Tags>) -> rusqlite::Result<()> {
    let nothing = Tags::default();
    let tags = tags.unwrap_or(&nothing);
    let (Some(parent), Some(name)) = (seen.path.parent(), seen.path.file_name()) else { return Ok(()) };
    // Its folder is gone by now.
    let Some(folder) = folder_id(db, parent)? else { return Ok(()) };
    let key = Key::of_path(&seen.path).to_sql();
    let title = tags.title.clone().or_else(|| tags::stem(&seen.path)).unwrap_or_default();
    let album = match &tags.album {
        Some(album) => Some(self::album(db, album, parent, tags)?),
        None => None,
    };
    let mut find = db.prepare_cached("SELECT id FROM tracks WHERE key = ?1")?;
    let known: Option<i64> = find.query_row([key], |row| row.get(0)).optional()?;
    if let Some(id) = known {
        forget_words(db, id)?;
    }
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO tracks (id, key, folder, name, sort, size, modified_ns, title, artist, album, disc,
             number, year, genre, duration_ms, codec, rate, bits, channels, tagged)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
    )?;
    put.execute(params![
        known,
        key,
        folder,
        name.as_bytes(),
        sort_file(name),
        seen.size,
        seen.modified_ns,
        title,
        tags.artist,
        album,
        tags.disc,
        tags.number,
        tags.year,
        tags.genre,
        tags.duration.map(|duration| duration.as_millis() as i64),
        tags.codec,
        tags.rate,
        tags.bits,
        tags.channels,
        tags.gains.is_known(),
    ])?;
    let id = known.unwrap_or_else(|| db.last_insert_rowid());
    for artist in tags.artists.iter().chain(&tags.album_artist) {
        let artist = self::artist(db, artist)?;
        db.prepare_cached("INSERT OR IGNORE INTO credits (track, artist) VALUES (?1, ?2)")?
            .execute(params![id, artist])?;
    }
    let mut artists = tags.artists.join(" ");
    for more in tags.artist.iter().chain(&tags.album_artist).filter(|more| !tags.artists.contains(more)) {
        artists.push(' ');
        artists.push_str(more);
    }
    db.prepare_cached("INSERT INTO track_words (rowid, title, artist, album) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, title, artists, tags.album.as_deref().unwrap_or_default()])?;
    Ok(())
}

/// The album that a piece is on: one release, or one title by one album artist, or else one title in one folder.
fn album(db: &Connection, title: &str, folder: &Path, tags: &Tags) -> rusqlite::Result<i64> {
    let key = match (&tags.release, &tags.album_artist) {
        (Some(release), _) => Key::of(&[b"release", release.as_bytes()]),
        (None, Some(artist)) => Key::of(&[b"by", artist.as_bytes(), title.as_bytes()]),
        (None, None) => Key::of(&[b"in", without_disc(folder).as_os_str().as_bytes(), title.as_bytes()]),
    };
    let known: Option<(i64, Option<String>, Option<u16>)> = db
        .prepare_cached("SELECT id, artist, year FROM albums WHERE key = ?1")?
        .query_row([key.to_sql()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let artist = tags.album_artist.as_ref().or(tags.artist.as_ref());
    let Some((id, known_artist, known_year)) = known else {
        db.prepare_cached("INSERT INTO albums (key, title, artist, year, sort) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![key.to_sql(), title, artist, tags.year, sort_name(title)])?;
        let id = db.last_insert_rowid();
        album_words(db, id, title, artist)?;
        return Ok(id);
    };
    let differs = known_artist.is_some() && artist.is_some() && known_artist.as_ref() != artist;
    if differs && tags.album_artist.is_none() && known_artist.as_deref() != Some(VARIOUS) {
        db.prepare_cached("UPDATE albums SET artist = ?2 WHERE id = ?1")?.execute(params![id, VARIOUS])?;
        db.prepare_cached("DELETE FROM album_words WHERE rowid = ?1")?.execute([id])?;
        album_words(db, id, title, Some(&VARIOUS.to_owned()))?;
    }
    if known_year.is_none() && tags.year.is_some() {
        db.prepare_cached("UPDATE albums SET year = ?2 WHERE id = ?1")?.execute(params![id, tags.year])?;
    }
    Ok(id)
}

fn album_words(db: &Connection, id: i64, title: &str, artist: Option<&String>) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO album_words (rowid, title, artist) VALUES (?1, ?2, ?3)")?
        .execute(params![id, title, artist])?;
    Ok(())
}

/// The folder of the whole album, where each disc has one of its own.
fn without_disc(folder: &Path) -> &Path {
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let rest = ["cd", "disc", "disk"].iter().find_map(|word| name.strip_prefix(word));
    let is_disc = rest.is_some_and(|rest| {
        let rest = rest.trim_start_matches([' ', '-', '_', '.']);
        !rest.is_empty() && rest.len() <= 2 && rest.bytes().all(|byte| byte.is_ascii_digit())
    });
    folder.parent().filter(|_| is_disc).unwrap_or(folder)
}

fn artist(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    let key = Key::of(&[b"artist", crate::library::names::fold(name).as_bytes()]);
    let mut find = db.prepare_cached("SELECT id FROM artists WHERE key = ?1")?;
    if let Some(id) = find.query_row([key.to_sql()], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    db.prepare_cached("INSERT INTO artists (key, name, sort) VALUES (?1, ?2, ?3)")?.execute(params![
        key.to_sql(),
        name,
        sort_name(name)
    ])?;
    let id = db.last_insert_rowid();
    db.prepare_cached("INSERT INTO artist_words (rowid, name) VALUES (?1, ?2)")?.execute(params![id, name])?;
    Ok(id)
}

/// Notes a playlist, new or changed.
pub(in crate::library) fn playlist(db: &Connection, seen: &Seen) -> rusqlite::Result<()> {
    let (Some(parent), Some(name)) = (seen.path.parent(), seen.path.file_name()) else { return Ok(()) };
    let Some(folder) = folder_id(db, parent)? else { return Ok(()) };
    let title = tags::stem(&seen.path).unwrap_or_default();
    db.prepare_cached(
        "INSERT OR REPLACE INTO playlists (key, folder, name, title, sort, size, modified_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        Key::of_path(&seen.path).to_sql(),
        folder,
        name.as_bytes(),
        title,
        sort_name(&title),
        seen.size,
        seen.modified_ns
    ])?;
    Ok(())
}

/// What a folder held when it was looked at last: its pieces, or its playlists.
pub(in crate::library) fn known_files(
    db: &Connection,
    folder: &Path,
    table: Table,
) -> rusqlite::Result<Vec<(i64, Seen)>> {
    let select = match table {
        Table::Tracks => "SELECT id, name, size, modified_ns FROM tracks WHERE folder = ?1",
        Table::Playlists => "SELECT id, name, size, modified_ns FROM playlists WHERE folder = ?1",
    };
    let Some(id) = folder_id(db, folder)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare_cached(select)?;
    let rows = statement.query_map([id], |row| {
        let path = folder.join(OsString::from_vec(row.get(1)?));
        Ok((row.get(0)?, Seen { path, size: row.get(2)?, modified_ns: row.get(3)? }))
    })?;
    rows.collect()
}

/// Which of a folder's files are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::library) enum Table {
    /// Pieces.
    Tracks,
    /// Playlists.
    Playlists,
}

/// Forgets a file that is gone.
pub(in crate::library) fn forget(db: &Connection, table: Table, id: i64) -> rusqlite::Result<()> {
    match table {
        Table::Tracks => {
            forget_words(db, id)?;
            db.prepare_cached("DELETE FROM tracks WHERE id = ?1")?.execute([id])?;
        }
        Table::Playlists => drop(db.prepare_cached("DELETE FROM playlists WHERE id = ?1")?.execute([id])?),
    }
    Ok(())
}

fn forget_words(db: &Connection, track: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM track_words WHERE rowid = ?1")?.execute([track])?;
    db.prepare_cached("DELETE FROM credits WHERE track = ?1")?.execute([track])?;
    Ok(())
}

/// Forgets a folder and all that was in it itself; folders below it are the caller's to forget.
pub(in crate::library) fn forget_folder(db: &Connection, path: &Path) -> rusqlite::Result<()> {
    for table in [Table::Tracks, Table::Playlists] {
        for (id, _) in known_files(db, path, table)? {
            forget(db, table, id)?;
        }
    }
    db.prepare_cached("DELETE FROM folders WHERE key = ?1")?.execute([Key::of_path(path).to_sql()])?;
    Ok(())
}

/// The folders at and below `root` that the index knows.
pub(in crate::library) fn known_folders(db: &Connection, root: &Path) -> rusqlite::Result<Vec<PathBuf>> {
    let (from, to) = below(root);
    let mut statement = db.prepare_cached("SELECT path FROM folders WHERE path = ?1 OR (path > ?2 AND path < ?3)")?;
    let rows = statement.query_map(params![root.as_os_str().as_bytes(), from, to], |row| {
        Ok(PathBuf::from(OsString::from_vec(row.get(0)?)))
    })?;
    rows.collect()
}

/// The range in which the paths below a folder sort.
pub(in crate::library) fn below(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let bytes = folder.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    ([bytes, b"/"].concat(), [bytes, b"0"].concat())
}

/// Albums and artists of which nothing is left go.
pub(in crate::library) fn tidy(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "DELETE FROM album_words WHERE rowid IN
             (SELECT id FROM albums WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE album = albums.id));
         DELETE FROM albums WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE album = albums.id);
         DELETE FROM artist_words WHERE rowid IN
             (SELECT id FROM artists WHERE NOT EXISTS (SELECT 1 FROM credits WHERE artist = artists.id));
         DELETE FROM artists WHERE NOT EXISTS (SELECT 1 FROM credits WHERE artist = artists.id);",
    )
}

/// From now on the root is known from end to end.
pub(in crate::library) fn root_scanned(db: &Connection, root: &Path) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO roots (key, scanned) VALUES (?1, 1)")?
        .execute([Key::of_path(root).to_sql()])?;
    Ok(())
}

/// Forgets roots and folders that belong to no root any more.
pub(in crate::library) fn keep_roots(db: &Connection, roots: &[PathBuf]) -> rusqlite::Result<()> {
    let all: Vec<PathBuf> = {
        let mut statement = db.prepare_cached("SELECT path FROM folders")?;
        let rows = statement.query_map([], |row| Ok(PathBuf::from(OsString::from_vec(row.get(0)?))))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for folder in all.iter().filter(|folder| !roots.iter().any(|root| folder.starts_with(root))) {
        forget_folder(db, folder)?;
    }
    let keys: Vec<String> = roots.iter().map(|root| Key::of_path(root).to_sql().to_string()).collect();
    db.execute(&format!("DELETE FROM roots WHERE key NOT IN ({})", keys.join(",")), [])?;
    Ok(())
}

/// What was measured of one piece; nothing of one that can't be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::library) struct Measured {
    pub(in crate::library) id: i64,
    pub(in crate::library) modified_ns: i64,
    pub(in crate::library) loudness: f64,
    pub(in crate::library) peak: f64,
}

/// Notes what was measured, of each piece and of all together; a piece that has changed meanwhile is measured again.
pub(in crate::library) fn measured(
    db: &mut Connection,
    pieces: &[Measured],
    album: Option<(f64, f64)>,
) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for piece in pieces {
        transaction
            .prepare_cached(
                "UPDATE tracks SET loudness = ?3, peak = ?4, album_loudness = ?5, album_peak = ?6
                 WHERE id = ?1 AND modified_ns = ?2",
            )?
            .execute(params![
                piece.id,
                piece.modified_ns,
                piece.loudness,
                piece.peak,
                album.map(|(loudness, _)| loudness),
                album.map(|(_, peak)| peak)
            ])?;
    }
    transaction.commit()
}
