//! How a writer's clock runs against the media clock, and what to do about it. (P)
//!
//! What a source has queued grows by what its writer writes and shrinks by what the media clock takes: its level,
//! averaged over a turn of a second, is a line whose slope is the difference of both clocks. The line is fitted by an
//! expanding-memory least-squares filter (the polynomial filter of first order: gains 2(2n-1)/n(n+1) and 6/n(n+1)),
//! whose memory ends at sixty turns, so that it follows a clock that warms up. Writers write in pieces: the level of one
//! instant says nothing, that of a second is good to a few milliseconds, and the slope over a minute to some 10 ppm.
//!
//! A writer that is held back by a full pipe has no clock of its own: its level stands still. One whose level has
//! drifted out of a band around its first level does, and from then on is stretched: by the slope, and by what brings
//! the level back. Below that nothing is touched, and PCM passes bit for bit.
//!
//! Of a writer that is to be heard soon it is said how much may wait just before its next piece. What waits beyond that, since
//! the start or since the machine stood still, is taken in by stretching, whatever the size of the pieces. Where that turns out
//! to be too little, more waits from then on.
//!
//! A station on the internet comes in lumps of up to a second, some of them late: its turns last ten seconds, its band is
//! half a second wide, and it is brought back in half an hour. The slope over ten minutes is good to some 20 ppm then.

/// How a writer's level moves, and what is done about it.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Seconds that the level is averaged over.
    turn_s: f64,
    /// Seconds in which a level that is off is brought back.
    return_s: f64,
    /// A level that is off what was expected by more than this part of a second has jumped: frames were lost on one side,
    /// or taken late. That says nothing of a clock.
    jump_s: f64,
    /// How much of the level that is kept the band may be.
    band_part: f64,
    /// Whether a level that has jumped is kept where it is then. A station that ran dry has shown how much it needs; the
    /// latency of a pipe or a card is what was asked for.
    stays: bool,
}

/// A program or a card of this machine.
const WRITER: Manner = Manner { turn_s: 1.0, return_s: 20.0, jump_s: 0.004, band_part: f64::INFINITY, stays: false };
/// A station on the internet.
const STATION: Manner = Manner { turn_s: 10.0, return_s: 1_800.0, jump_s: 0.5, band_part: 0.4, stays: true };
/// The band of a station, as a part of a second.
const STATION_BAND_S: f64 = 0.5;

/// Turns that the fit remembers.
const MEMORY: f64 = 60.0;
/// Turns before the level counts as known.
const SETTLE: f64 = 3.0;
/// The largest correction: beyond any crystal, below what is heard.
const MAX_PPM: f64 = 1_000.0;
/// A level that moves faster than any clock does is a writer that writes ahead or falls behind.
const NO_CLOCK_PPM: f64 = 3_000.0;

/// How much may wait of a writer that is to be heard soon.
#[derive(Clone, Copy, Debug)]
struct Soon {
    /// Frames that are to wait just before a piece comes.
    before: f64,
    /// And so many more, as they were missing.
    more: f64,
    /// The least that did in this turn.
    least: f64,
    /// By how much the level, as it is observed, is above the least: half a piece or so, more where pieces come unevenly.
    above: f64,
}

/// What may wait beyond it, in seconds, before it is taken in.
const SURPLUS_S: f64 = 0.001;

/// A writer that was late so that its queue ran dry is given so much more time, in seconds, up to a limit; half of it is
/// forgotten in about seven minutes.
const MORE_S: f64 = 0.002;
const MOST_MORE_S: f64 = 0.02;
const FORGOTTEN: f64 = 1.0 / 600.0;

/// After an uneven turn it is taken to be that uneven for so many turns.
const UNEVEN: f64 = 16.0;

impl Soon {
    /// A turn of level `mean` is over.
    fn turn(&mut self, mean: f64) {
        self.more *= 1.0 - FORGOTTEN;
        let least = std::mem::replace(&mut self.least, f64::INFINITY);
        if least.is_finite() {
            self.above = (mean - least).max(self.above * (1.0 - 1.0 / UNEVEN));
        }
    }

    /// The level to keep.
    fn level(&self) -> f64 {
        self.before + self.more + self.above
    }
}

/// Follows one writer.
#[derive(Clone, Debug)]
pub(super) struct Drift {
    manner: Manner,
    rate: f64,
    /// The level to keep, in frames; until it is known, nothing is corrected.
    target: Option<f64>,
    /// Where that follows from how much may wait.
    soon: Option<Soon>,
    /// How far the level may be from there before the writer is stretched.
    band: f64,
    engaged: bool,
    /// The turn that is being averaged: its beginning, sum and count.
    turn: Option<(i64, f64, u32)>,
    /// Turns in the fit, level at its end in frames, and the writer's own slope in frames a second.
    turns: f64,
    level: f64,
    slope: f64,
    /// Frames a second that the correction adds.
    correction: f64,
    /// The next level follows a break: it says nothing of the slope, which stays what it was.
    broken: bool,
}

