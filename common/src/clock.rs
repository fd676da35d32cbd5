//! How a receiver learns the sender's clock: the exchange, the filter, and the map that comes out.

pub mod map;
pub mod stamp;

pub use map::ClockMap;
pub use stamp::{Stamp, StampSource};

/// The UDP port on which a sender serves its clock unless configured otherwise: unprivileged, and next to RTP's 5004
/// and RTCP's 5005. Plain NTP (123) stays free for the host's own.
pub const DEFAULT_PORT: u16 = 5007;

/// DSCP of clock packets, both ways: CS6, which Wi-Fi puts into its voice queue.
pub const DSCP: u8 = 48;
