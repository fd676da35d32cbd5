//! Sources that compute their audio.

use std::time::Duration;

use unisono_common::format::Format;

use super::Source;
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::status::{State, Track};
use unisono_audio::convert::{Converter, Layout, Samples, Shape};
use unisono_audio::generate::{Generator, Piece};

/// Computing is never late for long.
pub(super) const SIZES: Sizes = Sizes { capacity: Duration::from_millis(500), prebuffer: Duration::from_millis(50) };

/// A generator and the way from it to the queue.
pub(super) struct Generated<G> {
    generator: G,
    shape: Shape,
    converter: Converter,
}

impl<G: Generator> Generated<G> {
    pub(super) fn new(generator: G, format: Format, converter: Converter) -> Self {
        let shape = Shape { rate: format.rate, layout: Layout::of_count(2), bits: None };
        Self { generator, shape, converter }
    }

    fn block(&mut self, block: &mut [f32], frames: &mut Vec<i32>, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        if let Some(Piece { title, duration }) = self.generator.fill(block) {
            let track = Track { title: Some(title), duration, ..Track::default() };
            writer.begin_track(Some(track), Duration::ZERO);
        }
        frames.clear();
        self.converter.feed(&self.shape, Samples::Float(block), frames);
        writer.push(frames)
    }
}

impl<G: Generator> Source for Generated<G> {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        let mut block = vec![0.0; self.shape.rate as usize / 100 * 2];
        let mut frames = Vec::new();
        writer.set_state(State::Playing);
        while self.block(&mut block, &mut frames, &mut writer) != Err(Interrupt::Stop) {}
    }
}
