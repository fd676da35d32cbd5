//! Several streams into one, packet by packet: the first in line that sounds is heard in full, the others dip.
//!
//! All streams of a sender share one timeline, so packet n of a mix is made of packet n of each input: a room that
//! plays the mix and a room that plays one of its inputs sound in step, to the sample. What is alone and not dipped
//! is handed on bit for bit.

use crate::convert::Quantiser;

/// How a mix behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Level of what is lower in line while something above it sounds, in dB; [`SILENT_DB`] and below is silence.
    pub duck_db: f64,
    /// Magnitude up to which a sample is silence, in steps of the depth.
    pub threshold: i32,
    /// How long after its last sound an input still holds its place, in frames.
    pub hold: u32,
    /// Frames from full level to silence.
    pub attack: u32,
    /// Frames from silence to full level.
    pub release: u32,
}

/// Levels from here on are silence.
pub const SILENT_DB: f64 = -60.0;

impl Rules {
    /// Time in which what dips has gone to silence; to -20 dB it takes nine tenths of it.
    const ATTACK_MS: u32 = 60;
    /// Time in which it returns from silence.
    const RELEASE_MS: u32 = 800;

    /// Dips to `duck_db` until `hold_ms` after the last sound above `threshold`, at `rate` frames a second.
    pub fn new(duck_db: f64, threshold: i32, hold_ms: u32, rate: u32) -> Self {
        let frames = |ms: u32| (rate / 1_000).max(1) * ms;
        let (attack, release) = (frames(Self::ATTACK_MS), frames(Self::RELEASE_MS));
        Rules { duck_db, threshold, hold: frames(hold_ms), attack, release }
    }

    fn ducked(&self) -> f64 {
        if self.duck_db <= SILENT_DB { 0.0 } else { 10_f64.powf(self.duck_db / 20.0) }
    }
}

/// The mix of one stream.
#[derive(Debug)]
pub struct Mixdown {
    rules: Rules,
    channels: usize,
    full_scale: f64,
    ducked: f64,
    inputs: Vec<Input>,
    sum: Vec<f64>,
    quantiser: Quantiser,
}

/// One stream in the line.
#[derive(Debug)]
struct Input {
    key: u64,
    gain: f64,
    /// Frames for which it still holds its place.
    held: u32,
}

impl Mixdown {
    /// A mix of the streams `keys`, the first of them first in line, in packets of `samples` samples of `bits` bits.
    pub fn new(rules: Rules, keys: &[u64], channels: usize, bits: u32, samples: usize) -> Self {
        Mixdown {
            rules,
            channels,
            full_scale: f64::from(1_u32 << (bits - 1)),
            ducked: rules.ducked(),
            inputs: keys.iter().map(|&key| Input { key, gain: 1.0, held: 0 }).collect(),
            sum: vec![0.0; samples],
            quantiser: Quantiser::new(bits, keys.first().copied().unwrap_or_default()),
        }
    }

    /// Makes one packet of what `input` gives for each key; an input that gives nothing is silent. Returns the index
    /// of the input that is heard. Allocates nothing.
    pub fn mix<'a>(&mut self, input: impl Fn(u64) -> Option<&'a [i32]>, out: &mut [i32]) -> Option<usize> {
        let frames = (out.len() / self.channels) as u32;
        let mut leader = None;
        for (index, place) in self.inputs.iter_mut().enumerate() {
            let samples = input(place.key).unwrap_or_default();
            let sounds = samples.iter().any(|sample| sample.saturating_abs() > self.rules.threshold);
            place.held = if sounds { self.rules.hold.max(frames) } else { place.held.saturating_sub(frames) };
            if place.held > 0 && leader.is_none() {
                leader = Some(index);
            }
        }
        let last = leader.unwrap_or(usize::MAX);
        for index in 0..self.inputs.len() {
            let silent = input(self.inputs[index].key).is_none_or(|samples| samples.iter().all(|&s| s == 0));
            if silent {
                // Nobody hears it jump.
                self.inputs[index].gain = self.target(index, last);
            }
        }
        let steady = self.inputs.iter().enumerate().all(|(index, place)| place.gain == self.target(index, last));
        if steady && self.pass(&input, out) {
            return leader;
        }
        self.sum[..out.len()].fill(0.0);
        for index in 0..self.inputs.len() {
            let target = self.target(index, last);
            let place = &mut self.inputs[index];
            let Some(samples) = input(place.key).filter(|samples| samples.len() == out.len()) else {
                place.gain = target;
                continue;
            };
            let (down, up) = (1.0 / f64::from(self.rules.attack), 1.0 / f64::from(self.rules.release));
            for (sum, frame) in self.sum.chunks_exact_mut(self.channels).zip(samples.chunks_exact(self.channels)) {
                place.gain += (target - place.gain).clamp(-down, up);
                sum.iter_mut().zip(frame).for_each(|(sum, &sample)| *sum += f64::from(sample) * place.gain);
            }
        }
        for (out, sum) in out.iter_mut().zip(&self.sum) {
            *out = self.quantiser.quantise(sum / self.full_scale);
        }
        leader
    }

    /// The level an input should have while the input at `leader` leads.
    fn target(&self, index: usize, leader: usize) -> f64 {
        if index > leader { self.ducked } else { 1.0 }
    }

    /// Hands on the only input that has anything, bit for bit; false when there is more to do.
    fn pass<'a>(&self, input: &impl Fn(u64) -> Option<&'a [i32]>, out: &mut [i32]) -> bool {
        let present = |place: &&Input| place.gain > 0.0 && input(place.key).is_some_and(|s| s.iter().any(|&s| s != 0));
        let mut with_sound = self.inputs.iter().filter(present);
        match (with_sound.next(), with_sound.next()) {
            (None, _) => out.fill(0),
            (Some(only), None) if only.gain == 1.0 => match input(only.key) {
                Some(samples) if samples.len() == out.len() => out.copy_from_slice(samples),
                _ => return false,
            },
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests;
