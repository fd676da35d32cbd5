//! The streams of a running sender: put on air, changed and taken off while the others play on.
//!
//! A stream whose source alone has changed stays what it is on the network: its packets go on, silent while the old
//! source ends and the new one begins. Any other change makes a new session of it, as [`describe::settle`] says.

mod change;
mod delay;
pub(crate) mod follow;
mod page;
pub(crate) mod relay;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tracing::{info, warn};
use unisono_common::config::ConfigError;
use unisono_common::config::sender::{SenderConfig, SourceConfig, StreamConfig};
use unisono_common::identity::StreamIdentity;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastSender, SendOptions};
use unisono_host::state::{StateDir, StateError};
use unisono_host::{clock, random};
use utoipa::ToSchema;

use crate::aes67::{Clocks, Timing};
use crate::describe::{self, Groups, Host};
use crate::library::Library;
use crate::repair::RepairServer;
use crate::report::Reporter;
use crate::service::StartError;
use crate::source::{self, SourceStatus, State};
use crate::streams::{Address, MixStatus, OnAir, Quiet, Stream, Streams};
use crate::teller::Teller;
use crate::timeserver::MediaClock;
use crate::transmit::{Feed, Outgoing, Transmitter};
use unisono_audio::mixdown::{Mixdown, Rules};

/// DSCP of audio and its reports: AF41, which Wi-Fi carries as video.
pub(crate) const DSCP: u8 = 34;

/// What a change of the configuration did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Applied {
    /// Ids of streams that are new.
    pub added: Vec<String>,
    /// Ids of streams that have changed.
    pub changed: Vec<String>,
    /// Ids of streams that are gone.
    pub removed: Vec<String>,
    /// Why a stream is not what the configuration says.
    pub failed: Vec<String>,
    /// Keys that have changed and hold from the next start on.
    pub at_next_start: Vec<String>,
}

/// Why the configuration is not read anew.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The sender was started without.
    #[error("the sender was started without a configuration file; start it with --config FILE")]
    NoFile,
    /// It is no longer there.
    #[error("{file}: {1}", file = .0.display())]
    Unreadable(PathBuf, std::io::Error),
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigError),
}

/// The streams; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Live(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    config: SenderConfig,
    /// Where it was read.
    file: Option<PathBuf>,
    /// A source that can't be had is waited for.
    patient: bool,
    network: Network,
    streams: Streams,
    entries: Vec<Entry>,
    /// Every stream's key in the transmit thread, by id; kept when a stream goes, for when it comes back.
    keys: BTreeMap<String, u64>,
    /// The key given last.
    last_key: u64,
    clock: MediaClock,
    /// Those of PTP domains.
    clocks: Clocks,
    gliding_until: delay::Until,
    /// A stream that is configured could not be had when the network became another one.
    lacking: bool,
    /// The packets end before the goodbyes.
    transmitter: Transmitter,
    repair: RepairServer,
    teller: Teller,
}

/// What streams are opened with.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) interface: Interface,
    pub(crate) host: Host,
    pub(crate) state: Arc<StateDir>,
    pub(crate) library: Library,
}

/// A stream that is configured.
#[derive(Debug)]
struct Entry {
    config: StreamConfig,
    groups: Groups,
    stream: Arc<Stream>,
    socket: Option<Arc<MulticastSender>>,
}

impl Entry {
    /// Why its source gives nothing, when it has failed.
    fn trouble(&self) -> Option<String> {
        match self.stream.on_air.as_ref()?.source.snapshot().state {
            State::Failed(reason) => Some(format!("stream \"{}\": {reason}", self.config.id)),
            _ => None,
        }
    }
}

/// A stream that is ready to be sent.
struct Opened {
    entry: Entry,
    feed: Option<Feed>,
    reporter: Option<Reporter>,
    outdated: Option<String>,
    /// File name and content, to be kept once it is certain that the stream will be sent.
    identity: Option<(String, String)>,
}

/// Who sends, repairs, announces and shows what is on air.
pub(crate) struct Outlets {
    pub(crate) streams: Streams,
    pub(crate) transmitter: Transmitter,
    pub(crate) repair: RepairServer,
    pub(crate) teller: Teller,
}

impl Live {
    /// Puts the streams of `config` on air: all of them or, when one can't be had, none; if it is `patient`, one whose source
    /// can't be had yet has failed and is tried again.
    pub(crate) fn start(
        config: SenderConfig,
        file: Option<PathBuf>,
        patient: bool,
        network: Network,
        outlets: Outlets,
        clock: MediaClock,
    ) -> Result<Self, StartError> {
        let Outlets { streams, transmitter, repair, teller } = outlets;
        let (entries, keys) = (Vec::new(), BTreeMap::new());
        let clocks = Clocks::new(network.interface.clone());
        let mut inner = Inner {
            clocks,
            config: config.clone(),
            file,
            patient,
            network,
            streams,
            entries,
            keys,
            last_key: 0,
            clock,
            gliding_until: None,
            lacking: false,
            transmitter,
            repair,
            teller,
        };
        let mut opened = Vec::new();
        for (stream, groups) in config.streams.iter().zip(describe::groups(&config.streams)) {
            opened.push(inner.open(stream, groups)?);
        }
        for stream in opened {
            inner.put(stream)?;
        }
        Ok(Live(Arc::new(Mutex::new(inner))))
    }

