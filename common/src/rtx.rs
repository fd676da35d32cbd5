//! Retransmission of RTP packets (RFC 4588): the packet once more, with its sequence number in front of the payload.
//!
//! Retransmissions travel in a session of their own (other addresses than the stream's), so that nobody who plays the
//! stream alone ever sees them; so they carry the stream's SSRC (RFC 4588 section 5.3) and a sequence of their own.

use crate::rtp::{self, HEADER_LEN, Header, Packet, RtpError};

/// RTP payload type of retransmissions.
pub const PAYLOAD_TYPE: u8 = 97;

/// Bytes of the original sequence number.
pub const PREFIX_LEN: usize = 2;

/// The longest retransmission, header included.
pub const MAX_PACKET: usize = rtp::MAX_PACKET + PREFIX_LEN;

/// A retransmission as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission<'a> {
    /// Whose packet it is.
    pub ssrc: u32,
    /// Sequence number of the packet that is sent again.
    pub sequence: u16,
    /// RTP timestamp of that packet.
    pub timestamp: u32,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Why bytes are no retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtxError {
    /// No RTP.
    #[error(transparent)]
    Rtp(#[from] RtpError),
    /// Of another payload type.
    #[error("RTX: payload type {found} instead of {expected}")]
    PayloadType {
        /// What it says.
        found: u8,
        /// What retransmissions of the stream have.
        expected: u8,
    },
    /// Too short to name the packet that it is of.
    #[error("RTX: no original sequence number")]
    Short,
}

/// Reads a retransmission of payload type `payload_type`.
pub fn parse(bytes: &[u8], payload_type: u8) -> Result<Retransmission<'_>, RtxError> {
    let packet = Packet::parse(bytes)?;
    let Header { payload_type: found, timestamp, ssrc, .. } = packet.header;
    if found != payload_type {
        return Err(RtxError::PayloadType { found, expected: payload_type });
    }
    let (&original, payload) = packet.payload.split_first_chunk::<PREFIX_LEN>().ok_or(RtxError::Short)?;
    Ok(Retransmission { ssrc, sequence: u16::from_be_bytes(original), timestamp, payload })
}

/// Writes `packet`, as it was sent, as the retransmission number `sequence` into `out`; returns its length.
///
/// # Errors
/// when `packet` is no RTP or `out` is too short.
pub fn write(packet: &[u8], payload_type: u8, sequence: u16, out: &mut [u8]) -> Result<usize, RtpError> {
    let Packet { header, payload, .. } = Packet::parse(packet)?;
    let length = HEADER_LEN + PREFIX_LEN + payload.len();
    let out = out.get_mut(..length).ok_or(RtpError::Unwritable)?;
    Header { payload_type, sequence, ..header }.write(out)?;
    out[HEADER_LEN..HEADER_LEN + PREFIX_LEN].copy_from_slice(&header.sequence.to_be_bytes());
    out[HEADER_LEN + PREFIX_LEN..].copy_from_slice(payload);
    Ok(length)
}

#[cfg(test)]
mod tests;
