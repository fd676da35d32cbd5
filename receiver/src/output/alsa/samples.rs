//! Floating-point frames into the bytes that a card takes.

/// Sample formats of a card, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// 32 bits.
    S32,
    /// 24 bits in the low bytes of four.
    S24,
    /// 24 bits in three bytes.
    S24Packed,
    /// 16 bits, dithered.
    S16,
}

impl Encoding {
    /// Every format, best first.
    pub(super) const ALL: [Encoding; 4] = [Encoding::S32, Encoding::S24, Encoding::S24Packed, Encoding::S16];

    /// Bits of a sample that count.
    pub(super) fn bits(self) -> u32 {
        match self {
            Encoding::S32 => 32,
            Encoding::S24 | Encoding::S24Packed => 24,
            Encoding::S16 => 16,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Encoding::S32 | Encoding::S24 => 4,
            Encoding::S24Packed => 3,
            Encoding::S16 => 2,
        }
    }
}

/// Encodes into a buffer of its own; allocates nothing after its making.
#[derive(Debug)]
pub(super) struct Encoder {
    encoding: Encoding,
    bytes: Vec<u8>,
    noise: u32,
}

impl Encoder {
    /// For up to `samples` samples at a time.
    pub(super) fn new(encoding: Encoding, samples: usize) -> Self {
        Self { encoding, bytes: vec![0; samples * encoding.bytes()], noise: 0x9e37_79b9 }
    }

    /// The bytes of these samples; beyond full scale they saturate.
    pub(super) fn encode(&mut self, samples: &[f32]) -> &[u8] {
        let Self { encoding, bytes, noise } = self;
        let bytes = &mut bytes[..samples.len() * encoding.bytes()];
        match encoding {
            Encoding::S32 => {
                for (to, &sample) in bytes.chunks_exact_mut(4).zip(samples) {
                    // The cast saturates, and a float has no more than these bits anyway.
                    to.copy_from_slice(&((sample * 2_147_483_648.0) as i32).to_le_bytes());
                }
            }
            Encoding::S24 => {
                for (to, &sample) in bytes.chunks_exact_mut(4).zip(samples) {
                    to.copy_from_slice(&scaled(sample, 8_388_608.0, 0.0).to_le_bytes());
                }
            }
            Encoding::S24Packed => {
                for (to, &sample) in bytes.chunks_exact_mut(3).zip(samples) {
                    to.copy_from_slice(&scaled(sample, 8_388_608.0, 0.0).to_le_bytes()[..3]);
                }
            }
            Encoding::S16 => {
                for (to, &sample) in bytes.chunks_exact_mut(2).zip(samples) {
                    let value = sample * 32_768.0;
                    // What is a 16-bit value already (volume full, no resampler) is left alone.
                    let dither = if value.fract() == 0.0 { 0.0 } else { triangle(noise) };
                    to.copy_from_slice(&(scaled(sample, 32_768.0, dither) as i16).to_le_bytes());
                }
            }
        }
        bytes
    }
}

fn scaled(sample: f32, scale: f32, dither: f32) -> i32 {
    (sample * scale + dither).round().clamp(-scale, scale - 1.0) as i32
}

/// Triangular noise of two steps' width (TPDF), from a xorshift generator.
fn triangle(state: &mut u32) -> f32 {
    let mut uniform = || {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state as f32 / u32::MAX as f32
    };
    uniform() - uniform()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scale_and_beyond_saturate() {
        let mut encoder = Encoder::new(Encoding::S24Packed, 4);
        assert_eq!(
            encoder.encode(&[1.0, -1.0, 9.0, -9.0]),
            [0xff, 0xff, 0x7f, 0, 0, 0x80, 0xff, 0xff, 0x7f, 0, 0, 0x80]
        );
        let mut encoder = Encoder::new(Encoding::S32, 2);
        assert_eq!(encoder.encode(&[2.0, -2.0]), [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0x80]);
    }

    #[test]
    fn sixteen_bits_pass_untouched_and_finer_is_dithered() {
        let mut encoder = Encoder::new(Encoding::S16, 4_000);
        let exact: Vec<f32> = (-2_000..2_000).map(|i| i as f32 / 32_768.0).collect();
        for (bytes, value) in encoder.encode(&exact).chunks_exact(2).zip(-2_000_i16..) {
            assert_eq!(i16::from_le_bytes([bytes[0], bytes[1]]), value);
        }
        let mean: f64 = encoder
            .encode(&[0.25 / 32_768.0; 4_000])
            .chunks_exact(2)
            .map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])))
            .sum::<f64>()
            / 4_000.0;
        assert!((mean - 0.25).abs() < 0.06, "dither keeps what lies below a step: {mean}");
    }
}
