//! Between rounds, and when there is nothing to play.

use std::time::Duration;

use super::{Player, Shelf};
use crate::library::walk::walk;
use crate::source::{Interrupt, QueueWriter, State};

/// Between looks at a folder in which nothing can be played.
const LOOK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });
/// After so many of them its files are tried again even if nothing has changed.
const TRY_AGAIN: u32 = 12;
/// Between looks at a queue that is empty, and at a library that is being read.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// A library that is read for the first time is waited for so long; then what has been found of it plays.
pub(super) const FIRST_SCAN: Duration = Duration::from_secs(2);
/// A round of less audio than this is followed by a rest: nothing is gained by opening one tiny file without end.
const SHORTEST_ROUND: Duration = Duration::from_millis(100);

impl Player {
    /// After a round: goes on at once, or waits for a wish or for files that can be played.
    pub(super) fn end_of_round(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let (tried, sounded) = (std::mem::take(&mut self.tried), std::mem::take(&mut self.sounded));
        let began_at = std::mem::replace(&mut self.began_at, writer.written());
        let playable = sounded > 0 || (tried == 0 && self.desk.library() > 0);
        if playable && self.desk.manner().repeat {
            self.new_round();
            let frames = (SHORTEST_ROUND.as_secs_f64() * f64::from(writer.rate())) as u64;
            let short = writer.written() - began_at < frames && tried > 0;
            return if short { writer.wait(SHORTEST_ROUND) } else { Ok(()) };
        }
        let drained = self.drain(writer);
        writer.set_draining(true);
        drained?;
        if playable { self.rest(writer) } else { self.wait_for_music(writer) }
    }

    fn new_round(&mut self) {
        if matches!(self.shelf, Shelf::Walked { .. }) {
            self.walk();
        }
        self.library.begin_round(&self.desk);
    }

    /// Gives out all that is held.
    pub(super) fn drain(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.converted.clear();
        self.converter.finish(&mut self.converted);
        self.pcm.clear();
        self.fader.feed(&self.converted, &mut self.pcm);
        self.fader.flush(&mut self.pcm);
        self.before = None;
        self.push(writer)
    }

    /// All has played: waits until somebody queues something or wants it again.
    fn rest(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        writer.begin_track(None, Duration::ZERO);
        writer.set_state(State::Idle);
        self.library.finished(&self.desk);
        while !self.desk.has_queue() {
            match writer.wait(LOOK) {
                Ok(()) if !self.desk.manner().repeat => continue,
                Ok(()) | Err(Interrupt::Next) => {}
                Err(wish) => return Err(wish),
            }
            self.new_round();
            break;
        }
        Ok(())
    }

    fn wait_for_music(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let reason = match self.desk.library() {
            0 => format!("no music in {}", self.root.display()),
            n => format!("none of the {n} files in {} can be played", self.root.display()),
        };
        tracing::warn!("{reason}; waiting for it to change");
        writer.begin_track(None, Duration::ZERO);
        writer.set_state(State::Failed(reason));
        for _ in 0..TRY_AGAIN {
            writer.wait(LOOK_AGAIN)?;
            if self.has_changed() {
                self.reported.clear();
                break;
            }
            if self.desk.has_queue() {
                return Ok(());
            }
        }
        self.new_round();
        Ok(())
    }

    fn has_changed(&self) -> bool {
        match &self.shelf {
            Shelf::Index(revision) => self.library.listing(&self.root).is_some_and(|now| now.revision != *revision),
            Shelf::Walked { fingerprint, .. } => walk(&self.root).is_ok_and(|found| found.fingerprint != *fingerprint),
        }
    }
}
