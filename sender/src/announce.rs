//! Announces the streams by SAP, and listens for others who announce the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tracing::{debug, error};
use unisono_common::config::sender::RELAY;
use unisono_common::sap::{self, GROUP_GLOBAL, GROUP_LOCAL, GROUP_PULSE, Kind, Packet};
use unisono_common::sdp::Session;
use unisono_common::time::LocalTime;
use unisono_host::interface::Interface;
use unisono_host::multicast::{self, MulticastError, MulticastReceiver, MulticastSender, SendOptions};

use crate::streams::{OnAir, Stream, Streams};

const NS_PER_S: i64 = 1_000_000_000;

/// Announcements are read this many at a time, so that a flood of them holds nothing up.
const READ_AT_ONCE: usize = 64;

/// When which group is announced to.
///
/// PulseAudio forgets a session after 20 s, so it hears every 5 s; the other groups are whole scopes and hear every
/// 30 s, more often at first so that whoever listens learns of a new stream soon.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    start: LocalTime,
    next_often: LocalTime,
    next_wide: LocalTime,
}

impl Rhythm {
    const OFTEN_NS: i64 = 5 * NS_PER_S;
    const WIDE_NS: i64 = 30 * NS_PER_S;

    /// A rhythm that starts now, with an announcement to all groups.
    pub fn new(now: LocalTime) -> Self {
        Rhythm { start: now, next_often: now, next_wide: now }
    }

    /// The groups whose turn it is.
    pub fn due(&mut self, now: LocalTime) -> Vec<Ipv4Addr> {
        let mut groups = Vec::new();
        if now - self.next_often >= 0 {
            groups.push(GROUP_PULSE);
            self.next_often = now + Self::OFTEN_NS;
        }
        if now - self.next_wide >= 0 {
            groups.extend([GROUP_LOCAL, GROUP_GLOBAL]);
            let young = now - self.start < Self::WIDE_NS;
            self.next_wide = now + if young { Self::OFTEN_NS } else { Self::WIDE_NS };
        }
        groups
    }
}

/// Announces what is on air.
#[derive(Debug)]
pub struct Announcer {
    streams: Streams,
    sender: MulticastSender,
    receiver: MulticastReceiver,
    origin: Ipv4Addr,
    ttl: u8,
    /// The interface to go to, while there are no sockets to be had on it.
    wanted: Option<Interface>,
    rhythm: Rhythm,
    /// Descriptions that no longer hold: their deletion is sent this many times more.
    outdated: Vec<(String, u32)>,
    /// Ids of streams that were switched off when they were looked at last.
    off: Vec<String>,
}

/// A lost packet must not keep a session alive: deletions are sent three times.
const DELETIONS: u32 = 3;

impl Announcer {
    /// Opens the sockets; nothing is sent yet.
    pub fn open(
        interface: &Interface,
        origin: Ipv4Addr,
        ttl: u8,
        streams: Streams,
        now: LocalTime,
    ) -> Result<Self, MulticastError> {
        let (sender, receiver) = sockets(interface, ttl)?;
        Ok(Announcer {
            streams,
            sender,
            receiver,
            origin,
            ttl,
            wanted: None,
            rhythm: Rhythm::new(now),
            outdated: Vec::new(),
            off: Vec::new(),
        })
    }

    /// The interface is another one of its name, or has another address: announces there as soon as that can be had.
    pub fn follow(&mut self, interface: Interface, now: LocalTime) {
        match sockets(&interface, self.ttl) {
            Ok((sender, receiver)) => {
                (self.sender, self.receiver, self.wanted) = (sender, receiver, None);
                self.origin = interface.ipv4.unwrap_or(self.origin);
                self.hurry(now);
            }
            Err(error) => {
                debug!("SAP: {error}");
                self.wanted = Some(interface);
            }
        }
    }

    /// There is a new stream: whoever listens should learn of it soon. What went and is back as it was is no longer deleted.
    pub fn begin(&mut self, sdp: &str, now: LocalTime) {
        self.outdated.retain(|(outdated, _)| *outdated != *sdp);
        self.hurry(now);
    }

    /// Descriptions have changed: whoever listens should learn of it soon.
    pub fn hurry(&mut self, now: LocalTime) {
        self.rhythm = Rhythm::new(now);
    }

    /// Takes back a description that no longer holds.
    pub fn retire(&mut self, sdp: String) {
        if sdp.is_empty() {
            return;
        }
        send(&self.sender, self.origin, Kind::Deletion, &sdp, &ALL_GROUPS);
        self.outdated.push((sdp, DELETIONS - 1));
    }

    /// Sends what is due and reads what has come in. To be called about once a second.
    pub fn tick(&mut self, now: LocalTime) {
        if let Some(interface) = self.wanted.take() {
            self.follow(interface, now);
        }
        self.follow_clocks(now);
        self.follow_switches();
        for (sdp, left) in &mut self.outdated {
            send(&self.sender, self.origin, Kind::Deletion, sdp, &ALL_GROUPS);
            *left -= 1;
        }
        self.outdated.retain(|(_, left)| *left > 0);
        let groups = self.rhythm.due(now);
        if !groups.is_empty() {
            let streams = self.streams.on_air();
            let is_sent = |stream: &&Arc<Stream>| stream.on_air.as_ref().is_some_and(OnAir::is_sent);
            for stream in streams.iter().filter(is_sent) {
                self.send(Kind::Announcement, stream, &groups);
            }
        }
        self.listen(now);
    }

