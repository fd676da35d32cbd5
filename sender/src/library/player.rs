//! The library source: plays what is queued, and when nothing is, its library round after round; gapless, or with one
//! piece fading into the next.

mod away;
mod between;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use unisono_common::format::Format;

use self::between::{FIRST_SCAN, LOOK};
use super::Library;
use super::desk::Desk;
use super::fade::Fader;
use super::index::query;
use super::names::Key;
use super::station::{Entry, Manner, Next, Way};
use super::tags::{self, Piece};
use super::walk::{Found, walk};
use crate::source::{Interrupt, QueueWriter, Sizes, Source, SourceError, State, Track};
use unisono_audio::convert::Converter;
use unisono_audio::decode::{AudioFile, FileError, contained};

/// "Previous" within this time of a track's beginning means the track before it.
const JUST_BEGUN: Duration = Duration::from_secs(3);

/// What a stream plays, and how as long as nobody asks for something else.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Of the stream, under which its queue is kept.
    pub(crate) stream: String,
    /// A folder, or one file.
    pub(crate) root: PathBuf,
    /// How.
    pub(crate) manner: Manner,
    /// Of shuffle and dither.
    pub(crate) seed: u64,
}

/// Plays a library.
pub(crate) struct Player {
    root: PathBuf,
    library: Library,
    desk: Arc<Desk>,
    converter: Converter,
    fader: Fader,
    shelf: Shelf,
    /// How long it has waited for its library to be read.
    waited: Duration,
    /// Where the next piece begins, when somebody said so.
    begin_at: Option<Duration>,
    /// The piece before the one that is played.
    before: Option<Piece>,
    /// Pieces of the library taken in this round, and pieces that sounded in it.
    tried: usize,
    sounded: usize,
    /// Where in the stream the round began, and where the queue was last told what is heard.
    began_at: u64,
    told_at: u64,
    /// Files of which the log has been told.
    reported: HashSet<PathBuf>,
    converted: Vec<i32>,
    pcm: Vec<i32>,
}

/// Where a player knows its files from.
enum Shelf {
    /// The index, which was listed when it had this revision.
    Index(u64),
    /// It looked itself; and how the folder was then.
    Walked { files: HashMap<Key, PathBuf>, fingerprint: u64 },
}

impl Player {
    pub(crate) const SIZES: Sizes =
        Sizes { capacity: Duration::from_millis(1_000), prebuffer: Duration::from_millis(200) };

    /// A player of a folder or a file, which must be there.
    pub(crate) fn new(library: &Library, plan: Plan, format: Format) -> Result<Self, SourceError> {
        let root = std::path::absolute(&plan.root).unwrap_or(plan.root);
        let metadata = std::fs::metadata(&root);
        let readable = metadata.and_then(|metadata| {
            let is_folder = metadata.is_dir();
            if is_folder { std::fs::read_dir(&root).map(drop) } else { std::fs::File::open(&root).map(drop) }?;
            Ok(is_folder)
        });
        let is_folder = readable.map_err(|error| SourceError::Folder { path: root.clone(), error })?;
        let indexed = is_folder && library.listing(&root).is_some();
        if indexed {
            library.add_root(&root);
        }
        let desk = library.desk(&plan.stream, plan.manner, plan.seed);
        Ok(Self {
            root,
            library: library.clone(),
            desk,
            converter: Converter::new(format, plan.seed),
            fader: Fader::new(format, plan.seed ^ 1),
            shelf: if indexed { Shelf::Index(0) } else { Shelf::Walked { files: HashMap::new(), fingerprint: 0 } },
            waited: Duration::ZERO,
            begin_at: None,
            before: None,
            tried: 0,
            sounded: 0,
            began_at: 0,
            told_at: 0,
            reported: HashSet::new(),
            converted: Vec::new(),
            pcm: Vec::new(),
        })
    }

    /// Plays what comes next, or does what is to be done between two pieces.
    fn step(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let complete = self.look();
        if !complete && self.waited < FIRST_SCAN && !self.desk.has_queue() {
            self.waited += LOOK;
            return writer.wait(LOOK);
        }
        match self.library.take_next(&self.desk) {
            Some(Next::Queued(entry, from)) => {
                let from = self.begin_at.take().unwrap_or(from);
                self.play(&entry, from, writer)
            }
            Some(Next::FromLibrary(key)) => {
                self.tried += 1;
                // What is gone since it was listed is no loss.
                let Some(path) = self.path(key) else { return writer.check() };
                let entry = self.desk.took(path);
                let from = self.begin_at.take().unwrap_or_default();
                self.play(&entry, from, writer)
            }
            None if !complete => writer.wait(LOOK),
            None => self.end_of_round(writer),
        }
    }

