//! What tests need to make audio and to judge it: test signals, files made by real encoders, sines fitted, spectra.

#![allow(clippy::unwrap_used, reason = "only tests use it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::convert::{Rng, Samples};
use crate::decode::AudioFile;

/// Noise of `bits` bits, `frames` x `channels` samples.
pub fn noise(bits: u32, frames: usize, channels: usize, seed: u64) -> Vec<i32> {
    let mut rng = Rng::new(seed);
    (0..frames * channels).map(|_| (rng.next_u64() as i32) >> (32 - bits)).collect()
}

/// Something that lossy encoders like better than noise: two decaying notes over and over.
pub fn music(bits: u32, frames: usize, channels: usize, rate: u32) -> Vec<i32> {
    let scale = f64::from(1 << (bits - 1)) * 0.5;
    let sample = |n: usize, c: usize| {
        let t = n as f64 / f64::from(rate);
        let decay = (-(t % 0.5) * 6.0).exp();
        let tone = |f: f64| (std::f64::consts::TAU * f * t).sin();
        (scale * decay * (0.6 * tone(440.0 + 110.0 * c as f64) + 0.4 * tone(1_320.0))) as i32
    };
    (0..frames * channels).map(|i| sample(i / channels, i % channels)).collect()
}

/// Writes a WAV file (WAVE_FORMAT_EXTENSIBLE where it must be).
pub fn write_wav(path: &Path, rate: u32, bits: u32, channels: usize, samples: &[i32]) {
    let bytes = bits as usize / 8;
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes().into_iter().take(bytes)).collect();
    let extensible = bits > 16 || channels > 2;
    let mut file = Vec::new();
    let fmt_len: u32 = if extensible { 40 } else { 16 };
    file.extend(b"RIFF");
    file.extend((data.len() as u32 + 20 + fmt_len).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(fmt_len.to_le_bytes());
    file.extend((if extensible { 0xfffe_u16 } else { 1 }).to_le_bytes());
    file.extend((channels as u16).to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * (channels * bytes) as u32).to_le_bytes());
    file.extend(((channels * bytes) as u16).to_le_bytes());
    file.extend((bits as u16).to_le_bytes());
    if extensible {
        let mask: u32 = [0, 4, 3, 7, 0x33, 0x37, 0x3f, 0x70f, 0x63f][channels];
        file.extend(22u16.to_le_bytes());
        file.extend((bits as u16).to_le_bytes());
        file.extend(mask.to_le_bytes());
        file.extend(b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71");
    }
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    std::fs::write(path, file).unwrap();
}

/// Runs an encoder; false, and a loud line, when it is not installed.
pub fn run(tool: &str, args: &[&str]) -> bool {
    match Command::new(tool).args(args).stdin(Stdio::null()).output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) => {
            eprintln!("SKIPPED: {tool} is not installed ({error}); ./test installs it");
            false
        }
    }
}

/// Encodes `wav` to `name` beside it, with ffmpeg and these options.
pub fn encode(wav: &Path, name: &str, options: &[&str]) -> Option<PathBuf> {
    let out = wav.with_file_name(name);
    let (from, to) = (wav.to_string_lossy(), out.to_string_lossy());
    let mut args = vec!["-v", "error", "-y", "-i", &*from];
    args.extend_from_slice(options);
    args.push(&to);
    run("ffmpeg", &args).then_some(out)
}

/// All of a file: integers at the top of 32 bits, or floating point scaled to them.
pub fn decode_all(path: &Path) -> Vec<i32> {
    let mut file = AudioFile::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decode_rest(&mut file)
}

/// What is left of a file, the same way.
pub fn decode_rest(file: &mut AudioFile) -> Vec<i32> {
    let mut all = Vec::new();
    while let Some(block) = file.next_block().unwrap() {
        match block.samples {
            Samples::Int(samples) => all.extend_from_slice(samples),
            Samples::Float(samples) => all.extend(samples.iter().map(|&s| (f64::from(s) * 2_147_483_648.0) as i32)),
        }
    }
    all
}

/// An amplitude ratio in dB.
pub fn db(ratio: f64) -> f64 {
    20.0 * ratio.abs().max(1e-20).log10()
}

/// Amplitude and phase of the sine of `frequency` in `samples`, by least squares.
pub fn fit_sine(samples: &[f64], frequency: f64, rate: f64) -> (f64, f64) {
    let (mut ss, mut cc, mut sc, mut ys, mut yc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, y) in samples.iter().enumerate() {
        let (s, c) = (std::f64::consts::TAU * frequency * n as f64 / rate).sin_cos();
        (ss, cc, sc, ys, yc) = (ss + s * s, cc + c * c, sc + s * c, ys + y * s, yc + y * c);
    }
    let det = ss * cc - sc * sc;
    let (a, b) = ((ys * cc - yc * sc) / det, (yc * ss - ys * sc) / det);
    (a.hypot(b), b.atan2(a))
}

/// Noise and distortion beside the sine of `frequency`, relative to it, in dB.
pub fn residual_db(samples: &[f64], frequency: f64, rate: f64) -> f64 {
    let (amplitude, phase) = fit_sine(samples, frequency, rate);
    let fitted = |n: usize| amplitude * (std::f64::consts::TAU * frequency * n as f64 / rate + phase).sin();
    let power = samples.iter().enumerate().map(|(n, s)| (s - fitted(n)).powi(2)).sum::<f64>() / samples.len() as f64;
    10.0 * (power / (amplitude * amplitude / 2.0)).log10()
}

/// Power of `samples` in so many bands of equal width, averaged over windows of 1024.
pub fn spectrum(samples: &[f64], bands: usize) -> Vec<f64> {
    let fft = realfft::RealFftPlanner::<f64>::new().plan_fft_forward(1_024);
    let mut power = vec![0.0; bands];
    for window in samples.chunks_exact(1_024) {
        let (mut input, mut output) = (window.to_vec(), fft.make_output_vec());
        fft.process(&mut input, &mut output).unwrap();
        for (n, bin) in output[1..513].iter().enumerate() {
            power[n * bands / 512] += bin.norm_sqr();
        }
    }
    power
}