impl Drift {
    /// For a writer whose clock may be the media clock, into a stream of `rate`: left alone while its level stays
    /// within `band` frames of where it settled.
    pub(super) fn of_writer(rate: u32, band: f64) -> Self {
        Drift {
            manner: WRITER,
            rate: rate.into(),
            target: None,
            soon: None,
            band,
            engaged: false,
            turn: None,
            turns: 0.0,
            level: 0.0,
            slope: 0.0,
            correction: 0.0,
            broken: false,
        }
    }

    /// The same for a writer that is to be heard soon: `before` frames are to wait just before a piece of it comes.
    pub(super) fn of_prompt_writer(rate: u32, band: f64, before: f64) -> Self {
        let soon = Soon { before, more: 0.0, least: f64::INFINITY, above: 0.0 };
        Drift { soon: Some(soon), ..Self::of_writer(rate, band) }
    }

    /// For a writer that certainly has a clock of its own, and is kept at a level of `target` frames.
    pub(super) fn of_clock(rate: u32, target: f64) -> Self {
        Drift { target: Some(target), engaged: true, ..Self::of_writer(rate, 0.0) }
    }

    /// For a station, whose clock is its own: left alone while what waits of it stays near to where it settled.
    pub(super) fn of_station(rate: u32) -> Self {
        Drift { manner: STATION, ..Self::of_writer(rate, STATION_BAND_S * f64::from(rate)) }
    }

    /// Notes that `level` frames waited just before a piece came.
    pub(super) fn came(&mut self, level: f64) {
        if let Some(soon) = &mut self.soon {
            soon.least = soon.least.min(level);
        }
    }

    /// Notes that nothing waited any more when something was to be heard.
    pub(super) fn dry(&mut self) {
        if let Some(soon) = &mut self.soon {
            soon.more = (soon.more + MORE_S * self.rate).min(MOST_MORE_S * self.rate);
        }
        self.restart();
    }

    /// Notes the level at `now_ns`, in frames; returns what to stretch by, when that has changed.
    ///
    /// `held_back`: the writer would write on if it could.
    pub(super) fn observe(&mut self, now_ns: i64, level: f64, held_back: bool) -> Option<f64> {
        if held_back {
            self.restart();
            return None;
        }
        let (began, sum, count) = self.turn.get_or_insert((now_ns, 0.0, 0));
        let lasted = (now_ns - *began) as f64 / 1e9;
        if lasted < self.manner.turn_s {
            *sum += level;
            *count += 1;
            return None;
        }
        let mean = *sum / f64::from((*count).max(1));
        self.turn = Some((now_ns, level, 1));
        if let Some(soon) = &mut self.soon {
            soon.turn(mean);
        }
        // A gap in the observations is no turn of this writer.
        if lasted > 3.0 * self.manner.turn_s {
            self.restart();
            return None;
        }
        self.fit(mean, lasted);
        self.correct()
    }

    /// The writer has left, or fallen silent: what comes next has a level of its own.
    pub(super) fn restart(&mut self) {
        self.turn = None;
        if self.engaged {
            self.broken = true;
            self.target = self.target.filter(|_| !self.manner.stays);
        } else {
            (self.turns, self.target) = (0.0, None);
        }
    }

    /// How fast the writer's clock runs against the media clock, in parts per million, once that can be told.
    pub(super) fn ppm(&self) -> Option<f64> {
        (self.turns >= MEMORY / 4.0).then_some(self.slope / self.rate * 1e6)
    }

    fn fit(&mut self, mean: f64, lasted: f64) {
        if std::mem::take(&mut self.broken) {
            self.level = mean;
            return;
        }
        self.turns += 1.0;
        let n = self.turns.min(MEMORY);
        if self.turns == 1.0 {
            self.level = mean;
            return;
        }
        let predicted = self.level + (self.slope + self.correction) * lasted;
        let innovation = mean - predicted;
        if innovation.abs() > self.manner.jump_s * self.rate {
            self.turns -= 1.0;
            self.level = mean;
            return self.restart();
        }
        self.level = predicted + innovation * 2.0 * (2.0 * n - 1.0) / (n * (n + 1.0));
        self.slope += innovation / lasted * 6.0 / (n * (n + 1.0));
    }

    fn correct(&mut self) -> Option<f64> {
        // The level of a turn with a jump in it is neither that of before nor the one that comes.
        if self.turns < SETTLE || (self.broken && self.target.is_none()) {
            return None;
        }
        let target = match &self.soon {
            Some(soon) => soon.level(),
            None => self.target.unwrap_or(self.level),
        };
        self.target = Some(target);
        let off = target - self.level;
        let ppm = self.slope / self.rate * 1e6;
        if !self.engaged {
            let clock = self.turns >= MEMORY / 4.0 && ppm.abs() < NO_CLOCK_PPM;
            let surplus = self.soon.is_some() && off < 0.0;
            let band = if surplus { SURPLUS_S * self.rate } else { self.band.min(self.manner.band_part * target) };
            if off.abs() < band || !clock {
                return None;
            }
            self.engaged = true;
        }
        // While little is known the slope is mostly noise; the level alone steers then.
        let known = (self.turns / (MEMORY / 4.0)).min(1.0);
        let limit = MAX_PPM * 1e-6 * self.rate;
        self.correction = (off / self.manner.return_s - self.slope * known).clamp(-limit, limit);
        Some(1.0 + self.correction / self.rate)
    }
}

#[cfg(test)]
mod tests;
