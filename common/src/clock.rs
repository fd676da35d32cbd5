//! How a receiver learns the sender's clock: the exchange, the filter, and the map that comes out.
//!
//! In the order of the data path: [`ntp`] packets go to and fro as the [`exchange`] says, every completed exchange is
//! a [`Sample`] that the [`filter`] takes in, and what the filter knows is a [`ClockMap`]. The model, its equations
//! and what it was measured to reach are in `docs/clock.md`.

pub mod exchange;
pub mod filter;
pub mod map;
pub mod ntp;
pub mod ptp;
pub mod stamp;

pub use exchange::Sample;
pub use filter::Filter;
pub use map::ClockMap;
pub use stamp::{Stamp, StampSource};

/// The UDP port on which a sender serves its clock unless configured otherwise. Unprivileged; plain NTP's 123 stays free
/// for the host's own.
pub const DEFAULT_PORT: u16 = crate::config::DEFAULT_CLOCK_PORT;

/// DSCP of clock packets, both ways: CS6, which Wi-Fi puts into its voice queue.
pub const DSCP: u8 = 48;
