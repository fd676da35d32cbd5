//! What is played where frames are missing: the sound goes on as it last was, and fades away.
//!
//! The last milliseconds before a gap are looked for a little earlier in the sound (waveform similarity); what followed
//! them there is a likely continuation. It is faded in over the last frames before the gap, and out again under the
//! first ones after it, so that neither edge is a click. Within a gap it dies away in [`GONE_S`], and it is taken from
//! farther back than that: nothing is ever repeated, which would click at each repetition, and buzz. Only how frames
//! sound is decided here: which frame is where is never touched.

/// Length of the piece that is looked for, in seconds.
const PIECE_S: f64 = 0.004;

/// Until here a gap sounds at full level, and from here on not at all, in seconds after its beginning.
const FULL_S: f64 = 0.005;
const GONE_S: f64 = 0.025;

/// How far back the piece is looked for, in seconds: what follows it lasts until the gap is silent.
const NEAREST_S: f64 = GONE_S;
const FARTHEST_S: f64 = 0.045;

/// Frames between the places that are tried at first, and between those that are compared.
const COARSE: usize = 4;

/// The continuation of the sound into one gap after the other.
#[derive(Clone, Debug)]
pub struct Concealment {
    piece: i64,
    nearest: i64,
    farthest: i64,
    full: i64,
    gone: i64,
    /// The gap that `lag` is for.
    gap: Option<i64>,
    /// So many frames back is what the gap is filled with; nothing where there is too little sound before it.
    lag: Option<i64>,
}

impl Concealment {
    /// For sound of `rate` frames a second.
    pub fn new(rate: u32) -> Self {
        let frames = |seconds: f64| (seconds * f64::from(rate)) as i64;
        Self {
            piece: frames(PIECE_S),
            nearest: frames(NEAREST_S),
            farthest: frames(FARTHEST_S),
            full: frames(FULL_S),
            gone: frames(GONE_S),
            gap: None,
            lag: None,
        }
    }

    /// Frames before a gap that are looked at.
    pub fn reach(&self) -> i64 {
        self.piece + self.farthest
    }

    /// The next gap begins at frame `gap`; before it there is unbroken sound from `sound_from` on, which `at` gives. What
    /// was planned for this gap before stays.
    pub fn plan(&mut self, gap: i64, sound_from: i64, at: impl Fn(i64) -> f32) {
        if self.gap == Some(gap) {
            return;
        }
        self.gap = Some(gap);
        let farthest = self.farthest.min(gap - self.piece - sound_from);
        self.lag = (farthest >= self.nearest).then(|| {
            let coarse = self.best(gap, (self.nearest..=farthest).step_by(COARSE), COARSE, &at);
            let around = (coarse - COARSE as i64).max(self.nearest)..=(coarse + COARSE as i64).min(farthest);
            self.best(gap, around, 2, &at)
        });
    }

    /// Nothing that was played before is of use any more.
    pub fn forget(&mut self) {
        (self.gap, self.lag) = (None, None);
    }

    /// What frame `index` would be if it followed from before the gap: that of how many frames earlier, at what level.
    /// Nothing where silence is as good.
    pub fn continuation(&self, index: i64) -> Option<(i64, f32)> {
        let into = index - self.gap?;
        let lag = self.lag.filter(|_| into < self.gone)?;
        let fading = (into - self.full).max(0) as f32 / (self.gone - self.full) as f32;
        Some((lag, 0.5 + 0.5 * (std::f32::consts::PI * fading).cos()))
    }

    /// The lag whose piece is most like the one before the gap, every `step`th frame compared.
    fn best(&self, gap: i64, lags: impl Iterator<Item = i64>, step: usize, at: &impl Fn(i64) -> f32) -> i64 {
        let likeness = |lag: i64| {
            let (mut product, mut energy) = (0.0, 1e-9);
            for index in (gap - self.piece..gap).step_by(step) {
                let earlier = at(index - lag);
                product += at(index) * earlier;
                energy += earlier * earlier;
            }
            product / f32::sqrt(energy)
        };
        lags.map(|lag| (lag, likeness(lag))).max_by(|a, b| a.1.total_cmp(&b.1)).map_or(self.nearest, |(lag, _)| lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_goes_on_in_its_phase() {
        let mut concealment = Concealment::new(48_000);
        for hertz in [110.0_f32, 220.0, 997.0, 3_000.0] {
            let tone = |index: i64| (std::f32::consts::TAU * hertz * index as f32 / 48_000.0).sin();
            concealment.forget();
            concealment.plan(4_000, 0, tone);
            for index in 3_900..4_240 {
                let (lag, level) = concealment.continuation(index).expect("there is sound before the gap");
                assert_eq!(level, 1.0);
                let error = tone(index - lag) - tone(index);
                assert!(error.abs() < 0.2, "{hertz} Hz, frame {index}: {error}");
            }
        }
    }

    #[test]
    fn it_dies_away_and_needs_sound_to_begin_with() {
        let mut concealment = Concealment::new(48_000);
        concealment.plan(4_000, 0, |index| (index % 300) as f32);
        let levels: Vec<f32> =
            (4_000..5_300).map(|index| concealment.continuation(index).map_or(0.0, |(_, level)| level)).collect();
        assert!(levels.is_sorted_by(|a, b| a >= b), "never louder again");
        assert_eq!((levels[0], levels[1_200]), (1.0, 0.0));
        concealment.plan(9_000, 8_700, |_| 1.0);
        assert_eq!(concealment.continuation(9_000), None);
    }
}
