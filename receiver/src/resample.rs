//! The resampler, and the exact content position of every frame that it puts out.
//!
//! rubato's asynchronous resampler steps an index through its input by `1 / ratio` a frame. The index is private, but
//! its arithmetic is not: [`Resampler`] repeats it bit for bit, so it always knows which position of the content the
//! last frame showed, to a fraction of a frame and without drift. That position is what the servo controls.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable, Async, FixedAsync, PolynomialDegree, Resampler as _, Resizable, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};
use unisono_common::config::receiver::Quality;

use crate::position::Position;

mod slip;

/// How far from the nominal ratio a step may be: the servo needs 300 ppm, the first alignment half a frame a chunk.
const MAX_RELATIVE_RATIO: f64 = 1.02;

/// Fine positions of rubato's sinc table between two frames, with straight lines between them: a line costs a third less
/// than a cubic, and from so many to the next it is 120 dB below a full tone at 20 kHz, 140 dB at 1 kHz.
const OVERSAMPLING: usize = 512;

/// Why a resampler can't be made.
#[derive(Debug, thiserror::Error)]
#[error("no resampler from {from} to {to} Hz for {channels} channels: {reason}")]
pub struct ResamplerError {
    from: u32,
    to: u32,
    channels: usize,
    reason: String,
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
    /// Input and output of the chunk that fills the filter before the first frame that is heard.
    primer: (Vec<f32>, Vec<f32>),
}

#[derive(Debug, Default, Clone, Copy)]
struct Plan {
    frames: usize,
    input: usize,
    step: f64,
}

#[derive(Debug)]
enum Kernel {
    Rubato(Box<Stepper>),
    Slip(slip::Slip),
}

/// A rubato resampler and the mirror of its index.
#[derive(Debug)]
struct Stepper {
    inner: Async<f32>,
    /// rubato's `last_index`: of the last frame put out, relative to the next input frame.
    index: f64,
    /// The value of `index` after a reset.
    initial_index: f64,
    /// rubato's `resample_ratio`, the one that the last chunk ended with, and the one that the next will end with.
    ratio: f64,
    target: f64,
    nominal: f64,
    /// Where in the content the frame at index 0 lies, relative to the next input frame.
    centre: f64,
}

impl Resampler {
    /// A resampler from `content_rate` to `device_rate` for chunks of up to `max_chunk` device frames.
    ///
    /// # Errors
    /// rates or a channel count that rubato refuses, or [`Quality::Slip`] between different rates.
    pub fn new(
        quality: Quality,
        content_rate: u32,
        device_rate: u32,
        channels: usize,
        max_chunk: usize,
    ) -> Result<Self, ResamplerError> {
        let error = |reason: String| ResamplerError { from: content_rate, to: device_rate, channels, reason };
        let ratio = f64::from(device_rate) / f64::from(content_rate);
        let sinc = |length| {
            let parameters = SincInterpolationParameters::new(length, WindowFunction::BlackmanHarris2)
                .oversampling_factor(OVERSAMPLING)
                .interpolation(SincInterpolationType::Linear);
            Async::new_sinc(ratio, MAX_RELATIVE_RATIO, &parameters, max_chunk, channels, FixedAsync::Output)
                // Index i is shown by the taps around frame i + length / 2 - 1, one fine position late (measured: see tests).
                .map(|inner| {
                    Stepper::new(
                        inner,
                        ratio,
                        1.0 - length as f64,
                        length as f64 / 2.0 - 1.0 + 1.0 / OVERSAMPLING as f64,
                    )
                })
        };
        let stepper = match quality {
            Quality::Slip if content_rate == device_rate => {
                let kernel = Kernel::Slip(slip::Slip::new(channels));
                return Ok(Self::with_kernel(kernel, channels, 1.0, max_chunk));
            }
            Quality::Slip => return Err(error("quality \"slip\" changes no sample, so the rates must agree".into())),
            Quality::Low => Async::new_poly(
                ratio,
                MAX_RELATIVE_RATIO,
                PolynomialDegree::Septic,
                max_chunk,
                channels,
                FixedAsync::Output,
            )
            .map(|inner| Stepper::new(inner, ratio, -4.0, 0.0)),
            Quality::Normal => sinc(128),
            Quality::High => sinc(256),
        };
        let kernel = Kernel::Rubato(Box::new(stepper.map_err(|e| error(e.to_string()))?));
        Ok(Self::with_kernel(kernel, channels, 1.0 / ratio, max_chunk))
    }

