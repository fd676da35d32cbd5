//! What is played more than once: a machine that stands still disturbs a measurement, and the programs of others do not
//! always begin.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use unisono_tests::processes::Process;
use unisono_tests::records::Record;
use unisono_tests::{AUDIBLE, truth};

use crate::run::logs;

/// What was measured beside a stall of the machine of over this was disturbed.
pub(crate) const DISTURBED_MS: f64 = 20.0;

/// How often it is played in all.
const ATTEMPTS: u32 = 3;

/// What a row says of a peer that was tried so often and never played in all rooms.
pub(crate) const NOT_BEGUN: &str = "its clients did not begin";

/// Not all rooms sound in time; with what the programs said.
#[derive(Debug, thiserror::Error)]
#[error("not all rooms sound:\n{0}")]
pub(crate) struct NotBegun(String);

impl NotBegun {
    /// Of these programs.
    pub(crate) fn of(programs: &[Process]) -> NotBegun {
        NotBegun(logs(programs))
    }
}

/// A row of a table as it is kept.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Row<T> {
    /// What came of it.
    Played(T),
    /// It never played.
    NotBegun { what: String, failed: &'static str },
}

impl<T> Row<T> {
    /// What came of `what`, if anything did.
    pub(crate) fn of(what: &str, played: Option<T>) -> Row<T> {
        played.map_or_else(|| Row::NotBegun { what: what.into(), failed: NOT_BEGUN }, Row::Played)
    }

    /// What came of it.
    pub(crate) fn played(&self) -> Option<&T> {
        if let Row::Played(outcome) = self { Some(outcome) } else { None }
    }
}

/// Waits until rooms 1 to `rooms`, whose records are in `dir`, all sound.
pub(crate) fn wait_for_rooms(
    dir: &Path,
    rooms: usize,
    patience: Duration,
    programs: &[Process],
) -> Result<(), NotBegun> {
    let sounds = |i: usize| Record::open(&dir.join(format!("u{i}"))).ok()?.first_sound(i64::MIN, AUDIBLE);
    let all = truth::wait_for(patience, || (1..=rooms).all(|i| sounds(i).is_some()).then_some(()));
    all.ok_or_else(|| NotBegun::of(programs))
}

/// Plays `what`, and again when the machine itself stood still meanwhile, for as long as `stalled_ms` says. What is kept was
/// disturbed least, whatever it sounded like. A `peer` that does not begin is tried again too; nothing: it never began.
pub(crate) fn undisturbed<T>(
    what: &str,
    peer: bool,
    stalled_ms: impl Fn(&T) -> f64,
    mut play: impl FnMut() -> Result<T>,
) -> Result<Option<T>> {
    let mut best: Option<T> = None;
    for left in (0..ATTEMPTS).rev() {
        let why = match play() {
            Err(error) if peer && error.is::<NotBegun>() && !truth::interrupted() => format!("{error:#}"),
            played => {
                let played = played?;
                let ms = stalled_ms(&played);
                if best.as_ref().is_none_or(|best| ms < stalled_ms(best)) {
                    best = Some(played);
                }
                if ms <= DISTURBED_MS {
                    break;
                }
                format!("the machine stood still for {ms:.0} ms")
            }
        };
        eprintln!("{what}: {why}{}", if left > 0 { "; once more" } else { "" });
    }
    Ok(best)
}
