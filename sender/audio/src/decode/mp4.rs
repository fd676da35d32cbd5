//! Gapless playback of MP4/M4A: which frames of the medium are the music.
//!
//! AAC encoders put silence before the first frame and fill the last packet. Apple's write how much into an `iTunSMPB`
//! comment, all others into an edit list (ISO/IEC 14496-12 section 8.6.6). Symphonia 0.6 applies neither. This reads
//! both, walking only the boxes on the way, in bounded memory.

use std::io::{Read, Seek, SeekFrom};

/// Boxes looked at before a file is taken for hostile.
const MOST_BOXES: usize = 2_000;
/// Bytes read of a box that matters.
const MOST_BYTES: u64 = 4_096;

/// The part of the medium that sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Where it begins.
    start: u64,
    /// How long it is, where known.
    length: Option<u64>,
    units: Units,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Units {
    /// Frames of audio (`iTunSMPB`).
    Frames,
    /// Ticks a second: of the medium for the start, of the movie for the length (edit list).
    Ticks { medium: u32, movie: u32 },
}

/// What has been met on the way.
#[derive(Debug, Default)]
struct Found {
    movie_scale: Option<u32>,
    tracks: Vec<TrackFound>,
    itunes: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct TrackFound {
    scale: Option<u32>,
    sound: bool,
    edit: Option<(u64, u64)>,
}

impl Edit {
    /// Reads the edit of the first sound track of `file`; `None` if it is no MP4 or has none. Rewinds the file.
    pub(super) fn read(file: &mut (impl Read + Seek)) -> Option<Self> {
        let edit = Self::find(file);
        file.seek(SeekFrom::Start(0)).ok()?;
        edit
    }

    fn find(file: &mut (impl Read + Seek)) -> Option<Self> {
        let end = file.seek(SeekFrom::End(0)).ok()?;
        let mut first = [0; 8];
        file.seek(SeekFrom::Start(0)).ok()?;
        file.read_exact(&mut first).ok()?;
        if &first[4..] != b"ftyp" {
            return None;
        }
        let mut found = Found::default();
        let mut budget = MOST_BOXES;
        walk(file, 0, end, 0, &mut found, &mut budget);
        if let Some((start, length)) = found.itunes {
            return Some(Self { start, length: Some(length), units: Units::Frames });
        }
        let track = found.tracks.iter().find(|t| t.sound)?;
        let (start, length) = track.edit?;
        let units = Units::Ticks { medium: track.scale?, movie: found.movie_scale? };
        Some(Self { start, length: Some(length).filter(|&l| l > 0), units })
    }

