//! The queues on disk: what people have put together survives a restart, a kill and a power cut.
//!
//! SQLite in a file of its own, since the index beside it may be thrown away and this may not. One thread writes. What
//! somebody asked for is on the disk before they are told so; how far a piece has played is written now and then, and
//! not waited for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::index::is_damage;
use super::names::Key;
use super::station::{Entry, Kept, MannerChange};
use crate::mailbox::Mailbox;

/// A newer file is not touched.
const SCHEMA: i64 = 1;

/// What a stream is read again for is on the disk by then, unless that is slower.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be written of a stream: the last that was said of it.
#[derive(Debug, Default)]
struct Job {
    kept: Option<Kept>,
    /// Who wants to hear when it is on the disk.
    done: Vec<oneshot::Sender<()>>,
    /// The round was begun anew.
    round: bool,
    /// Pieces that have played in the round since.
    played: HashSet<Key>,
}

impl Job {
    fn keep(&mut self, kept: Kept, done: Option<oneshot::Sender<()>>) {
        self.kept = Some(kept);
        // However slow the disk is, only those who still wait are remembered.
        self.done.retain(|done| !done.is_closed());
        self.done.extend(done);
    }

    fn begin_round(&mut self) {
        self.round = true;
        self.played.clear();
    }
}

/// Of each stream that has anything to be written.
type Jobs = HashMap<String, Job>;

/// Where queues are kept. Dropping it writes what is waiting.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: Option<Arc<Mailbox<Jobs>>>,
    thread: Option<JoinHandle<()>>,
    read: std::sync::Mutex<Option<Connection>>,
}

/// What was kept of a stream.
pub(super) type Found = (Kept, HashSet<Key>);

