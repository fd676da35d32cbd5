//! Configuration read anew while the room plays: what can change without a gap does, the rest waits for the next start.

use std::sync::Arc;

use unisono_common::config::receiver::ReceiverConfig;

use super::{Room, Wanted, linear};
use crate::volume::Volume;

impl Room {
    /// Takes over what changed. Orders of the hub win over stream, volume and trim, as they do at a start.
    pub(super) fn reload(&mut self, config: ReceiverConfig) {
        let before = std::mem::replace(&mut self.config, config);
        if self.lock_status(|status| status.orders.is_none()) {
            self.wanted = self.config.stream.clone().map_or(Wanted::Anything, Wanted::Stream);
            self.gain = self.config.volume_db.map_or(1.0, |db| linear(db as f32));
            self.trim_us = i64::from(self.config.trim_us);
        }
        self.volume = Volume::new(&self.config.output);
        self.set_sound();
        if let (Some(shape), Some(us)) = (&mut self.shape, self.config.output.latency_us) {
            shape.latency_ns = i64::from(us) * 1_000;
        }
        self.set_delay();
        if self.config.quality != before.quality {
            self.quality = self.config.quality;
            // The stream that plays is faded into itself.
            if let Some(description) = self.tuned.last().map(|playing| Arc::clone(&playing.description)) {
                self.tune(description);
            }
        }
        match waiting(&before, &self.config).as_slice() {
            [] => tracing::info!("configuration read anew"),
            keys => tracing::warn!("configuration read anew; from the next start on: {}", keys.join(", ")),
        }
    }
}

/// Keys that changed and can't while the room plays.
fn waiting(before: &ReceiverConfig, now: &ReceiverConfig) -> Vec<&'static str> {
    let (out, out_now) = (&before.output, &now.output);
    let keys = [
        ("room", before.room != now.room),
        ("interface", before.interface != now.interface),
        ("state_dir", before.state_dir != now.state_dir),
        ("hub", before.hub != now.hub),
        ("[output] device", out.device != out_now.device),
        ("[output] buffer_ms", out.buffer_ms != out_now.buffer_ms),
        ("[output] latency_us", out.latency_us.is_some() && out_now.latency_us.is_none()),
        ("delivery", before.delivery != now.delivery),
        ("unicast_above_loss", before.unicast_above_loss != now.unicast_above_loss),
        ("[amplifier]", before.amplifier != now.amplifier),
        ("[idle]", before.idle != now.idle),
        ("[output] keep_awake", out.keep_awake != out_now.keep_awake),
    ];
    keys.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_wait_is_named() {
        let before = ReceiverConfig::default();
        let mut now = ReceiverConfig { trim_us: 5, stream: Some("radio".into()), ..ReceiverConfig::default() };
        now.output.max_volume_db = Some(-3.0);
        assert!(waiting(&before, &now).is_empty());
        now.room = Some("Den".into());
        now.output.keep_awake = true;
        assert_eq!(waiting(&before, &now), ["room", "[output] keep_awake"]);
    }
}
