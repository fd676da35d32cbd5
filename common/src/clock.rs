//! How a receiver learns the sender's clock: the exchange, the filter, and the map that comes out.

pub mod map;

pub use map::ClockMap;