    /// Learns what there is; whether that is all there is.
    fn look(&mut self) -> bool {
        match &mut self.shelf {
            Shelf::Index(revision) => {
                let listing = self.library.listing(&self.root).unwrap_or_default();
                if listing.revision != *revision {
                    *revision = listing.revision;
                    self.desk.update(listing.keys, listing.complete);
                }
                listing.complete
            }
            Shelf::Walked { files, .. } => {
                if files.is_empty() && self.tried == 0 {
                    self.walk();
                }
                true
            }
        }
    }

    /// Looks itself.
    fn walk(&mut self) {
        let found = walk(&self.root)
            .unwrap_or_else(|error| Found { unreadable: vec![(self.root.clone(), error)], ..Found::default() });
        for (path, error) in &found.unreadable {
            self.report(path, &format!("cannot be read: {error}"));
        }
        let keys: Vec<Key> = found.files.iter().map(|path| Key::of_path(path)).collect();
        let files = keys.iter().copied().zip(found.files).collect();
        self.shelf = Shelf::Walked { files, fingerprint: found.fingerprint };
        self.desk.update(keys.into(), true);
    }

    fn path(&self, key: Key) -> Option<PathBuf> {
        match &self.shelf {
            Shelf::Index(_) => self.library.ask(|db| query::path_of(db, key)).ok().flatten(),
            Shelf::Walked { files, .. } => files.get(&key).cloned(),
        }
    }

