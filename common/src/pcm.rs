//! PCM bytes to samples and back, exactly.
//!
//! A sample is an `i32` that holds the value at its own depth (16 bits: -32768..=32767), not shifted to the top.
//! On the wire samples are big-endian (L16, RFC 3551 section 4.5.11; L24, RFC 3190 section 4); in files they are
//! little-endian (ALSA's S16_LE, S24_3LE). Bytes are read one by one: an RTP payload is aligned to nothing.

use crate::format::Depth;

/// Writes `samples` as an RTP payload; returns how many bytes that is. What fits into neither slice is left out.
///
/// Samples beyond the depth are cut to its low bits.
pub fn encode_be(depth: Depth, samples: &[i32], out: &mut [u8]) -> usize {
    match depth {
        Depth::S16 => encode(samples, out, |sample| (sample as i16).to_be_bytes()),
        Depth::S24 => encode(samples, out, |sample| {
            let [_, a, b, c] = sample.to_be_bytes();
            [a, b, c]
        }),
    }
}

/// Writes `samples` as raw little-endian PCM; as [`encode_be`] otherwise.
pub fn encode_le(depth: Depth, samples: &[i32], out: &mut [u8]) -> usize {
    match depth {
        Depth::S16 => encode(samples, out, |sample| (sample as i16).to_le_bytes()),
        Depth::S24 => encode(samples, out, |sample| {
            let [a, b, c, _] = sample.to_le_bytes();
            [a, b, c]
        }),
    }
}

/// Reads an RTP payload into `out`; returns the number of samples. A sample that is cut off at the end is left out.
pub fn decode_be(depth: Depth, payload: &[u8], out: &mut [i32]) -> usize {
    match depth {
        Depth::S16 => decode(payload, out, |[a, b]: [u8; 2]| i32::from(i16::from_be_bytes([a, b]))),
        Depth::S24 => decode(payload, out, |[a, b, c]: [u8; 3]| i32::from_be_bytes([a, b, c, 0]) >> 8),
    }
}

/// Reads raw little-endian PCM; as [`decode_be`] otherwise.
pub fn decode_le(depth: Depth, bytes: &[u8], out: &mut [i32]) -> usize {
    match depth {
        Depth::S16 => decode(bytes, out, |[a, b]: [u8; 2]| i32::from(i16::from_le_bytes([a, b]))),
        Depth::S24 => decode(bytes, out, |[a, b, c]: [u8; 3]| i32::from_le_bytes([0, a, b, c]) >> 8),
    }
}

/// Reads an RTP payload as floats, -1.0 <= x < 1.0, exactly.
pub fn decode_be_f32(depth: Depth, payload: &[u8], out: &mut [f32]) -> usize {
    let scale = f32_scale(depth);
    match depth {
        Depth::S16 => decode(payload, out, |[a, b]: [u8; 2]| f32::from(i16::from_be_bytes([a, b])) * scale),
        Depth::S24 => decode(payload, out, |[a, b, c]: [u8; 3]| (i32::from_be_bytes([a, b, c, 0]) >> 8) as f32 * scale),
    }
}

/// What a sample of this depth is multiplied by to get a float: 2^-(bits - 1), a power of two and so exact.
pub const fn f32_scale(depth: Depth) -> f32 {
    1.0 / (1_u32 << (depth.bits() - 1)) as f32
}

/// Samples of this depth lie in `-limit..limit`.
pub const fn limit(depth: Depth) -> i64 {
    1 << (depth.bits() - 1)
}

fn encode<const WIDTH: usize>(samples: &[i32], out: &mut [u8], write: impl Fn(i32) -> [u8; WIDTH]) -> usize {
    let (places, _cut) = out.as_chunks_mut::<WIDTH>();
    for (sample, place) in samples.iter().zip(places.iter_mut()) {
        *place = write(*sample);
    }
    samples.len().min(places.len()) * WIDTH
}

fn decode<T, const WIDTH: usize>(bytes: &[u8], out: &mut [T], read: impl Fn([u8; WIDTH]) -> T) -> usize {
    let (samples, _cut) = bytes.as_chunks::<WIDTH>();
    for (sample, out) in samples.iter().zip(out.iter_mut()) {
        *out = read(*sample);
    }
    samples.len().min(out.len())
}

#[cfg(test)]
mod tests;
