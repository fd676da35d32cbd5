//! Who a stream is on the network: its group, its identity and the description that follows from both.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use unisono_common::config::sender::StreamConfig;
use unisono_common::identity::{StreamIdentity, multicast_group};
use unisono_common::sdp::{Origin, ReferenceClock, Session};
use unisono_common::time::direct_offset_ntp;

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
}

/// The groups of all streams, in their order: as configured, else by the stream's id, none twice.
pub fn groups(streams: &[StreamConfig]) -> Vec<SocketAddrV4> {
    let mut taken: Vec<Ipv4Addr> = streams.iter().filter_map(|stream| stream.group).collect();
    let pick = |stream: &StreamConfig| {
        let group = stream.group.unwrap_or_else(|| {
            let group = multicast_group(&stream.id, &taken);
            taken.push(group);
            group
        });
        SocketAddrV4::new(group, stream.port)
    };
    streams.iter().map(pick).collect()
}

/// The description of a stream.
pub fn session(stream: &StreamConfig, group: SocketAddrV4, host: &Host, identity: &StreamIdentity) -> Session {
    Session {
        origin: Origin {
            username: "-".to_owned(),
            session_id: identity.session_id.to_string(),
            version: 1,
            address: host.address.to_string(),
        },
        name: stream.name.clone(),
        address: IpAddr::V4(*group.ip()),
        ttl: Some(host.ttl),
        port: group.port(),
        payload_type: stream.format.payload_type(),
        format: stream.format,
        packet_frames: Some(stream.format.packet_frames()),
        reference_clock: Some(ReferenceClock::Ntp(SocketAddr::from((host.address, host.clock_port)))),
        direct_offset: Some(direct_offset_ntp(stream.format.rate)),
        source: None,
        stream_id: Some(stream.id.clone()),
        playout_delay_ms: Some(host.playout_delay_ms),
    }
}

/// Brings `identity` up to what is to be announced now, and returns the description that must be deleted first, if
/// there is one.
///
/// Peers know a session by its whole origin line, so a changed description is a new session, with a new id; announced
/// under the old one, or without deleting the old one, it would play twice.
pub fn settle(identity: &mut StreamIdentity, describe: impl Fn(&StreamIdentity) -> Session) -> Option<String> {
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
