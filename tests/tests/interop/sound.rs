//! What other programs recorded, held against what was played.

use std::path::Path;

use unisono_tests::analysis::Finder;
use unisono_tests::signals::Signal;

/// Length of the stretches that are looked for: short enough for programs that play up to half a percent off.
const STRETCH: usize = 4_800;

/// A recording, stretch by stretch.
#[derive(Debug)]
pub(crate) struct Found {
    /// For each stretch, where in the signal its middle is.
    pub(crate) places: Vec<Option<f64>>,
    /// Blocks of 2.5 ms that are not as in the signal, in all stretches that were found.
    pub(crate) damaged: u32,
}

impl Found {
    /// Stretches that hold the signal, as a share of those from the first to the last that does.
    pub(crate) fn share(&self) -> f64 {
        let heard = || self.places.iter().enumerate().filter_map(|(i, place)| place.map(|_| i));
        match (heard().next(), heard().next_back()) {
            (Some(first), Some(last)) => heard().count() as f64 / (last + 1 - first) as f64,
            _ => 0.0,
        }
    }

    /// Seconds that hold the signal.
    pub(crate) fn seconds(&self) -> f64 {
        self.places.iter().flatten().count() as f64 * STRETCH as f64 / 48_000.0
    }
}

/// Looks for the signal in the left channel of a recording of 48 kHz, 16 bits, stereo.
pub(crate) fn find(signal: &Signal, recording: &Path) -> Found {
    let samples = left(&pcm(recording));
    let mut finder = Finder::new(signal, STRETCH);
    let mut found = Found { places: vec![], damaged: 0 };
    let mut hint = None;
    for stretch in samples.chunks_exact(STRETCH) {
        let fix = finder.locate(stretch, hint);
        hint = fix.map(|fix| fix.position + STRETCH as f64);
        found.damaged += fix.map_or(0, |fix| fix.damaged);
        found.places.push(fix.map(|fix| fix.position));
    }
    found
}

/// The end of a recording sounds.
pub(crate) fn sounds(recording: &Path) -> bool {
    let pcm = pcm(recording);
    let tail = pcm.len().saturating_sub(STRETCH * 4) & !3;
    left(&pcm[tail..]).iter().any(|sample| sample.abs() > 0.01)
}

/// Frames of a recording that are the signal's, bit for bit: from the first that sounds to the end.
///
/// # Panics
/// at the first that is not.
pub(crate) fn exact(signal: &Signal, recording: &Path) -> usize {
    let pcm = pcm(recording);
    let samples = left(&pcm);
    let first = samples.iter().position(|sample| *sample != 0.0).unwrap_or(samples.len());
    assert!(samples.len() >= first + 2 * STRETCH, "{} of {} frames are silence", first, samples.len());
    let fix = Finder::new(signal, STRETCH).locate(&samples[first..first + STRETCH], None).expect("the signal");
    let begin = (fix.position - (STRETCH - 1) as f64 / 2.0).round() as i64;
    let played = signal.stereo_pcm(begin, samples.len() - first, 2);
    let wrong =
        played.chunks_exact(4).zip(pcm[first * 4..].chunks_exact(4)).position(|(played, heard)| played != heard);
    assert_eq!(wrong, None, "frame {first} + this one of {} differs", samples.len());
    samples.len() - first
}

/// A recording without the header of a WAV file, in whole frames.
fn pcm(recording: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(recording).unwrap_or_default();
    if bytes.starts_with(b"RIFF") {
        let data = bytes.windows(4).position(|chunk| chunk == b"data").map_or(bytes.len(), |at| at + 8);
        bytes.drain(..data.min(bytes.len()));
    }
    bytes.truncate(bytes.len() & !3);
    bytes
}

/// The left channel.
pub(crate) fn left(pcm: &[u8]) -> Vec<f64> {
    pcm.chunks_exact(4).map(|frame| f64::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0).collect()
}
