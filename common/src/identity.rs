//! What a stream keeps over restarts of its sender, so that receivers go on as if nothing had been.
//!
//! A new SSRC inside a session silences PulseAudio and PipeWire for good, and a new session id doubles the audio in
//! them until the old one is deleted. So both are picked once and kept in the state directory.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The lasting identity of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamIdentity {
    /// Synchronisation source of its packets.
    pub ssrc: u32,
    /// Session id in its description; a new one whenever the description changes.
    pub session_id: u64,
    /// The description announced last; empty before the first. If it is not what is to be announced now, it must be
    /// deleted first.
    #[serde(default)]
    pub announced: String,
}

/// Why a text is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no stream identity: {0}")]
pub struct IdentityError(String);

/// What [`is_stream_id`] asks for, for people.
pub const STREAM_ID: &str = "1 to 32 of a-z, 0-9, - and _";

/// Whether a stream can be called so for machines: it names files, and stands in addresses and descriptions.
pub fn is_stream_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=32).contains(&text.len()) && text.chars().all(allowed)
}

impl StreamIdentity {
    /// A fresh one out of random bytes.
    pub fn new(random: [u8; 8]) -> Self {
        let [ssrc, session_id] = [[0, 1, 2, 3], [4, 5, 6, 7]].map(|i| u32::from_be_bytes(i.map(|i: usize| random[i])));
        StreamIdentity { ssrc, session_id: u64::from(session_id.max(1)), announced: String::new() }
    }

    /// The identity that follows from a text and the stream's id, the same on every sender. The session id is not in it yet:
    /// it follows from the description ([`session_id_of`]).
    pub fn derived(text: &str, stream_id: &str) -> Self {
        let ssrc = fnv1a(format!("{text}/{stream_id}").as_bytes());
        StreamIdentity { ssrc: ssrc.max(1), session_id: 0, announced: String::new() }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(text: &str) -> Result<Self, IdentityError> {
        toml::from_str(text).map_err(|error| IdentityError(error.message().to_owned()))
    }

    /// As text (TOML) for the state directory.
    pub fn encode(&self) -> Result<String, IdentityError> {
        toml::to_string(self).map_err(|error| IdentityError(error.to_string()))
    }
}

/// The multicast group of a stream that is given none: 239.77.x.y by its id, or the next one that is not `taken`.
///
/// The second byte, 77, keeps the group's Ethernet address clear of that of 224.0.0.x, which switches flood.
pub fn multicast_group(stream_id: &str, taken: &[Ipv4Addr]) -> Ipv4Addr {
    group_in(77, stream_id, taken)
}

/// The same for a stream of the AES67 profile: 239.69.x.y, where devices that are told no other prefix look for them.
pub fn aes67_group(stream_id: &str, taken: &[Ipv4Addr]) -> Ipv4Addr {
    group_in(69, stream_id, taken)
}

fn group_in(second: u8, stream_id: &str, taken: &[Ipv4Addr]) -> Ipv4Addr {
    const HOSTS: u32 = 254;
    let start = fnv1a(stream_id.as_bytes()) % (HOSTS * HOSTS);
    let group = |n: u32| Ipv4Addr::new(239, second, (n / HOSTS % HOSTS + 1) as u8, (n % HOSTS + 1) as u8);
    (start..start + HOSTS * HOSTS).map(group).find(|group| !taken.contains(group)).unwrap_or(group(start))
}

/// The session id of a derived identity: follows from the description (with a session id of 0), so that senders that
/// announce the same announce it under the same id, and any change is a new session.
pub fn session_id_of(description: &str) -> u64 {
    u64::from(fnv1a(description.as_bytes()).max(1))
}

/// FNV-1a: spreads short texts well, and is the same for ever.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
