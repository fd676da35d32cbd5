//! Reads folders into the index.
//!
//! One thread walks and compares what it sees with what the index knows, several read the tags of what is new, and the
//! caller's writes. Only the queues between them hold anything, so a library of any size takes the same memory. All of
//! it runs at the lowest priority, for the processor and for the disk: what plays comes first.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use unisono_host::clock;
use unisono_host::realtime::step_back;

use super::changes::Watches;
use super::index::Index;
use super::index::write::{self, Seen, SeenFolder, Table};
use super::names::Key;
use super::playlist;
use super::tags::{self, Tags};
use super::walk::{DEEPEST, is_music};

/// Files that wait between two threads.
const QUEUE: usize = 256;
/// What is written together, in files and in time.
const BATCH: usize = 1_000;
const BATCH_NS: i64 = 400_000_000;
/// Readers beyond this gain nothing: the disk is the bottleneck.
const MOST_READERS: usize = 8;
/// Names under which folders keep their picture, the best first.
const COVERS: [&str; 5] = ["cover", "folder", "front", "album", "albumart"];
const PICTURES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// What a scan counts while it runs.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Music files seen.
    pub(super) seen: AtomicU32,
    /// Of them, new or changed, and read.
    pub(super) read: AtomicU32,
    /// Of them, new or changed, read or not.
    pub(super) changed: AtomicU32,
    /// Of those that were read, without anything that can be read.
    pub(super) unreadable: AtomicU32,
    /// Files forgotten.
    pub(super) gone: AtomicU32,
    /// The scan is to end.
    pub(super) stop: AtomicBool,
    /// Rises with every batch that changed the index.
    pub(super) revision: AtomicU64,
}

/// What is to be read.
#[derive(Debug)]
pub(super) struct Target {
    /// The root that it is in.
    pub(super) root: PathBuf,
    /// The root itself, or a folder below it.
    pub(super) folder: PathBuf,
    /// Every folder below it; otherwise only those that are new.
    pub(super) whole: bool,
}

