//! Audio that is computed: the piece that plays when there is no music, and signals to test with. (P)

mod demo;
mod tone;

use std::time::Duration;

pub use demo::Demo;
pub use tone::Tone;

/// Audio that is a function of its frame number.
pub trait Generator: Send + 'static {
    /// The next stereo frames, left and right in turn, in `block`; a piece of music also says when it begins.
    fn fill(&mut self, block: &mut [f32]) -> Option<Piece>;
}

/// What begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is called.
    pub title: String,
    /// How long it is, if it ends.
    pub duration: Option<Duration>,
}