    /// A stream by PTP is another session whenever its grandmaster is another, and none without.
    fn follow_clocks(&mut self, now: LocalTime) {
        for stream in self.streams.on_air() {
            let Some(on_air) = &stream.on_air else { continue };
            let Some(news) = on_air.timing.as_ref().and_then(|timing| timing.follow(on_air)) else { continue };
            self.retire(news.outdated);
            self.hurry(now);
        }
    }

    /// What was switched off is deleted, what was switched on is announced at once.
    fn follow_switches(&mut self) {
        for stream in self.streams.on_air() {
            let Some(on_air) = &stream.on_air else { continue };
            let was_off = self.off.contains(&stream.id);
            if was_off && on_air.is_on() {
                self.off.retain(|id| *id != stream.id);
                self.outdated.retain(|(sdp, _)| *sdp != *on_air.sdp());
                self.send(Kind::Announcement, &stream, &ALL_GROUPS);
            } else if !was_off && !on_air.is_on() {
                self.off.push(stream.id.clone());
                self.outdated.push((on_air.sdp().to_string(), DELETIONS));
            }
        }
    }

    /// Tells everybody that all streams are gone. To be called three times at the end.
    pub fn delete(&self) {
        for stream in &self.streams.on_air() {
            self.send(Kind::Deletion, stream, &ALL_GROUPS);
        }
    }

    /// Sends of a stream to those of these groups that it is announced to.
    fn send(&self, kind: Kind, stream: &Stream, groups: &[Ipv4Addr]) {
        let Some(on_air) = &stream.on_air else { return };
        let (sdp, told) = (on_air.sdp(), told_of(stream.kind, on_air.timing.is_some()));
        let groups: Vec<_> = groups.iter().copied().filter(|group| told.contains(group)).collect();
        if !sdp.is_empty() {
            send(&self.sender, self.origin, kind, &sdp, &groups);
        }
    }

    fn listen(&mut self, now: LocalTime) {
        let mut buffer = [0; 2048];
        for _ in 0..READ_AT_ONCE {
            let Ok(Some(received)) = self.receiver.receive(&mut buffer) else { return };
            let Some(session) = announced_session(&buffer[..received.len]) else { continue };
            for stream in self.streams.on_air() {
                let Some(on_air) = &stream.on_air else { continue };
                if let Some(text) = conflict(&session, &stream.id, on_air.group, &on_air.sdp())
                    && on_air.note_conflict(text.clone(), now)
                {
                    error!(stream = stream.id, "{text}");
                }
            }
        }
    }
}

/// What announcements leave by, and those of others come in by.
fn sockets(interface: &Interface, ttl: u8) -> Result<(MulticastSender, MulticastReceiver), MulticastError> {
    let options = SendOptions { source_port: 0, ttl, dscp: 0 };
    let listen = SocketAddr::from((GROUP_LOCAL, sap::PORT));
    let sender = MulticastSender::open(interface, multicast::IPV4, options)?;
    Ok((sender, MulticastReceiver::join(listen, interface)?))
}

const ALL_GROUPS: [Ipv4Addr; 3] = [GROUP_PULSE, GROUP_LOCAL, GROUP_GLOBAL];

/// The groups that hear of a stream with a source of this kind.
///
/// Who plays AES67 listens at the local scope, and who listens elsewhere is not made for packets of 1 ms. A relay is for
/// our own rooms: PulseAudio and PipeWire play whatever they hear of, so they would play it beside its original, and the
/// desktop that sends the original would send what comes back, again and again.
fn told_of(kind: &str, by_ptp: bool) -> &'static [Ipv4Addr] {
    if by_ptp || kind == RELAY { &[GROUP_LOCAL] } else { &ALL_GROUPS }
}

fn send(sender: &MulticastSender, origin: Ipv4Addr, kind: Kind, sdp: &str, groups: &[Ipv4Addr]) {
    let packet = sap::packet(kind, IpAddr::V4(origin), sdp);
    for group in groups {
        if let Err(error) = sender.send_to(&packet, SocketAddr::from((*group, sap::PORT))) {
            debug!(%group, "SAP: not sent: {error}");
        }
    }
}

/// What somebody announces, if it is anything; what is nothing is counted by the hub, which hears this group too.
fn announced_session(packet: &[u8]) -> Option<Session> {
    let packet = Packet::parse(packet).ok().filter(|packet| packet.kind == Kind::Announcement)?;
    Session::parse(packet.sdp).ok()
}

/// How a session announced by anybody disturbs our stream, if it does.
fn conflict(session: &Session, id: &str, group: SocketAddr, sdp: &str) -> Option<String> {
    let ours = unisono_common::sdp::origin(sdp.as_bytes())?;
    if session.origin.key() == ours.key() {
        return None;
    }
    let (name, host) = (brief(&session.name), brief(&session.origin.address));
    if session.stream_id.as_deref() == Some(id) {
        return Some(format!(
            "another sender at {host} has a stream with the id \"{id}\" too; give one of them another id"
        ));
    }
    (session.address == group.ip()).then(|| {
        format!("another sender at {host} sends \"{name}\" to our group {}; give one of them another group", group.ip())
    })
}

/// What a stranger says, as far as it belongs into the log.
fn brief(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests;
