//! The shape of a stream's PCM, what follows from it on the wire, and the shape of PCM in raw pipes.

use std::fmt;
use std::str::FromStr;

/// Sample depth of PCM in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// 16 bits (L16, RFC 3551).
    S16,
    /// 24 bits in three bytes (L24, RFC 3190).
    S24,
}

/// How a raw pipe carries a sample, little-endian: all that MPD writes but DSD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 8 bits, signed.
    S8,
    /// 16 bits.
    S16,
    /// 24 bits, in three bytes or in four.
    S24,
    /// 32 bits.
    S32,
    /// Floating point of 32 bits; full scale is 1.0.
    F32,
}

/// Rate, depth and channel count of PCM; written `48000:16:2` in configuration, as MPD and Snapcast do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// Frames per second, 8000 to 192000.
    pub rate: u32,
    /// Sample depth.
    pub depth: Depth,
    /// Channels, 1 to 8.
    pub channels: u16,
}

/// Rate, encoding and channel count of PCM in a raw pipe; written as a [`Format`] is, with `8`, `16`, `24`, `32` or `f`
/// (floating point) in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawFormat {
    /// Frames per second, 8000 to 192000.
    pub rate: u32,
    /// How a sample is written.
    pub encoding: Encoding,
    /// Channels, 1 to 8.
    pub channels: u16,
}

/// Why a text is not a [`Format`] or a [`RawFormat`]; says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("format \"{text}\": {reason}; write RATE:BITS:CHANNELS, for example 48000:16:2")]
pub struct FormatError {
    text: String,
    reason: &'static str,
}

/// The largest RTP payload that every known peer takes whole: 1280 bytes a packet (PipeWire's buffer) less the header.
pub const MAX_PAYLOAD: usize = 1268;

impl Depth {
    /// Bits of a sample.
    pub const fn bits(self) -> u32 {
        match self {
            Depth::S16 => 16,
            Depth::S24 => 24,
        }
    }

    /// Bytes of a sample, packed.
    pub const fn bytes(self) -> usize {
        self.bits() as usize / 8
    }
}

impl Encoding {
    /// Significant bits of integers; floating point has none.
    pub const fn bits(self) -> Option<u32> {
        match self {
            Encoding::S8 => Some(8),
            Encoding::S16 => Some(16),
            Encoding::S24 => Some(24),
            Encoding::S32 => Some(32),
            Encoding::F32 => None,
        }
    }
}

impl Format {
    /// 48 kHz, 16 bit, stereo: the default stream.
    pub const DEFAULT: Format = Format { rate: 48_000, depth: Depth::S16, channels: 2 };

    /// Bytes of one frame (one sample of every channel), packed.
    pub const fn frame_bytes(self) -> usize {
        self.depth.bytes() * self.channels as usize
    }

    /// Frames in one packet of the default profile: 5 ms for L16 and 4 ms for L24 where that fits into
    /// [`MAX_PAYLOAD`], otherwise the longest of 4, 2, 1, 0.5 and 0.25 ms that does.
    ///
    /// 5 ms and not less because PulseAudio's receiver wakes once a packet and can abort when that is often.
    pub fn packet_frames(self) -> u32 {
        let halves_of_a_quarter = if self.depth == Depth::S16 { [20, 16, 8, 4, 2, 1] } else { [16, 16, 8, 4, 2, 1] };
        halves_of_a_quarter
            .into_iter()
            .map(|quarters| self.rate * quarters / 4_000)
            .find(|&frames| frames as usize * self.frame_bytes() <= MAX_PAYLOAD)
            .unwrap_or(1)
    }

    /// RTP payload type. PulseAudio plays only the static types 10 and 11 and its own 127, and takes 127 for L16
    /// whatever the description says: L24 must be something else, and is 98.
    pub const fn payload_type(self) -> u8 {
        match (self.depth, self.rate, self.channels) {
            (Depth::S16, 44_100, 2) => 10,
            (Depth::S16, 44_100, 1) => 11,
            (Depth::S16, ..) => 127,
            _ => 98,
        }
    }
}

impl RawFormat {
    /// The nearest that RTP carries.
    pub const fn nearest(self) -> Format {
        let depth = match self.encoding {
            Encoding::S8 | Encoding::S16 => Depth::S16,
            Encoding::S24 | Encoding::S32 | Encoding::F32 => Depth::S24,
        };
        Format { rate: self.rate, depth, channels: self.channels }
    }
}

impl From<Format> for RawFormat {
    fn from(Format { rate, depth, channels }: Format) -> Self {
        let encoding = match depth {
            Depth::S16 => Encoding::S16,
            Depth::S24 => Encoding::S24,
        };
        RawFormat { rate, encoding, channels }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.rate, self.depth.bits(), self.channels)
    }
}

impl fmt::Display for RawFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.encoding.bits() {
            Some(bits) => write!(f, "{}:{bits}:{}", self.rate, self.channels),
            None => write!(f, "{}:f:{}", self.rate, self.channels),
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let (rate, bits, channels) = parts(text)?;
        let depth = match bits {
            "16" => Depth::S16,
            "24" => Depth::S24,
            _ => return Err(FormatError::new(text, "the bits must be 16 or 24")),
        };
        Ok(Format { rate, depth, channels })
    }
}

impl FromStr for RawFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let (rate, bits, channels) = parts(text)?;
        let encoding = match bits {
            "8" => Encoding::S8,
            "16" => Encoding::S16,
            "24" => Encoding::S24,
            "32" => Encoding::S32,
            "f" => Encoding::F32,
            _ => return Err(FormatError::new(text, "the bits must be 8, 16, 24, 32 or f for floating point")),
        };
        Ok(RawFormat { rate, encoding, channels })
    }
}

impl FormatError {
    fn new(text: &str, reason: &'static str) -> Self {
        FormatError { text: text.chars().take(40).collect(), reason }
    }
}

/// Rate, bits as they are written, and channels.
fn parts(text: &str) -> Result<(u32, &str, u16), FormatError> {
    let error = |reason| FormatError::new(text, reason);
    let parts: Vec<&str> = text.split(':').collect();
    let [rate, bits, channels] = parts[..] else { return Err(error("it needs three parts")) };
    let rate = rate.parse().ok().filter(|r| (8_000..=192_000).contains(r));
    let channels = channels.parse().ok().filter(|c| (1..=8).contains(c));
    Ok((
        rate.ok_or_else(|| error("the rate must be 8000 to 192000"))?,
        bits,
        channels.ok_or_else(|| error("the channels must be 1 to 8"))?,
    ))
}

#[cfg(test)]
mod tests;
