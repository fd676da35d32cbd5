//! Frames into packets. Buffers are made once; a packet costs no allocation.

use unisono_common::format::{Depth, Format};
use unisono_common::rtp::{HEADER_LEN, Header};
use unisono_common::time::rtp_timestamp;
use unisono_common::{pcm, sequence};

/// Builds the packets of one stream.
#[derive(Clone, Debug)]
pub struct Packetizer {
    payload_type: u8,
    ssrc: u32,
    packet_frames: u32,
    depth: Depth,
    samples: Vec<i32>,
    packet: Vec<u8>,
}

impl Packetizer {
    /// For a stream of `format`, `packet_frames` of it in a packet, from source `ssrc`.
    pub fn new(format: Format, packet_frames: u32, ssrc: u32) -> Self {
        let samples = packet_frames as usize * usize::from(format.channels);
        Packetizer {
            payload_type: format.payload_type(),
            ssrc,
            packet_frames,
            depth: format.depth,
            samples: vec![0; samples],
            packet: vec![0; HEADER_LEN + samples * format.depth.bytes()],
        }
    }

    /// Interleaved samples of the packet made last.
    pub fn samples(&self) -> &[i32] {
        &self.samples
    }

    /// The packet whose first frame is `frame`. `fill` puts interleaved samples into its argument, from the front;
    /// what it leaves is silence.
    pub fn packet(&mut self, frame: i64, fill: impl FnOnce(&mut [i32])) -> &[u8] {
        let header = Header {
            payload_type: self.payload_type,
            sequence: sequence::of_frame(frame, self.packet_frames),
            timestamp: rtp_timestamp(frame),
            ssrc: self.ssrc,
        };
        let written = header.write(&mut self.packet);
        debug_assert!(written.is_ok(), "a format's payload type fits, and the buffer holds a header");
        self.samples.fill(0);
        fill(&mut self.samples);
        pcm::encode_be(self.depth, &self.samples, &mut self.packet[HEADER_LEN..]);
        &self.packet
    }
}

#[cfg(test)]
mod tests;
