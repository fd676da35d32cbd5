//! The catalogue of a running sender: its own streams, and those it hears of.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use unisono_common::config::sender::{SenderConfig, SourceConfig};
use unisono_common::sdp::{self, Session};
use unisono_host::interface::Interface;

use super::catalogue::{Action, ActionError, Catalogue, Origin, Playback, StreamFacts};
use super::heard::Sessions;
use crate::library::{Cover, Key, Library};
use crate::source;
use crate::streams::{OnAir, Stream, Streams};

/// Streams of this sender and of others.
pub(super) struct Shelf {
    streams: Streams,
    heard: Sessions,
    library: Library,
    kinds: BTreeMap<String, &'static str>,
    host: String,
}

impl Shelf {
    pub(super) fn new(
        config: &SenderConfig,
        streams: Streams,
        library: Library,
        heard: Sessions,
        host: String,
    ) -> Self {
        let kinds = config.streams.iter().map(|stream| (stream.id.clone(), kind(&stream.source)));
        Shelf { streams, heard, library, kinds: kinds.collect(), host }
    }

    fn on_air(&self, id: &str) -> Option<&OnAir> {
        self.streams.get(id)?.on_air.as_ref()
    }

    fn own(&self, stream: &Stream, on_air: &OnAir) -> StreamFacts {
        StreamFacts {
            id: stream.id.clone(),
            name: stream.name.clone(),
            origin: Origin::Here,
            sender: self.host.clone(),
            format: stream.format.to_string(),
            address: on_air.group.to_string(),
            sdp: on_air.sdp.clone(),
            kind: self.kinds.get(&stream.id).copied().unwrap_or_default().to_owned(),
        }
    }

    /// Sessions that are not our own announcements come back.
    fn foreign(&self) -> Vec<StreamFacts> {
        let ours: Vec<_> =
            self.streams.on_air().filter_map(|(_, on_air)| Some(sdp::origin(on_air.sdp.as_bytes())?.key())).collect();
        let sessions = self.heard.now();
        let foreign = sessions.iter().filter(|session| !ours.contains(&session.origin.key()));
        let mut facts: Vec<StreamFacts> = foreign.map(|session| heard(session)).collect();
        for at in 0..facts.len() {
            // Two senders may both have a stream called "music".
            let taken = |id: &str| self.streams.get(id).is_some() || facts[..at].iter().any(|other| other.id == id);
            if taken(&facts[at].id) {
                facts[at].id = format!("{}-{}", facts[at].id, digits(&facts[at].sdp));
            }
        }
        facts
    }
}

impl Catalogue for Shelf {
    fn streams(&self) -> Vec<StreamFacts> {
        let own = self.streams.on_air().map(|(stream, on_air)| self.own(stream, on_air));
        own.chain(self.foreign()).collect()
    }

    fn playback(&self, id: &str) -> Option<Playback> {
        match self.on_air(id) {
            Some(on_air) => {
                let kind = self.kinds.get(id).copied().unwrap_or_default();
                let mut playback = playback(kind, &on_air.source.snapshot());
                playback.queue = self.library.queue_state(id).ok();
                // A new address for each piece, so that a page shows each one's cover.
                playback.artwork = playback.track.as_ref().map(|track| format!("/streams/{id}/artwork?track={track}"));
                Some(playback)
            }
            None => Some(Playback { state: "live".to_owned(), ..Playback::default() }),
        }
    }

    fn act(&self, id: &str, action: Action) -> Result<(), ActionError> {
        let on_air = self.on_air(id).ok_or_else(|| ActionError::NotHere(id.to_owned()))?;
        if !can(self.kinds.get(id).copied().unwrap_or_default()).contains(&name(action)) {
            return Err(ActionError::Cannot(id.to_owned()));
        }
        match action {
            Action::Play => on_air.control.play(),
            Action::Pause => on_air.control.pause(),
            Action::Next => on_air.control.next(),
            Action::Previous => on_air.control.previous(),
            Action::Seek { position_s } => {
                on_air.control.seek(std::time::Duration::try_from_secs_f64(position_s).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn switch(&self, id: &str, on: bool) {
        if let Some(on_air) = self.on_air(id) {
            on_air.switch(on);
        }
    }

    fn artwork(&self, id: &str, known: Option<&str>) -> Option<Cover> {
        let now = self.on_air(id)?.source.snapshot().now_playing?;
        self.library.file_cover(&now.track.path?, known)
    }

    fn is_own_address(&self, address: IpAddr) -> bool {
        let interfaces = Interface::list().unwrap_or_default();
        interfaces
            .iter()
            .any(|own| own.ipv4.map(IpAddr::V4) == Some(address) || own.ipv6.map(IpAddr::V6) == Some(address))
    }
}

fn heard(session: &Session) -> StreamFacts {
    let sdp = session.to_string();
    StreamFacts {
        id: session.stream_id.clone().unwrap_or_else(|| format!("heard-{}", digits(&session.origin.key().to_string()))),
        name: session.name.clone(),
        origin: Origin::Heard,
        sender: session.origin.address.clone(),
        format: session.format.to_string(),
        address: format!("{}:{}", session.address, session.port),
        sdp,
        kind: String::new(),
    }
}

fn playback(kind: &str, snapshot: &source::Snapshot) -> Playback {
    let state = match &snapshot.state {
        _ if snapshot.paused => "paused",
        source::State::Playing => "playing",
        source::State::Idle => "idle",
        source::State::Stalled => "stalled",
        source::State::Failed(_) => "failed",
    };
    let reason = match &snapshot.state {
        source::State::Failed(reason) => Some(reason.clone()),
        _ => None,
    };
    let track = snapshot.now_playing.as_ref().map(|now| now.track.clone()).unwrap_or_default();
    let file = track.path.as_ref().and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    Playback {
        state: state.to_owned(),
        reason,
        title: track.title.or(file),
        artist: track.artist,
        album: track.album,
        position_s: snapshot.now_playing.as_ref().map(|now| now.position.as_secs_f64()),
        duration_s: track.duration.map(|duration| duration.as_secs_f64()),
        artwork: None,
        track: track.path.as_deref().filter(|_| kind == "library").map(|path| Key::of_path(path).to_string()),
        queue: None,
        can: can(kind).iter().map(|action| (*action).to_owned()).collect(),
    }
}

fn kind(source: &SourceConfig) -> &'static str {
    match source {
        SourceConfig::Library { .. } => "library",
        SourceConfig::Pipe { .. } => "pipe",
        SourceConfig::Demo => "demo",
        SourceConfig::Tone { .. } => "tone",
    }
}

/// What the source of a kind understands.
fn can(kind: &str) -> &'static [&'static str] {
    match kind {
        "library" => &["play", "pause", "next", "previous", "seek", "queue"],
        "pipe" | "demo" | "tone" => &["play", "pause"],
        _ => &[],
    }
}

fn name(action: Action) -> &'static str {
    match action {
        Action::Play => "play",
        Action::Pause => "pause",
        Action::Next => "next",
        Action::Previous => "previous",
        Action::Seek { .. } => "seek",
    }
}

fn digits(text: &str) -> String {
    Sha256::digest(text).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
