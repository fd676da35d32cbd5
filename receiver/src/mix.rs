//! What happens to frames between the resampler and the card: channels, fades, volume. Nothing here ever jumps.

use std::f32::consts::FRAC_PI_2;

/// Time in which the volume goes from silence to full, in seconds.
pub const RAMP_S: f32 = 0.05;

/// Which channels of the content a room plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelMode {
    /// Each on its own output; mono on both.
    #[default]
    Stereo,
    /// The first on every output: this room is the left loudspeaker.
    Left,
    /// The second on every output.
    Right,
    /// The mean of the first two on every output.
    Mono,
}

/// Adds content frames to device frames: `content` has `from` channels, `out` has `to`; more outputs than two stay silent.
pub fn map_channels(content: &[f32], from: usize, mode: ChannelMode, out: &mut [f32], to: usize) {
    let right = usize::from(from > 1);
    for (content, out) in content.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
        let (left, right) = (content[0], content[right]);
        let pair = match mode {
            ChannelMode::Stereo => [left, right],
            ChannelMode::Left => [left; 2],
            ChannelMode::Right => [right; 2],
            ChannelMode::Mono => [(left + right) * 0.5; 2],
        };
        if to == 1 {
            out[0] += if mode == ChannelMode::Stereo { (left + right) * 0.5 } else { pair[0] };
        } else {
            out[0] += pair[0];
            out[1] += pair[1];
        }
    }
}

/// A volume that ramps.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    now: f32,
    target: f32,
    step: f32,
}

impl Gain {
    /// Begins at `gain`, without a ramp, for a device of this rate.
    pub fn new(gain: f32, rate: u32) -> Self {
        Self { now: gain, target: gain, step: 1.0 / (RAMP_S * rate as f32) }
    }

    /// Goes to `gain` from now on.
    pub fn set(&mut self, gain: f32) {
        self.target = gain.clamp(0.0, 1.0);
    }

    /// Is there at once, without a ramp: for when nothing sounds.
    pub fn arrive(&mut self) {
        self.now = self.target;
    }

    /// The gain of the next frame.
    fn advance(&mut self) -> f32 {
        self.now += (self.target - self.now).clamp(-self.step, self.step);
        self.now
    }

    /// Applies it to interleaved frames. Exactly one leaves them as they are, bit for bit.
    pub fn apply(&mut self, frames: &mut [f32], channels: usize) {
        if self.now == self.target {
            if self.now != 1.0 {
                frames.iter_mut().for_each(|sample| *sample *= self.now);
            }
            return;
        }
        for frame in frames.chunks_exact_mut(channels) {
            let gain = self.advance();
            frame.iter_mut().for_each(|sample| *sample *= gain);
        }
    }
}

/// A fade-in that is under way.
#[derive(Clone, Copy, Debug)]
pub struct FadeIn {
    done: usize,
    length: usize,
}

impl FadeIn {
    /// A fade over `length` frames, not begun.
    pub fn new(length: usize) -> Self {
        Self { done: length, length }
    }

    /// Begins: the next frame is silent.
    pub fn begin(&mut self) {
        self.done = 0;
    }

    /// Applies it to interleaved frames: a quarter sine, which with [`Tail`]'s keeps the power of unlike sounds.
    pub fn apply(&mut self, frames: &mut [f32], channels: usize) {
        for frame in frames.chunks_exact_mut(channels).take(self.length - self.done) {
            let gain = (FRAC_PI_2 * self.done as f32 / self.length as f32).sin();
            frame.iter_mut().for_each(|sample| *sample *= gain);
            self.done += 1;
        }
    }
}

/// What was to come, faded out: mixed under whatever comes in its place.
#[derive(Debug)]
pub struct Tail {
    frames: Vec<f32>,
    channels: usize,
    /// The sample that goes out next.
    at: usize,
}

impl Tail {
    /// For fades of `length` frames.
    pub fn new(length: usize, channels: usize) -> Self {
        Self { frames: vec![0.0; length * channels], channels, at: length * channels }
    }

