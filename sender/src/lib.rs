//! Turns music into streams, and keeps the house.
//!
//! - [`house`]: rooms, what they play and how loud.

pub mod house;
