//! The catalogue of a running sender: its own streams, and those it hears of.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use unisono_common::config::sender::RELAY;
use unisono_common::sdp::{self, Session};
use unisono_host::clock;
use unisono_host::interface::Interface;

use super::catalogue::{Action, ActionError, Bogus, Catalogue, Origin, Playback, StreamFacts};
use super::heard::Sessions;
use crate::library::{Cover, Key, Library};
use crate::listen::{self, Container, ListenError, Listeners, Listening};
use crate::live::relay::can_be_followed;
use crate::live::{Applied, Live, ReloadError};
use crate::paging::{Page, PageError, PageRequest};
use crate::repair::Repaired;
use crate::service::Service;
use crate::source;
use crate::streams::{OnAir, Stream, Streams};
use crate::timeserver::TimeServer;

/// Streams of this sender and of others.
pub(super) struct Shelf {
    live: Live,
    streams: Streams,
    heard: Sessions,
    library: Library,
    listeners: Listeners,
    time_server: Arc<TimeServer>,
    bogus_repairs: Arc<AtomicU64>,
    host: String,
}

impl Shelf {
    pub(super) fn new(service: &Service, heard: Sessions, listeners: Listeners, host: String) -> Self {
        let (live, library) = (service.live.clone(), service.library.clone());
        let (time_server, bogus_repairs) = (Arc::clone(&service.time_server), live.bogus_repairs());
        Shelf { streams: live.streams(), live, heard, library, listeners, time_server, bogus_repairs, host }
    }

    /// The stream of this id, or the one that is heard in it when it is a mix.
    fn heard_in(&self, id: &str) -> Option<Arc<Stream>> {
        let stream = self.streams.get(id)?;
        let inner = stream.on_air.as_ref().and_then(|on_air| on_air.mix.as_ref()?.heard().map(str::to_owned));
        inner.and_then(|id| self.streams.get(&id)).or(Some(stream))
    }

    fn own(&self, stream: &Stream, on_air: &OnAir) -> StreamFacts {
        StreamFacts {
            id: stream.id.clone(),
            name: stream.name.clone(),
            origin: Origin::Here,
            sender: self.host.clone(),
            format: stream.format.to_string(),
            address: on_air.group.to_string(),
            playout_delay_ms: Session::parse(on_air.sdp().as_bytes()).ok().and_then(|session| session.playout_delay_ms),
            sdp: on_air.sdp().to_string(),
            kind: stream.kind.to_owned(),
        }
    }

    /// What others send, by id: sessions that are not our own announcements come back. A stranger that was started anew
    /// before its old announcement has expired is there once.
    fn others(&self) -> Vec<(String, Arc<Session>)> {
        let ours: Vec<_> = self
            .streams
            .on_air()
            .iter()
            .filter_map(|stream| Some(sdp::origin(stream.on_air.as_ref()?.sdp().as_bytes())?.key()))
            .collect();
        let mut others: Vec<(String, Arc<Session>)> = Vec::new();
        for session in self.heard.now().into_iter().filter(|session| !ours.contains(&session.origin.key())) {
            let id = session.stream_id.clone().unwrap_or_else(|| stranger(&session));
            if session.stream_id.is_none() {
                others.retain(|(before, _)| *before != id);
            }
            others.push((id, session));
        }
        others
    }

    fn foreign(&self) -> Vec<StreamFacts> {
        let mut facts: Vec<StreamFacts> = Vec::new();
        for (id, session) in self.others() {
            let own = self.streams.get(&id);
            if own.as_ref().is_some_and(|stream| stream.kind == RELAY) {
                continue;
            }
            // Two senders may both have a stream called "music".
            let taken = own.is_some() || facts.iter().any(|other| other.id == id);
            let sdp = session.to_string();
            let id = if taken { format!("{id}-{}", digits(&sdp)) } else { id };
            facts.push(heard(id, &session, sdp));
        }
        facts
    }
}

impl Catalogue for Shelf {
    fn streams(&self) -> Vec<StreamFacts> {
        let streams = self.streams.on_air();
        let own = streams.iter().filter_map(|stream| Some(self.own(stream, stream.on_air.as_ref()?)));
        own.chain(self.foreign()).collect()
    }

    fn playback(&self, id: &str) -> Option<Playback> {
        let Some(stream) = self.streams.get(id) else {
            return Some(Playback { state: "live".to_owned(), ..Playback::default() });
        };
        let quiet = &stream.on_air.as_ref()?.quiet;
        let (silent_ns, idle) = (quiet.silent_ns(clock::now()), quiet.is_idle(clock::now()));
        let heard = self.heard_in(id)?;
        let snapshot = heard.on_air.as_ref()?.source.snapshot();
        let mut playback = playback(heard.kind, &snapshot);
        if let Some(trouble) = stream.on_air.as_ref()?.timing.as_ref().and_then(|timing| timing.trouble()) {
            (playback.state, playback.reason) = ("failed".to_owned(), Some(trouble));
        }
        // A new address for each piece, so that a page shows each one's cover.
        let track = playback.track.as_ref().map(|track| format!("/streams/{id}/artwork?track={track}"));
        let artwork = snapshot.artwork.map(|cover| format!("/streams/{id}/artwork?of={cover:x}")).or(track);
        let queue = self.library.queue_state(id).ok();
        Some(Playback { silent_s: (silent_ns as f64 / 1e9).floor(), idle, artwork, queue, ..playback })
    }

