//! Passing frames on untouched, but for one dropped or doubled under a short crossfade when the position asks for it.

/// Frames over which the one-frame shift is blended.
const BLEND: usize = 128;

/// The error in frames beyond which a frame is dropped or doubled; above a half, so that it does not hunt.
const THRESHOLD: f64 = 0.6;

/// Whole-frame rate matching. Its position is always a whole frame.
#[derive(Debug)]
pub(super) struct Slip {
    channels: usize,
    correction: i64,
}

impl Slip {
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, correction: 0 }
    }

    /// How many content frames the next `frames` device frames take, when the last one was `error` frames too early:
    /// as many, one more or one fewer.
    pub(super) fn plan(&mut self, frames: usize, error: f64) -> usize {
        self.correction = i64::from(error > THRESHOLD) - i64::from(error < -THRESHOLD);
        (frames as i64 + self.correction).max(1) as usize
    }

    pub(super) fn process(&mut self, input: &[f32], out: &mut [f32]) {
        if self.correction == 0 {
            out.copy_from_slice(input);
            return;
        }
        let frames = out.len() / self.channels;
        let blend = BLEND.min(frames / 2);
        let last = input.len() / self.channels - 1;
        for (i, frame) in out.chunks_exact_mut(self.channels).enumerate() {
            // The first half is the input as it begins, the second as it ends, one frame further on or back.
            let weight = (i as f32 / blend as f32).min(1.0);
            let shifted = (i as i64 + self.correction).clamp(0, last as i64) as usize;
            for (channel, to) in frame.iter_mut().enumerate() {
                let near = input[i.min(last) * self.channels + channel];
                let far = input[shifted * self.channels + channel];
                *to = near + (far - near) * weight;
            }
        }
    }
}
