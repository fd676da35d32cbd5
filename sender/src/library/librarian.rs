//! The thread that keeps the index as the folders are.
//!
//! It reads everything when it starts, and then what has changed: as soon as nothing more happens for a moment, so that
//! an album that is being copied is read once. Folders that the system does not watch (network file systems, too many
//! of them) are looked at from time to time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use serde::Serialize;
use unisono_common::time::LocalTime;
use unisono_host::clock;
use unisono_host::realtime::step_back;
use utoipa::ToSchema;

use super::changes::{self, Changes, Places, Watches};
use super::index::view::Totals;
use super::index::{is_damage, query, write};
use super::names::Key;
use super::scan::{ScanError, Target, scan};
use super::{Library, LibraryError, loudness};

/// Between two looks at what has happened.
const TICK: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 250 });
/// A folder is read when nothing has happened for so long, or when so long has passed since it changed first.
const QUIET_NS: i64 = if cfg!(test) { 50_000_000 } else { 1_000_000_000 };
const LONGEST_WAIT_NS: i64 = 10_000_000_000;
/// Between two looks at folders that are not watched.
const LOOK_AGAIN_NS: i64 = 15 * 60 * 1_000_000_000;
/// After a scan that failed, until everything is looked at again: the disk of the index was full, or held by others.
const TRY_AGAIN_NS: i64 = if cfg!(test) { 50_000_000 } else { 60_000_000_000 };
/// Between two looks whether another disk, or none, is where a library was.
const LOOK_FOR_DISKS_NS: i64 = if cfg!(test) { 50_000_000 } else { 2_000_000_000 };
/// While a library is read for the first time, streams hear of what there is so often.
const LISTING_NS: i64 = 1_000_000_000;

/// What the librarian does, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct LibraryState {
    /// How much there is.
    #[serde(flatten)]
    pub totals: Totals,
    /// The folders that make up the library.
    pub roots: Vec<String>,
    /// The reading of the folders, the running one or the last.
    pub scan: Scan,
    /// Pieces whose loudness is still to be measured; only streams with `replay_gain` need it.
    pub to_measure: u32,
}

/// How a scan goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Scan {
    /// Whether one runs.
    pub running: bool,
    /// Music files seen.
    pub seen: u32,
    /// Of those, new or changed ones.
    pub changed: u32,
    /// Of those, read.
    pub read: u32,
    /// Of those, without anything that can be read.
    pub unreadable: u32,
    /// Files forgotten because they are gone.
    pub gone: u32,
    /// How long it took, or takes.
    pub seconds: f64,
    /// Why the last one did not come to its end.
    pub trouble: Option<String>,
}

/// What the librarian and everybody else tell each other.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Folders that make up the library; none is inside another.
    roots: BTreeSet<PathBuf>,
    /// Roots that are to be read from end to end.
    wanted: BTreeSet<PathBuf>,
    /// Everything below each root that is played, for the streams.
    listings: BTreeMap<PathBuf, Listing>,
    scan: Scan,
    began: Option<LocalTime>,
}

/// Everything below a root, in the order in which it is played through.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) keys: Arc<Vec<Key>>,
    /// Whether it has been read from end to end; otherwise more comes.
    pub(super) complete: bool,
    /// Another one is another list.
    pub(super) revision: u64,
}

/// The running threads. Dropping it ends them.
#[derive(Debug)]
pub struct Librarian {
    library: Library,
    threads: Vec<JoinHandle<()>>,
}

impl Library {
    /// Starts to keep the index as the folders are. Once.
    pub fn start(&self) -> io::Result<Librarian> {
        let mut threads = Vec::new();
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(db) = writer {
            let library = self.clone();
            let keeper = Keeper {
                library,
                db,
                changes: None,
                places: Places::default(),
                compared: clock::now(),
                dirty: BTreeMap::new(),
                looked: None,
                unwatched: true,
                failed: false,
            };
            threads.push(thread::Builder::new().name("librarian".to_owned()).spawn(move || keeper.run())?);
            let library = self.clone();
            threads.push(thread::Builder::new().name("loudness".to_owned()).spawn(move || loudness::run(&library))?);
        }
        Ok(Librarian { library: self.clone(), threads })
    }

    /// Makes a folder part of the library.
    pub fn add_root(&self, root: &Path) {
        let root = absolute(root);
        let mut board = self.board();
        if board.roots.iter().any(|known| root.starts_with(known)) {
            return;
        }
        board.roots.retain(|known| !known.starts_with(&root));
        board.roots.insert(root.clone());
        board.wanted.insert(root);
        drop(board);
        self.0.asked.notify_all();
    }

    /// Reads all folders again, for changes that went unseen.
    pub fn rescan(&self) -> Result<(), LibraryError> {
        if self.0.index.is_none() {
            return Err(LibraryError::NoIndex);
        }
        let mut board = self.board();
        board.wanted = board.roots.clone();
        drop(board);
        self.0.asked.notify_all();
        Ok(())
    }

