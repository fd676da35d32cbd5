//! Parts of the system in virtual time: no socket, no thread, no sleep, and every run repeats from its seed.

pub mod clock;
pub mod random;
