//! The queues on disk: what people have put together survives a restart, a kill and a power cut.
//!
//! SQLite in a file of its own, since the index beside it may be thrown away and this may not. One thread writes. What
//! somebody asked for is on the disk before they are told so; how far a piece has played is written now and then, and
//! not waited for.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::index::is_damage;
use super::names::Key;
use super::station::{Entry, Kept, MannerChange};

/// A newer file is not touched.
const SCHEMA: i64 = 1;

/// What the writer is told of a stream.
enum Job {
    /// Keep this; said back when it is on the disk.
    Keep { stream: String, kept: Kept, done: Option<oneshot::Sender<()>> },
    /// This piece has played in the round.
    Played { stream: String, key: Key },
    /// The round is over.
    Round { stream: String },
}

/// Where queues are kept. Dropping it writes what is waiting.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: Option<Sender<Job>>,
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
        let (jobs, work) = mpsc::channel();
        let thread = std::thread::Builder::new().name("queues".to_owned()).spawn(move || {
            Writer { connection, written: BTreeMap::new() }.run(&work);
        });
        let thread = thread.inspect_err(|error| tracing::error!(%error, "no thread: queues are not kept")).ok();
        Ok(Keeper { jobs: Some(jobs), thread, read: Some(read).into() })
    }

    /// Keeps nothing.
    pub(super) fn forgetful() -> Self {
        Keeper { jobs: None, thread: None, read: None.into() }
    }

    /// What is kept of a stream, and what has played of its round.
    pub(super) fn find(&self, stream: &str) -> Option<Found> {
        let read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let found = load(read.as_ref()?, stream);
        found.inspect_err(|error| tracing::error!(stream, %error, "the kept queue cannot be read")).ok().flatten()
    }

    /// Keeps this; the receiver hears when it is on the disk, and an error if it can't be.
    pub(super) fn keep(&self, stream: &str, kept: Kept) -> oneshot::Receiver<()> {
        let (done, written) = oneshot::channel();
        match &self.jobs {
            Some(_) => self.tell(Job::Keep { stream: stream.to_owned(), kept, done: Some(done) }),
            // Nothing is to be kept, so nothing is missing.
            None => drop(done.send(())),
        }
        written
    }

    /// Keeps this too, some time.
    pub(super) fn note(&self, stream: &str, kept: Kept) {
        self.tell(Job::Keep { stream: stream.to_owned(), kept, done: None });
    }

    /// A piece has played in the round.
    pub(super) fn played(&self, stream: &str, key: Key) {
        self.tell(Job::Played { stream: stream.to_owned(), key });
    }

    /// The round is over.
    pub(super) fn round(&self, stream: &str) {
        self.tell(Job::Round { stream: stream.to_owned() });
    }

    fn tell(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.jobs.take());
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
    fn run(mut self, work: &Receiver<Job>) {
        while let Ok(first) = work.recv() {
            let mut jobs = vec![first];
            jobs.extend(work.try_iter().take(1_000));
            match self.write(&jobs) {
                Ok(()) => {
                    for job in jobs {
                        if let Job::Keep { done: Some(done), .. } = job {
                            // Nobody has to wait for it.
                            let _ = done.send(());
                        }
                    }
                }
                Err(error) => {
                    self.written.clear();
                    tracing::error!(%error, "queues can't be kept; they go on from memory");
                }
            }
        }
    }

    fn write(&mut self, jobs: &[Job]) -> rusqlite::Result<()> {
        // Flushed only where somebody waits for it.
        let asked = jobs.iter().any(|job| matches!(job, Job::Keep { done: Some(_), .. }));
        self.connection.pragma_update(None, "synchronous", if asked { "FULL" } else { "NORMAL" })?;
        let transaction = self.connection.transaction()?;
        for (at, job) in jobs.iter().enumerate() {
            match job {
                Job::Keep { stream, kept, .. } => {
                    let is_last = |later: &Job| matches!(later, Job::Keep { stream: other, .. } if other == stream);
                    if jobs[at + 1..].iter().any(is_last) {
                        continue;
                    }
                    station(&transaction, stream, kept)?;
                    let before = self.written.get(stream).map(Vec::as_slice);
                    entries(&transaction, stream, before, &kept.entries)?;
                    self.written.insert(stream.clone(), kept.entries.clone());
                }
                Job::Played { stream, key } => {
                    transaction
                        .prepare_cached("INSERT OR IGNORE INTO played (stream, key) VALUES (?1, ?2)")?
                        .execute(params![stream, key.to_sql()])?;
                }
                Job::Round { stream } => {
                    transaction.prepare_cached("DELETE FROM played WHERE stream = ?1")?.execute([stream])?;
                }
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
