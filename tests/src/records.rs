//! What a simulated card put on its analog output: the reader of `PREFIX.pcm` and `PREFIX.seg`, as the card in `rig/simcard` and the
//! receiver's `sim:` output write them.

pub(crate) mod interpolate;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use interpolate::{HALF_WIDTH, interpolate};

/// One run of a card, from a start to a stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// True time at which its first frame left the DAC, in nanoseconds of CLOCK_MONOTONIC_RAW.
    pub start_ns: i64,
    /// True frames per second.
    pub rate: f64,
    /// Where it begins in the record, in frames.
    pub first: u64,
    /// Frames that it lasted.
    pub frames: u64,
    /// It ended in an underrun.
    pub xrun: bool,
}

impl Segment {
    /// True time of the end of its last frame, in nanoseconds.
    pub fn end_ns(&self) -> i64 {
        self.start_ns + (self.frames as f64 / self.rate * 1e9) as i64
    }

    /// True time of frame `n` of the segment, in nanoseconds.
    pub fn time_of(&self, n: f64) -> f64 {
        self.start_ns as f64 + n / self.rate * 1e9
    }
}

/// All that a card put out.
#[derive(Debug)]
pub struct Record {
    /// Its runs, in order.
    pub segments: Vec<Segment>,
    samples: Samples,
}

#[derive(Debug)]
enum Samples {
    File { file: File, channels: usize, format: SampleFormat },
    Memory(Vec<f64>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SampleFormat {
    S16,
    S24In32,
    S32,
}

/// Why a record can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file is not there or can't be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of the segments' file has another shape.
    #[error(
        "{path}:{line}: expected \"S t0_ns rate_hz first_frame channels format fifo\" or \"E frames xrun\", found \"{text}\""
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// The player changed the sample format or the channel count between two starts.
    #[error("{path}: the format changes from one segment to the next; one record holds one format")]
    Mixed {
        /// The file.
        path: PathBuf,
    },
}

impl Record {
    /// Opens `PREFIX.seg` and `PREFIX.pcm`. A card that never started has a record without segments.
    pub fn open(prefix: &Path) -> Result<Record, RecordError> {
        let (seg, pcm) = (with_suffix(prefix, "seg"), with_suffix(prefix, "pcm"));
        let text = std::fs::read_to_string(&seg).map_err(|source| RecordError::Io { path: seg.clone(), source })?;
        let mut parsed = parse(&seg, &text)?;
        let shape = parsed.first().map_or((2, SampleFormat::S32), |(_, shape, _)| *shape);
        if parsed.iter().any(|(_, other, _)| *other != shape) {
            return Err(RecordError::Mixed { path: seg });
        }
        let io = |source| RecordError::Io { path: pcm.clone(), source };
        let file = File::open(&pcm).map_err(io)?;
        let total = file.metadata().map_err(io)?.len() / (shape.0 * shape.1.bytes()) as u64;
        for (segment, _, ended) in &mut parsed {
            let held = total.saturating_sub(segment.first);
            segment.frames = if *ended { segment.frames.min(held) } else { held };
        }
        let segments = parsed.into_iter().map(|(segment, ..)| segment).collect();
        Ok(Record { segments, samples: Samples::File { file, channels: shape.0, format: shape.1 } })
    }

    /// A record made by hand, one segment, for tests.
    pub fn from_samples(start_ns: i64, rate: f64, samples: Vec<f64>) -> Record {
        let segment = Segment { start_ns, rate, first: 0, frames: samples.len() as u64, xrun: false };
        Record { segments: vec![segment], samples: Samples::Memory(samples) }
    }

    /// Starts that ended in an underrun.
    pub fn xruns(&self) -> usize {
        self.segments.iter().filter(|s| s.xrun).count()
    }

    /// The first channel of frames `from..from + count` of the record; silence before its beginning and after its end.
    pub fn samples(&self, from: i64, count: usize) -> Vec<f64> {
        let lead = from.min(0).unsigned_abs() as usize;
        let mut out = vec![0.0; lead.min(count)];
        let (from, wanted) = (from.max(0) as usize, count - out.len());
        match &self.samples {
            Samples::Memory(all) => out.extend(all.iter().skip(from).take(wanted)),
            Samples::File { file, channels, format } => {
                let bytes = channels * format.bytes();
                let mut block = vec![0; wanted * bytes];
                let read = read_up_to(file, &mut block, (from * bytes) as u64);
                out.extend(block[..read].chunks_exact(bytes).map(|frame| format.sample(frame)));
            }
        }
        out.resize(count, 0.0);
        out
    }

