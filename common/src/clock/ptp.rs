//! PTP (IEEE 1588-2008) as the clock of AES67 streams: the slave's end, as a state machine without I/O.
//!
//! The default profile over UDP and IPv4, delay measured end to end (Annexes D and J). [`statime`] is the protocol: it
//! reads and writes messages and picks the best master. Neither its filters nor any clock of the host are used: what
//! it measures becomes the same [`Sample`] as an NTP exchange's, for the same [`Filter`](super::Filter).
//!
//! In the order of the data path: [`screen`] keeps out what statime is not made for, [`slave`] drives it, [`pairing`]
//! makes samples of its one-way measurements, [`tracking`] keeps the clock map through changes of the grandmaster.

mod pairing;
mod screen;
mod slave;
mod tracking;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

pub use slave::{Node, Request, Slave};
pub use tracking::{Lock, Tracking};

use super::Sample;
use crate::time::ClockEpoch;

/// The group that all messages of the delay mechanism end to end go to (Annex D.3).
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 129);

/// Port of messages that are stamped.
pub const EVENT_PORT: u16 = 319;

/// Port of all other messages.
pub const GENERAL_PORT: u16 = 320;

/// DSCP of event messages: EF, as AES67 section 6.3 asks for.
pub const DSCP: u8 = 46;

/// The highest domain number that profiles may use (7.1).
pub const LAST_DOMAIN: u8 = 127;

/// Names a PTP clock: an EUI-64, written `39-A7-94-FF-FE-07-CB-D0` in session descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockIdentity(pub [u8; 8]);

impl ClockIdentity {
    /// The epoch of what this clock tells as a grandmaster: follows from its name, so that who compares need not ask.
    pub fn epoch(self) -> ClockEpoch {
        let spread = |hash: u32, &byte: &u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        ClockEpoch(self.0.iter().fold(0x811c_9dc5, spread).max(1))
    }
}

impl fmt::Display for ClockIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i] = self.0;
        write!(f, "{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{g:02X}-{h:02X}-{i:02X}")
    }
}

/// A text that names no PTP clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not eight bytes in hexadecimal with a - between them")]
pub struct ClockIdentityError;

impl FromStr for ClockIdentity {
    type Err = ClockIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let byte = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            plain.then(|| u8::from_str_radix(digits, 16).ok())?
        };
        let bytes: Option<Vec<u8>> = text.split('-').take(9).map(byte).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(ClockIdentity).ok_or(ClockIdentityError)
    }
}

/// A sample, and the grandmaster whose time it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The round trip.
    pub sample: Sample,
    /// Whose time its stamps are.
    pub grandmaster: ClockIdentity,
}

#[cfg(test)]
mod tests;
