//! The house on disk: SQLite in the state directory, written by one thread.
//!
//! Every room, group, scene and secret is one row, its body JSON, so that versions of the program can add fields. Each
//! write is one transaction, on the disk (`synchronous = FULL`) before it counts: after a power cut the file holds the
//! house as it was before or after the last change, never anything else. While a write is under way later changes
//! pile up and are written together, so a dragged fader costs as many writes as the disk can do, and no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::api::door::Secrets;
use crate::house::House;
use crate::mailbox::Mailbox;

/// Rows as this version writes them; a newer file is not touched.
const SCHEMA: i64 = 1;

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The house.
    pub house: House,
    /// Who may change it.
    pub secrets: Secrets,
}

/// Why the house can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refuses.
    #[error("{path}: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// Written by a later version.
    #[error("{path} was written by a newer version of this program (schema {found}, this one knows {SCHEMA})")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// No thread.
    #[error("no thread for the store: {0}")]
    Thread(std::io::Error),
}

type Rows = BTreeMap<(&'static str, String), Arc<str>>;

/// What is to be written: the last that there was to be kept.
#[derive(Debug, Default)]
struct Job {
    kept: Kept,
    /// Who wants to hear when it is on the disk.
    done: Vec<oneshot::Sender<()>>,
}

/// The open store. Dropping it writes what is waiting.
#[derive(Debug)]
pub struct Store {
    jobs: Arc<Mailbox<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the file at `path`, made if need be, and reads what it keeps.
    ///
    /// A file that is no database is put aside as `*.broken`, with a word in the log: a sender must start.
    pub fn open(path: &Path) -> Result<(Self, Kept), StoreError> {
        let (connection, kept) = match read(path) {
            Err(StoreError::Sqlite { error, .. }) if is_no_database(&error) => {
                let aside = path.with_extension("broken");
                tracing::error!(%error, aside = %aside.display(), "the house cannot be read and starts anew");
                let _ = std::fs::rename(path, &aside);
                read(path)?
            }
            other => other?,
        };
        let jobs = Arc::<Mailbox<Job>>::default();
        let written = rows(&kept, &Kept::default(), &Rows::new());
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn({
                let (kept, work) = (kept.clone(), Arc::clone(&jobs));
                move || {
                    let mut writer = Writer { connection, kept, written };
                    work.serve(|job| writer.take(job));
                }
            })
            .map_err(StoreError::Thread)?;
        Ok((Store { jobs, thread: Some(thread) }, kept))
    }

    /// Keeps this from now on; the receiver hears when it is on the disk, or nothing if it can't be.
    pub fn keep(&self, kept: Kept) -> oneshot::Receiver<()> {
        let (done, written) = oneshot::channel();
        self.jobs.put(|job| {
            job.kept = kept;
            // However slow the disk is, only those who still wait are remembered.
            job.done.retain(|done| !done.is_closed());
            job.done.push(done);
        });
        written
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.jobs.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    connection: Connection,
    /// What is on the disk, and as rows.
    kept: Kept,
    written: Rows,
}

impl Writer {
    fn take(&mut self, job: Job) {
        match self.write(job.kept) {
            Ok(()) => job.done.into_iter().for_each(|done| {
                // Nobody has to wait for it.
                let _ = done.send(());
            }),
            Err(error) => tracing::error!(%error, "the house can't be kept; it goes on from memory"),
        }
    }

    fn write(&mut self, kept: Kept) -> rusqlite::Result<()> {
        let rows = rows(&kept, &self.kept, &self.written);
        let transaction = self.connection.transaction()?;
        for ((kind, id), body) in &rows {
            if self.written.get(&(*kind, id.clone())) != Some(body) {
                transaction
                    .execute("REPLACE INTO items (kind, id, body) VALUES (?1, ?2, ?3)", params![kind, id, body])?;
            }
        }
        for (kind, id) in self.written.keys().filter(|key| !rows.contains_key(*key)) {
            transaction.execute("DELETE FROM items WHERE kind = ?1 AND id = ?2", params![kind, id])?;
        }
        transaction.commit()?;
        (self.kept, self.written) = (kept, rows);
        Ok(())
    }
}

fn read(path: &Path) -> Result<(Connection, Kept), StoreError> {
    let sqlite = |error| StoreError::Sqlite { path: path.to_owned(), error };
    let connection = Connection::open(path).map_err(sqlite)?;
    let found = prepare(&connection).map_err(sqlite)?;
    if found > SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found });
    }
    let kept = load(&connection).map_err(sqlite)?;
    Ok((connection, kept))
}

/// Sets the file up and returns its schema.
fn prepare(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute(
        "CREATE TABLE IF NOT EXISTS items (kind TEXT, id TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
        [],
    )?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == 0 {
        connection.pragma_update(None, "user_version", SCHEMA)?;
    }
    Ok(found.max(SCHEMA))
}

fn load(connection: &Connection) -> rusqlite::Result<Kept> {
    let mut kept = Kept::default();
    let mut statement = connection.prepare("SELECT kind, id, body FROM items")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (kind, id, body): (String, String, String) = row?;
        let house = &mut kept.house;
        match kind.as_str() {
            "room" => drop(parsed(&id, &body).map(|room| house.rooms.insert(id, Arc::new(room)))),
            "group" => drop(parsed(&id, &body).map(|group| house.groups.insert(id, group))),
            "scene" => drop(parsed(&id, &body).map(|scene| house.scenes.insert(id, scene))),
            "disabled" => drop(house.disabled.insert(id)),
            "door" => kept.secrets = parsed(&id, &body).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(kept)
}

/// A damaged row costs itself, not the house.
fn parsed<T: DeserializeOwned>(id: &str, body: &str) -> Option<T> {
    serde_json::from_str(body).inspect_err(|error| tracing::warn!(id, %error, "a kept row can't be read")).ok()
}

/// The rows of `kept`; a room that it shares with `before` has the row that it had in `rows_before`.
fn rows(kept: &Kept, before: &Kept, rows_before: &Rows) -> Rows {
    fn body<T: Serialize>(value: &T) -> Arc<str> {
        serde_json::to_string(value).unwrap_or_default().into()
    }
    let Kept { house, secrets } = kept;
    let rooms = house.rooms.iter().map(|(id, room)| {
        let is_same = before.house.rooms.get(id).is_some_and(|was| Arc::ptr_eq(was, room));
        let key = ("room", id.clone());
        let known = if is_same { rows_before.get(&key).cloned() } else { None };
        (key, known.unwrap_or_else(|| body(&**room)))
    });
    let groups = house.groups.iter().map(|(id, group)| (("group", id.clone()), body(group)));
    let scenes = house.scenes.iter().map(|(id, scene)| (("scene", id.clone()), body(scene)));
    let disabled = house.disabled.iter().map(|id| (("disabled", id.clone()), Arc::from("{}")));
    let door = [(("door", "secrets".to_owned()), body(secrets))];
    rooms.chain(groups).chain(scenes).chain(disabled).chain(door).collect()
}

fn is_no_database(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

#[cfg(test)]
mod tests;
