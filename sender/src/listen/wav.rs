//! WAV of unknown length: both sizes are as large as they can be, which players take for a stream.

use unisono_common::format::Format;
use unisono_common::pcm;

use super::Wrap;

const UNKNOWN: u32 = u32::MAX;

/// The tail of the GUID by which WAVE_FORMAT_EXTENSIBLE names a format tag.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;

pub(super) struct Wav(Format);

impl Wav {
    pub(super) fn new(format: Format) -> Self {
        Wav(format)
    }
}

impl Wrap for Wav {
    fn head(&self) -> Vec<u8> {
        let Format { rate, depth, channels } = self.0;
        let frame = self.0.frame_bytes() as u32;
        // Plain PCM is defined for 16 bits and two channels only.
        let extensible = depth.bits() > 16 || channels > 2;
        let mut head = Vec::with_capacity(68);
        head.extend_from_slice(b"RIFF");
        head.extend_from_slice(&UNKNOWN.to_le_bytes());
        head.extend_from_slice(b"WAVEfmt ");
        head.extend_from_slice(&if extensible { 40_u32 } else { 16 }.to_le_bytes());
        head.extend_from_slice(&if extensible { EXTENSIBLE } else { PCM }.to_le_bytes());
        head.extend_from_slice(&channels.to_le_bytes());
        head.extend_from_slice(&rate.to_le_bytes());
        head.extend_from_slice(&(rate * frame).to_le_bytes());
        head.extend_from_slice(&(frame as u16).to_le_bytes());
        head.extend_from_slice(&(depth.bits() as u16).to_le_bytes());
        if extensible {
            head.extend_from_slice(&22_u16.to_le_bytes());
            head.extend_from_slice(&(depth.bits() as u16).to_le_bytes());
            // Which loudspeakers the channels are for is not said.
            head.extend_from_slice(&0_u32.to_le_bytes());
            head.extend_from_slice(&PCM.to_le_bytes());
            head.extend_from_slice(&GUID_TAIL);
        }
        head.extend_from_slice(b"data");
        head.extend_from_slice(&UNKNOWN.to_le_bytes());
        head
    }

    fn put(&mut self, samples: &[i32], out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        out.resize(begin + samples.len() * self.0.depth.bytes(), 0);
        pcm::encode_le(self.0.depth, samples, &mut out[begin..]);
        true
    }
}