    fn with_kernel(kernel: Kernel, channels: usize, nominal_step: f64, max_chunk: usize) -> Self {
        let most_input = (max_chunk as f64 * nominal_step * MAX_RELATIVE_RATIO) as usize + 2 * 256 + 8;
        let primer = (vec![0.0; most_input * channels], vec![0.0; max_chunk * channels]);
        Self { kernel, channels, nominal_step, max_chunk, next_input: 0, planned: Plan::default(), primer }
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
        self.primer.0.len() / self.channels
    }

    /// Where in the content the last frame put out lies.
    pub fn last_position(&self) -> Position {
        match &self.kernel {
            Kernel::Rubato(stepper) => Position::new(self.next_input, stepper.index + stepper.centre),
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
            Kernel::Rubato(stepper) => stepper.plan(frames, 1.0 / step, true),
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
            Kernel::Rubato(stepper) => stepper.process(input, out, self.channels, frames, wanted),
            Kernel::Slip(slip) => slip.process(input, out),
        }
        self.next_input += wanted as i64;
    }

    /// Moves to another place: the next frame put out, at nominal step, will show exactly `target`.
    ///
    /// `content(first, out)` fills `out` with the content from frame `first` on; it is asked for the frames before
    /// `target` that the filter reaches back to. With [`Quality::Slip`] the nearest whole frame is taken.
    pub fn seek(&mut self, target: Position, mut content: impl FnMut(i64, &mut [f32])) {
        let Kernel::Rubato(stepper) = &mut self.kernel else {
            self.next_input = target.nearest_frame();
            return;
        };
        // A chunk that nobody hears brings the fraction: its step is off by at most half a frame over the chunk.
        stepper.reset();
        let frames = self.max_chunk;
        let start = stepper.initial_index + stepper.centre;
        let last = target + -self.nominal_step;
        let origin = last + -(start + frames as f64 * self.nominal_step);
        self.next_input = origin.nearest_frame();
        let step = (last - Position::new(self.next_input, start)) / frames as f64;
        let wanted = stepper.plan(frames, 1.0 / step, false);
        let (input, out) = &mut self.primer;
        let input = &mut input[..wanted * self.channels];
        content(self.next_input, input);
        stepper.process(input, out, self.channels, frames, wanted);
        self.next_input += wanted as i64;
        stepper.plan(frames, 1.0 / self.nominal_step, false);
    }

    /// Steps that [`process`](Self::process) took last, in content frames a device frame.
    pub fn step(&self) -> f64 {
        self.planned.step
    }
}

impl Stepper {
    fn new(inner: Async<f32>, ratio: f64, initial_index: f64, centre: f64) -> Self {
        Self { inner, index: initial_index, initial_index, ratio, target: ratio, nominal: ratio, centre }
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.index = self.initial_index;
        (self.ratio, self.target) = (self.nominal, self.nominal);
    }

    /// Sets chunk and ratio; both are within what `new` allowed, so rubato has no reason to refuse.
    fn plan(&mut self, frames: usize, ratio: f64, ramp: bool) -> usize {
        if self.inner.set_chunk_size(frames).is_err() || self.inner.set_resample_ratio(ratio, ramp).is_err() {
            debug_assert!(false, "rubato refused a chunk of {frames} at ratio {ratio}");
        }
        if !ramp {
            self.ratio = ratio;
        }
        self.target = ratio;
        self.inner.input_frames_next()
    }

    fn process(&mut self, input: &[f32], out: &mut [f32], channels: usize, frames: usize, wanted: usize) {
        // As rubato does it, operation by operation, so that the mirror stays exact for ever.
        let mut step = 1.0 / self.ratio;
        let increment = (1.0 / self.target - 1.0 / self.ratio) / frames as f64;
        for _ in 0..frames {
            step += increment;
            self.index += step;
        }
        self.index -= wanted as f64;
        self.ratio = self.target;
        let adapters =
            (InterleavedSlice::new(input, channels, wanted), InterleavedSlice::new_mut(out, channels, frames));
        if let (Ok(input), Ok(mut out)) = adapters {
            let done = self.inner.process_into_buffer(&input, &mut out, None);
            debug_assert_eq!(done.ok(), Some((wanted, frames)));
        }
    }
}

#[cfg(test)]
mod tests;
