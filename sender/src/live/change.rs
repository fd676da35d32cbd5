//! From one configuration to another: which streams play on, which have another source, which end and which begin.

use std::sync::Arc;

use tracing::{info, warn};
use unisono_common::config::sender::{SenderConfig, SourceConfig, StreamConfig};

use super::{Applied, DSCP, Entry, Inner, Network, described, relay, wait_for_end};
use crate::describe::{self, Groups};
use crate::report::Reporter;
use crate::service::StartError;
use crate::streams::{Address, OnAir};
use crate::transmit::Feed;

/// A stream of the new configuration, and its groups.
type Wanted<'a> = (&'a StreamConfig, Groups);

impl Inner {
    /// Makes the streams what `config` says; what is the same plays on untouched.
    pub(super) fn apply(&mut self, config: SenderConfig) -> Applied {
        let mut applied = Applied { at_next_start: settings_changed(&self.config, &config), ..Applied::default() };
        self.config.streams.clone_from(&config.streams);
        let groups = describe::groups(&config.streams);
        let wanted: Vec<Wanted<'_>> = config.streams.iter().zip(groups).collect();
        for entry in std::mem::take(&mut self.entries) {
            self.go_on(entry, &wanted, &mut applied);
        }
        for (stream, groups) in wanted {
            self.begin(stream, groups, &mut applied);
        }
        // A mix, a stream that is off and one that is gone have no source that would say so.
        let plays =
            |entry: &&Entry| entry.config.enabled && matches!(entry.config.source, SourceConfig::Library { .. });
        let playing: Vec<_> = self.entries.iter().filter(plays).map(|entry| entry.config.id.as_str()).collect();
        self.network.library.leave_all_but(&playing);
        if config.playout_delay_ms != self.config.playout_delay_ms {
            applied.failed.extend(self.glide(config.playout_delay_ms).err());
        }
        applied.failed.iter().for_each(|error| warn!("{error}"));
        // Tried again from here on, and told in the log by itself.
        let is_news = |id: &String| applied.added.contains(id) || applied.changed.contains(id);
        let news = self.entries.iter().filter(|entry| is_news(&entry.config.id));
        let waiting: Vec<String> = news.filter_map(Entry::trouble).collect();
        applied.failed.extend(waiting);
        self.list();
        info!(?applied, "configuration read anew");
        applied
    }

    /// What becomes of a stream that is on air: it plays on, has another source, or is taken off.
    fn go_on(&mut self, entry: Entry, wanted: &[Wanted<'_>], applied: &mut Applied) {
        if relay::known(&entry.config.source).is_some() {
            return self.entries.push(entry);
        }
        let id = entry.config.id.clone();
        match wanted.iter().find(|(stream, _)| stream.id == id) {
            Some((stream, groups)) if **stream == entry.config && *groups == entry.groups => self.entries.push(entry),
            Some((stream, groups)) if same_on_the_network(stream, groups, &entry) => {
                if let Err(error) = self.change_source(entry, stream) {
                    applied.failed.push(format!("stream \"{id}\": {error}"));
                }
                applied.changed.push(id);
            }
            now => {
                let list = if now.is_some() { &mut applied.changed } else { &mut applied.removed };
                list.push(id);
                self.take_off(entry);
            }
        }
    }

    /// Puts a stream on air that is not, or not any more.
    fn begin(&mut self, stream: &StreamConfig, groups: Groups, applied: &mut Applied) {
        if self.entries.iter().any(|entry| entry.config.id == stream.id) {
            return;
        }
        if !applied.changed.contains(&stream.id) {
            applied.added.push(stream.id.clone());
        }
        if let Err(error) = self.open(stream, groups).and_then(|opened| self.put(opened)) {
            applied.failed.push(error.to_string());
        }
    }

    /// Another source for a stream that otherwise stays what it is.
    pub(super) fn change_source(&mut self, mut entry: Entry, config: &StreamConfig) -> Result<(), StartError> {
        // The old source must be gone before the new one opens the same pipe or card.
        let silence = self.outgoing(&entry, Feed::Silence);
        self.transmitter.put(silence);
        self.transmitter.settle();
        let Some(address) = entry.stream.on_air.as_ref().map(|on_air| {
            wait_for_end(&on_air.source);
            Address { group: on_air.group, ssrc: on_air.ssrc, sdp: on_air.sdp().to_string() }
        }) else {
            self.entries.push(Entry { config: config.clone(), ..entry });
            return Ok(());
        };
        let (mut on_air, feed) = match self.feed(config, address) {
            Ok(ready) => ready,
            Err(error) => {
                self.take_off(entry);
                return Err(error);
            }
        };
        if let Some(before) = &entry.stream.on_air {
            on_air.repair = Arc::clone(&before.repair);
            on_air.timing.clone_from(&before.timing);
        }
        on_air.switch(entry.stream.on_air.as_ref().is_none_or(OnAir::is_on));
        entry.config = config.clone();
        entry.stream = Arc::new(described(config, Some(on_air)));
        let outgoing = self.outgoing(&entry, feed);
        self.transmitter.put(outgoing);
        self.transmitter.settle();
        let Network { interface, host, .. } = &self.network;
        let reporter =
            Reporter::open(entry.stream.clone(), entry.groups.media, interface, host.address, host.ttl, DSCP);
        match reporter {
            Ok(reporter) => self.teller.begin(reporter),
            Err(error) => warn!(stream = config.id, "no reports: {error}"),
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// Whether a stream changes in nothing that its receivers can see.
fn same_on_the_network(config: &StreamConfig, groups: &Groups, entry: &Entry) -> bool {
    let before = &entry.config;
    let same = (&config.name, config.format, config.enabled) == (&before.name, before.format, before.enabled);
    same && config.profile == before.profile && config.fec == before.fec && *groups == entry.groups
}

/// Keys beside the streams that differ: they are read at the start only.
fn settings_changed(before: &SenderConfig, after: &SenderConfig) -> Vec<String> {
    let differs = [
        ("interface", before.interface != after.interface),
        ("address", before.address != after.address),
        ("identity", before.identity != after.identity),
        ("state_dir", before.state_dir != after.state_dir),
        ("clock_port", before.clock_port != after.clock_port),
        ("repair_port", before.repair_port != after.repair_port),
        ("unicast_rooms", before.unicast_rooms != after.unicast_rooms),
        ("ttl", before.ttl != after.ttl),
        ("[http] listen", before.http_listen != after.http_listen),
        ("[http] reading", before.http_reading_open != after.http_reading_open),
        ("[http] names", before.http_names != after.http_names),
        ("[hub] name", before.hub_name != after.hub_name),
        ("[hub] auto_approve", before.auto_approve != after.auto_approve),
    ];
    differs.iter().filter(|(_, differs)| *differs).map(|(key, _)| (*key).to_owned()).collect()
}
