//! The Session Announcement Protocol (SAP, RFC 2974): the packets, and the [`Directory`] of what was announced.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod directory;

pub use directory::{Directory, Event};

/// UDP port of all announcements.
pub const PORT: u16 = 9875;

/// Where PulseAudio and PipeWire listen.
pub const GROUP_PULSE: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 56);

/// The local scope: where AES67 gear listens.
pub const GROUP_LOCAL: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 255);

/// The global scope: where VLC and ffmpeg listen.
pub const GROUP_GLOBAL: Ipv4Addr = Ipv4Addr::new(224, 2, 127, 254);

const MIME_TYPE: &[u8] = b"application/sdp\0";

/// Whether a session is there or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is there.
    Announcement,
    /// It is gone.
    Deletion,
}

/// A received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Whether the session is there or gone.
    pub kind: Kind,
    /// Message id hash. Some senders leave it 0, so the session's origin is what counts.
    pub hash: u16,
    /// Address of the announcing host.
    pub origin: IpAddr,
    /// The description; in a deletion perhaps only its `o=` line.
    pub sdp: &'a [u8],
}

/// Why bytes are no SAP packet that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SapError {
    /// The header, with what it announces, is longer than the packet.
    #[error("SAP: {0} bytes are less than its header")]
    Truncated(usize),
    /// A version other than 1.
    #[error("SAP: version {0} instead of 1")]
    Version(u8),
    /// Nobody sends these.
    #[error("SAP: encrypted or compressed")]
    Encoded,
    /// Something other than SDP is announced.
    #[error("SAP: the payload is no SDP")]
    NotSdp,
}

impl<'a> Packet<'a> {
    /// Reads a packet as it came from the network.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SapError> {
        let truncated = SapError::Truncated(bytes.len());
        let (&[flags, auth_words, hash_high, hash_low], rest) = bytes.split_first_chunk().ok_or(truncated)?;
        if flags >> 5 != 1 {
            return Err(SapError::Version(flags >> 5));
        }
        if flags & 0b11 != 0 {
            return Err(SapError::Encoded);
        }
        let (origin, rest) = if flags & 0x10 == 0 {
            let (address, rest) = rest.split_first_chunk().ok_or(truncated)?;
            (IpAddr::from(Ipv4Addr::from(*address)), rest)
        } else {
            let (address, rest) = rest.split_first_chunk().ok_or(truncated)?;
            (IpAddr::from(Ipv6Addr::from(*address)), rest)
        };
        let payload = rest.get(usize::from(auth_words) * 4..).ok_or(truncated)?;
        Ok(Packet {
            kind: if flags & 0x04 == 0 { Kind::Announcement } else { Kind::Deletion },
            hash: u16::from_be_bytes([hash_high, hash_low]),
            origin,
            sdp: without_mime_type(payload)?,
        })
    }
}

/// Builds the packet that announces or deletes `sdp` on behalf of the host `origin`.
///
/// A deletion carries the whole description too: PulseAudio looks for its start.
pub fn packet(kind: Kind, origin: IpAddr, sdp: &str) -> Vec<u8> {
    let deletion = if kind == Kind::Deletion { 0x04 } else { 0 };
    let family = if origin.is_ipv6() { 0x10 } else { 0 };
    let mut packet = vec![0x20 | family | deletion, 0];
    packet.extend(message_hash(sdp).to_be_bytes());
    match origin {
        IpAddr::V4(address) => packet.extend(address.octets()),
        IpAddr::V6(address) => packet.extend(address.octets()),
    }
    packet.extend(MIME_TYPE);
    packet.extend(sdp.as_bytes());
    packet
}

/// The hash of a description: changes when it changes, and is never 0, which VLC refuses. The playout delay, which only
/// Unisono reads, is not in it: no other player need begin anew because of it.
pub fn message_hash(sdp: &str) -> u16 {
    let read_by_all: String = sdp.split_inclusive('\n').filter(|line| !line.starts_with("a=x-unisono-delay")).collect();
    match crc32(read_by_all.as_bytes()) as u16 {
        0 => 1,
        hash => hash,
    }
}

/// CRC-32 as in IEEE 802.3, bit by bit: a few hundred bytes now and then.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ POLYNOMIAL };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// The media type may be left out when SDP follows (RFC 2974 section 6).
fn without_mime_type(payload: &[u8]) -> Result<&[u8], SapError> {
    if payload.starts_with(b"v=0") || payload.starts_with(b"o=") {
        return Ok(payload);
    }
    match payload.split_at_checked(MIME_TYPE.len()) {
        Some((mime_type, sdp)) if mime_type.eq_ignore_ascii_case(MIME_TYPE) => Ok(sdp),
        _ => Err(SapError::NotSdp),
    }
}

#[cfg(test)]
mod tests;