    /// Begins a tail: `write` puts out the frames that would have come.
    pub fn begin(&mut self, write: impl FnOnce(&mut [f32])) {
        self.frames.fill(0.0);
        write(&mut self.frames);
        let length = self.frames.len() / self.channels;
        for (i, frame) in self.frames.chunks_exact_mut(self.channels).enumerate() {
            let gain = (FRAC_PI_2 * i as f32 / length as f32).cos();
            frame.iter_mut().for_each(|sample| *sample *= gain);
        }
        self.at = 0;
    }

    /// Forgets what is left of it.
    pub fn clear(&mut self) {
        self.at = self.frames.len();
    }

    /// Whether nothing of it is left.
    pub fn is_over(&self) -> bool {
        self.at >= self.frames.len()
    }

    /// Adds what is left of it to `out`.
    pub fn mix_into(&mut self, out: &mut [f32]) {
        let left = &self.frames[self.at..];
        let length = left.len().min(out.len());
        out.iter_mut().zip(left).for_each(|(to, from)| *to += from);
        self.at += length;
    }
}

/// Keeps what hears digital silence and mutes itself awake: every zero becomes noise of half a step of 16 bits, -96 dB,
/// which nobody hears.
#[derive(Clone, Copy, Debug)]
pub struct Wakefulness {
    random: u32,
}

impl Default for Wakefulness {
    fn default() -> Self {
        Self { random: 1 }
    }
}

impl Wakefulness {
    const LEVEL: f32 = 1.0 / 65_536.0;

    /// Applies it to samples.
    pub fn apply(&mut self, samples: &mut [f32]) {
        for sample in samples.iter_mut().filter(|sample| **sample == 0.0) {
            // Xorshift (Marsaglia 2003): all that is asked of it is to change its sign without a pattern.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 17;
            self.random ^= self.random << 5;
            *sample = if self.random & 1 == 0 { Self::LEVEL } else { -Self::LEVEL };
        }
    }
}

/// "This is me": two soft notes, mixed over whatever plays.
#[derive(Clone, Copy, Debug)]
pub struct Chirp {
    rate: f32,
    /// The frame that goes out next; `None` when it is over.
    at: Option<u32>,
    /// Amplitude that nothing may exceed.
    most: Gain,
}

impl Chirp {
    /// Frequencies of the two notes, in Hz: a fourth.
    const NOTES: [f32; 2] = [880.0, 1_174.66];
    const NOTE_S: f32 = 0.35;
    const LEVEL: f32 = 0.25;

    /// Silent until it begins, for a device of this rate.
    pub fn new(rate: u32) -> Self {
        Self { rate: rate as f32, at: None, most: Gain::new(1.0, rate) }
    }

    /// Amplitude that it never exceeds from now on, and together with what it is mixed into does not if that alone
    /// doesn't. Ramps.
    pub fn set_most(&mut self, most: f32) {
        self.most.set(most);
        if self.at.is_none() {
            self.most.arrive();
        }
    }

    /// Begins.
    pub fn begin(&mut self) {
        self.at = Some(0);
    }

    /// Adds what is left of it to `out`.
    pub fn mix_into(&mut self, out: &mut [f32], channels: usize) {
        for frame in out.chunks_exact_mut(channels) {
            let Some(at) = self.at else { return };
            let time = at as f32 / self.rate;
            let Some(frequency) = Self::NOTES.get((time / Self::NOTE_S) as usize) else {
                self.at = None;
                self.most.arrive();
                return;
            };
            let into = time % Self::NOTE_S / Self::NOTE_S;
            let shape = (std::f32::consts::PI * into.sqrt()).sin().max(0.0);
            let most = self.most.advance();
            let level = most.min(Self::LEVEL);
            let sample = shape * level * (std::f32::consts::TAU * (frequency * time).fract()).sin();
            // What plays makes room, so that the sum stays where it may be.
            let rest = if most > level { 1.0 - shape * level / most } else { 1.0 - shape };
            frame.iter_mut().take(2).for_each(|out| *out = *out * rest + sample);
            self.at = Some(at + 1);
        }
    }
}

#[cfg(test)]
mod tests;
