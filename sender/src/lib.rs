//! Turns music into streams, and keeps the house. In the order of the data path:
//!
//! - [`library`]: the files of a folder and the order they are played in;
//! - [`decode`]: from a file to PCM;
//! - [`convert`]: from any PCM to a stream's format;
//! - [`source`]: where a stream's audio comes from, and the queue it waits in.
//!
//! Beside it:
//!
//! - [`timeserver`]: the clock that rooms follow;
//! - [`house`]: rooms, what they play and how loud.

pub mod convert;
pub mod decode;
pub mod house;
pub mod library;
pub mod source;
pub mod timeserver;

#[cfg(test)]
mod testing;
