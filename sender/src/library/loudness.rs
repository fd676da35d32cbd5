//! Measures loudness (EBU R 128) of files whose tags don't tell it, while nothing else is to be done.
//!
//! An album is measured in one go, since its loudness is that of all its pieces together, gated as one (ITU-R BS.1770).
//! Only while a stream normalises; at the lowest priority; and a file at a time.

use std::path::Path;
use std::time::Duration;

use ebur128::{EbuR128, Mode};
use unisono_host::realtime::step_back;

use super::Library;
use super::index::query;
use super::index::write::{self, Measured};
use unisono_audio::convert::Samples;
use unisono_audio::decode::{AudioFile, contained};

/// Between looks for work.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 2_000 });
/// What is longer is not measured to its end, in seconds.
const LONGEST_S: u64 = 6 * 3_600;
/// Stands for the loudness of silence, and of what can't be decoded: measured, and nothing to go by.
const NONE_LUFS: f64 = -1_000.0;

/// Measures until the library ends.
pub(super) fn run(library: &Library) {
    step_back();
    while !library.stopping() {
        if !(library.measures() && !library.scanning() && measure_next(library)) {
            library.rest(LOOK);
        }
    }
}

/// Measures one album or piece; false when there is nothing to do.
fn measure_next(library: &Library) -> bool {
    let Ok(pieces) = library.ask(query::unmeasured) else { return false };
    if pieces.is_empty() {
        return false;
    }
    let mut meters = Vec::new();
    let mut measured = Vec::new();
    for piece in &pieces {
        let meter = measure(&piece.path, &|| library.stopping());
        if library.stopping() {
            return false;
        }
        let (loudness, peak) = meter.as_ref().map_or((NONE_LUFS, 0.0), |meter| (loudness(meter), peak(meter)));
        measured.push(Measured { id: piece.id, modified_ns: piece.modified_ns, loudness, peak });
        meters.extend(meter);
    }
    let album = (pieces.len() > 1).then(|| {
        let together = EbuR128::loudness_global_multiple(meters.iter()).ok().filter(|lufs| lufs.is_finite());
        (together.unwrap_or(NONE_LUFS), meters.iter().map(peak).fold(0.0, f64::max))
    });
    tracing::debug!(pieces = pieces.len(), first = %pieces[0].path.display(), ?album, "loudness measured");
    let Some(index) = &library.0.index else { return false };
    let written = index.second_writer().and_then(|mut db| write::measured(&mut db, &measured, album));
    written.inspect_err(|error| tracing::warn!(%error, "loudness was measured and not noted")).is_ok()
}

/// A meter that has heard a whole file, if it can be decoded.
fn measure(path: &Path, stopped: &dyn Fn() -> bool) -> Option<EbuR128> {
    let mut file = AudioFile::open(path).ok()?;
    let shape = file.shape();
    let channels = shape.layout.len();
    let mode = Mode::I | Mode::SAMPLE_PEAK | Mode::HISTOGRAM;
    let mut meter = EbuR128::new(channels as u32, shape.rate, mode).ok()?;
    let mut left = LONGEST_S * u64::from(shape.rate) * channels as u64;
    // A damaged end costs itself.
    while let Ok(Some(block)) = file.next_block() {
        if block.shape.rate != shape.rate || block.shape.layout.len() != channels || stopped() || left == 0 {
            break;
        }
        let heard = contained(|| match block.samples {
            Samples::Int(samples) => meter.add_frames_i32(samples).map(|()| samples.len()),
            Samples::Float(samples) => meter.add_frames_f32(samples).map(|()| samples.len()),
        });
        left = left.saturating_sub(heard.ok()?.ok()? as u64);
    }
    Some(meter)
}

fn loudness(meter: &EbuR128) -> f64 {
    meter.loudness_global().ok().filter(|lufs| lufs.is_finite()).unwrap_or(NONE_LUFS)
}

/// The largest sample of any channel.
fn peak(meter: &EbuR128) -> f64 {
    (0..meter.channels()).filter_map(|channel| meter.sample_peak(channel).ok()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests;