    /// All of the record as 24-bit integers, two channels of it; for records of 24 or 32 bits.
    pub fn frames(&self) -> Vec<[i32; 2]> {
        let Samples::File { file, channels, format } = &self.samples else { return vec![] };
        let bytes = format.bytes();
        let Some(end) = self.segments.iter().map(|s| s.first + s.frames).max().filter(|_| *channels >= 2 && bytes == 4)
        else {
            return vec![];
        };
        let mut all = vec![0; end as usize * channels * bytes];
        let read = read_up_to(file, &mut all, 0);
        let shift = if *format == SampleFormat::S32 { 8 } else { 0 };
        let frame = |frame: &[u8]| [word(frame) >> shift, word(&frame[bytes..]) >> shift];
        all[..read].chunks_exact(channels * bytes).map(frame).collect()
    }

    /// What the room's loudspeaker got at true times `t_ns`, and then every 1/`rate` s, `count` times; None where the card
    /// was not running throughout.
    pub fn heard(&self, t_ns: i64, count: usize, rate: f64) -> Option<Vec<f64>> {
        let end_ns = t_ns + (count as f64 / rate * 1e9) as i64;
        let s = self.segments.iter().find(|s| s.start_ns <= t_ns && end_ns <= s.end_ns())?;
        let begin = s.first as f64 + (t_ns - s.start_ns) as f64 * 1e-9 * s.rate;
        let step = s.rate / rate;
        let first = begin as i64 - HALF_WIDTH as i64;
        let input = self.samples(first, (count as f64 * step) as usize + 2 * HALF_WIDTH + 2);
        Some(interpolate(&input, begin - first as f64, step, count))
    }

    /// True time in nanoseconds of the first sample above `level` at or after `from_ns`.
    pub fn first_sound(&self, from_ns: i64, level: f64) -> Option<i64> {
        const BLOCK: u64 = 48_000;
        for s in &self.segments {
            let mut n = (from_ns.saturating_sub(s.start_ns).max(0) as f64 * 1e-9 * s.rate) as u64;
            while n < s.frames {
                let count = BLOCK.min(s.frames - n) as usize;
                let block = self.samples((s.first + n) as i64, count);
                if let Some(i) = block.iter().position(|x| x.abs() > level) {
                    return Some(s.time_of((n + i as u64) as f64) as i64);
                }
                n += count as u64;
            }
        }
        None
    }
}

type Parsed = (Segment, (usize, SampleFormat), bool);

fn parse(path: &Path, text: &str) -> Result<Vec<Parsed>, RecordError> {
    let mut segments: Vec<Parsed> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let understood = match words[..] {
            ["S", t0, rate, first, channels, format, fifo] => start(t0, rate, first, channels, format, fifo)
                .map(|(segment, shape)| segments.push((segment, shape, false))),
            ["E", frames, xrun] => segments.last_mut().zip(frames.parse().ok()).map(|(last, frames)| {
                last.0.frames = frames;
                last.0.xrun = xrun != "0";
                last.2 = true;
            }),
            _ => None,
        };
        let syntax = || RecordError::Syntax { path: path.into(), line: i + 1, text: line.chars().take(80).collect() };
        understood.ok_or_else(syntax)?;
    }
    Ok(segments)
}

fn start(
    t0: &str,
    rate: &str,
    first: &str,
    channels: &str,
    format: &str,
    fifo: &str,
) -> Option<(Segment, (usize, SampleFormat))> {
    let rate: f64 = rate.parse().ok().filter(|r| (1e3..1e6).contains(r))?;
    let fifo: f64 = fifo.parse().ok()?;
    let start_ns = t0.parse::<i64>().ok()? + (fifo / rate * 1e9) as i64;
    let format = match format {
        "S16_LE" => SampleFormat::S16,
        "S24_LE" => SampleFormat::S24In32,
        "S32_LE" => SampleFormat::S32,
        _ => return None,
    };
    let channels = channels.parse().ok().filter(|c| (1..=32).contains(c))?;
    Some((Segment { start_ns, rate, first: first.parse().ok()?, frames: 0, xrun: false }, (channels, format)))
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn read_up_to(file: &File, block: &mut [u8], offset: u64) -> usize {
    let mut done = 0;
    while done < block.len() {
        match file.read_at(&mut block[done..], offset + done as u64) {
            Ok(0) | Err(_) => break,
            Ok(n) => done += n,
        }
    }
    done
}

impl SampleFormat {
    fn bytes(self) -> usize {
        if self == SampleFormat::S16 { 2 } else { 4 }
    }

    fn sample(self, frame: &[u8]) -> f64 {
        match self {
            SampleFormat::S16 => f64::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0,
            SampleFormat::S24In32 => f64::from(word(frame)) / 8_388_608.0,
            SampleFormat::S32 => f64::from(word(frame)) / 2_147_483_648.0,
        }
    }
}

fn word(frame: &[u8]) -> i32 {
    i32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]])
}

#[cfg(test)]
mod tests;