    fn is_idle(&self, id: &str) -> bool {
        let stream = self.streams.get(id);
        stream.and_then(|stream| Some(stream.on_air.as_ref()?.quiet.is_idle(clock::now()))).unwrap_or(false)
    }

    fn act(&self, id: &str, action: Action) -> Result<(), ActionError> {
        let stream = self.heard_in(id).ok_or_else(|| ActionError::NotHere(id.to_owned()))?;
        let on_air = stream.on_air.as_ref().ok_or_else(|| ActionError::NotHere(id.to_owned()))?;
        if !on_air.source.snapshot().can.contains(&name(action)) {
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
        if let Some(on_air) = self.streams.get(id).as_ref().and_then(|stream| stream.on_air.as_ref()) {
            on_air.switch(on);
        }
    }

    fn artwork(&self, id: &str, known: Option<&str>) -> Option<Cover> {
        let heard = self.heard_in(id)?;
        let source = &heard.on_air.as_ref()?.source;
        if let Some(picture) = source.artwork() {
            let etag = format!("\"{:x}\"", picture.id);
            let bytes = (!known.is_some_and(|known| known.contains(&etag))).then(|| picture.bytes.clone());
            return Some(Cover { mime: picture.mime, etag, bytes });
        }
        self.library.file_cover(&source.snapshot().now_playing?.track.path?, known)
    }

    fn reload(&self) -> Result<Applied, ReloadError> {
        self.live.reload()
    }

    fn begin_page(&self, page: &PageRequest) -> Result<Page, PageError> {
        self.live.begin_page(page)
    }

    fn is_page_over(&self, page: &Page) -> bool {
        page.is_over(clock::now())
    }

    fn end_page(&self, page: Page) {
        self.live.end_page(page);
    }

    fn relay(&self, wanted: &BTreeSet<String>) -> bool {
        let of_strangers = |session: &Session| session.stream_id.is_none() && !can_be_followed(session);
        let others = self.others().into_iter();
        self.live.relay(&others.filter(|(id, other)| wanted.contains(id) && of_strangers(other)).collect::<Vec<_>>())
    }

    fn listen(&self, id: &str, container: Container) -> Result<Listening, ListenError> {
        let stream = self.streams().into_iter().find(|stream| stream.id == id);
        let session = stream.and_then(|stream| Session::parse(stream.sdp.as_bytes()).ok());
        let session = session.ok_or_else(|| ListenError::NoStream(id.to_owned()))?;
        let (before, id, streams, heard) = (session.clone(), id.to_owned(), self.streams.clone(), self.heard.clone());
        let own = streams.get(&id).is_some();
        let is_other = move || {
            if own {
                listen::is_other(streams.get(&id).as_deref(), &before)
            } else {
                listen::is_reshaped(&heard.now(), &before)
            }
        };
        self.listeners.open(&session, container, is_other)
    }

    fn bogus(&self) -> Bogus {
        let repairs = self.bogus_repairs.load(Ordering::Relaxed);
        Bogus { requests: self.time_server.statistics().bogus, announcements: self.heard.bogus(), repairs }
    }

    fn source_bogus(&self, id: &str) -> Option<u64> {
        let stream = self.streams.get(id).filter(|stream| ["rtp", RELAY].contains(&stream.kind))?;
        Some(stream.on_air.as_ref()?.source.snapshot().counters.bogus_packets)
    }

    fn repaired(&self, id: &str) -> Option<Repaired> {
        Some(self.streams.get(id)?.on_air.as_ref()?.repair.read())
    }

    fn is_own_address(&self, address: IpAddr) -> bool {
        let interfaces = Interface::list().unwrap_or_default();
        interfaces
            .iter()
            .any(|own| own.ipv4.map(IpAddr::V4) == Some(address) || own.ipv6.map(IpAddr::V6) == Some(address))
    }
}

/// The id of a stream that names none. It outlives restarts of its sender, which make a new session of the same stream.
fn stranger(session: &Session) -> String {
    let Session { origin, name, address, port, .. } = session;
    format!("heard-{}", digits(&format!("{}@{} {address}:{port} {name}", origin.username, origin.address)))
}

fn heard(id: String, session: &Session, sdp: String) -> StreamFacts {
    StreamFacts {
        id,
        name: session.name.clone(),
        origin: Origin::Heard,
        sender: session.origin.address.clone(),
        format: session.format.to_string(),
        address: format!("{}:{}", session.address, session.port),
        sdp,
        playout_delay_ms: session.playout_delay_ms,
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
        track: track.path.as_deref().filter(|_| kind == "library").map(|path| Key::of_path(path).to_string()),
        writer_ppm: snapshot.writer_ppm,
        can: snapshot.can.iter().map(|action| (*action).to_owned()).collect(),
        ..Playback::default()
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
