//! How a room that does not hear a stream's group asks its sender for the packets by unicast.
//!
//! RTCP APP packets (RFC 3550 section 6.7) of the name `UNIS` on the repair port. The room asks; the sender answers with a
//! token that only who really is at that address gets to see; asked again with the token, it delivers for
//! [`LEASE_NS`], and for as long as the room goes on asking. So nobody can have a stream sent to somebody else.
//!
//! The data are a version, three bytes of zero, the stream's SSRC and the token. What stands behind them is passed over:
//! the version rises only when those who know the older one must leave a message alone.

use rtcp_types::App;
use rtcp_types::prelude::*;

use crate::rtcp::RtcpError;

/// Version of these messages.
pub const VERSION: u8 = 1;

/// A sender delivers for so long after it was asked last.
pub const LEASE_NS: i64 = 5_000_000_000;

/// A room asks this often.
pub const ASK_NS: i64 = 1_000_000_000;

/// Name of the APP packets.
const NAME: &str = "UNIS";

/// One message, about the stream `media` (its SSRC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What is said.
    pub kind: Kind,
    /// The stream's SSRC.
    pub media: u32,
    /// Proof that the room is where it says; 0 in a first request.
    pub token: u64,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a room: deliver to me.
    Ask,
    /// By the sender: ask again with this token.
    Token,
    /// By a room: no longer.
    End,
}

/// Writes a message of the participant `ssrc`; returns the number of bytes.
pub fn write(message: &Message, ssrc: u32, out: &mut [u8]) -> Result<usize, RtcpError> {
    let mut data = [0; 16];
    data[0] = VERSION;
    data[4..8].copy_from_slice(&message.media.to_be_bytes());
    data[8..].copy_from_slice(&message.token.to_be_bytes());
    let app = App::builder(ssrc, NAME).subtype(message.kind as u8).data(&data);
    let report = rtcp_types::ReceiverReport::builder(ssrc);
    Ok(rtcp_types::Compound::builder().add_packet(report).add_packet(app).write_into(out)?)
}

/// The message in an APP packet, if it is one of this version.
pub(crate) fn read(app: &App<'_>) -> Option<Message> {
    // Ours have no padding, and rtcp-types believes what a packet says of its own.
    if app.padding().is_some() {
        return None;
    }
    let (head, _) = app.data().split_first_chunk::<16>()?;
    let kind = match app.subtype() {
        0 => Kind::Ask,
        1 => Kind::Token,
        2 => Kind::End,
        _ => return None,
    };
    let [version, _, _, _, m0, m1, m2, m3, token @ ..] = *head;
    let ours = app.name() == NAME.as_bytes() && version == VERSION;
    let media = u32::from_be_bytes([m0, m1, m2, m3]);
    ours.then_some(Message { kind, media, token: u64::from_be_bytes(token) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{self, Item};

    const MESSAGE: Message = Message { kind: Kind::Token, media: 0x1122_3344, token: 0x0102_0304_0506_0708 };

    fn written(message: &Message) -> Vec<u8> {
        let mut out = [0; 64];
        let length = write(message, 0x5566_7788, &mut out).unwrap();
        out[..length].to_vec()
    }

    #[test]
    fn a_message_has_these_bytes_and_is_read_back() {
        let bytes = written(&MESSAGE);
        let app = [0x81, 204, 0, 6, 0x55, 0x66, 0x77, 0x88, b'U', b'N', b'I', b'S', 1, 0, 0, 0, 0x11, 0x22, 0x33, 0x44];
        assert_eq!(bytes[8..28], app);
        assert_eq!(bytes[28..], [1, 2, 3, 4, 5, 6, 7, 8]);
        for kind in [Kind::Ask, Kind::Token, Kind::End] {
            let message = Message { kind, ..MESSAGE };
            assert_eq!(rtcp::parse(&written(&message)).unwrap(), [Item::Delivery(message)]);
        }
    }

    #[test]
    fn another_version_or_name_is_passed_over_and_more_data_are_not() {
        let mut newer = written(&MESSAGE);
        newer[20] = 2;
        assert_eq!(rtcp::parse(&newer).unwrap(), []);
        let mut stranger = written(&MESSAGE);
        stranger[16] = b'V';
        assert_eq!(rtcp::parse(&stranger).unwrap(), []);
        let mut longer = written(&MESSAGE);
        longer[11] += 1;
        longer.extend([9; 4]);
        assert_eq!(rtcp::parse(&longer).unwrap(), [Item::Delivery(MESSAGE)]);
    }
}
