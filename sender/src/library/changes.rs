//! Folders that change while nobody scans: inotify, one watch a folder. A disk that is mounted over a folder, or
//! unmounted, is no change that inotify tells: for that, [`Places`] are compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};

/// What makes a folder worth another look. A file that is being written is read when it is closed.
const CHANGES: WatchMask = WatchMask::CLOSE_WRITE
    .union(WatchMask::CREATE)
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);

/// The watched folders, and what happens in them.
pub(super) struct Changes {
    inotify: Inotify,
    watches: Watches,
    buffer: Vec<u8>,
}

/// Adds folders to be watched; clones add to the same ones.
#[derive(Clone)]
pub(super) struct Watches {
    add: inotify::Watches,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    folders: HashMap<WatchDescriptor, PathBuf>,
    /// Folders that the kernel would not watch.
    refused: usize,
}

/// What has happened since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Folders that are to be read again.
    pub(super) folders: BTreeSet<PathBuf>,
    /// More happened than the kernel could tell: everything is to be looked at.
    pub(super) overflow: bool,
}

impl Changes {
    /// Watches nothing yet.
    pub(super) fn new() -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let watches = Watches { add: inotify.watches(), known: Arc::default() };
        Ok(Changes { inotify, watches, buffer: vec![0; 16 * 1024] })
    }

    /// Where folders are added.
    pub(super) fn watches(&self) -> Watches {
        self.watches.clone()
    }

    /// What has happened since this was asked last; does not wait.
    pub(super) fn take(&mut self) -> News {
        let mut news = News::default();
        loop {
            match self.inotify.read_events(&mut self.buffer) {
                Ok(events) => {
                    let mut known = self.watches.known();
                    for event in events {
                        news.overflow |= event.mask.contains(EventMask::Q_OVERFLOW);
                        if event.mask.contains(EventMask::IGNORED) {
                            known.folders.remove(&event.wd);
                            continue;
                        }
                        let Some(folder) = known.folders.get(&event.wd) else { continue };
                        news.folders.insert(folder.clone());
                    }
                }
                Err(error) => {
                    news.overflow |= error.kind() != io::ErrorKind::WouldBlock;
                    return news;
                }
            }
        }
    }
}

impl Watches {
    /// Watches a folder, if the kernel lets us.
    pub(super) fn add(&mut self, folder: &Path) {
        match self.add.add(folder, CHANGES) {
            Ok(watch) => {
                self.known().folders.insert(watch, folder.to_owned());
            }
            // Gone, or not a folder any more.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => {
                let mut known = self.known();
                known.refused += 1;
                if known.refused == 1 {
                    tracing::warn!(
                        %error,
                        "the system watches no more folders (fs.inotify.max_user_watches); the rest is looked at from time to time"
                    );
                }
            }
        }
    }

    /// Whether every folder that was added is watched.
    pub(super) fn is_complete(&self) -> bool {
        self.known().refused == 0
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is at the paths of folders: device and inode, none where nothing is.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<PathBuf, Option<(u64, u64)>>);

impl Places {
    /// A folder is about to be read, as it is now. Waits for its disk.
    pub(super) fn note(&mut self, folder: &Path) {
        self.0.insert(folder.to_owned(), place(folder));
    }

    /// The folders at whose paths something else is than when they were noted. Waits for their disks.
    pub(super) fn changed(&self) -> Vec<PathBuf> {
        let changed = self.0.iter().filter(|(folder, noted)| place(folder) != **noted);
        changed.map(|(folder, _)| folder.clone()).collect()
    }
}

fn place(folder: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(folder).map(|metadata| (metadata.dev(), metadata.ino())).ok()
}

/// Whether a path is on a file system that others change without this one hearing of it.
pub(super) fn is_on_a_network(path: &Path) -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| is_network(&mounts, path))
}

/// Looks the path's file system up in the kernel's list (proc(5), mountinfo).
fn is_network(mounts: &str, path: &Path) -> bool {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?.replace("\\040", " ");
        let kind = after.split(' ').next()?.to_owned();
        path.starts_with(&point).then_some((point.len(), kind))
    };
    // The later of two mounts at one place is the one that is seen.
    let kind = mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map(|(_, kind)| kind);
    kind.is_some_and(|kind| {
        ["nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "glusterfs"].contains(&kind.as_str())
            || kind.starts_with("fuse.")
    })
}

#[cfg(test)]
mod tests;
