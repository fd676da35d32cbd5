//! Turns music into streams, and keeps the house.
//!
//! - [`timeserver`]: the clock that rooms follow;
//! - [`house`]: rooms, what they play and how loud.

pub mod house;
pub mod timeserver;
