//! The library source: plays the files of a folder, one after the other without a gap, round after round.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::order::Order;
use super::tags;
use super::walk::{Found, walk};
use crate::convert::{Converter, Rng};
use crate::decode::{AudioFile, FileError, contained};
use crate::source::{Interrupt, QueueWriter, Sizes, Source, SourceError, State, Track};

/// Between looks at a folder in which nothing can be played.
const LOOK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });
/// A round of less audio than this is followed by a rest: nothing is gained by opening one tiny file without end.
const SHORTEST_ROUND: Duration = Duration::from_millis(100);
/// After so many of them its files are tried again even if nothing has changed.
const TRY_AGAIN: u32 = 12;
/// "Previous" within this time of a track's beginning means the track before it.
const JUST_BEGUN: Duration = Duration::from_secs(3);
/// The largest folder whose files are put into the order of their track numbers.
const LARGEST_ALBUM: usize = 500;

/// How a library is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// In random order, all before any again.
    pub(crate) shuffle: bool,
    /// From the start again after the last.
    pub(crate) repeat: bool,
    /// Of the shuffle.
    pub(crate) seed: u64,
}

/// Plays a folder, or one file.
pub(crate) struct Player {
    root: PathBuf,
    plan: Plan,
    converter: Converter,
    files: Vec<PathBuf>,
    order: Order,
    /// Fingerprint of the folder as it was walked last.
    fingerprint: u64,
    /// The file played last.
    last: Option<PathBuf>,
    /// Files played since the round began, and where in the queue it began.
    played: usize,
    began_at: u64,
    /// The folder whose files were sorted last.
    sorted: Option<PathBuf>,
    /// Files of which the log has been told.
    reported: HashSet<PathBuf>,
    pcm: Vec<i32>,
}

impl Player {
    pub(crate) const SIZES: Sizes =
        Sizes { capacity: Duration::from_millis(1_000), prebuffer: Duration::from_millis(200) };

    /// A player of `root`, which must be there.
    pub(crate) fn new(root: &Path, plan: Plan, converter: Converter) -> Result<Self, SourceError> {
        let readable = std::fs::metadata(root).and_then(|metadata| {
            if metadata.is_dir() { std::fs::read_dir(root).map(drop) } else { std::fs::File::open(root).map(drop) }
        });
        readable.map_err(|error| SourceError::Folder { path: root.to_owned(), error })?;
        Ok(Self {
            root: root.to_owned(),
            plan,
            converter,
            files: Vec::new(),
            order: Order::new(plan.shuffle.then(|| Rng::new(plan.seed))),
            fingerprint: 0,
            last: None,
            played: 0,
            began_at: 0,
            sorted: None,
            reported: HashSet::new(),
            pcm: Vec::new(),
        })
    }

    /// Plays one round through the folder as it is now.
    fn round(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.scan();
        (self.played, self.began_at) = (0, writer.written());
        let mut from = Duration::ZERO;
        while let Some(index) = self.next_file() {
            let result = self.play(index, std::mem::take(&mut from), writer);
            match result {
                Ok(()) => {}
                Err(Interrupt::Stop) => return Err(Interrupt::Stop),
                Err(wish) => from = self.jump(wish, writer),
            }
        }
        Ok(())
    }

    /// Finds the files of the next round.
    fn scan(&mut self) {
        let found = walk(&self.root)
            .unwrap_or_else(|error| Found { unreadable: vec![(self.root.clone(), error)], ..Found::default() });
        for (path, error) in found.unreadable {
            self.report(&path, &format!("cannot be read: {error}"));
        }
        let last = self.last.as_ref().and_then(|last| found.files.iter().position(|file| file == last));
        self.order.begin(found.files.len(), last);
        (self.files, self.fingerprint, self.sorted) = (found.files, found.fingerprint, None);
    }

    fn next_file(&mut self) -> Option<usize> {
        let index = self.order.next()?;
        if !self.plan.shuffle {
            self.sort_folder(index);
        }
        Some(index)
    }

    /// Puts the files of a folder that is being entered into the order of their disc and track numbers, if all have
    /// one.
    fn sort_folder(&mut self, index: usize) {
        let folder = self.files[index].parent();
        if self.sorted.as_deref() == folder {
            return;
        }
        let end = self.files[index..].iter().position(|f| f.parent() != folder).map_or(self.files.len(), |n| index + n);
        self.sorted = folder.map(Path::to_owned);
        let files = &mut self.files[index..end];
        if files.len() > LARGEST_ALBUM {
            return;
        }
        let numbers: Option<Vec<_>> = files.iter().map(|file| tags::number(file)).collect();
        let Some(numbers) = numbers else { return };
        let mut album: Vec<_> = numbers.into_iter().zip(files.iter().cloned()).collect();
        album.sort_by_key(|(number, _)| *number);
        files.iter_mut().zip(album).for_each(|(place, (_, file))| *place = file);
    }

