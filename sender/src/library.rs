//! The music on disk: an index of what there is, and what of it a stream plays.
//!
//! - [`walk`], [`tags`], [`playlist`] (P), [`gain`] (P), [`names`] (P): what files and folders say;
//! - [`index`]: all of it in SQLite, made again whenever need be; [`scan`] fills it, [`changes`] says when, and
//!   [`librarian`] is the thread that does both, [`loudness`] the one that measures;
//! - [`rounds`] (P), [`station`] (P): what comes next; [`keep`] keeps it; [`desk`] is where it is asked and changed;
//! - [`player`]: plays it; [`artwork`]: the covers, [`thumbnail`] (P): small ones.
//!
//! Nothing here is in the way of sound: a player needs its own files, and everything else only to be told where they
//! are. Without an index it walks its folder itself.

mod artwork;
mod changes;
mod desk;
mod fade;
pub mod gain;
mod index;
mod keep;
mod librarian;
mod loudness;
mod names;
mod player;
mod playlist;
mod rounds;
mod scan;
mod station;
mod tags;
mod thumbnail;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

pub use artwork::Cover;
use artwork::Thumbnails;
use desk::Desk;
pub use desk::{Added, OnDisk, Parts, QueueState, QueuedTrack, When};
use index::Index;
pub use index::query::Page;
pub use index::view::{
    AlbumDetail, AlbumView, ArtistDetail, ArtistView, FolderDetail, FolderView, PlaylistDetail, PlaylistView, Totals,
    TrackView,
};
use index::{query, query::Part};
use keep::Keeper;
pub use librarian::{Librarian, LibraryState, Scan};
pub use names::Key;
pub(crate) use player::{Plan, Player};
use scan::Progress;
pub use station::{LONGEST_CROSSFADE_S, MOST_QUEUED, Manner, MannerChange};