impl Keeper {
    /// Keeps queues in the file at `path`, made if need be. A file that is no database is put aside.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = match prepare(path) {
            Err(error) if is_damage(&error) => {
                let aside = path.with_extension("broken");
                tracing::error!(%error, aside = %aside.display(), "the queues cannot be read and start anew");
                let _ = std::fs::rename(path, &aside);
                prepare(path)?
            }
            other => other?,
        };
        let read = prepare(path)?;
        let jobs = Arc::<Mailbox<Jobs>>::default();
        let work = Arc::clone(&jobs);
        let thread = std::thread::Builder::new().name("queues".to_owned()).spawn(move || {
            let mut writer = Writer { connection, written: BTreeMap::new() };
            work.serve(|jobs| writer.take(jobs));
        });
        let thread = thread.inspect_err(|error| tracing::error!(%error, "no thread: queues are not kept")).ok();
        if thread.is_none() {
            jobs.abandon();
        }
        Ok(Keeper { jobs: Some(jobs), thread, read: Some(read).into() })
    }

    /// Keeps nothing.
    pub(super) fn forgetful() -> Self {
        Keeper { jobs: None, thread: None, read: None.into() }
    }

    /// What is kept of a stream, and what has played of its round.
    pub(super) fn find(&self, stream: &str) -> Option<Found> {
        if let Some(jobs) = &self.jobs {
            jobs.settle(PATIENCE);
        }
        let read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let found = load(read.as_ref()?, stream);
        found.inspect_err(|error| tracing::error!(stream, %error, "the kept queue cannot be read")).ok().flatten()
    }

    /// Keeps this; the receiver hears when it is on the disk, and an error if it can't be.
    pub(super) fn keep(&self, stream: &str, kept: Kept) -> oneshot::Receiver<()> {
        let (done, written) = oneshot::channel();
        match &self.jobs {
            Some(_) => self.tell(stream, |job| job.keep(kept, Some(done))),
            // Nothing is to be kept, so nothing is missing.
            None => drop(done.send(())),
        }
        written
    }

    /// Keeps this too, some time.
    pub(super) fn note(&self, stream: &str, kept: Kept) {
        self.tell(stream, |job| job.keep(kept, None));
    }

    /// A piece has played in the round.
    pub(super) fn played(&self, stream: &str, key: Key) {
        self.tell(stream, |job| {
            job.played.insert(key);
        });
    }

    /// The round is over.
    pub(super) fn round(&self, stream: &str) {
        self.tell(stream, Job::begin_round);
    }

    fn tell(&self, stream: &str, change: impl FnOnce(&mut Job)) {
        if let Some(jobs) = &self.jobs {
            jobs.put(|jobs| change(jobs.entry(stream.to_owned()).or_default()));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(jobs) = self.jobs.take() {
            jobs.close();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    connection: Connection,
    /// Entries as they are on the disk.
    written: BTreeMap<String, Vec<Entry>>,
}

impl Writer {
    fn take(&mut self, jobs: Jobs) {
        match self.write(&jobs) {
            Ok(()) => {
                for done in jobs.into_values().flat_map(|job| job.done) {
                    // Nobody has to wait for it.
                    let _ = done.send(());
                }
            }
            Err(error) => {
                self.written.clear();
                tracing::error!(%error, "queues can't be kept; they go on from memory");
            }
        }
    }

    fn write(&mut self, jobs: &Jobs) -> rusqlite::Result<()> {
        // Flushed only where somebody waits for it.
        let asked = jobs.values().any(|job| !job.done.is_empty());
        self.connection.pragma_update(None, "synchronous", if asked { "FULL" } else { "NORMAL" })?;
        let transaction = self.connection.transaction()?;
        for (stream, job) in jobs {
            if job.round {
                transaction.prepare_cached("DELETE FROM played WHERE stream = ?1")?.execute([stream])?;
            }
            for key in &job.played {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO played (stream, key) VALUES (?1, ?2)")?
                    .execute(params![stream, key.to_sql()])?;
            }
            if let Some(kept) = &job.kept {
                station(&transaction, stream, kept)?;
                let before = self.written.get(stream).map(Vec::as_slice);
                entries(&transaction, stream, before, &kept.entries)?;
                self.written.insert(stream.clone(), kept.entries.clone());
            }
        }
        transaction.commit()
    }
}

fn station(db: &Connection, stream: &str, kept: &Kept) -> rusqlite::Result<()> {
    let manner = serde_json::to_string(&kept.change).unwrap_or_default();
    db.prepare_cached(
        "REPLACE INTO stations (stream, manner, position_ms, resumes, last, next_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        stream,
        manner,
        kept.position.as_millis() as i64,
        kept.resumes,
        kept.last.map(Key::to_sql),
        kept.next_id as i64
    ])?;
    Ok(())
}

/// Writes what differs: as a rule entries leave at the front and come at the end.
fn entries(db: &Connection, stream: &str, before: Option<&[Entry]>, now: &[Entry]) -> rusqlite::Result<()> {
    let left = before.map(|before| (before, before.iter().take_while(|entry| now.first() != Some(entry)).count()));
    let from = match left {
        Some((before, left)) if now.starts_with(&before[left..]) => {
            let mut remove = db.prepare_cached("DELETE FROM entries WHERE stream = ?1 AND id = ?2")?;
            for entry in &before[..left] {
                remove.execute(params![stream, entry.id as i64])?;
            }
            before.len() - left
        }
        _ => {
            db.prepare_cached("DELETE FROM entries WHERE stream = ?1")?.execute([stream])?;
            0
        }
    };
    let last: Option<i64> =
        db.prepare_cached("SELECT max(place) FROM entries WHERE stream = ?1")?.query_row([stream], |row| row.get(0))?;
    let mut add = db.prepare_cached("INSERT INTO entries (stream, place, id, path) VALUES (?1, ?2, ?3, ?4)")?;
    for (place, entry) in (last.unwrap_or(0) + 1..).zip(&now[from..]) {
        add.execute(params![stream, place, entry.id as i64, entry.path.as_os_str().as_bytes()])?;
    }
    Ok(())
}

fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(
        "BEGIN;
         CREATE TABLE IF NOT EXISTS stations (
             stream TEXT PRIMARY KEY, manner TEXT NOT NULL, position_ms INTEGER NOT NULL, resumes INTEGER NOT NULL,
             last INTEGER, next_id INTEGER NOT NULL
         ) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS entries (
             stream TEXT, place INTEGER, id INTEGER NOT NULL, path BLOB NOT NULL, PRIMARY KEY (stream, place)
         ) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS entries_by_id ON entries (stream, id);
         CREATE TABLE IF NOT EXISTS played (stream TEXT, key INTEGER, PRIMARY KEY (stream, key)) WITHOUT ROWID;
         COMMIT;",
    )?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found < SCHEMA {
        connection.pragma_update(None, "user_version", SCHEMA)?;
    }
    Ok(connection)
}

fn load(db: &Connection, stream: &str) -> rusqlite::Result<Option<Found>> {
    let select = "SELECT manner, position_ms, resumes, last, next_id FROM stations WHERE stream = ?1";
    type Station = (String, i64, bool, Option<i64>, i64);
    let found: Option<Station> = db
        .query_row(select, [stream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((manner, position_ms, resumes, last, next_id)) = found else { return Ok(None) };
    let change: MannerChange = serde_json::from_str(&manner).unwrap_or_default();
    let mut statement = db.prepare("SELECT id, path FROM entries WHERE stream = ?1 ORDER BY place")?;
    let entries = statement.query_map([stream], |row| {
        Ok(Entry { id: row.get::<_, i64>(0)? as u64, path: PathBuf::from(OsString::from_vec(row.get(1)?)) })
    })?;
    let kept = Kept {
        change,
        entries: entries.collect::<rusqlite::Result<_>>()?,
        position: Duration::from_millis(position_ms.max(0) as u64),
        resumes,
        last: last.map(Key::from_sql),
        next_id: next_id as u64,
    };
    let mut statement = db.prepare("SELECT key FROM played WHERE stream = ?1")?;
    let played = statement.query_map([stream], |row| Ok(Key::from_sql(row.get(0)?)))?;
    Ok(Some((kept, played.collect::<rusqlite::Result<_>>()?)))
}

#[cfg(test)]
mod tests;
