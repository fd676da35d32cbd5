//! A library of real files of every format, and the check that a room has played all of it.
//!
//! One continuous piece is cut into the files. What a room plays must then be that piece again: a frame too few or too
//! many in one file shows in all that follow, and a gap between two files shows wherever it is.

use std::f64::consts::TAU;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::signals::Signal;

/// Frames per second of the stream that plays it.
pub const RATE: u32 = 48_000;

/// Frames of the stream that each whole file lasts: a second.
pub const FRAMES: usize = RATE as usize;

/// Lossy and resampled files are compared in blocks of 20 ms.
const BLOCK: usize = FRAMES / 50;

/// Sines that the piece is made of.
const PARTIALS: usize = 16;

/// A frame of two channels, 24-bit integers.
pub type Frame = [i32; 2];

/// How near to the piece a file must come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fidelity {
    /// Integers of so many bits at the stream's rate: every bit.
    Exact(u32),
    /// So many dB between the piece and what is left over, in each block but the file's first and last.
    Near(f64),
}
use Fidelity::{Exact, Near};

struct Kind {
    name: &'static str,
    rate: u32,
    fidelity: Fidelity,
    /// Of ffmpeg.
    encoder: &'static [&'static str],
}

const fn kind(name: &'static str, rate: u32, fidelity: Fidelity, encoder: &'static [&'static str]) -> Kind {
    Kind { name, rate, fidelity, encoder }
}

const FLAC_24: &[&str] = &["-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"];

/// Whole files, in the order of their names. Lossless ones between the others show that those had their exact length.
const KINDS: &[Kind] = &[
    kind("01.flac", RATE, Exact(24), FLAC_24),
    kind("02.wav", RATE, Exact(24), &["-c:a", "pcm_s24le"]),
    kind("03.flac", RATE, Exact(16), &["-c:a", "flac", "-sample_fmt", "s16"]),
    kind("04.aiff", RATE, Exact(16), &["-c:a", "pcm_s16be"]),
    kind("05.m4a", RATE, Exact(24), &["-c:a", "alac", "-sample_fmt", "s32p", "-bits_per_raw_sample", "24"]),
    kind("06.mp3", RATE, Near(20.0), &["-c:a", "libmp3lame", "-b:a", "320k"]),
    kind("07.wav", RATE, Exact(16), &["-c:a", "pcm_s16le"]),
    kind("08.m4a", RATE, Near(20.0), &["-c:a", "aac", "-b:a", "320k"]),
    kind("09.m4a", RATE, Exact(16), &["-c:a", "alac", "-sample_fmt", "s16p"]),
    kind("10.ogg", RATE, Near(15.0), &["-c:a", "libvorbis", "-q:a", "9"]),
    kind("11.flac", RATE, Exact(24), FLAC_24),
    kind("12.opus", RATE, Near(10.0), &["-c:a", "libopus", "-b:a", "256k"]),
    kind("13.aiff", RATE, Exact(24), &["-c:a", "pcm_s24be"]),
    kind("14.flac", 44_100, Near(60.0), &["-c:a", "flac", "-sample_fmt", "s16"]),
    kind("15.mp3", 44_100, Near(20.0), &["-c:a", "libmp3lame", "-b:a", "320k"]),
    kind("16.flac", 96_000, Near(90.0), FLAC_24),
    kind("17.flac", RATE, Exact(24), FLAC_24),
];

/// Files from which nothing can be played, and those of which a part can.
pub const UNPLAYABLE: [&str; 2] = ["02 empty.ogg", "09 corrupt.flac"];
/// Each is followed by a whole file.
pub const DAMAGED: [&str; 2] = ["20 truncated.flac", "22 damaged.flac"];
const AFTER_DAMAGED: [&str; 2] = ["21.flac", "23.flac"];

/// A folder of music.
#[derive(Debug)]
pub struct Album {
    /// The folder.
    pub dir: PathBuf,
    damaged: bool,
}

/// Why there is no album.
#[derive(Debug, thiserror::Error)]
pub enum AlbumError {
    /// A file can't be written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The encoder is not there.
    #[error("ffmpeg can't be run (Debian: apt install ffmpeg): {0}")]
    NoEncoder(std::io::Error),
    /// The encoder refused.
    #[error("ffmpeg {0}")]
    Encoder(String),
}

impl Album {
    /// Makes the files, those that can't be played among them, in a new folder. With `damaged`, files of which only a
    /// part can be played are at the end.
    pub fn create(dir: &Path, damaged: bool) -> Result<Album, AlbumError> {
        std::fs::create_dir(dir)?;
        for (i, kind) in KINDS.iter().enumerate() {
            encode(&dir.join(kind.name), kind, i)?;
        }
        let noise: Vec<u8> = (0..50_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(dir.join(UNPLAYABLE[0]), [])?;
        std::fs::write(dir.join(UNPLAYABLE[1]), &noise)?;
        if damaged {
            for (i, name) in [DAMAGED[0], AFTER_DAMAGED[0], DAMAGED[1], AFTER_DAMAGED[1]].iter().enumerate() {
                encode(&dir.join(name), &KINDS[0], KINDS.len() + i)?;
            }
            let cut = dir.join(DAMAGED[0]);
            let whole = std::fs::read(&cut)?;
            std::fs::write(&cut, &whole[..whole.len() * 6 / 10])?;
            let torn = dir.join(DAMAGED[1]);
            let mut bytes = std::fs::read(&torn)?;
            let middle = bytes.len() / 2;
            bytes[middle..middle + 20_000].copy_from_slice(&noise[..20_000]);
            std::fs::write(&torn, bytes)?;
        }
        Ok(Album { dir: dir.into(), damaged })
    }

    /// Seconds that it lasts at most.
    pub fn seconds(&self) -> f64 {
        (KINDS.len() + if self.damaged { 4 } else { 0 }) as f64 * FRAMES as f64 / f64::from(RATE)
    }

    /// The left channel of its whole files, round after round.
    pub fn signal(&self) -> Signal {
        let samples = (0..KINDS.len() * FRAMES).map(|n| piece(0, n as f64 / f64::from(RATE)) as f32);
        Signal { rate: RATE, samples: samples.collect() }
    }

    /// Whether `frames` hold it from the first frame that isn't silent on: every file, in order, with nothing between
    /// and silence behind. What is wrong, if not.
    pub fn check(&self, frames: &[Frame]) -> Result<(), String> {
        let start = frames.iter().position(|f| *f != [0, 0]).ok_or("silence throughout")?;
        let mut rest = &frames[start..];
        let need = |rest: &[Frame], name: &str| match rest.len() {
            n if n < FRAMES => Err(format!("{name}: only {n} frames are left of the record")),
            _ => Ok(()),
        };
        for (i, kind) in KINDS.iter().enumerate() {
            need(rest, kind.name)?;
            compare(&rest[..FRAMES], i, kind.fidelity).map_err(|what| format!("{}: {what}", kind.name))?;
            rest = &rest[FRAMES..];
        }
        for (i, name) in DAMAGED.iter().enumerate().filter(|_| self.damaged) {
            let file = KINDS.len() + 2 * i;
            let next = exact(file + 1, 24);
            let heard = rest.windows(64).position(|window| window == &next[..64]);
            let heard = heard.ok_or_else(|| format!("{name}: what follows it is missing"))?;
            let whole = exact(file, 24);
            let right = rest[..heard].iter().zip(&whole).take_while(|(a, b)| a == b).count();
            // The truncated one is right as far as it goes, the other up to the damage.
            let least = if i == 0 { heard.max(FRAMES / 3) } else { FRAMES / 3 };
            if heard > FRAMES || right < least {
                return Err(format!("{name}: {heard} frames were played of it, the first {right} rightly"));
            }
            rest = &rest[heard..];
            need(rest, AFTER_DAMAGED[i])?;
            compare(&rest[..FRAMES], file + 1, Exact(24)).map_err(|what| format!("{}: {what}", AFTER_DAMAGED[i]))?;
            rest = &rest[FRAMES..];
        }
        match rest.iter().position(|f| *f != [0, 0]) {
            Some(n) => Err(format!("something sounds {n} frames after the end")),
            None => Ok(()),
        }
    }
}

fn compare(heard: &[Frame], file: usize, fidelity: Fidelity) -> Result<(), String> {
    let decibels = match fidelity {
        Exact(bits) => {
            return match exact(file, bits).iter().zip(heard).position(|(a, b)| a != b) {
                Some(n) => Err(format!("frame {n} is not that of the file")),
                None => Ok(()),
            };
        }
        Near(decibels) => decibels,
    };
    let right = exact(file, 24);
    for (i, (heard, right)) in heard.chunks_exact(BLOCK).zip(right.chunks_exact(BLOCK)).enumerate() {
        let sum =
            |value: &dyn Fn(&Frame, &Frame) -> f64| heard.iter().zip(right).map(|(h, r)| value(h, r)).sum::<f64>();
        let square = |x: f64| x * x;
        let level = sum(&|_, r| square(f64::from(r[0])) + square(f64::from(r[1])));
        let wrong = sum(&|h, r| square(f64::from(h[0] - r[0])) + square(f64::from(h[1] - r[1])));
        let found = 10.0 * (level / wrong.max(1.0)).log10();
        // An encoder knows nothing of what was before and comes after.
        let least = if i == 0 || i + 1 == FRAMES / BLOCK { 3.0 } else { decibels };
        if found < least {
            return Err(format!("block {i} of 20 ms is {found:.1} dB from the piece"));
        }
    }
    Ok(())
}

/// The stream's frames of a lossless file of so many bits, as 24-bit integers.
fn exact(file: usize, bits: u32) -> Vec<Frame> {
    pcm(file, RATE, bits).collect()
}

/// A file's frames at `rate`, of so many bits, as 24-bit integers.
fn pcm(file: usize, rate: u32, bits: u32) -> impl Iterator<Item = Frame> {
    let steps = f64::from(1_u32 << (bits - 1));
    (0..FRAMES * rate as usize / RATE as usize).map(move |n| {
        let t_s = file as f64 + n as f64 / f64::from(rate);
        [0, 1].map(|channel| ((piece(channel, t_s) * steps).round() as i32) << (24 - bits))
    })
}

/// The piece: partials all over the spectrum that swell and fade each in its own time, so that no place of it is like
/// another.
fn piece(channel: usize, t_s: f64) -> f64 {
    let partial = |k: usize| {
        let (k, side) = (k as f64, channel as f64);
        let hertz = 120.0 * 80_f64.powf((k * 0.618_033_988_7).fract()) + 7.0 * side;
        let swell = 0.6 + 0.4 * (TAU * (0.11 + 0.017 * k) * t_s + k + side).sin();
        swell * (TAU * hertz * t_s + 2.4 * k * k).sin()
    };
    (0..PARTIALS).map(partial).sum::<f64>() / PARTIALS as f64
}

fn encode(path: &Path, kind: &Kind, file: usize) -> Result<(), AlbumError> {
    let bits = if let Exact(bits) = kind.fidelity { bits } else { 24 };
    let pcm: Vec<u8> = pcm(file, kind.rate, bits).flatten().flat_map(|sample| (sample << 8).to_le_bytes()).collect();
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "s32le", "-ac", "2", "-ar", &kind.rate.to_string(), "-i", "pipe:0"])
        .args(kind.encoder)
        .arg(path)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(AlbumError::NoEncoder)?;
    // The pipe is closed at the end of the statement, and ffmpeg says only then what it has to say.
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(&pcm));
    let output = child.wait_with_output()?;
    if !output.status.success() || written.is_err() {
        return Err(AlbumError::Encoder(String::from_utf8_lossy(&output.stderr).trim().into()));
    }
    Ok(())
}
