//! The index of the library: SQLite, in a file of its own beside the house. All in it can be made again from the files.
//!
//! One thread writes ([`write`]), any number read ([`query`]), each with a connection of its own; in WAL mode none of
//! them waits for another. A file that is damaged, or of another version, is thrown away and filled anew.

pub(super) mod query;
pub(super) mod view;
pub(super) mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Of the schema; a file of another version is thrown away.
const VERSION: i64 = 1;
/// Page cache of a connection, in KiB.
const CACHE_KIB: i64 = 8 * 1024;
/// Connections that are kept for the next reader.
const SPARE: usize = 4;
/// A reader waits so long for what never lasts: a checkpoint, the file being made anew.
const PATIENCE: Duration = Duration::from_secs(2);

/// The index, for readers.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    spare: Mutex<Vec<(u64, Connection)>>,
    /// Rises when the file is thrown away: connections of before lead nowhere.
    generation: AtomicU64,
    /// A reader found the file damaged.
    damaged: std::sync::atomic::AtomicBool,
}

impl Index {
    /// Opens the file at `path` for writing, and gives readers their end.
    pub(super) fn open(path: &Path) -> rusqlite::Result<(Self, Connection)> {
        let connection = writer(path)?;
        let index = Index {
            path: path.to_owned(),
            spare: Mutex::default(),
            generation: AtomicU64::new(0),
            damaged: false.into(),
        };
        Ok((index, connection))
    }

    /// Asks the index something.
    pub(super) fn read<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let answer = self.read_with(ask);
        if answer.as_ref().is_err_and(is_damage) {
            self.damaged.store(true, Relaxed);
        }
        answer
    }

    fn read_with<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let generation = self.generation.load(Relaxed);
        let kept = self.spare().pop().filter(|(of, _)| *of == generation);
        let connection = match kept {
            Some((_, connection)) => connection,
            None => reader(&self.path)?,
        };
        let answer = ask(&connection)?;
        let mut spare = self.spare();
        if spare.len() < SPARE {
            spare.push((generation, connection));
        }
        Ok(answer)
    }

    /// Another writer, for the few things that are not the librarian's.
    pub(super) fn second_writer(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    }

    /// Whether a reader found damage since this was asked last.
    pub(super) fn take_damage(&self) -> bool {
        self.damaged.swap(false, Relaxed)
    }

    /// Throws the file away and begins a new one.
    pub(super) fn renew(&self) -> rusqlite::Result<Connection> {
        self.generation.fetch_add(1, Relaxed);
        self.spare().clear();
        remove(&self.path);
        writer(&self.path)
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Connection)>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this says that the file is no good, rather than that something else went wrong.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn writer(path: &Path) -> rusqlite::Result<Connection> {
    match open(path) {
        Ok(Some(connection)) => Ok(connection),
        Ok(None) => anew(path),
        Err(error) if is_damage(&error) => {
            tracing::error!(path = %path.display(), %error, "the library's index is damaged and is made anew");
            anew(path)
        }
        Err(error) => Err(error),
    }
}

fn anew(path: &Path) -> rusqlite::Result<Connection> {
    remove(path);
    open(path)?.ok_or(rusqlite::Error::InvalidQuery)
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let _ = std::fs::remove_file(file);
    }
}

/// The file as it is, or made when it is empty; `None` when it is of another version.
fn open(path: &Path) -> rusqlite::Result<Option<Connection>> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(concat!("BEGIN;", include_str!("index/schema.sql"), "COMMIT;"))?;
        connection.pragma_update(None, "user_version", VERSION)?;
    } else if version != VERSION {
        return Ok(None);
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(Some(connection))
}

fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

#[cfg(test)]
mod tests;
