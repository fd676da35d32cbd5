//! The playout delay, changed while streams play: all rooms glide to the new one together, and nobody hears it.

use tracing::{info, warn};
use unisono_common::identity::StreamIdentity;
use unisono_common::playout_delay::GLIDE;
use unisono_common::sdp::{DelayChange, Session};
use unisono_common::time::MediaTime;
use unisono_host::clock;

use super::Inner;
use crate::service::StartError;

/// From the news to the beginning: announcements are 5 s apart, and any may be lost.
const NOTICE_NS: i64 = 16_000_000_000;

impl Inner {
    /// Begins a change of the playout delay of all streams.
    ///
    /// # Errors
    /// while the last change is not over; says how long it takes.
    pub(super) fn glide(&mut self, to_ms: u32) -> Result<(), String> {
        let (from_ms, now) = (self.network.host.playout_delay_ms, self.clock.at(clock::now()));
        if let Some(left_s) = self.gliding_until.map(|until| (until - now) / 1_000_000_000).filter(|left_s| *left_s > 0)
        {
            return Err(format!(
                "playout_delay_ms: the last change of it takes {left_s} s more; read the file anew after that"
            ));
        }
        let begins = now + NOTICE_NS;
        let takes_ns = i64::from(to_ms.abs_diff(from_ms)) * 1_000_000 * GLIDE;
        self.gliding_until = Some(begins + takes_ns);
        self.network.host.playout_delay_ms = to_ms;
        self.config.playout_delay_ms = to_ms;
        // While it changes it is one and the other.
        self.transmitter.set_playout_delay(from_ms.min(to_ms));
        info!(from_ms, to_ms, seconds = takes_ns / 1_000_000_000, "the playout delay changes");
        for id in self.entries.iter().map(|entry| entry.config.id.clone()).collect::<Vec<_>>() {
            self.describe_delay(&id, to_ms, DelayChange { from_ms, begins });
        }
        self.teller.hurry();
        Ok(())
    }

    /// Describes a stream with its new delay: to its rooms the same session as before.
    fn describe_delay(&mut self, id: &str, to_ms: u32, change: DelayChange) {
        let entry = self.entries.iter().find(|entry| entry.config.id == id);
        let Some(on_air) = entry.and_then(|entry| entry.stream.on_air.as_ref()) else { return };
        let mut change = change;
        if let Some(timing) = &on_air.timing {
            // It begins for its rooms when it begins for all others, and holds for whatever it is described by later.
            timing.set_playout_delay(to_ms);
            change.begins = timing.media_at(self.clock.local_at(change.begins)).unwrap_or(change.begins);
        }
        let Ok(session) = Session::parse(on_air.sdp().as_bytes()) else { return };
        let session = Session { playout_delay_ms: Some(to_ms), delay_change: None, ..session };
        // The next start finds its description as it will be then.
        let (file, state) = (format!("streams/{id}.toml"), &self.network.state);
        let keep = || -> Result<(), StartError> {
            let identity = StreamIdentity { announced: session.to_string(), ..super::known_identity(&file, state)? };
            Ok(state.write(&file, &identity.encode()?)?)
        };
        if let Err(error) = keep() {
            warn!(stream = id, "the next start will be another session: {error}");
        }
        on_air.describe(Session { delay_change: Some(change), ..session }.to_string());
    }
}

/// When the last change is over.
pub(super) type Until = Option<MediaTime>;
