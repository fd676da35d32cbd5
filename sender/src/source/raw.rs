//! Raw little-endian PCM from a byte stream that may break anywhere. (P)

use unisono_common::format::{Depth, Format};

/// Cuts bytes into samples; holds what is left of a frame until the rest comes.
///
/// 16 and 32 bits are what they say. 24 bits come in four bytes, the upper one extending the sign, from MPD
/// (its `S24_P32`), and in three from most other programs (`s24le`). Four are assumed until a word is met whose upper
/// byte is not the sign's: packed music shows one within a few frames.
#[derive(Debug)]
pub(super) struct RawPcm {
    depth: Depth,
    channels: usize,
    packed: bool,
    carry: Vec<u8>,
    /// Bytes since the writer came.
    consumed: usize,
}

impl RawPcm {
    pub(super) fn new(format: Format) -> Self {
        let (depth, channels) = (format.depth, usize::from(format.channels));
        Self { depth, channels, packed: false, carry: Vec::new(), consumed: 0 }
    }

    /// Bytes of one frame as it is written.
    pub(super) fn frame_bytes(&self) -> usize {
        self.sample_bytes() * self.channels
    }

    fn sample_bytes(&self) -> usize {
        match self.depth {
            Depth::S16 => 2,
            Depth::S24 if self.packed => 3,
            Depth::S24 | Depth::S32 => 4,
        }
    }

    /// Appends the frames that `bytes` complete to `out`, each sample at the top of its 32 bits.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<i32>) {
        self.carry.extend_from_slice(bytes);
        let mut used = 0;
        if self.depth == Depth::S24 && !self.packed && !self.carry.chunks_exact(4).all(sign_extended) {
            self.packed = true;
            // Frames of three-byte samples began at a multiple of their size.
            used = (self.frame_bytes() - self.consumed % self.frame_bytes()) % self.frame_bytes();
        }
        let whole = self.carry.len().saturating_sub(used) / self.frame_bytes() * self.frame_bytes();
        let frames = self.carry.get(used..used + whole).unwrap_or(&[]);
        match (self.depth, self.packed) {
            (Depth::S16, _) => out.extend(frames.chunks_exact(2).map(|b| i32::from_le_bytes([0, 0, b[0], b[1]]))),
            (Depth::S24, true) => out.extend(frames.chunks_exact(3).map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]]))),
            (Depth::S24, false) => {
                out.extend(frames.chunks_exact(4).map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]])))
            }
            (Depth::S32, _) => out.extend(frames.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        }
        let used = (used + whole).min(self.carry.len());
        self.consumed += used;
        self.carry.drain(..used);
    }

    /// The writer has left: the next one begins with a whole frame. Returns the bytes of the one that was not.
    pub(super) fn end(&mut self) -> usize {
        let dropped = self.carry.len();
        self.carry.clear();
        (self.consumed, self.packed) = (0, false);
        dropped
    }
}

/// Whether the upper byte of a 24-bit sample in four bytes is the sign's.
fn sign_extended(word: &[u8]) -> bool {
    word[3] == if word[2] & 0x80 == 0 { 0 } else { 0xff }
}

#[cfg(test)]
mod tests;