    /// Plays a file from `from` on, as far as it goes.
    fn play(&mut self, index: usize, from: Duration, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let path = self.files[index].clone();
        let mut file = match AudioFile::open(&path) {
            Ok(file) => file,
            Err(error) => return self.skip(&path, &error.to_string(), writer),
        };
        let rate = file.shape().rate;
        let offset = if from.is_zero() { from } else { seek(&mut file, from) };
        let mut track = Some(tags::track(&path));
        let mut trouble = None;
        loop {
            self.pcm.clear();
            match self.decode(&mut file) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    trouble = Some(error.to_string());
                    break;
                }
            }
            if let Some(track) = track.take() {
                let duration = file.frames().map(|n| Duration::from_secs_f64(n as f64 / f64::from(rate)));
                self.begin(Track { duration, ..track }, offset, writer);
            }
            writer.push(&self.pcm)?;
        }
        let begun = track.is_none();
        self.end(&path, begun, trouble.or_else(|| incomplete(&file, begun)), writer)
    }

    /// Decodes and converts one block into `pcm`; false at the end of the file.
    fn decode(&mut self, file: &mut AudioFile) -> Result<bool, FileError> {
        let Some(block) = file.next_block()? else { return Ok(false) };
        let (converter, pcm) = (&mut self.converter, &mut self.pcm);
        contained(|| converter.feed(&block.shape, block.samples, pcm)).map_err(|panic| {
            self.converter.reset();
            FileError::Panicked(panic)
        })?;
        Ok(true)
    }

    fn begin(&mut self, track: Track, offset: Duration, writer: &mut QueueWriter) {
        self.played += 1;
        self.last = track.path.clone();
        tracing::info!(file = %self.shown(track.path.as_deref()), "playing");
        writer.begin_track(Some(track), offset);
        writer.set_draining(false);
        writer.set_state(State::Playing);
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

    /// Does what a listener asks; where in the next file to begin.
    fn jump(&mut self, wish: Interrupt, writer: &mut QueueWriter) -> Duration {
        // What is being heard may lie behind what is being decoded.
        let heard = writer.now_playing();
        let path = heard.as_ref().and_then(|now| now.track.path.clone());
        let position = heard.map_or(Duration::ZERO, |now| now.position);
        writer.flush();
        self.converter.reset();
        let files = &self.files;
        let is_heard = |index: usize| Some(&files[index]) == path.as_ref();
        let from = match wish {
            Interrupt::Stop => return Duration::ZERO,
            Interrupt::Next => {
                if self.order.return_to(0, is_heard) {
                    self.order.next();
                }
                return Duration::ZERO;
            }
            Interrupt::Previous if position < JUST_BEGUN => {
                self.order.return_to(1, is_heard);
                return Duration::ZERO;
            }
            Interrupt::Previous => Duration::ZERO,
            Interrupt::Seek(to) => to,
        };
        self.order.return_to(0, is_heard);
        from
    }

    /// After a round: goes on at once, or waits for a wish or for files that can be played.
    fn between_rounds(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        if self.played > 0 && self.plan.repeat {
            let frames = (SHORTEST_ROUND.as_secs_f64() * f64::from(writer.rate())) as u64;
            let short = writer.written() - self.began_at < frames;
            return if short { writer.wait(SHORTEST_ROUND) } else { Ok(()) };
        }
        self.pcm.clear();
        self.converter.finish(&mut self.pcm);
        let queued = writer.push(&self.pcm);
        writer.set_draining(true);
        queued?;
        if self.played > 0 {
            writer.begin_track(None, Duration::ZERO);
            writer.set_state(State::Idle);
            loop {
                writer.wait(Duration::from_secs(3_600))?;
            }
        }
        self.wait_for_music(writer)
    }

    fn wait_for_music(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let reason = match self.files.len() {
            0 => format!("no music in {}", self.root.display()),
            n => format!("none of the {n} files in {} can be played", self.root.display()),
        };
        tracing::warn!("{reason}; waiting for it to change");
        writer.set_state(State::Failed(reason));
        for _ in 0..TRY_AGAIN {
            writer.wait(LOOK_AGAIN)?;
            if walk(&self.root).is_ok_and(|found| found.fingerprint != self.fingerprint) {
                self.reported.clear();
                break;
            }
        }
        Ok(())
    }

    /// A file's path below the folder.
    fn shown(&self, path: Option<&Path>) -> String {
        let path = path.unwrap_or(&self.root);
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

impl Source for Player {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        loop {
            let wish = self.round(&mut writer).and_then(|()| self.between_rounds(&mut writer));
            if wish == Err(Interrupt::Stop) {
                return;
            }
        }
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
