//! How much louder or softer a piece is played so that all sound alike: ReplayGain and EBU R 128. (P)
//!
//! One level is the goal, -18 LUFS: the reference of ReplayGain 2.0. A ReplayGain tag says how far a file is from it;
//! an R128 tag (RFC 7845 section 5.2.1) how far it is from -23 LUFS; a loudness that was measured here says it itself.
//! Nothing is made louder than its peak allows: a file whose peak is unknown is only ever made softer.

use lofty::tag::ItemKey;
pub use unisono_common::config::sender::ReplayGain;

/// The loudness that everything is brought to, in LUFS.
pub const REFERENCE_LUFS: f64 = -18.0;
/// From the goal of R128 tags (-23 LUFS) to ours.
const R128_DISTANCE_DB: f64 = REFERENCE_LUFS + 23.0;
/// What is beyond this, either way, is a mistake in the tag.
const MOST_DB: f64 = 51.0;

/// What is known of a piece's loudness, as gains that bring it to [`REFERENCE_LUFS`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gains {
    /// Of the piece by itself.
    pub track: Option<Gain>,
    /// Of the album that it is on.
    pub album: Option<Gain>,
}

/// One gain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// In dB.
    pub db: f64,
    /// The largest sample, where 1 is full scale.
    pub peak: Option<f64>,
}

impl Gain {
    /// Of something that was measured.
    pub fn measured(loudness_lufs: f64, peak: f64) -> Option<Self> {
        // Silence has no loudness.
        sane_db(REFERENCE_LUFS - loudness_lufs).map(|db| Gain { db, peak: sane_peak(peak) })
    }

    /// The factor that samples are multiplied by.
    pub fn factor(self) -> f64 {
        let factor = 10_f64.powf(self.db / 20.0);
        // Lossy files may peak above full scale; that is theirs to clip, as it is without us.
        let allowed = (1.0 / self.peak.unwrap_or(1.0)).max(1.0);
        factor.min(allowed)
    }
}

impl Gains {
    /// Whether there is anything.
    pub fn is_known(&self) -> bool {
        self.track.is_some() || self.album.is_some()
    }

    /// What is known here, and where it is not, there.
    #[must_use]
    pub fn or(self, other: Gains) -> Gains {
        if self.is_known() { self } else { other }
    }

    /// The factor to play at. `among_album` says that the piece is heard with others of its album around it.
    pub fn factor(&self, mode: ReplayGain, among_album: bool) -> f64 {
        let by_album = match mode {
            ReplayGain::Off => return 1.0,
            ReplayGain::Track => false,
            ReplayGain::Album => true,
            ReplayGain::Auto => among_album,
        };
        let gain = if by_album { self.album.or(self.track) } else { self.track.or(self.album) };
        gain.map_or(1.0, Gain::factor)
    }
}

/// From a file's tags.
pub(super) fn of_tags<'a>(text: impl Fn(ItemKey) -> Option<&'a str>) -> Gains {
    let gain = |gain: ItemKey, peak: ItemKey, r128: ItemKey| {
        let peak = text(peak).and_then(|text| text.trim().parse().ok()).and_then(sane_peak);
        let db = text(gain).and_then(replay_gain_db).or_else(|| text(r128).and_then(r128_db))?;
        Some(Gain { db, peak })
    };
    Gains {
        track: gain(ItemKey::ReplayGainTrackGain, ItemKey::ReplayGainTrackPeak, ItemKey::R128TrackGain),
        album: gain(ItemKey::ReplayGainAlbumGain, ItemKey::ReplayGainAlbumPeak, ItemKey::R128AlbumGain),
    }
}

/// `-6.54 dB`; some write a comma, some leave the unit out.
fn replay_gain_db(text: &str) -> Option<f64> {
    let text = text.trim();
    let number = text.get(..text.len().saturating_sub(2)).filter(|_| text.to_ascii_lowercase().ends_with("db"));
    number.unwrap_or(text).trim().replace(',', ".").parse().ok().and_then(sane_db)
}

/// A whole number of 256ths of a dB.
fn r128_db(text: &str) -> Option<f64> {
    let steps: i16 = text.trim().parse().ok()?;
    sane_db(f64::from(steps) / 256.0 + R128_DISTANCE_DB)
}

fn sane_db(db: f64) -> Option<f64> {
    (db.is_finite() && db.abs() <= MOST_DB).then_some(db)
}

fn sane_peak(peak: f64) -> Option<f64> {
    (peak.is_finite() && peak > 0.0 && peak < 64.0).then_some(peak)
}

#[cfg(test)]
mod tests;
