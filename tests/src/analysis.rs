//! From records to figures, with no clock and no I/O but reading the records.
//!
//! - [`position`]: where in the test signal a stretch of sound lies, to a few nanoseconds, and what is damaged in it;
//! - [`survey`](mod@survey): every room, window by window of true time, and the verdict: how far apart the rooms play;
//! - [`tone`]: what a sine says about distortion, sidebands and steadiness of pitch.

pub mod position;
pub mod survey;
pub mod tone;

pub use position::{Finder, Fix};
pub use survey::{Quantiles, RoomVerdict, Survey, Verdict, survey};
