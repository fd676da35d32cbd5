//! A place in a stream's content, exact over years: a whole frame and a fraction.

use std::ops::{Add, Sub};

/// A position in content frames: `frame + fraction`, with 0 <= fraction < 1.
///
/// An `f64` alone would lose a microsecond after a day of frames counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Position {
    frame: i64,
    fraction: f64,
}

impl Position {
    /// The position `offset` frames after the start of `frame`; `offset` may be negative or above one.
    pub fn new(frame: i64, offset: f64) -> Self {
        let whole = offset.floor();
        Self { frame: frame + whole as i64, fraction: offset - whole }
    }

    /// The frame that this position lies in.
    pub fn frame(self) -> i64 {
        self.frame
    }

    /// How far into its frame it lies, from 0 to below 1.
    pub fn fraction(self) -> f64 {
        self.fraction
    }

    /// The frame whose start is nearest.
    pub fn nearest_frame(self) -> i64 {
        self.frame + i64::from(self.fraction >= 0.5)
    }

    /// The same place, counted so that the RTP timestamp is the same but the number is nearest to `near`.
    pub fn wrapped_near(self, near: i64) -> Self {
        let frame = unisono_common::time::unwrap_timestamp(self.frame as u32, near);
        Self { frame, ..self }
    }
}

impl Add<f64> for Position {
    type Output = Self;

    /// Later by so many frames.
    fn add(self, frames: f64) -> Self {
        Self::new(self.frame, self.fraction + frames)
    }
}

impl Sub for Position {
    type Output = f64;

    /// Frames from `other` to `self`.
    fn sub(self, other: Self) -> f64 {
        (self.frame - other.frame) as f64 + (self.fraction - other.fraction)
    }
}