    /// Plays a file from `from` on, as far as it goes.
    fn play(&mut self, entry: &Entry, from: Duration, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let path = &entry.path;
        let mut file = match AudioFile::open(path) {
            Ok(file) => file,
            Err(_) if self.is_away(path) => return self.wait_for_disk(from, writer),
            Err(error) => return self.skip(path, &error.to_string(), writer),
        };
        let rate = file.shape().rate;
        let offset = if from.is_zero() { from } else { seek(&mut file, from) };
        let mut piece = Some(tags::piece(path));
        let mut trouble = None;
        loop {
            match file.next_block() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    trouble = Some(error.to_string());
                    break;
                }
            }
            // Only now it is sure that there is sound in it.
            if let Some(piece) = piece.take() {
                let duration = file.frames().map(|n| Duration::from_secs_f64(n as f64 / f64::from(rate)));
                self.begin(piece, entry, duration, offset, writer)?;
            }
            if let Err(error) = self.convert(&file) {
                trouble = Some(error.to_string());
                break;
            }
            self.send(writer)?;
        }
        let begun = piece.is_none();
        self.end(path, begun, trouble.or_else(|| incomplete(&file, begun)), writer)
    }

    /// Converts the file's current block into `converted`.
    fn convert(&mut self, file: &AudioFile) -> Result<(), FileError> {
        let block = file.block();
        self.converted.clear();
        let (converter, converted) = (&mut self.converter, &mut self.converted);
        contained(|| converter.feed(&block.shape, block.samples, converted)).map_err(|panic| {
            self.converter.reset();
            FileError::Panicked(panic)
        })
    }

    /// Sends what is converted on, through the fader; and tells the queue what is heard.
    fn send(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.pcm.clear();
        self.fader.feed(&self.converted, &mut self.pcm);
        self.push(writer)
    }

    fn push(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let pushed = writer.push(&self.pcm);
        self.pcm.clear();
        if writer.written() - self.told_at > u64::from(writer.rate()) / 4 {
            self.told_at = writer.written();
            self.tell_heard(writer);
        }
        pushed
    }

    fn tell_heard(&self, writer: &QueueWriter) {
        if let Some(now) = writer.now_playing()
            && let Some(entry) = now.track.entry
        {
            self.library.hears(&self.desk, entry, now.position);
        }
    }

    /// A piece begins: over the end of the one before, or right after it.
    fn begin(
        &mut self,
        piece: Piece,
        entry: &Entry,
        duration: Option<Duration>,
        offset: Duration,
        writer: &mut QueueWriter,
    ) -> Result<(), Interrupt> {
        let manner = self.desk.manner();
        let fade = (manner.crossfade_s * f64::from(writer.rate())) as usize;
        self.fader.set_length(fade);
        self.pcm.clear();
        let follows = self.before.as_ref().is_some_and(|before| piece.follows(before));
        if fade > 0 && !follows {
            self.converted.clear();
            self.converter.finish(&mut self.converted);
            self.fader.feed(&self.converted, &mut self.pcm);
            self.fader.cross(&mut self.pcm);
        } else {
            self.fader.flush(&mut self.pcm);
        }
        self.push(writer)?;
        self.converter.set_gain(self.gain(&piece, &entry.path, manner));
        self.sounded += 1;
        tracing::info!(file = %self.shown(&entry.path), "playing");
        let track = Track { duration, entry: Some(entry.id), ..piece.track.clone() };
        self.before = Some(piece);
        writer.begin_track(Some(track), offset);
        writer.set_draining(false);
        writer.set_state(State::Playing);
        Ok(())
    }

    /// The factor that brings a piece to the one loudness.
    fn gain(&self, piece: &Piece, path: &Path, manner: Manner) -> f64 {
        if !self.desk.normalises() {
            return 1.0;
        }
        let gains = if piece.gains.is_known() { piece.gains } else { self.library.measured(path) };
        gains.factor(manner.replay_gain, !manner.shuffle)
    }

    fn end(
        &mut self,
        path: &Path,
        begun: bool,
        trouble: Option<String>,
        writer: &mut QueueWriter,
    ) -> Result<(), Interrupt> {
        let clipped = self.converter.clipped();
        writer.count(|c| {
            c.clipped = clipped;
            c.tracks += u64::from(begun);
        });
        match trouble {
            Some(trouble) => self.skip(path, &trouble, writer),
            None => writer.check(),
        }
    }

    /// Counts a file that is not played, or not wholly, and tells the log once.
    fn skip(&mut self, path: &Path, reason: &str, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        writer.count(|c| c.skipped += 1);
        self.report(path, reason);
        writer.check()
    }

    fn report(&mut self, path: &Path, reason: &str) {
        if self.reported.insert(path.to_owned()) {
            tracing::warn!("{}: {reason}", path.display());
        }
    }

    /// Does what a listener asks.
    fn jump(&mut self, wish: Interrupt, writer: &mut QueueWriter) {
        // What is being heard may lie behind what is being decoded.
        let heard = writer.now_playing();
        let position = heard.as_ref().map_or(Duration::ZERO, |now| now.position);
        writer.flush();
        self.converter.reset();
        self.fader.clear();
        self.before = None;
        let (way, begin_at) = match wish {
            Interrupt::Stop => return,
            Interrupt::Next => (Way::On, None),
            Interrupt::Previous if position < JUST_BEGUN => (Way::Back, Some(Duration::ZERO)),
            Interrupt::Previous => (Way::Again, Some(Duration::ZERO)),
            Interrupt::Seek(to) => (Way::Again, Some(to)),
        };
        self.begin_at = begin_at;
        self.desk.go(way, heard.and_then(|now| now.track.entry));
        self.library.note(&self.desk);
    }

    /// A file's path below the folder.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

impl Source for Player {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        loop {
            match self.step(&mut writer) {
                Ok(()) => {}
                Err(Interrupt::Stop) => break,
                Err(wish) => self.jump(wish, &mut writer),
            }
        }
        self.tell_heard(&writer);
        self.library.note(&self.desk);
        self.desk.disconnect();
    }
}

/// Goes to `to`, or stays at the beginning; where it is then.
fn seek(file: &mut AudioFile, to: Duration) -> Duration {
    let frame = (to.as_secs_f64() * f64::from(file.shape().rate)) as u64;
    match file.seek(file.frames().map_or(frame, |frames| frame.min(frames))) {
        Ok(()) => to,
        Err(_) => Duration::ZERO,
    }
}

/// What a file that was played to its end did not have.
fn incomplete(file: &AudioFile, begun: bool) -> Option<String> {
    match (file.damaged(), file.missing()) {
        _ if !begun => Some("has no sound in it".to_owned()),
        (0, 0) => None,
        (0, missing) => {
            let seconds = missing as f64 / f64::from(file.shape().rate);
            Some(format!("ends {seconds:.1} s early; it was cut off"))
        }
        (damaged, _) => Some(format!("{damaged} damaged packets were left out")),
    }
}

#[cfg(test)]
mod tests;
