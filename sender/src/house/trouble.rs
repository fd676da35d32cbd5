//! Plain sentences about what is wrong with a room, and what to do about it.

use serde::Serialize;
use unisono_common::clock::ptp::Lock;
use unisono_common::control::{Health, State};
use utoipa::ToSchema;

/// Beyond this a listener may hear that a room is out of step, in microseconds.
const OUT_OF_STEP_US: f64 = 100.0;
/// Loss above this share is worth a word, though it was repaired.
const NOTABLE_LOSS: f64 = 0.005;

/// Something that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trouble {
    /// True when somebody could hear it.
    pub audible: bool,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub help: String,
}

/// What is wrong with the room of this name, the worst first.
pub fn of(name: &str, health: &Health) -> Option<Trouble> {
    let trouble = |audible, text: String, help: &str| Some(Trouble { audible, text, help: help.to_owned() });
    match health.state {
        State::NoCard => {
            let help = "Check that the sound card is plugged in and that no other program holds it.";
            return trouble(true, format!("{name} has no sound card."), help);
        }
        State::Starved => {
            let help =
                "Check that this room's network lets multicast through (IGMP snooping without a querier, guest Wi-Fi).";
            return trouble(true, format!("{name} hears of its stream, but no packets come."), help);
        }
        _ => {}
    }
    if let Some(text) = &health.trouble {
        return trouble(true, format!("{name}: {text}"), "");
    }
    let sounding = matches!(health.state, State::Playing | State::Muted);
    if health.ptp == Some(Lock::Searching) && !sounding {
        let help = "Check that the grandmaster is on, and in the domain that the stream names.";
        return trouble(true, format!("{name} hears no PTP grandmaster, whose time its stream follows."), help);
    }
    if let Some(offset) = health.offset_us.filter(|offset| sounding && offset.abs() > OUT_OF_STEP_US) {
        let side = if offset > 0.0 { "late" } else { "early" };
        let help = "It pulls itself back in; if it stays away, look at its network and its clock's quality.";
        return trouble(true, format!("{name} is out of step. {:.0} µs {side}.", offset.abs().ceil()), help);
    }
    if health.ptp == Some(Lock::Holdover) && sounding {
        return Some(Trouble {
            audible: false,
            text: format!("{name} hears its PTP grandmaster no more, and goes on by the last it knew."),
            help: "Check that the grandmaster is on: rooms drift apart by some microseconds a minute.".to_owned(),
        });
    }
    let lost = health.loss_ratio;
    if lost > 0.0 && sounding {
        let help = "A cable, another Wi-Fi channel or a longer playout delay helps.";
        return trouble(true, format!("{name} loses {} of its packets.", percent(lost)), help);
    }
    let received = health.packets_received.max(1) as f64;
    let repaired = health.packets_repaired as f64 / received;
    (repaired > NOTABLE_LOSS && sounding).then(|| Trouble {
        audible: false,
        text: format!("{name}: {} of packets were lost on the way and repaired.", percent(repaired)),
        help: "Nothing can be heard of it.".to_owned(),
    })
}

/// A share in words, rounded up so that it never looks better than it is.
fn percent(share: f64) -> String {
    let tenths = (share.clamp(0.0, 1.0) * 1000.0).ceil() / 10.0;
    if tenths >= 10.0 { format!("{tenths:.0} %") } else { format!("{tenths} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grandmaster_that_is_not_heard_is_named() {
        let health = |state, ptp| Health { state, ptp: Some(ptp), offset_us: Some(1.0), ..Health::default() };
        let said = |state, ptp| of("Kitchen", &health(state, ptp)).map(|trouble| (trouble.audible, trouble.text));
        let (audible, text) = said(State::Locking, Lock::Searching).unwrap_or_default();
        assert!(audible && text.starts_with("Kitchen hears no PTP grandmaster"), "{text}");
        let (audible, text) = said(State::Playing, Lock::Holdover).unwrap_or_default();
        assert!(!audible && text.starts_with("Kitchen hears its PTP grandmaster no more"), "{text}");
        assert_eq!(said(State::Playing, Lock::Locked), None);
        assert_eq!(said(State::Locking, Lock::Learning), None);
    }
}
