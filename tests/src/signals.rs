//! Test signals. The noise is unlike itself everywhere, so that any quarter second of it can be placed to a small
//! fraction of a frame; it repeats after a period, so that a soak of hours needs no more memory than one of minutes.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// Frames in one period of the default [`noise`]: 87.4 s at 48 kHz.
pub const NOISE_PERIOD: usize = 1 << 22;

/// A signal, the same in all channels, that repeats for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Frames per second.
    pub rate: u32,
    /// One period; full scale is 1.
    pub samples: Vec<f32>,
}

impl Signal {
    /// The sample at `frame`, whatever the period.
    pub fn at(&self, frame: i64) -> f64 {
        f64::from(self.samples[frame.rem_euclid(self.samples.len() as i64) as usize])
    }

    /// Frames `from..from + count`.
    pub fn cut(&self, from: i64, count: usize) -> Vec<f64> {
        (from..from + count as i64).map(|i| self.at(i)).collect()
    }

    /// `count` frames from `from` on as raw little-endian PCM: two channels of `bytes` (2 or 4) a sample.
    pub fn stereo_pcm(&self, from: i64, count: usize, bytes: usize) -> Vec<u8> {
        let mut pcm = Vec::with_capacity(count * bytes * 2);
        for i in from..from + count as i64 {
            let sample = (self.at(i) * 2_147_483_648.0).round().clamp(-2_147_483_648.0, 2_147_483_647.0) as i32;
            let sample = &sample.to_le_bytes()[4 - bytes..];
            pcm.extend_from_slice(sample);
            pcm.extend_from_slice(sample);
        }
        pcm
    }
}

/// Pink noise from 60 Hz to 16 kHz, 0.12 rms, in 16-bit steps, the same for the same seed. It ends as it begins: no seam.
///
/// `period` must be a power of two.
pub fn noise(rate: u32, period: usize, seed: u64) -> Signal {
    let mut random = SplitMix(seed);
    let hertz = f64::from(rate) / period as f64;
    let mut spectrum = vec![Complex::new(0.0, 0.0); period / 2 + 1];
    for (i, bin) in spectrum.iter_mut().enumerate().skip(1) {
        let f = i as f64 * hertz;
        if (60.0..16_000.0).contains(&f) {
            *bin = Complex::from_polar(1.0 / f.sqrt(), random.unit() * std::f64::consts::TAU);
        }
    }
    let mut samples = vec![0.0; period];
    let inverse = RealFftPlanner::<f64>::new().plan_fft_inverse(period);
    // The lengths are right by construction and the DC and Nyquist bins are zero, which is all that can go wrong.
    let _ = inverse.process(&mut spectrum, &mut samples);
    let rms = (samples.iter().map(|x| x * x).sum::<f64>() / period as f64).sqrt();
    let step = 32_768.0;
    Signal {
        rate,
        samples: samples.iter().map(|x| ((x / rms * 0.12 * step).round() / step).clamp(-1.0, 0.999) as f32).collect(),
    }
}

/// A sine that fits whole periods into one second, so that it repeats without a seam.
pub fn sine(rate: u32, hertz: u32, amplitude: f64) -> Signal {
    let step = std::f64::consts::TAU * f64::from(hertz) / f64::from(rate);
    Signal { rate, samples: (0..rate).map(|i| (amplitude * (step * f64::from(i)).sin()) as f32).collect() }
}

/// SplitMix64: enough chance for a test signal, the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_reproducible_loud_enough_and_never_clips() {
        let a = noise(48_000, 1 << 16, 7);
        assert_eq!(a, noise(48_000, 1 << 16, 7));
        assert_ne!(a, noise(48_000, 1 << 16, 8));
        let rms = (a.samples.iter().map(|x| x * x).sum::<f32>() / a.samples.len() as f32).sqrt();
        assert!((rms - 0.12).abs() < 0.001, "{rms}");
        assert!(a.samples.iter().all(|x| x.abs() < 0.95));
    }

    #[test]
    fn pcm_is_little_endian_and_the_same_in_both_channels() {
        let signal = Signal { rate: 48_000, samples: vec![0.5, -1.0] };
        assert_eq!(signal.stereo_pcm(0, 2, 2), [0, 0x40, 0, 0x40, 0, 0x80, 0, 0x80]);
        assert_eq!(signal.stereo_pcm(1, 1, 4), [0, 0, 0, 0x80, 0, 0, 0, 0x80]);
        assert_eq!(signal.stereo_pcm(-2, 1, 2), signal.stereo_pcm(2, 1, 2));
    }
}
