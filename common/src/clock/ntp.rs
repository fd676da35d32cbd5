//! NTP packets (RFC 5905 section 7.3): the 48 bytes of the header, which are all that the exchange needs.
//!
//! Extension fields and authenticators that follow are ignored.

use thiserror::Error;

/// Length of the header, and of every packet that we send.
pub const LENGTH: usize = 48;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Asks for the time.
    Client,
    /// Answers.
    Server,
    /// Symmetric, broadcast, control or private: not for us.
    Other(u8),
}

/// The header of an NTP packet. Timestamps are 64-bit NTP: seconds since 1900 and a binary fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Leap indicator; 3 means that the server's clock is not set.
    pub leap: u8,
    /// Protocol version, 1 to 4 in use.
    pub version: u8,
    /// Who speaks.
    pub mode: Mode,
    /// Distance from a reference clock: 1 is next to one, 0 a "kiss of death", 16 and more not set.
    pub stratum: u8,
    /// Poll interval in log2 seconds.
    pub poll: i8,
    /// Precision of the clock in log2 seconds.
    pub precision: i8,
    /// Round-trip delay to the reference clock, seconds in 16.16 bits.
    pub root_delay: u32,
    /// Dispersion to the reference clock, seconds in 16.16 bits.
    pub root_dispersion: u32,
    /// What the server follows. A Unisono sender puts its clock epoch here.
    pub reference_id: u32,
    /// When the server's clock was last set.
    pub reference: u64,
    /// In a reply: the request's transmit timestamp, or its receive timestamp in interleaved mode (RFC 9769).
    pub origin: u64,
    /// In a reply: when the request came in.
    pub receive: u64,
    /// In a reply: when it left, or when the previous reply left in interleaved mode.
    pub transmit: u64,
}

/// Why bytes are not an NTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NtpError {
    /// Shorter than the header.
    #[error("an NTP packet has at least 48 bytes, this has {0}")]
    Short(usize),
    /// A version that does not exist.
    #[error("NTP version {0} is not one of 1 to 4")]
    Version(u8),
}

impl Packet {
    /// Reads the header of a packet.
    pub fn parse(bytes: &[u8]) -> Result<Self, NtpError> {
        let header: &[u8; LENGTH] = bytes.first_chunk().ok_or(NtpError::Short(bytes.len()))?;
        let version = header[0] >> 3 & 7;
        if !(1..=4).contains(&version) {
            return Err(NtpError::Version(version));
        }
        let u32_at = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
        Ok(Self {
            leap: header[0] >> 6,
            version,
            mode: Mode::from_bits(header[0] & 7),
            stratum: header[1],
            poll: header[2] as i8,
            precision: header[3] as i8,
            root_delay: u32_at(4),
            root_dispersion: u32_at(8),
            reference_id: u32_at(12),
            reference: u64_at(16),
            origin: u64_at(24),
            receive: u64_at(32),
            transmit: u64_at(40),
        })
    }

    /// The packet as it goes on the wire.
    pub fn to_bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = self.leap << 6 | (self.version & 7) << 3 | self.mode.to_bits();
        bytes[1] = self.stratum;
        bytes[2] = self.poll as u8;
        bytes[3] = self.precision as u8;
        bytes[4..8].copy_from_slice(&self.root_delay.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.root_dispersion.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.reference_id.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.reference.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.origin.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.receive.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.transmit.to_be_bytes());
        bytes
    }
}

impl Mode {
    fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            3 => Self::Client,
            4 => Self::Server,
            other => Self::Other(other),
        }
    }

    fn to_bits(self) -> u8 {
        match self {
            Self::Client => 3,
            Self::Server => 4,
            Self::Other(bits) => bits & 7,
        }
    }
}

#[cfg(test)]
mod tests;