    /// The streams as they are.
    pub fn streams(&self) -> Streams {
        self.inner().streams.clone()
    }

    /// Those of its sources that are programs: at the end they are to be [waited for](wait_for_ends), as each ends all
    /// that it has started.
    pub fn programs(&self) -> Vec<SourceStatus> {
        let inner = self.inner();
        let programs = inner.entries.iter().filter(|entry| matches!(entry.config.source, SourceConfig::Command { .. }));
        programs.filter_map(|entry| Some(entry.stream.on_air.as_ref()?.source.clone())).collect()
    }

    /// Packets so far to the repair port that were no requests; goes on counting.
    pub fn bogus_repairs(&self) -> Arc<AtomicU64> {
        self.inner().repair.bogus()
    }

    /// Makes the streams what `config` says. What is the same plays on untouched.
    pub fn apply(&self, config: SenderConfig) -> Applied {
        self.inner().apply(config)
    }

    /// Reads the configuration file anew and makes the streams what it says. A file that is wrong changes nothing.
    pub fn reload(&self) -> Result<Applied, ReloadError> {
        let mut inner = self.inner();
        let file = inner.file.clone().ok_or(ReloadError::NoFile)?;
        let text = fs::read_to_string(&file).map_err(|error| ReloadError::Unreadable(file.clone(), error))?;
        Ok(inner.apply(SenderConfig::parse(&file, &text)?))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Opens everything that a stream needs; nothing is sent yet.
    fn open(&mut self, config: &StreamConfig, groups: Groups) -> Result<Opened, StartError> {
        let network = |error| StartError::Network { id: config.id.clone(), error };
        if !config.enabled {
            let stream = Arc::new(described(config, None));
            let entry = Entry { config: config.clone(), groups, stream, socket: None };
            return Ok(Opened { entry, feed: None, reporter: None, outdated: None, identity: None });
        }
        let Network { interface, host, state, .. } = &self.network;
        let options = SendOptions { source_port: groups.media.port(), ttl: host.ttl, dscp: DSCP };
        let socket = Arc::new(MulticastSender::open(interface, groups.media.ip(), options).map_err(network)?);
        let file = format!("streams/{}.toml", config.id);
        let mut identity = known_identity(&file, state)?;
        if let Some(text) = &self.config.identity {
            let announced = std::mem::take(&mut identity.announced);
            identity = StreamIdentity { announced, ..StreamIdentity::derived(text, &config.id) };
        }
        let derived = self.config.identity.is_some();
        let mut outdated = None;
        let mut timing = None;
        let mut address = Address { group: groups.media, ssrc: identity.ssrc, sdp: String::new() };
        if let Some(domain) = config.profile.ptp_domain() {
            let clock = self.clocks.get(domain);
            let clock = clock.map_err(|error| StartError::Ptp { id: config.id.clone(), error })?;
            let encoded = identity.clone();
            let described = (config.clone(), groups, *host);
            timing = Some(Arc::new(Timing::new(clock, described, encoded, derived, Arc::clone(state))));
        } else {
            outdated = describe::settle(&mut identity, derived, |identity| {
                describe::session(config, &groups, host, identity, describe::own_clock(host))
            });
            address.sdp.clone_from(&identity.announced);
        }
        let encoded = identity.encode()?;
        let (mut on_air, feed) = self.feed(config, address)?;
        on_air.timing = timing;
        let stream = Arc::new(described(config, Some(on_air)));
        let Network { interface, host, .. } = &self.network;
        let reporter =
            Reporter::open(stream.clone(), groups.media, interface, host.address, host.ttl, DSCP).map_err(network)?;
        Ok(Opened {
            entry: Entry { config: config.clone(), groups, stream, socket: Some(socket) },
            feed: Some(feed),
            reporter: Some(reporter),
            outdated,
            identity: Some((file, encoded)),
        })
    }

    /// A stream's source, or its mix, ready to give frames.
    fn feed(&mut self, config: &StreamConfig, address: Address) -> Result<(OnAir, Feed), StartError> {
        let format = config.format;
        let quiet = Quiet::new(config.silence_db, format.depth.bits(), config.idle_after_s, clock::now());
        let SourceConfig::Mix { streams, duck_db, hold_ms } = &config.source else {
            let Network { interface, library, .. } = &self.network;
            let spawn = if self.patient { source::keep_trying } else { source::spawn };
            let source = spawn(config, interface, library)
                .map_err(|error| StartError::Source { id: config.id.clone(), error })?;
            return Ok((OnAir::new(address, source.status(), source.control(), quiet), Feed::Source(source)));
        };
        let keys: Vec<u64> = streams.iter().map(|id| self.key(id)).collect();
        let rules = Rules::new(*duck_db, quiet.threshold, *hold_ms, format.rate);
        let samples = config.packet_frames() as usize * usize::from(format.channels);
        let mix = Mixdown::new(rules, &keys, format.channels.into(), format.depth.bits(), samples);
        let (status, control) = source::none(format);
        let mut on_air = OnAir::new(address, status, control, quiet);
        on_air.mix = Some(MixStatus { inputs: streams.clone(), leader: Arc::default() });
        Ok((on_air, Feed::Mix(Box::new(mix))))
    }

    /// Puts a stream on air.
    fn put(&mut self, opened: Opened) -> Result<(), StartError> {
        let Opened { entry, feed, reporter, outdated, identity } = opened;
        if let Some((file, text)) = identity {
            self.network.state.write(&file, &text)?;
        }
        if let Some(outdated) = outdated {
            self.teller.outdated(outdated);
        }
        let StreamConfig { id, name, format, .. } = &entry.config;
        info!(id, name, %format, enabled = entry.config.enabled, "stream");
        if let Some(feed) = feed {
            let mut outgoing = self.outgoing(&entry, feed);
            let playout_delay_ms = self.network.host.playout_delay_ms;
            let on_air = entry.stream.on_air.as_ref();
            outgoing.copies =
                on_air.map(|on_air| self.repair.begin(&entry.config, &entry.groups, on_air, playout_delay_ms));
            self.transmitter.put(outgoing);
        }
        self.entries.push(entry);
        self.list();
        if let Some(reporter) = reporter {
            self.teller.begin(reporter);
        }
        Ok(())
    }

    fn outgoing(&mut self, entry: &Entry, feed: Feed) -> Outgoing {
        let rank = if let SourceConfig::Mix { .. } = entry.config.source { 1 } else { 0 };
        let (stream, socket) = (entry.stream.clone(), entry.socket.clone());
        let clock = stream.on_air.as_ref().and_then(|on_air| Some(on_air.timing.as_ref()?.clock()));
        let (key, from_frame) = (self.key(&entry.config.id), i64::MIN);
        Outgoing { key, rank, stream, clock, feed, socket, from_frame, copies: None }
    }

    /// Takes a stream off air.
    fn take_off(&mut self, entry: Entry) {
        let Some(on_air) = &entry.stream.on_air else { return };
        self.teller.end(&entry.config.id, &on_air.sdp());
        let key = self.key(&entry.config.id);
        self.transmitter.remove(key);
        self.transmitter.settle();
        wait_for_end(&on_air.source);
    }

    fn key(&mut self, id: &str) -> u64 {
        if let Some(key) = self.keys.get(id) {
            return *key;
        }
        let key = self.new_key();
        self.keys.insert(id.to_owned(), key);
        key
    }

    fn new_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    /// Lists the streams in the order of the configuration.
    fn list(&mut self) {
        let streams = &self.config.streams;
        let place = |entry: &Entry| streams.iter().position(|stream| stream.id == entry.config.id);
        self.entries.sort_by_key(|entry| place(entry).unwrap_or(usize::MAX));
        self.streams.replace(self.entries.iter().map(|entry| entry.stream.clone()).collect());
    }
}

fn described(config: &StreamConfig, on_air: Option<OnAir>) -> Stream {
    let &StreamConfig { format, enabled, .. } = config;
    let (kind, packet_frames) = (config.source.kind(), config.packet_frames());
    Stream { id: config.id.clone(), name: config.name.clone(), format, packet_frames, kind, enabled, on_air }
}

/// Its successor may open the same pipe or card, so it begins after this.
fn wait_for_end(source: &SourceStatus) {
    wait_for_ends(std::slice::from_ref(source));
}

/// Waits for sources that have been told to end, at most as long as one may take: they end side by side.
pub fn wait_for_ends(sources: &[SourceStatus]) {
    let until = clock::now() + source::LONGEST_END.as_nanos() as i64;
    while !sources.iter().all(SourceStatus::has_ended) && clock::now() < until {
        thread::sleep(Duration::from_millis(2));
    }
}

/// The identity that the stream had before, or a new one.
fn known_identity(file: &str, state: &StateDir) -> Result<StreamIdentity, StateError> {
    let known = state.read(file)?.and_then(|text| {
        let identity = StreamIdentity::decode(&text);
        identity.inspect_err(|error| warn!(file, "{error}: the stream gets a new one")).ok()
    });
    Ok(known.unwrap_or_else(|| StreamIdentity::new(random::number().to_be_bytes())))
}
