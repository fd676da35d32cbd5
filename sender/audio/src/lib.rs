//! Audio before it is a stream: what touches every sample of it, and nothing of networks, clocks or houses.
//!
//! - [`decode`]: from a file to PCM;
//! - [`convert`]: from any PCM to a stream's format;
//! - [`generate`] (pure): pieces and signals that are computed;
//! - [`mixdown`] (pure): several streams into one.
//!
//! It is a crate of its own so that tests in real time can have it optimised without waiting for the rest of the sender to
//! be.

pub mod convert;
pub mod decode;
pub mod generate;
pub mod mixdown;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
