//! Parts of the system in virtual time: no socket, no sleep, and every run repeats from its seed.
//!
//! - [`clock`]: the clock from the sender to the room's map of it;
//! - [`room`]: the same with a card and the real playout between them;
//! - [`resampler`]: what the resampler's qualities cost, in CPU time of this machine.

pub mod clock;
pub mod random;
pub mod resampler;
pub mod room;
