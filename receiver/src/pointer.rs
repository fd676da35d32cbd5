//! Precise times from a coarse position.
//!
//! A card tells its position in steps: one frame on an I2S interface of a Pi, eight or forty-eight elsewhere, a whole
//! period on some drivers. A single reading is known no better than the step. But the instant at which the position
//! *changes* is sharp: frame n leaves exactly then. So the position is read again and again around the instant at
//! which it should change, and the change lies between the last reading before it and the first after it: a
//! microsecond or two apart, or discarded when the thread was interrupted in between.
//!
//! Some drivers stamp the change themselves, in their interrupt: a stamp that is older than the call that returned it.
//! Such a stamp is taken as it is.

use unisono_common::time::LocalTime;

use crate::dac::Edge;

/// The widest interval between two readings that still counts as a sharp edge.
const SHARP_NS: i64 = 12_000;

/// Standard deviation of what a reading itself adds: the time between the card's counter and the clock.
const READING_NS: f64 = 400.0;

/// Standard deviation of a driver's own stamp: the latency of its interrupt.
const INTERRUPT_NS: f64 = 4_000.0;

/// One reading of a card's position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Frames that have left the DAC, in the steps that the card has.
    pub played: i64,
    /// Local time before the card was asked.
    pub asked: LocalTime,
    /// The card's own stamp, not before which the position was not yet `played`; local time after the answer if the
    /// card has none.
    pub stamp: LocalTime,
}

/// Finds edges in a sequence of readings, and learns how coarse the card's position is.
#[derive(Clone, Debug, Default)]
pub struct EdgeFinder {
    last: Option<Reading>,
    /// The steps seen, smallest first, as (frames, times seen).
    grain: Option<i64>,
    smaller: u32,
}

impl EdgeFinder {
    /// Takes in a reading; gives an edge if the position changed since the one before, and it is known sharply when.
    pub fn feed(&mut self, reading: Reading) -> Option<Edge> {
        let last = self.last.replace(reading)?;
        let step = reading.played - last.played;
        if step <= 0 {
            return None;
        }
        if reading.stamp < reading.asked && reading.stamp > last.stamp {
            self.learn(step);
            return Some(Edge { frame: reading.played, at: reading.stamp, sigma_ns: INTERRUPT_NS });
        }
        let width_ns = reading.stamp - last.asked;
        if !(0..=SHARP_NS).contains(&width_ns) {
            return None;
        }
        self.learn(step);
        // Two steps in so short a time would be a position that jumped, not one that moved.
        if self.grain.is_some_and(|grain| step > grain) {
            return None;
        }
        let sigma_ns = (width_ns as f64 / 12_f64.sqrt()).hypot(READING_NS);
        Some(Edge { frame: reading.played, at: last.asked + width_ns / 2, sigma_ns })
    }

    /// The steps in which the position moves, in frames, once one was seen.
    pub fn grain(&self) -> Option<i64> {
        self.grain
    }

    /// Forgets the last reading: the card did something else in between.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    fn learn(&mut self, step: i64) {
        match self.grain {
            Some(grain) if step < grain => {
                // Once may be chance (a counter read while it moves); twice is how the card is.
                self.smaller += 1;
                if self.smaller >= 2 {
                    self.grain = Some(step);
                    self.smaller = 0;
                }
            }
            Some(_) => {}
            None => self.grain = Some(step),
        }
    }
}

#[cfg(test)]
mod tests;
