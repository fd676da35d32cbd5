//! Packets of one source into one unbroken line of samples.

use unisono_common::format::Format;
use unisono_common::pcm;
use unisono_common::rtp::Packet;
use unisono_common::time::LocalTime;

/// A source that was silent for so long may be replaced by another.
const SOURCE_GONE_NS: i64 = 1_000_000_000;

/// What is missing is silence, up to so many seconds of it; a larger jump is a new beginning.
const MOST_MISSING_S: i32 = 2;

/// Where the line is.
#[derive(Debug)]
pub(super) struct Line {
    format: Format,
    payload_type: u8,
    /// Who is listened to, and when it was heard last.
    source: Option<(u32, LocalTime)>,
    /// Timestamp of the frame that comes next.
    next: Option<u32>,
}

impl Line {
    pub(super) fn new(format: Format, payload_type: u8) -> Self {
        Line { format, payload_type, source: None, next: None }
    }

    /// Appends the samples of a packet to `out`, and before them silence for what is missing. What came late, came twice
    /// or is none of the stream's is left out.
    pub(super) fn take(&mut self, packet: &Packet<'_>, now: LocalTime, out: &mut Vec<i32>) {
        let header = &packet.header;
        if header.payload_type != self.payload_type {
            return;
        }
        match self.source {
            Some((ssrc, _)) if ssrc == header.ssrc => {}
            Some((_, heard)) if now - heard < SOURCE_GONE_NS => return,
            _ => self.next = None,
        }
        self.source = Some((header.ssrc, now));
        let missing = self.next.map_or(0, |next| header.timestamp.wrapping_sub(next) as i32);
        let most = MOST_MISSING_S * self.format.rate as i32;
        if (-most..0).contains(&missing) {
            return;
        }
        let channels = usize::from(self.format.channels);
        if (0..=most).contains(&missing) {
            out.resize(out.len() + missing as usize * channels, 0);
        }
        let frames = packet.payload.len() / self.format.frame_bytes();
        let begin = out.len();
        out.resize(begin + frames * channels, 0);
        pcm::decode_be(self.format.depth, packet.payload, &mut out[begin..]);
        self.next = Some(header.timestamp.wrapping_add(frames as u32));
    }
}
