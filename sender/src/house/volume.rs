//! The curve between the travel of a fader, 0 to 1, and dB.
//!
//! dB = 60 log10(0.1 + 0.9 travel): even steps of travel sound like even steps of loudness, half way is -16 dB, and
//! the bottom is -60 dB, which is silence. The hub owns this curve; whoever draws a fader asks for both figures.

use unisono_common::control::SILENCE_DB;

const RANGE_DB: f64 = -(SILENCE_DB as f64);
/// What the curve adds at the bottom, so that travel 0 is exactly the end of the range.
const FLOOR: f64 = 0.1;

/// The level at a fader's travel.
pub fn to_db(travel: f64) -> f32 {
    let travel = if travel.is_finite() { travel.clamp(0.0, 1.0) } else { 0.0 };
    let db = RANGE_DB * (FLOOR + (1.0 - FLOOR) * travel).log10();
    rounded(db as f32)
}

/// A fader's travel at a level, rounded to a thousandth.
pub fn to_travel(db: f32) -> f64 {
    let db = f64::from(clamped(db));
    let travel = (10_f64.powf(db / RANGE_DB) - FLOOR) / (1.0 - FLOOR);
    (travel.clamp(0.0, 1.0) * 1000.0).round() / 1000.0
}

/// `db` inside the range of the house, to a hundredth of a dB; what is no number is silence.
pub fn clamped(db: f32) -> f32 {
    if db.is_finite() { rounded(db.clamp(SILENCE_DB, 0.0)) } else { SILENCE_DB }
}

fn rounded(db: f32) -> f32 {
    // Plus zero: no "-0" on a page.
    (db * 100.0).round() / 100.0 + 0.0
}
