//! Raw little-endian PCM from a byte stream that may break anywhere. (P)

use unisono_audio::convert::Samples;
use unisono_common::format::{Encoding, RawFormat};

/// Cuts bytes into samples; holds what is left of a frame until the rest comes.
///
/// 8 bits (signed), 16, 32 and floating point are what they say. 24 bits come in four bytes, the upper one extending the
/// sign, from MPD (its `S24_P32`), and in three from most other programs (`s24le`). Four are assumed until a word is met
/// whose upper byte is not the sign's: packed music shows one within a few frames.
#[derive(Debug)]
pub(super) struct RawPcm {
    encoding: Encoding,
    channels: usize,
    packed: bool,
    carry: Vec<u8>,
    /// Bytes since the writer came.
    consumed: usize,
    /// The frames that the last bytes completed: each sample at the top of its 32 bits.
    ints: Vec<i32>,
    /// The same of floating point.
    floats: Vec<f32>,
}

impl RawPcm {
    pub(super) fn new(format: RawFormat) -> Self {
        Self {
            encoding: format.encoding,
            channels: format.channels.into(),
            packed: false,
            carry: Vec::new(),
            consumed: 0,
            ints: Vec::new(),
            floats: Vec::new(),
        }
    }

    /// Bytes of one frame as it is written.
    pub(super) fn frame_bytes(&self) -> usize {
        self.sample_bytes() * self.channels
    }

    fn sample_bytes(&self) -> usize {
        match self.encoding {
            Encoding::S8 => 1,
            Encoding::S16 => 2,
            Encoding::S24 if self.packed => 3,
            Encoding::S24 | Encoding::S32 | Encoding::F32 => 4,
        }
    }

    /// Takes `bytes` in; the frames that they complete are then its [`samples`](Self::samples).
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.carry.extend_from_slice(bytes);
        let mut used = 0;
        if self.encoding == Encoding::S24 && !self.packed && !self.carry.chunks_exact(4).all(sign_extended) {
            self.packed = true;
            // Frames of three-byte samples began at a multiple of their size.
            used = (self.frame_bytes() - self.consumed % self.frame_bytes()) % self.frame_bytes();
        }
        let whole = self.carry.len().saturating_sub(used) / self.frame_bytes() * self.frame_bytes();
        let frames = self.carry.get(used..used + whole).unwrap_or(&[]);
        self.ints.clear();
        self.floats.clear();
        match (self.encoding, self.packed) {
            (Encoding::S8, _) => self.ints.extend(frames.iter().map(|&b| i32::from_le_bytes([0, 0, 0, b]))),
            (Encoding::S16, _) => cut(frames, &mut self.ints, |[a, b]: [u8; 2]| i32::from_le_bytes([0, 0, a, b])),
            (Encoding::S24, true) => cut(frames, &mut self.ints, |[a, b, c]: [u8; 3]| i32::from_le_bytes([0, a, b, c])),
            (Encoding::S24, false) => {
                cut(frames, &mut self.ints, |[a, b, c, _]: [u8; 4]| i32::from_le_bytes([0, a, b, c]));
            }
            (Encoding::S32, _) => cut(frames, &mut self.ints, i32::from_le_bytes),
            (Encoding::F32, _) => cut(frames, &mut self.floats, f32::from_le_bytes),
        }
        let used = (used + whole).min(self.carry.len());
        self.consumed += used;
        self.carry.drain(..used);
    }

    /// The frames that the last bytes completed.
    pub(super) fn samples(&self) -> Samples<'_> {
        if self.encoding == Encoding::F32 { Samples::Float(&self.floats) } else { Samples::Int(&self.ints) }
    }

    /// The writer has left: the next one begins with a whole frame. Returns the bytes of the one that was not.
    pub(super) fn end(&mut self) -> usize {
        let dropped = self.carry.len();
        self.carry.clear();
        (self.consumed, self.packed) = (0, false);
        dropped
    }
}

/// Appends the samples of whole frames to `out`.
fn cut<T, const WIDTH: usize>(frames: &[u8], out: &mut Vec<T>, read: impl Fn([u8; WIDTH]) -> T) {
    out.extend(frames.as_chunks::<WIDTH>().0.iter().map(|&sample| read(sample)));
}

/// Whether the upper byte of a 24-bit sample in four bytes is the sign's.
fn sign_extended(word: &[u8]) -> bool {
    word[3] == if word[2] & 0x80 == 0 { 0 } else { 0xff }
}

#[cfg(test)]
mod tests;
