//! The resampler, and the exact content position of every frame that it puts out: that position is what the servo controls.

use unisono_common::config::receiver::Quality;

use self::sinc::{Shape, Sinc};
use self::slip::Slip;
use crate::position::Position;

mod sinc;
mod slip;

/// How far from the nominal ratio a step may be: the servo needs 300 ppm, the first alignment half a frame a chunk.
const MAX_RELATIVE_RATIO: f64 = 1.02;

/// Why a resampler can't be made.
#[derive(Debug, thiserror::Error)]
#[error("quality \"slip\" changes no sample, so the rates must agree; the content has {from} Hz, the device {to} Hz")]
pub struct ResamplerError {
    from: u32,
    to: u32,
}

/// Turns content frames into device frames at a rate that changes a little from chunk to chunk.
///
/// Call [`plan`](Self::plan), give [`process`](Self::process) the frames that it asked for, and
/// [`last_position`](Self::last_position) tells where the last frame put out lies in the content. Nothing allocates
/// after [`new`](Self::new).
#[derive(Debug)]
pub struct Resampler {
    kernel: Kernel,
    channels: usize,
    /// Content frames per device frame when both clocks are nominal.
    nominal_step: f64,
    max_chunk: usize,
    /// The content frame that goes in next.
    next_input: i64,
    planned: Plan,
    max_input: usize,
    /// The past that a filter reaches back to, on its way from one place to another.
    past: Vec<f32>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Plan {
    frames: usize,
    input: usize,
    step: f64,
}

#[derive(Debug)]
enum Kernel {
    Sinc(Sinc),
    Slip(Slip),
}

impl Resampler {
    /// A resampler from `content_rate` to `device_rate` for chunks of up to `max_chunk` device frames.
    ///
    /// # Errors
    /// [`Quality::Slip`] between different rates.
    pub fn new(
        quality: Quality,
        content_rate: u32,
        device_rate: u32,
        channels: usize,
        max_chunk: usize,
    ) -> Result<Self, ResamplerError> {
        let nominal_step = f64::from(content_rate) / f64::from(device_rate);
        let max_input = (max_chunk as f64 * nominal_step * MAX_RELATIVE_RATIO) as usize + 8;
        let shape = match quality {
            Quality::Low => Some(Shape { taps: 32, attenuation_db: 110.0 }),
            Quality::Normal => Some(Shape { taps: 128, attenuation_db: 130.0 }),
            Quality::High => Some(Shape { taps: 256, attenuation_db: 150.0 }),
            Quality::Slip if content_rate != device_rate => {
                return Err(ResamplerError { from: content_rate, to: device_rate });
            }
            Quality::Slip => None,
        };
        let taps = shape.map_or(0, |shape| Sinc::taps(shape, nominal_step));
        let kernel = match shape {
            Some(shape) => Kernel::Sinc(Sinc::new(shape, nominal_step, channels, max_input)),
            None => Kernel::Slip(Slip::new(channels)),
        };
        let (next_input, planned, past) = (0, Plan::default(), vec![0.0; taps * channels]);
        Ok(Self { kernel, channels, nominal_step, max_chunk, next_input, planned, max_input, past })
    }

    /// Content frames per device frame when both clocks are nominal.
    pub fn nominal_step(&self) -> f64 {
        self.nominal_step
    }

    /// The largest chunk, in device frames.
    pub fn max_chunk(&self) -> usize {
        self.max_chunk
    }

    /// The most content frames that [`plan`](Self::plan) can ask for.
    pub fn max_input(&self) -> usize {
        self.max_input
    }

    /// Where in the content the last frame put out lies.
    pub fn last_position(&self) -> Position {
        match &self.kernel {
            Kernel::Sinc(sinc) => Position::new(self.next_input, sinc.at()),
            Kernel::Slip(_) => Position::new(self.next_input - 1, 0.0),
        }
    }

    /// The content frames that [`process`](Self::process) wants: where they begin.
    pub fn input_start(&self) -> i64 {
        self.next_input
    }

    /// Prepares the next chunk: `frames` device frames, by the end of which the step is `step` content frames each.
    /// `error` is how many content frames the last frame put out was too early; only [`Quality::Slip`] looks at it.
    /// Returns how many content frames, from [`input_start`](Self::input_start) on, `process` must be given.
    pub fn plan(&mut self, frames: usize, step: f64, error: f64) -> usize {
        let frames = frames.min(self.max_chunk);
        let limits =
            self.nominal_step / (MAX_RELATIVE_RATIO - 0.001)..=self.nominal_step * (MAX_RELATIVE_RATIO - 0.001);
        let step = step.clamp(*limits.start(), *limits.end());
        let input = match &mut self.kernel {
            Kernel::Sinc(sinc) => sinc.plan(frames, step),
            Kernel::Slip(slip) => slip.plan(frames, error),
        };
        self.planned = Plan { frames, input, step };
        input
    }

    /// Makes the planned chunk of `input` (interleaved), into `out`.
    pub fn process(&mut self, input: &[f32], out: &mut [f32]) {
        let Plan { frames, input: wanted, .. } = self.planned;
        debug_assert_eq!((input.len(), out.len()), (wanted * self.channels, frames * self.channels));
        match &mut self.kernel {
            Kernel::Sinc(sinc) => sinc.process(input, out),
            Kernel::Slip(slip) => slip.process(input, out),
        }
        self.next_input += wanted as i64;
    }

    /// Moves to another place: the next frame put out, at nominal step, will show exactly `target`.
    ///
    /// `content(first, out)` fills `out` with the content from frame `first` on; it is asked for the frames before
    /// `target` that the filter reaches back to. With [`Quality::Slip`] the nearest whole frame is taken.
    pub fn seek(&mut self, target: Position, content: impl FnMut(i64, &mut [f32])) {
        self.next_input = match &mut self.kernel {
            Kernel::Sinc(sinc) => {
                let last = target + -self.nominal_step;
                sinc.seek(last.frame(), last.fraction(), &mut self.past, content)
            }
            Kernel::Slip(_) => target.nearest_frame(),
        };
    }

    /// Steps that [`process`](Self::process) took last, in content frames a device frame.
    pub fn step(&self) -> f64 {
        self.planned.step
    }
}

#[cfg(test)]
mod tests;
