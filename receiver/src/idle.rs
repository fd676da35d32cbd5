//! A room that has nothing to play: told to the amplifier by hooks, and the card let go of, if that is wished.
//!
//! What counts is what arrives, before it is played: so an amplifier is switched on a playout delay before the first
//! sound, and a card that has been let go of is opened again when there is something to play.

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use unisono_common::config::receiver::IdleConfig;
use unisono_common::time::LocalTime;
use unisono_host::clock;

/// A hook that has not ended by then is ended.
const HOOK_PATIENCE_NS: i64 = 30_000_000_000;
/// Hooks that may wait for the one that runs.
const MOST_WAITING: usize = 4;

/// Whether a room has something to play. (P)
#[derive(Clone, Debug)]
pub struct Idleness {
    after_ns: i64,
    /// Not known at first: neither has been for long enough.
    idle: Option<bool>,
    /// Of the last sound, or of the first look.
    last: Option<LocalTime>,
}

/// What a room has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is something to play.
    Plays,
    /// There has been nothing for long.
    Idles,
}

impl Idleness {
    /// A room that idles after `after_s` without sound.
    pub fn new(after_s: u32) -> Self {
        Idleness { after_ns: i64::from(after_s) * 1_000_000_000, idle: None, last: None }
    }

    /// Takes note of the last sound that arrived and was to be heard.
    #[must_use]
    pub fn note(&mut self, sound: Option<LocalTime>, now: LocalTime) -> Option<Change> {
        let before = *self.last.get_or_insert(now);
        let heard = sound.filter(|sound| *sound - before > 0);
        self.last = heard.or(self.last);
        let idle = match heard {
            Some(sound) => now - sound > self.after_ns,
            // Silence changes nothing until it has lasted.
            None if now - before > self.after_ns => true,
            None => return None,
        };
        if self.idle.replace(idle) == Some(idle) {
            return None;
        }
        Some(if idle { Change::Idles } else { Change::Plays })
    }

    /// Whether it has come to idle; changes with what [`note`](Self::note) gives.
    pub fn idles(&self) -> bool {
        self.idle == Some(true)
    }
}

/// Runs the commands of the configuration, one after the other, on a thread of its own.
#[derive(Debug)]
pub struct Hooks {
    config: IdleConfig,
    orders: Option<SyncSender<String>>,
}

impl Hooks {
    /// Hooks of a room. Without any there is no thread.
    pub fn new(config: &IdleConfig, room: &str) -> io::Result<Self> {
        let mut hooks = Hooks { config: config.clone(), orders: None };
        if config.on_play.is_some() || config.on_idle.is_some() {
            let (orders, inbox) = sync_channel(MOST_WAITING);
            let room = room.to_owned();
            thread::Builder::new().name("hooks".into()).spawn(move || run_all(&inbox, &room))?;
            hooks.orders = Some(orders);
        }
        Ok(hooks)
    }

    /// Runs what is configured for this change.
    pub fn run(&self, change: Change) {
        let command = match change {
            Change::Plays => &self.config.on_play,
            Change::Idles => &self.config.on_idle,
        };
        if let (Some(command), Some(orders)) = (command, &self.orders)
            && orders.try_send(command.clone()).is_err()
        {
            tracing::warn!("hook \"{command}\" is left out: those before it have not ended");
        }
    }
}

fn run_all(inbox: &Receiver<String>, room: &str) {
    while let Ok(command) = inbox.recv() {
        match run(&command, room) {
            Ok(Some(status)) if status.success() => tracing::info!("hook \"{command}\" has run"),
            Ok(Some(status)) => tracing::warn!("hook \"{command}\": {status}"),
            Ok(None) => tracing::warn!("hook \"{command}\" took longer than 30 s and was ended"),
            Err(error) => tracing::warn!("hook \"{command}\" cannot be run: {error}"),
        }
    }
}

/// Runs one hook; none when it had to be ended.
fn run(command: &str, room: &str) -> io::Result<Option<std::process::ExitStatus>> {
    let mut child = Command::new("sh").args(["-c", command]).env("UNISONO_ROOM", room).stdin(Stdio::null()).spawn()?;
    let until = clock::now() + HOOK_PATIENCE_NS;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if clock::now() - until > 0 {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests;
