//! A library whose disk is away: nothing of it is skipped, so that neither the queue nor the round is used up by files that
//! can't be opened.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Player;
use crate::source::{Interrupt, QueueWriter, State};

/// Between looks whether it is back.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1_000 });

impl Player {
    /// Whether a file can't be opened because the library's folder is not there, or empty: where a disk is mounted, nothing
    /// else is.
    pub(super) fn is_away(&self, path: &Path) -> bool {
        let has_any = || fs::read_dir(&self.root).is_ok_and(|mut entries| entries.next().is_some());
        path.starts_with(&self.root) && !self.root.is_file() && !has_any()
    }

    /// Puts back what was taken last, of which `from` has gone by, and waits for the disk or a wish.
    pub(super) fn wait_for_disk(&mut self, from: Duration, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.desk.put_back(from);
        let drained = self.drain(writer);
        writer.set_draining(true);
        drained?;
        writer.begin_track(None, Duration::ZERO);
        let root = self.root.display();
        writer.set_state(State::Failed(format!("{root} is not there, or empty; it plays on once its disk is mounted")));
        while self.is_away(&self.root) {
            writer.wait(LOOK)?;
        }
        Ok(())
    }
}