/// Why the library doesn't answer.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The index could not be opened.
    #[error("there is no index of the library; the log says why")]
    NoIndex,
    /// The index does not answer.
    #[error("the library's index: {0}")]
    Index(#[from] rusqlite::Error),
    /// Nothing has this id.
    #[error("there is no {kind} \"{id}\" in the library")]
    Missing {
        /// What it would be.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The stream plays something else.
    #[error("stream \"{0}\" plays no library, so it has no queue")]
    NoQueue(String),
    /// The entry has left the queue.
    #[error("entry \"{0}\" is not in the queue")]
    NoEntry(String),
    /// A queue has an end.
    #[error("the queue is full: it holds {MOST_QUEUED} entries")]
    Full,
}

/// The library and its streams' queues; clones are the same one.
#[derive(Clone, Debug)]
pub struct Library(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Where it is on the disk, if it is.
    index: Option<Index>,
    /// The writing end, until the librarian takes it.
    writer: Mutex<Option<Connection>>,
    keeper: Keeper,
    progress: Progress,
    /// What the librarian knows and is asked for.
    board: Mutex<librarian::Board>,
    asked: Condvar,
    desks: Mutex<BTreeMap<String, Arc<Desk>>>,
    thumbnails: Thumbnails,
}

impl Library {
    /// The library below `roots`, its index and its queues in `state_dir`. What cannot be opened is done without, and
    /// the log says so.
    pub fn open(state_dir: &Path, roots: &[PathBuf]) -> Self {
        let index = Index::open(&state_dir.join("library.db"));
        let index = index.inspect_err(|error| tracing::error!(%error, "no index of the library")).ok();
        let keeper = Keeper::open(&state_dir.join("queue.db"));
        let keeper = keeper.inspect_err(|error| tracing::error!(%error, "queues are not kept")).ok();
        let (index, writer) = index.unzip();
        Self::new(index, writer, keeper.unwrap_or_else(Keeper::forgetful), roots)
    }

    /// Without an index, and with queues that are not kept.
    pub fn detached() -> Self {
        Self::new(None, None, Keeper::forgetful(), &[])
    }

    fn new(index: Option<Index>, writer: Option<Connection>, keeper: Keeper, roots: &[PathBuf]) -> Self {
        let library = Library(Arc::new(Inner {
            index,
            writer: Mutex::new(writer),
            keeper,
            progress: Progress::default(),
            board: Mutex::default(),
            asked: Condvar::new(),
            desks: Mutex::default(),
            thumbnails: Thumbnails::default(),
        }));
        roots.iter().for_each(|root| library.add_root(root));
        library
    }

    /// Finds pieces: each word is the beginning of one in title, artist or album; accents and case don't count.
    pub fn search(&self, text: &str, page: Page) -> Result<Vec<TrackView>, LibraryError> {
        self.ask(|db| query::search(db, text, page))
    }

    /// Albums in alphabetical order, or those that fit some words, or those of one artist.
    pub fn albums(&self, text: &str, artist: Option<&str>, page: Page) -> Result<Vec<AlbumView>, LibraryError> {
        let artist = artist.map(|id| key("artist", id)).transpose()?;
        self.ask(|db| query::albums(db, text, artist, page))
    }

    /// Artists in alphabetical order, or those that fit some words.
    pub fn artists(&self, text: &str, page: Page) -> Result<Vec<ArtistView>, LibraryError> {
        self.ask(|db| query::artists(db, text, page))
    }

    /// Playlists in alphabetical order; those with the text in their title.
    pub fn playlists(&self, text: &str, page: Page) -> Result<Vec<PlaylistView>, LibraryError> {
        self.ask(|db| query::playlists(db, text, page))
    }

    /// The folders of the libraries themselves.
    pub fn folders(&self) -> Result<Vec<FolderView>, LibraryError> {
        self.ask(query::root_folders)
    }

    /// One piece.
    pub fn track(&self, id: &str) -> Result<TrackView, LibraryError> {
        self.one("track", id, query::one_track)
    }

    /// One album and its pieces.
    pub fn album(&self, id: &str) -> Result<AlbumDetail, LibraryError> {
        self.one("album", id, query::one_album)
    }

    /// One artist, their albums and pieces.
    pub fn artist(&self, id: &str) -> Result<ArtistDetail, LibraryError> {
        self.one("artist", id, query::one_artist)
    }

    /// One folder and what is in it.
    pub fn folder(&self, id: &str) -> Result<FolderDetail, LibraryError> {
        self.one("folder", id, query::one_folder)
    }

    /// One playlist and its pieces.
    pub fn playlist(&self, id: &str) -> Result<PlaylistDetail, LibraryError> {
        let (playlist, places) = self.playlist_places(id)?;
        let mut detail = PlaylistDetail { playlist, ..PlaylistDetail::default() };
        for place in places {
            let found = match place {
                playlist::Place::File(path) => self.ask(|db| query::one_track(db, Key::of_path(&path)))?,
                playlist::Place::Elsewhere(_) => None,
            };
            detail.missing += u32::from(found.is_none());
            detail.list.extend(found);
        }
        Ok(detail)
    }

    fn playlist_places(&self, id: &str) -> Result<(PlaylistView, Vec<playlist::Place>), LibraryError> {
        let (view, path) = self.one("playlist", id, query::one_playlist)?;
        Ok((view, read_playlist(&path)))
    }

    /// The files of parts of the library, in order, at most `most`.
    fn files(&self, parts: &Parts, most: usize) -> Result<Vec<PathBuf>, LibraryError> {
        let mut files = Vec::new();
        let tracks = parts.tracks.iter().map(|id| key("track", id).map(Part::Track));
        let albums = parts.albums.iter().map(|id| key("album", id).map(Part::Album));
        let artists = parts.artists.iter().map(|id| key("artist", id).map(Part::Artist));
        let folders = parts.folders.iter().map(|id| key("folder", id).map(Part::Folder));
        for part in tracks.chain(albums).chain(artists).chain(folders) {
            let part = part?;
            let found = self.ask(|db| query::files(db, part, most.saturating_sub(files.len())))?;
            if let (Part::Track(key), true) = (part, found.is_empty()) {
                return Err(LibraryError::Missing { kind: "track", id: key.to_string() });
            }
            files.extend(found);
        }
        for id in &parts.playlists {
            let (_, places) = self.playlist_places(id)?;
            for place in places {
                // A playlist leads to what is in the library, and to no other file of this host.
                if let playlist::Place::File(path) = place
                    && files.len() < most
                    && self.ask(|db| query::path_of(db, Key::of_path(&path)))?.is_some()
                {
                    files.push(path);
                }
            }
        }
        Ok(files)
    }

    /// What was measured of a file's loudness.
    fn measured(&self, path: &Path) -> gain::Gains {
        self.ask(|db| query::measured(db, Key::of_path(path))).unwrap_or_default()
    }

    fn ask<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, LibraryError> {
        Ok(self.0.index.as_ref().ok_or(LibraryError::NoIndex)?.read(ask)?)
    }

    fn one<T>(
        &self,
        kind: &'static str,
        id: &str,
        ask: fn(&Connection, Key) -> rusqlite::Result<Option<T>>,
    ) -> Result<T, LibraryError> {
        let key = key(kind, id)?;
        self.ask(|db| ask(db, key))?.ok_or_else(|| LibraryError::Missing { kind, id: id.chars().take(40).collect() })
    }

    fn board(&self) -> MutexGuard<'_, librarian::Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        self.0.progress.stop.load(Relaxed)
    }
}

/// The entries of a playlist, none if it can't be read.
fn read_playlist(path: &Path) -> Vec<playlist::Place> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(playlist::MOST_BYTES).read_to_end(&mut bytes));
    read.map(|_| playlist::entries(path, &bytes)).unwrap_or_default()
}

fn key(kind: &'static str, id: &str) -> Result<Key, LibraryError> {
    id.parse().map_err(|()| LibraryError::Missing { kind, id: id.chars().take(40).collect() })
}
