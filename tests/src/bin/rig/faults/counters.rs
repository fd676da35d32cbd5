//! What a room counts, and which fault explains what.

use anyhow::{Context, Result};
use unisono_common::control::Health;
use unisono_tests::processes::Process;

use super::Fault;

/// What only ever grows in a room, and must not without a reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Packets that never came or came too late, and frames that were concealed for it.
    missing: u64,
    /// Packets that were none, or not for this room.
    bogus: u64,
    /// Jumps to where playing should be.
    moved: u64,
    /// Times that the card ran dry.
    dry: u64,
}

impl Counters {
    /// As a room told them last.
    pub(super) fn of(receiver: &Process) -> Result<Self> {
        let health = report(receiver)?;
        Ok(Counters {
            missing: health.packets_lost + health.packets_late + health.frames_concealed,
            bogus: health.packets_bogus,
            moved: health.reanchors,
            dry: health.xruns + health.laps,
        })
    }

    /// What was counted since `before`.
    pub(super) fn since(&self, before: &Counters) -> Counters {
        Counters {
            missing: self.missing.saturating_sub(before.missing),
            bogus: self.bogus.saturating_sub(before.bogus),
            moved: self.moved.saturating_sub(before.moved),
            dry: self.dry.saturating_sub(before.dry),
        }
    }

    /// What is left of it when that is taken out which this fault does to its room.
    pub(super) fn beyond(self, fault: Option<Fault>) -> Counters {
        match fault {
            None => self,
            // The clock's answers come twice too, and the second one answers nothing.
            Some(Fault::Twice) => Counters { bogus: 0, ..self },
            // Its clock is another one now; what was asked of the old one is void, and its timeline begins anew.
            Some(Fault::SenderKilled) => Counters { missing: 0, bogus: 0, moved: 0, ..self },
            Some(
                Fault::Loses | Fault::LosesBursts | Fault::Late | Fault::NoMulticast | Fault::CutOff | Fault::Killed,
            ) => Counters { missing: 0, ..self },
        }
    }
}

/// What a room told of itself last.
pub(super) fn report(receiver: &Process) -> Result<Health> {
    let log = receiver.log();
    log.lines().rev().find_map(|line| serde_json::from_str(line).ok()).context("no report in the log")
}