    /// First frame and number of frames at `rate`, given how many frames the medium has.
    ///
    /// An edit list measures its length in the movie's ticks, often milliseconds; within one tick of the medium's own
    /// end, that end is meant.
    pub(super) fn frames(self, rate: u32, medium_frames: Option<u64>) -> (u64, Option<u64>) {
        let Units::Ticks { medium, movie } = self.units else { return (self.start, self.length) };
        let start = scale(self.start, rate, medium);
        let to_end = medium_frames.map(|frames| frames.saturating_sub(start));
        let length = self.length.map(|length| scale(length, rate, movie));
        let tick = u64::from(rate.div_ceil(movie.max(1)));
        match (length, to_end) {
            (Some(length), Some(to_end)) if length.abs_diff(to_end) > tick && length < to_end => (start, Some(length)),
            (length, to_end) => (start, to_end.or(length)),
        }
    }
}

/// `ticks` of `1 / from` seconds in frames of `1 / rate`, to the nearest.
fn scale(ticks: u64, rate: u32, from: u32) -> u64 {
    let from = u128::from(from.max(1));
    ((u128::from(ticks) * u128::from(rate) + from / 2) / from).try_into().unwrap_or(u64::MAX)
}

/// Visits the boxes of `start..end`, and those inside the ones that can hold what is looked for.
fn walk(file: &mut (impl Read + Seek), start: u64, end: u64, depth: u32, found: &mut Found, budget: &mut usize) {
    let mut at = start;
    while at + 8 <= end && *budget > 0 && depth < 8 {
        *budget -= 1;
        let Some((kind, body, next)) = header(file, at, end) else { return };
        match &kind {
            b"moov" | b"mdia" | b"edts" | b"udta" | b"ilst" => walk(file, body, next, depth + 1, found, budget),
            b"trak" => {
                found.tracks.push(TrackFound::default());
                walk(file, body, next, depth + 1, found, budget);
            }
            b"meta" => walk(file, body + 4, next, depth + 1, found, budget),
            b"mvhd" | b"mdhd" | b"hdlr" | b"elst" | b"----" => {
                if let Some(data) = read(file, body, next) {
                    found.note(&kind, &data);
                }
            }
            _ => {}
        }
        at = next;
    }
}

/// The box at `at`: its type, where its body begins and where the next box does.
fn header(file: &mut (impl Read + Seek), at: u64, end: u64) -> Option<([u8; 4], u64, u64)> {
    let mut head = [0; 16];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut head[..8]).ok()?;
    let kind = [head[4], head[5], head[6], head[7]];
    let (size, body) = match be32(&head, 0)? {
        0 => (end - at, 8),
        1 => {
            file.read_exact(&mut head[8..]).ok()?;
            (be64(&head, 8)?, 16)
        }
        size => (size.into(), 8),
    };
    let next = at.checked_add(size).filter(|&next| size >= body && next <= end)?;
    Some((kind, at + body, next))
}

fn read(file: &mut (impl Read + Seek), body: u64, next: u64) -> Option<Vec<u8>> {
    let mut data = vec![0; (next - body).min(MOST_BYTES) as usize];
    file.seek(SeekFrom::Start(body)).ok()?;
    file.read_exact(&mut data).ok()?;
    Some(data)
}

impl Found {
    fn note(&mut self, kind: &[u8; 4], data: &[u8]) {
        let timescale = || be32(data, if data.first() == Some(&1) { 20 } else { 12 });
        match kind {
            b"mvhd" => self.movie_scale = timescale(),
            b"----" => self.itunes = self.itunes.or_else(|| itunes(data)),
            _ => {
                let Some(track) = self.tracks.last_mut() else { return };
                match kind {
                    b"mdhd" => track.scale = timescale(),
                    b"hdlr" => track.sound |= data.get(8..12) == Some(b"soun"),
                    _ => track.edit = edit_list(data),
                }
            }
        }
    }
}

/// The one edit of a list (after empty ones): media time and duration.
fn edit_list(data: &[u8]) -> Option<(u64, u64)> {
    let wide = *data.first()? == 1;
    let size = if wide { 20 } else { 12 };
    let count = (be32(data, 4)? as usize).min(data.len() / size);
    let mut edits = (0..count).filter_map(|n| {
        let at = 8 + n * size;
        let (duration, time) = if wide {
            (be64(data, at)?, be64(data, at + 8)? as i64)
        } else {
            (be32(data, at)?.into(), i64::from(be32(data, at + 4)? as i32))
        };
        u64::try_from(time).ok().map(|time| (time, duration))
    });
    let only = edits.next()?;
    edits.next().is_none().then_some(only)
}

/// Delay and length from an `iTunSMPB` comment: hexadecimal words, of which 1, 2 and 3 are delay, padding and length.
fn itunes(data: &[u8]) -> Option<(u64, u64)> {
    let name = data.windows(8).position(|w| w == b"iTunSMPB")?;
    let value = data[name..].windows(4).position(|w| w == b"data")? + name + 12;
    let text = std::str::from_utf8(data.get(value..)?).ok()?;
    let mut words = text.split_ascii_whitespace().map(|word| u64::from_str_radix(word, 16));
    let (delay, length) = (words.nth(1)?.ok()?, words.nth(1)?.ok()?);
    (length > 0).then_some((delay, length))
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

fn be64(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(data.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