    /// How things are.
    pub fn state(&self) -> Result<LibraryState, LibraryError> {
        let totals = self.ask(query::totals)?;
        let to_measure = if self.measures() { self.ask(query::to_measure)? } else { 0 };
        let board = self.board();
        let roots = board.roots.iter().map(|root| root.display().to_string()).collect();
        let mut scan = board.scan.clone();
        if let Some(began) = board.began {
            self.count_into(&mut scan, began);
        }
        Ok(LibraryState { totals, roots, scan, to_measure })
    }

    fn count_into(&self, scan: &mut Scan, began: LocalTime) {
        let progress = &self.0.progress;
        scan.seen = progress.seen.load(Relaxed);
        scan.changed = progress.changed.load(Relaxed);
        scan.read = progress.read.load(Relaxed);
        scan.unreadable = progress.unreadable.load(Relaxed);
        scan.gone = progress.gone.load(Relaxed);
        scan.seconds = ((clock::now() - began) as f64 / 1e7).round() / 1e2;
    }

    /// Everything below `root`, as far as it is known; `None` without an index.
    pub(super) fn listing(&self, root: &Path) -> Option<Listing> {
        self.0.index.as_ref()?;
        let root = absolute(root);
        let mut board = self.board();
        Some(board.listings.entry(root).or_default().clone())
    }

    /// Whether somebody waits for measured loudness.
    pub(super) fn measures(&self) -> bool {
        self.desks().any(|desk| desk.normalises())
    }

    /// Sleeps until something is asked for, at most for `time`.
    pub(super) fn rest(&self, time: Duration) {
        let board = self.board();
        if !self.stopping() && board.wanted.is_empty() {
            drop(self.0.asked.wait_timeout(board, time));
        }
    }

    /// Whether folders are being read.
    pub(super) fn scanning(&self) -> bool {
        self.board().scan.running
    }
}

