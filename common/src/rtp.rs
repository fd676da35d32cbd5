//! RTP data packets (RFC 3550 section 5.1), on top of rtp-rs.
//!
//! rtp-rs is small, allocates nothing and holds on arbitrary bytes, but has had no release since 2021; it lacks
//! errors that implement `Error`, and its `Seq` orders unsoundly. So it stays inside this module; `rtp-types` would
//! take its place. We send the plain 12-byte header, because extensions, CSRCs and padding silence or damage known
//! receivers, and read all of them.

use rtp_rs::{RtpPacketBuilder, RtpReader, RtpReaderError, Seq};

/// Bytes of the header that we send.
pub const HEADER_LEN: usize = 12;

/// The longest packet that we send, header included.
pub const MAX_PACKET: usize = HEADER_LEN + crate::format::MAX_PAYLOAD;

/// A received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fields of the fixed header.
    pub header: Header,
    /// Marker bit.
    pub marker: bool,
    /// What is left without header extension, CSRCs and padding.
    pub payload: &'a [u8],
}

/// What we write into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// Why bytes are no RTP packet, or a header can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than the fixed header.
    #[error("RTP: {0} bytes are less than a header")]
    TooShort(usize),
    /// A version other than 2: not RTP.
    #[error("RTP: version {0} instead of 2")]
    Version(u8),
    /// CSRCs or a header extension reach past the end.
    #[error("RTP: a header of {header} bytes in a packet of {packet}")]
    Truncated {
        /// Bytes that the header says it has.
        header: usize,
        /// Bytes that are there.
        packet: usize,
    },
    /// More padding than packet, or none where some is announced.
    #[error("RTP: {0} bytes of padding do not fit")]
    Padding(u8),
    /// A payload type over 127, or less than [`HEADER_LEN`] bytes to write to.
    #[error("RTP: the header can't be written: payload type over 127 or buffer under 12 bytes")]
    Unwritable,
}

impl<'a> Packet<'a> {
    /// Reads a packet as it came from the network.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let reader = RtpReader::new(bytes)?;
        let header = Header {
            payload_type: reader.payload_type(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
        };
        Ok(Packet { header, marker: reader.mark(), payload: reader.payload() })
    }
}

impl Header {
    /// Writes the header to the front of `packet`, whose payload stands from [`HEADER_LEN`] on. Allocates nothing.
    pub fn write(&self, packet: &mut [u8]) -> Result<(), RtpError> {
        RtpPacketBuilder::new()
            .payload_type(self.payload_type)
            .sequence(Seq::from(self.sequence))
            .timestamp(self.timestamp)
            .ssrc(self.ssrc)
            .build_into(packet)
            .map(|_| ())
            .map_err(|_| RtpError::Unwritable)
    }
}

impl From<RtpReaderError> for RtpError {
    fn from(error: RtpReaderError) -> Self {
        match error {
            RtpReaderError::BufferTooShort(len) => RtpError::TooShort(len),
            RtpReaderError::UnsupportedVersion(version) => RtpError::Version(version),
            RtpReaderError::HeadersTruncated { header_len, buffer_len } => {
                RtpError::Truncated { header: header_len, packet: buffer_len }
            }
            RtpReaderError::PaddingLengthInvalid(len) => RtpError::Padding(len),
        }
    }
}

#[cfg(test)]
mod tests;
