//! Announcements: who hears them, one after the other.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use unisono_host::random;

use super::Hub;
use crate::house::Refusal;
use crate::paging::{LEAD, Page, PageError, PageRequest};

/// So many may wait for their turn.
const MOST_WAITING: usize = 8;
/// Between looks whether one is over.
const LOOK: Duration = Duration::from_millis(50);
/// Rooms have left it after this.
const LEAVE: Duration = Duration::from_secs(1);

/// One announcement at a time.
#[derive(Debug)]
pub(super) struct Pager {
    /// Where the files are.
    folder: PathBuf,
    turn: Mutex<()>,
    waiting: AtomicUsize,
}

impl Pager {
    /// Its files are in this folder, which is its own: what an earlier run has left there goes.
    pub(super) fn new(folder: PathBuf) -> Self {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(folder = %folder.display(), %error, "old announcements can't be removed");
            }
            _ => {}
        }
        Pager { folder, turn: Mutex::default(), waiting: AtomicUsize::new(0) }
    }
}

/// A file to be announced; it is removed when it has been.
#[derive(Debug)]
pub struct Announcement {
    /// The file.
    pub file: PathBuf,
    /// Ids of the rooms; none means all.
    pub rooms: Vec<String>,
    /// Level of what they play meanwhile, in dB.
    pub duck_db: f64,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.file);
    }
}

impl Hub {
    /// A sound file to be announced, in a file that nobody else reads.
    pub fn keep_announcement(&self, sound: &[u8], rooms: Vec<String>, duck_db: f64) -> io::Result<Announcement> {
        let folder = &self.0.pager.folder;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let announcement = Announcement { file: folder.join(format!("{:016x}", random::number())), rooms, duck_db };
        File::options().write(true).create_new(true).mode(0o600).open(&announcement.file)?.write_all(sound)?;
        Ok(announcement)
    }

    /// Plays a file in rooms, over their music; returns the ids of those that will hear it. Others wait their turn.
    pub fn announce(&self, mut announcement: Announcement) -> Result<Vec<String>, Refusal> {
        let rooms = {
            let state = self.state();
            for id in &announcement.rooms {
                state.kept.house.let_in(id)?;
            }
            let here = state.present.iter().filter(|(_, there)| there.inside).map(|(id, _)| id.clone());
            let wanted = |id: &String| announcement.rooms.is_empty() || announcement.rooms.contains(id);
            here.filter(wanted).collect::<Vec<_>>()
        };
        announcement.rooms.clone_from(&rooms);
        if self.0.pager.waiting.fetch_add(1, Ordering::AcqRel) >= MOST_WAITING {
            self.0.pager.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(Refusal::Full("announcements"));
        }
        let hub = self.clone();
        let make = move || {
            let pager = &hub.0.pager;
            let turn = pager.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if !announcement.rooms.is_empty()
                && let Err(error) = hub.page(&announcement)
            {
                tracing::warn!("an announcement cannot be made: {error}");
            }
            drop(turn);
            pager.waiting.fetch_sub(1, Ordering::AcqRel);
        };
        if let Err(error) = thread::Builder::new().name("page".to_owned()).spawn(make) {
            self.0.pager.waiting.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!("an announcement cannot be made: {error}");
        }
        Ok(rooms)
    }

    /// From the first room that tunes in to the last that has left.
    fn page(&self, announcement: &Announcement) -> Result<(), PageError> {
        let playing: Vec<(String, Option<String>)> = {
            let state = self.state();
            let house = &state.kept.house;
            let playing = |id: &String| {
                let stream = house.rooms.get(id)?.choice(|id| state.idle.contains(id))?;
                Some(stream.clone()).filter(|id| !house.disabled.contains(id))
            };
            announcement.rooms.iter().map(|id| (id.clone(), playing(id))).collect()
        };
        let mut over: Vec<Option<String>> = playing.iter().map(|(_, stream)| stream.clone()).collect();
        over.sort();
        over.dedup();
        let request = PageRequest { file: announcement.file.clone(), over, duck_db: announcement.duck_db };
        let page = self.0.catalogue.begin_page(&request)?;
        tracing::info!(rooms = playing.len(), "announcement in {} ms", LEAD.as_millis());
        self.divert(&playing, Some(&page));
        while !self.0.catalogue.is_page_over(&page) {
            thread::sleep(LOOK);
        }
        self.divert(&playing, None);
        thread::sleep(LEAVE);
        self.0.catalogue.end_page(page);
        tracing::info!("announcement over");
        Ok(())
    }

    /// Sends rooms to an announcement, or back to what they are patched to.
    fn divert(&self, playing: &[(String, Option<String>)], page: Option<&Page>) {
        let mut state = self.state();
        for (room, stream) in playing {
            let instead = page.and_then(|page| page.instead.iter().find(|(over, _)| over == stream));
            match instead {
                Some((_, announced)) => drop(state.paged.insert(room.clone(), announced.clone())),
                None => drop(state.paged.remove(room)),
            }
        }
        state.give_orders();
        self.tell_house(&state);
    }
}
