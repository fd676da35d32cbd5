//! Who a stream is on the network: its group, its identity and the description that follows from both.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use unisono_common::clock::ptp::ClockIdentity;
use unisono_common::config::sender::{Profile, StreamConfig};
use unisono_common::identity::{StreamIdentity, aes67_group, multicast_group, session_id_of};
use unisono_common::rtx;
use unisono_common::sdp::{Fec, Origin, PtpClock, ReferenceClock, Repair, Session};
use unisono_common::time::direct_offset_ntp;

/// Columns of parity have the port two above the stream's, rows the one four above (SMPTE 2022-1 section 7.1); answers the
/// next even one.
const FEC_PORTS: u16 = 2;
const REPAIR_PORTS: u16 = 6;

/// What all streams of a sender have in common.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Address that its packets come from.
    pub address: Ipv4Addr,
    /// Port of its clock, at the same address.
    pub clock_port: u16,
    /// Time to live of its packets.
    pub ttl: u8,
    /// From a frame's timestamp to its sound.
    pub playout_delay_ms: u32,
    /// Where rooms ask for lost packets.
    pub repair: SocketAddr,
}

/// Where the packets of a stream go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The stream.
    pub media: SocketAddr,
    /// Packets that are sent again to all rooms.
    pub repair: SocketAddrV4,
    /// Parity, where there is any.
    pub fec: Option<SocketAddrV4>,
}

impl Groups {
    /// Their addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let media = ipv4(self.media.ip());
        [media, Some(*self.repair.ip()), self.fec.map(|group| *group.ip())].into_iter().flatten()
    }
}

/// The groups of all streams, in their order: as configured, else by the stream's id, none twice.
pub fn groups(streams: &[StreamConfig]) -> Vec<Groups> {
    groups_among(streams, streams.iter().filter_map(|stream| ipv4(stream.group?)).collect())
}

/// The groups of one more stream, none of which is among those that are `taken`.
pub fn groups_beside(stream: &StreamConfig, taken: Vec<Ipv4Addr>) -> Groups {
    groups_among(std::slice::from_ref(stream), taken)[0]
}

fn groups_among(streams: &[StreamConfig], mut taken: Vec<Ipv4Addr>) -> Vec<Groups> {
    let pick = |stream: &StreamConfig| {
        let group = stream.group.unwrap_or_else(|| {
            let group = match stream.profile {
                Profile::Unisono => multicast_group(&stream.id, &taken),
                Profile::Aes67 { .. } => aes67_group(&stream.id, &taken),
            };
            taken.push(group);
            group.into()
        });
        SocketAddr::new(group, stream.port)
    };
    let media: Vec<SocketAddr> = streams.iter().map(pick).collect();
    let mut beside = |stream: &StreamConfig, what: &str, ports: u16| {
        let group = multicast_group(&format!("{}/{what}", stream.id), &taken);
        taken.push(group);
        // A port of its own too: a socket that is bound to a port alone hears every group that its host has joined.
        SocketAddrV4::new(group, stream.port.checked_add(ports).unwrap_or(stream.port - ports))
    };
    let complete = |(stream, media): (&StreamConfig, SocketAddr)| Groups {
        media,
        repair: beside(stream, "repair", REPAIR_PORTS),
        fec: stream.fec.map(|_| beside(stream, "fec", FEC_PORTS)),
    };
    streams.iter().zip(media).map(complete).collect()
}

fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(address) = address { Some(address) } else { None }
}

/// The clock whose readings a stream's timestamps are.
pub fn own_clock(host: &Host) -> ReferenceClock {
    ReferenceClock::Ntp(SocketAddr::from((host.address, host.clock_port)))
}

/// The same for a stream by PTP.
pub fn ptp_clock(grandmaster: ClockIdentity, domain: u8) -> ReferenceClock {
    ReferenceClock::Ptp(PtpClock { grandmaster: Some(grandmaster), domain })
}

/// The description of a stream by this clock.
pub fn session(
    stream: &StreamConfig,
    groups: &Groups,
    host: &Host,
    identity: &StreamIdentity,
    clock: ReferenceClock,
) -> Session {
    // The epoch of PTP is that of media time.
    let direct_offset = if let ReferenceClock::Ptp(_) = clock { 0 } else { direct_offset_ntp(stream.format.rate) };
    Session {
        origin: Origin {
            username: "-".to_owned(),
            session_id: identity.session_id.to_string(),
            version: 1,
            address: host.address.to_string(),
        },
        name: stream.name.clone(),
        address: groups.media.ip(),
        ttl: Some(host.ttl),
        port: groups.media.port(),
        payload_type: stream.format.payload_type(),
        format: stream.format,
        packet_frames: Some(stream.packet_frames()),
        reference_clock: Some(clock),
        direct_offset: Some(direct_offset),
        source: None,
        stream_id: Some(stream.id.clone()),
        playout_delay_ms: Some(host.playout_delay_ms),
        delay_change: None,
        repair: Some(Repair {
            requests: host.repair,
            group: SocketAddr::V4(groups.repair),
            payload_type: rtx::PAYLOAD_TYPE,
            ssrc: identity.ssrc,
        }),
        fec: groups.fec.zip(stream.fec).map(|(group, matrix)| Fec { group: SocketAddr::V4(group), matrix }),
    }
}

/// Brings `identity` up to what is to be announced now, and returns the description that must be deleted first, if
/// there is one.
///
/// Peers know a session by its whole origin line, so a changed description is a new session, with a new id; announced
/// under the old one, or without deleting the old one, it would play twice.
///
/// A `derived` identity has no history: its session id follows from the description itself.
pub fn settle(
    identity: &mut StreamIdentity,
    derived: bool,
    describe: impl Fn(&StreamIdentity) -> Session,
) -> Option<String> {
    if derived {
        let session_id = 0;
        identity.session_id = session_id_of(&describe(&StreamIdentity { session_id, ..identity.clone() }).to_string());
        let now = describe(identity).to_string();
        let before = std::mem::replace(&mut identity.announced, now);
        return Some(before).filter(|before| !before.is_empty() && *before != identity.announced);
    }
    let same = describe(identity).to_string();
    if identity.announced == same {
        return None;
    }
    let outdated = std::mem::take(&mut identity.announced);
    if outdated.is_empty() {
        identity.announced = same;
        return None;
    }
    identity.session_id += 1;
    identity.announced = describe(identity).to_string();
    Some(outdated)
}

#[cfg(test)]
mod tests;
