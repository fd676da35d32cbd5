//! Streams of others that no room can follow by itself, taken onto this sender's timeline while rooms play them.
//!
//! PulseAudio, PipeWire and ffmpeg name no clock, and AES67 gear names one that rooms have no way to. Heard through this
//! sender their streams are as any of its own: its clock, its delay, every room in step.

use std::net::IpAddr;
use std::sync::Arc;

use unisono_common::config::sender::{RtpFrom, SourceConfig, StreamConfig};
use unisono_common::sdp::Session;

use super::{Entry, Inner, Live};
use crate::describe;

/// Streams relayed at once.
const MOST: usize = 8;

/// What waits for late packets: desktops send in bursts.
const LATENCY_MS: u32 = 150;

/// Whether rooms can follow a stream by themselves: its clock is an NTP server or a PTP grandmaster, and its timestamps are
/// readings of that.
pub(crate) fn can_be_followed(session: &Session) -> bool {
    session.media_clock().is_some()
}

impl Live {
    /// Relays these streams, by id, and no others; true when that changes anything.
    pub(crate) fn relay(&self, wanted: &[(String, Arc<Session>)]) -> bool {
        let mut inner = self.inner();
        let over = inner.end_relays(wanted);
        let mut begun = false;
        for (id, session) in wanted.iter().take(MOST) {
            if !inner.entries.iter().any(|entry| entry.config.id == *id) {
                begun |= inner.begin_relay(id, session);
            }
        }
        over || begun
    }
}

impl Inner {
    fn end_relays(&mut self, wanted: &[(String, Arc<Session>)]) -> bool {
        let stays = |entry: &Entry| match known(&entry.config.source) {
            Some(session) => wanted.iter().any(|(id, now)| *id == entry.config.id && now.is_same_sound(session)),
            None => true,
        };
        let (entries, over): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries).into_iter().partition(stays);
        self.entries = entries;
        let ended = !over.is_empty();
        for entry in over {
            tracing::info!(id = entry.config.id, "relayed no more");
            self.take_off(entry);
        }
        self.list();
        ended
    }

    fn begin_relay(&mut self, id: &str, session: &Arc<Session>) -> bool {
        let from = RtpFrom::Known(Arc::clone(session));
        let source = SourceConfig::Rtp { from, latency_ms: LATENCY_MS };
        let name = session.name.chars().filter(|c| !c.is_control()).take(64).collect();
        let config = StreamConfig { name, format: session.format, ..StreamConfig::new(id, source) };
        let theirs = if let IpAddr::V4(address) = session.address { Some(address) } else { None };
        let taken = self.entries.iter().flat_map(|entry| entry.groups.addresses()).chain(theirs).collect();
        let groups = describe::groups_beside(&config, taken);
        let begun = self.open(&config, groups).and_then(|opened| self.put(opened));
        // It is tried again in a second: not worth a line each time.
        begun.inspect_err(|error| tracing::debug!(id, "not relayed: {error}")).is_ok()
    }
}

/// What is relayed, of a stream that is a relay.
pub(super) fn known(source: &SourceConfig) -> Option<&Arc<Session>> {
    match source {
        SourceConfig::Rtp { from: RtpFrom::Known(session), .. } => Some(session),
        _ => None,
    }
}