/// Why a scan did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    /// The index does not take it.
    #[error("the index: {0}")]
    Index(#[from] rusqlite::Error),
    /// No threads.
    #[error("no thread: {0}")]
    Thread(#[from] io::Error),
    /// It was told to.
    #[error("stopped")]
    Stopped,
}

/// What the walker and the readers tell the writer.
enum News {
    Folder(SeenFolder),
    Track(Seen, Option<Box<Tags>>),
    Playlist(Seen),
    Gone(Table, i64),
    FolderGone(PathBuf),
    /// The target's root was walked to its end.
    Complete(PathBuf),
}

/// Reads the targets into the index, whose writing end `db` is.
pub(super) fn scan(
    targets: Vec<Target>,
    index: &Index,
    db: &mut Connection,
    watches: Option<Watches>,
    progress: &Progress,
) -> Result<(), ScanError> {
    let (jobs, work) = sync_channel::<Seen>(QUEUE);
    let (news, found) = sync_channel::<News>(QUEUE);
    let work = Arc::new(Mutex::new(work));
    let readers = thread::available_parallelism().map_or(1, usize::from).min(MOST_READERS);
    thread::scope(|scope| {
        for n in 0..readers {
            let (work, news) = (work.clone(), news.clone());
            thread::Builder::new().name(format!("tags-{n}")).spawn_scoped(scope, move || {
                step_back();
                read_tags(&work, &news, progress);
            })?;
        }
        let walker = Walker { index, jobs, news, watches, progress, visited: HashSet::new() };
        let walker = thread::Builder::new().name("walk".to_owned()).spawn_scoped(scope, move || {
            step_back();
            walker.walk(targets)
        })?;
        // The readers end when the walker has dropped its end.
        drop(work);
        let written = write_all(db, &found, progress);
        // Whoever still waits to tell something is to stop waiting: an index that takes nothing ends this scan.
        drop(found);
        let walked = walker.join().unwrap_or(Err(ScanError::Stopped));
        written.and(walked)
    })
}

fn read_tags(work: &Mutex<Receiver<Seen>>, news: &SyncSender<News>, progress: &Progress) {
    loop {
        let job = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(seen) = job else { return };
        let tags = tags::read(&seen.path);
        // Not there any more: it is nothing that can't be read. If its disk comes back it is read then.
        if tags.is_none() && fs::metadata(&seen.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            continue;
        }
        progress.read.fetch_add(1, Relaxed);
        progress.unreadable.fetch_add(u32::from(tags.is_none()), Relaxed);
        if news.send(News::Track(seen, tags.map(Box::new))).is_err() {
            return;
        }
    }
}

/// Writes what comes, in batches; between them readers see the index grow.
fn write_all(db: &mut Connection, found: &Receiver<News>, progress: &Progress) -> Result<(), ScanError> {
    let mut tidy = false;
    let mut complete = Vec::new();
    let mut open = true;
    while open {
        let Ok(first) = found.recv() else { break };
        // One that read first and wrote later would fail if loudness was noted in between.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut next, mut count, until) = (Some(first), 0, clock::now() + BATCH_NS);
        while let Some(news) = next.take() {
            count += 1;
            match news {
                News::Folder(folder) => write::folder(&transaction, &folder)?,
                News::Track(seen, tags) => write::track(&transaction, &seen, tags.as_deref())?,
                News::Playlist(seen) => write::playlist(&transaction, &seen)?,
                News::Gone(table, id) => {
                    tidy = true;
                    progress.gone.fetch_add(u32::from(table == Table::Tracks), Relaxed);
                    write::forget(&transaction, table, id)?;
                }
                News::FolderGone(path) => {
                    tidy = true;
                    write::forget_folder(&transaction, &path)?;
                }
                News::Complete(root) => complete.push(root),
            }
            let left = until - clock::now();
            if count < BATCH && left > 0 {
                match found.recv_timeout(Duration::from_nanos(left as u64)) {
                    Ok(news) => next = Some(news),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => open = false,
                }
            }
        }
        transaction.commit()?;
        progress.revision.fetch_add(1, Relaxed);
    }
    if progress.stop.load(Relaxed) {
        return Err(ScanError::Stopped);
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // A piece that changed its album leaves nothing behind either.
    if tidy || progress.read.load(Relaxed) > 0 {
        write::tidy(&transaction)?;
    }
    for root in complete {
        write::root_scanned(&transaction, &root)?;
    }
    transaction.commit()?;
    progress.revision.fetch_add(1, Relaxed);
    Ok(())
}

struct Walker<'a> {
    index: &'a Index,
    jobs: SyncSender<Seen>,
    news: SyncSender<News>,
    watches: Option<Watches>,
    progress: &'a Progress,
    visited: HashSet<(u64, u64)>,
}

/// Nobody listens any more, or the index can't be read.
type Walked = Result<(), ScanError>;

impl Walker<'_> {
    fn walk(mut self, targets: Vec<Target>) -> Walked {
        for target in targets {
            self.target(&target)?;
        }
        Ok(())
    }

    fn target(&mut self, target: &Target) -> Walked {
        let known = self.index.read(|db| write::known_folders(db, &target.folder))?;
        let mut known: HashMap<Key, PathBuf> = known.into_iter().map(|path| (Key::of_path(&path), path)).collect();
        let is_root = target.folder == target.root;
        match fs::metadata(&target.folder) {
            Ok(metadata) if metadata.is_dir() => {
                // An empty place where there was a library is a disk that is not mounted.
                let unmounted = is_root && !known.is_empty() && is_empty(&target.folder);
                if unmounted {
                    tracing::warn!(folder = %target.folder.display(), "the library's folder is empty; its index is kept");
                    return Ok(());
                }
                self.folder(target, &target.folder, &metadata, 0, &mut known)?;
            }
            _ if is_root => {
                tracing::warn!(folder = %target.folder.display(), "the library's folder is not there; its index is kept");
                return Ok(());
            }
            _ => {}
        }
        if target.whole || !target.folder.exists() {
            for (_, gone) in known {
                self.tell(News::FolderGone(gone))?;
            }
        }
        if is_root && target.whole {
            self.tell(News::Complete(target.root.clone()))?;
        }
        Ok(())
    }

    /// One folder, then those in it. What is met is taken out of `known`; what stays in it is gone.
    fn folder(
        &mut self,
        target: &Target,
        path: &Path,
        metadata: &Metadata,
        depth: usize,
        known: &mut HashMap<Key, PathBuf>,
    ) -> Walked {
        if self.progress.stop.load(Relaxed) {
            return Err(ScanError::Stopped);
        }
        if depth > DEEPEST || !self.visited.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        known.remove(&Key::of_path(path));
        // Watched before it is read: a change in between is seen twice, not never.
        if let Some(watches) = &mut self.watches {
            watches.add(path);
        }
        let Ok(entries) = read_folder(path) else {
            tracing::warn!(folder = %path.display(), "cannot be read; what was known of it is kept");
            known.retain(|_, below| !below.starts_with(path));
            return Ok(());
        };
        let below = path.strip_prefix(&target.root).unwrap_or(path).to_owned();
        let cover = best_cover(&entries.files);
        self.tell(News::Folder(SeenFolder { path: path.to_owned(), below, cover }))?;
        self.files(path, &entries.files)?;
        for (folder, metadata) in entries.folders {
            // In a single folder only those that the index doesn't know are gone into.
            if target.whole || !known.contains_key(&Key::of_path(&folder)) {
                self.folder(target, &folder, &metadata, depth + 1, known)?;
            } else {
                known.retain(|_, below| !below.starts_with(&folder));
            }
        }
        if !target.whole {
            // Folders that were in this one and are no more.
            let gone: Vec<_> = known.extract_if(|_, below| !below.exists()).map(|(_, gone)| gone).collect();
            for gone in gone {
                self.tell(News::FolderGone(gone))?;
            }
        }
        Ok(())
    }

    /// Sends what is new or changed on, and tells of what is gone.
    fn files(&mut self, folder: &Path, files: &[(OsString, Metadata)]) -> Walked {
        for table in [Table::Tracks, Table::Playlists] {
            let known = self.index.read(|db| write::known_files(db, folder, table))?;
            let mut known: HashMap<PathBuf, (i64, Seen)> =
                known.into_iter().map(|(id, seen)| (seen.path.clone(), (id, seen))).collect();
            for (name, metadata) in files {
                let path = folder.join(name);
                let wanted = match table {
                    Table::Tracks => is_music(&path),
                    Table::Playlists => playlist::is_playlist(&path),
                };
                if !wanted {
                    continue;
                }
                let modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
                let seen = Seen { path, size: metadata.size() as i64, modified_ns };
                let same = known.remove(&seen.path).is_some_and(|(_, known)| known == seen);
                self.progress.seen.fetch_add(u32::from(table == Table::Tracks), Relaxed);
                if same {
                    continue;
                }
                match table {
                    Table::Tracks => {
                        self.progress.changed.fetch_add(1, Relaxed);
                        self.jobs.send(seen).map_err(|_| ScanError::Stopped)?;
                    }
                    Table::Playlists => self.tell(News::Playlist(seen))?,
                }
            }
            for (id, _) in known.into_values() {
                self.tell(News::Gone(table, id))?;
            }
        }
        Ok(())
    }

    fn tell(&self, news: News) -> Walked {
        self.news.send(news).map_err(|_| ScanError::Stopped)
    }
}

struct Entries {
    files: Vec<(OsString, Metadata)>,
    folders: Vec<(PathBuf, Metadata)>,
}

fn read_folder(path: &Path) -> io::Result<Entries> {
    let mut entries = Entries { files: Vec::new(), folders: Vec::new() };
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let below = path.join(&name);
        // A link that leads nowhere is nothing.
        let Ok(metadata) = fs::metadata(&below) else { continue };
        if metadata.is_dir() {
            entries.folders.push((below, metadata));
        } else if metadata.is_file() {
            entries.files.push((name, metadata));
        }
    }
    entries.folders.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// The picture that a folder shows for its music.
fn best_cover(files: &[(OsString, Metadata)]) -> Option<OsString> {
    let rank = |name: &OsStr| {
        let path = Path::new(name);
        let stem = path.file_stem()?.to_str()?.to_lowercase();
        let extension = path.extension()?.to_str()?.to_lowercase();
        let picture = PICTURES.iter().position(|known| *known == extension)?;
        Some((COVERS.iter().position(|known| *known == stem)?, picture))
    };
    files.iter().filter_map(|(name, _)| Some((rank(name)?, name))).min().map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests;