impl Drop for Librarian {
    fn drop(&mut self) {
        self.library.0.progress.stop.store(true, Relaxed);
        self.library.0.asked.notify_all();
        for thread in self.threads.drain(..) {
            // It can only have failed by a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

/// What the librarian's thread has.
struct Keeper {
    library: Library,
    db: Connection,
    changes: Option<Changes>,
    /// Where the roots were when they were read last, and when that was compared last.
    places: Places,
    compared: LocalTime,
    /// Folders that changed: when first and when last.
    dirty: BTreeMap<PathBuf, (LocalTime, LocalTime)>,
    /// When everything was looked at last.
    looked: Option<LocalTime>,
    /// There are folders that change without a word.
    unwatched: bool,
    /// What has changed is not all in the index: a scan did not come to its end.
    failed: bool,
}

impl Keeper {
    fn run(mut self) {
        step_back();
        let changes = Changes::new();
        self.changes =
            changes.inspect_err(|error| tracing::warn!(%error, "folders are not watched, only read again")).ok();
        let roots: Vec<PathBuf> = self.library.board().roots.iter().cloned().collect();
        if let Err(error) = write::keep_roots(&self.db, &roots) {
            self.repair(&error);
        }
        // Streams go on with what was there before, while it is looked at again.
        list(&self.library);
        while !self.library.stopping() {
            let now = clock::now();
            self.notice(now);
            let targets = self.due(now);
            if !targets.is_empty() {
                self.scan(targets);
            }
            if self.library.0.index.as_ref().is_some_and(super::Index::take_damage) {
                self.renew("a reader found it damaged");
            }
            list(&self.library);
            self.library.rest(TICK);
        }
    }

    /// Takes note of what has changed.
    fn notice(&mut self, now: LocalTime) {
        let news = self.changes.as_mut().map(Changes::take).unwrap_or_default();
        for folder in news.folders {
            self.dirty.entry(folder).or_insert((now, now)).1 = now;
        }
        let since = |ns: i64| self.looked.is_some_and(|looked| now - looked > ns);
        if news.overflow || (self.unwatched && since(LOOK_AGAIN_NS)) || (self.failed && since(TRY_AGAIN_NS)) {
            let mut board = self.library.board();
            board.wanted = board.roots.clone();
        }
        if now - self.compared > LOOK_FOR_DISKS_NS {
            self.compared = now;
            let changed = self.places.changed();
            let mut board = self.library.board();
            let roots = changed.into_iter().filter(|root| board.roots.contains(root)).collect::<Vec<_>>();
            board.wanted.extend(roots);
        }
    }

    fn watches(&self) -> Option<Watches> {
        self.changes.as_ref().map(Changes::watches)
    }

    /// What is to be read now.
    fn due(&mut self, now: LocalTime) -> Vec<Target> {
        let mut board = self.library.board();
        let wanted = std::mem::take(&mut board.wanted);
        if !wanted.is_empty() {
            self.looked = Some(now);
            self.dirty.retain(|folder, _| !wanted.iter().any(|root| folder.starts_with(root)));
            let target = |root: PathBuf| Target { folder: root.clone(), root, whole: true };
            return wanted.into_iter().map(target).collect();
        }
        let quiet = |&(first, last): &(LocalTime, LocalTime)| now - last > QUIET_NS || now - first > LONGEST_WAIT_NS;
        let mut due = Vec::new();
        self.dirty.retain(|folder, times| {
            if quiet(times) {
                due.push(folder.clone());
            }
            !quiet(times)
        });
        let roots = &board.roots;
        let target = |folder: PathBuf| {
            let root = roots.iter().find(|root| folder.starts_with(root))?.clone();
            Some(Target { folder, root, whole: false })
        };
        due.into_iter().filter_map(target).collect()
    }

    fn scan(&mut self, targets: Vec<Target>) {
        let library = self.library.clone();
        let Some(index) = &library.0.index else { return };
        targets.iter().filter(|target| target.whole).for_each(|target| self.places.note(&target.root));
        let progress = &library.0.progress;
        for counter in [&progress.seen, &progress.read, &progress.changed, &progress.unreadable, &progress.gone] {
            counter.store(0, Relaxed);
        }
        let whole = targets.iter().any(|target| target.whole);
        let began = clock::now();
        {
            let mut board = library.board();
            (board.began, board.scan) = (Some(began), Scan { running: true, ..Scan::default() });
        }
        let watches = self.watches();
        let result = thread::scope(|scope| {
            let listing = scope.spawn(|| list_meanwhile(&library));
            let result = scan(targets, index, &mut self.db, watches, progress);
            library.board().scan.running = false;
            // It only ever fails by a panic, and lists nothing then.
            let _ = listing.join();
            result
        });
        let mut board = library.board();
        let watched = self.watches().is_some_and(|watches| watches.is_complete());
        self.unwatched = !watched || board.roots.iter().any(|root| changes::is_on_a_network(root));
        self.failed = result.is_err() || (self.failed && !whole);
        board.began = None;
        let mut scan = board.scan.clone();
        library.count_into(&mut scan, began);
        scan.trouble = result.as_ref().err().map(ToString::to_string);
        board.scan = scan.clone();
        drop(board);
        match result {
            Ok(()) if whole => tracing::info!(
                files = scan.seen,
                changed = scan.changed,
                unreadable = scan.unreadable,
                gone = scan.gone,
                seconds = scan.seconds,
                "library read"
            ),
            Ok(()) | Err(ScanError::Stopped) => {}
            Err(ScanError::Index(error)) => self.repair(&error),
            Err(error) => tracing::error!(%error, "the library was not read to its end"),
        }
    }

    /// A damaged index is made anew; any other trouble is told.
    fn repair(&mut self, error: &rusqlite::Error) {
        if is_damage(error) {
            self.renew(&error.to_string());
        } else {
            tracing::error!(%error, "the library's index");
        }
    }

    fn renew(&mut self, why: &str) {
        tracing::error!(why, "the library's index is damaged and is made anew");
        let Some(index) = &self.library.0.index else { return };
        match index.renew() {
            Ok(db) => self.db = db,
            Err(error) => return tracing::error!(%error, "no index of the library"),
        }
        let mut board = self.library.board();
        board.wanted = board.roots.clone();
    }
}

/// Lists what there is while a scan runs, so that streams need not wait for its end.
fn list_meanwhile(library: &Library) {
    step_back();
    let mut listed = clock::now() + -LISTING_NS / 2;
    let mut pause = LISTING_NS;
    while library.scanning() && !library.stopping() {
        thread::sleep(Duration::from_millis(50));
        let now = clock::now();
        if now - listed > pause {
            list(library);
            // A library that takes long to read is listed less often: to list it takes longer too.
            (listed, pause) = (clock::now(), pause + LISTING_NS);
        }
    }
}

/// Lists what streams play, where that has changed.
fn list(library: &Library) {
    let revision = library.0.progress.revision.load(Relaxed) + 1;
    let stale: Vec<PathBuf> = {
        let board = library.board();
        let stale = board.listings.iter().filter(|(_, listing)| listing.revision != revision);
        stale.map(|(root, _)| root.clone()).collect()
    };
    for root in stale {
        let outer = library.board().roots.iter().find(|outer| root.starts_with(outer)).cloned();
        let listed = library.ask(|db| {
            let complete = outer.as_ref().map_or(Ok(false), |outer| query::is_scanned(db, outer))?;
            Ok((query::keys_below(db, &root)?, complete))
        });
        let Ok((keys, complete)) = listed else { continue };
        library.board().listings.insert(root, Listing { keys: Arc::new(keys), complete, revision });
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests;
