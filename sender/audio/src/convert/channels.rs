//! Which channel is which, and how the channels of one layout become those of another.

/// The most channels of a file or a stream.
pub const MAX_CHANNELS: usize = 8;

/// Where a channel's loudspeaker stands; in the order of WAVE_FORMAT_EXTENSIBLE's channel mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Speaker {
    FrontLeft,
    FrontRight,
    FrontCentre,
    Lfe,
    BackLeft,
    BackRight,
    FrontLeftOfCentre,
    FrontRightOfCentre,
    BackCentre,
    SideLeft,
    SideRight,
    /// Anywhere else: heard only where the other side has it too.
    Elsewhere,
}

/// The channels of a frame, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    speakers: [Speaker; MAX_CHANNELS],
    len: usize,
}

/// How loud each input is in each output.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    gains: [[f64; MAX_CHANNELS]; MAX_CHANNELS],
    inputs: usize,
    outputs: usize,
}

/// A matrix that only moves channels: for each output the input it is, or `None` for silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route([Option<u8>; MAX_CHANNELS]);

/// -3 dB, the share of a centre or surround channel in each front channel (ITU-R BS.775).
const HALF_POWER: f64 = std::f64::consts::FRAC_1_SQRT_2;

impl Layout {
    /// A layout of these channels, or `None` for none and for more than [`MAX_CHANNELS`].
    pub fn new(channels: &[Speaker]) -> Option<Self> {
        let mut speakers = [Speaker::Elsewhere; MAX_CHANNELS];
        speakers.get_mut(..channels.len()).filter(|s| !s.is_empty())?.copy_from_slice(channels);
        Some(Self { speakers, len: channels.len() })
    }

    /// The usual layout of `count` channels (as FLAC defines it; RFC 9639 section 9.1.3), clamped to what there is.
    pub fn of_count(count: usize) -> Self {
        use Speaker::*;
        let speakers: &[Speaker] = match count {
            0 | 1 => &[FrontCentre],
            2 => &[FrontLeft, FrontRight],
            3 => &[FrontLeft, FrontRight, FrontCentre],
            4 => &[FrontLeft, FrontRight, BackLeft, BackRight],
            5 => &[FrontLeft, FrontRight, FrontCentre, BackLeft, BackRight],
            6 => &[FrontLeft, FrontRight, FrontCentre, Lfe, BackLeft, BackRight],
            7 => &[FrontLeft, FrontRight, FrontCentre, Lfe, BackCentre, SideLeft, SideRight],
            _ => &[FrontLeft, FrontRight, FrontCentre, Lfe, BackLeft, BackRight, SideLeft, SideRight],
        };
        let mut all = [Elsewhere; MAX_CHANNELS];
        all[..speakers.len()].copy_from_slice(speakers);
        Self { speakers: all, len: speakers.len() }
    }

    /// Channels in a frame, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    fn speakers(&self) -> &[Speaker] {
        &self.speakers[..self.len]
    }

    fn find(&self, speaker: Speaker) -> Option<usize> {
        self.speakers().iter().position(|&s| s == speaker)
    }
}

impl Matrix {
    /// What stands in both layouts stays as it is; a single channel goes to both fronts in full; what has no place is
    /// folded down as ITU-R BS.775 has it (LFE is left out); then all is scaled so that no output can exceed full
    /// scale.
    pub(crate) fn new(from: &Layout, to: &Layout) -> Self {
        let mut matrix = Self { gains: Default::default(), inputs: from.len(), outputs: to.len() };
        if from == to || (from.len() == 1 && to.len() == 1) {
            (0..from.len()).for_each(|i| matrix.gains[i][i] = 1.0);
        } else if to.len() == 1 {
            let stereo = Matrix::new(from, &Layout::of_count(2));
            (0..from.len()).for_each(|i| matrix.gains[0][i] = (stereo.gains[0][i] + stereo.gains[1][i]) / 2.0);
        } else if from.len() == 1 {
            for front in [Speaker::FrontLeft, Speaker::FrontRight] {
                to.find(front).into_iter().for_each(|o| matrix.gains[o][0] = 1.0);
            }
        } else {
            for (input, &speaker) in from.speakers().iter().enumerate() {
                for (speaker, gain) in place(speaker, to) {
                    to.find(speaker).into_iter().for_each(|output| matrix.gains[output][input] += gain);
                }
            }
        }
        matrix.normalise();
        matrix
    }

    fn normalise(&mut self) {
        let loudest = self.gains.iter().map(|row| row.iter().sum::<f64>()).fold(1.0, f64::max);
        self.gains.iter_mut().flatten().for_each(|gain| *gain /= loudest);
    }

    /// Mixes interleaved frames of the inputs to interleaved frames of the outputs.
    pub(crate) fn mix(&self, input: &[f64], output: &mut Vec<f64>) {
        output.clear();
        for frame in input.chunks_exact(self.inputs) {
            for row in &self.gains[..self.outputs] {
                output.push(frame.iter().zip(row).map(|(sample, gain)| sample * gain).sum());
            }
        }
    }

    /// The matrix as plain moves, if it is nothing else.
    pub(crate) fn route(&self) -> Option<Route> {
        let mut route = Route([None; MAX_CHANNELS]);
        for (output, row) in route.0.iter_mut().zip(&self.gains[..self.outputs]) {
            let mut heard = row.iter().enumerate().filter(|&(_, &gain)| gain != 0.0);
            *output = match (heard.next(), heard.next()) {
                (None, _) => None,
                (Some((input, &1.0)), None) => Some(input as u8),
                _ => return None,
            };
        }
        Some(route)
    }
}

/// Where in `to` a channel is heard, and how loud.
fn place(speaker: Speaker, to: &Layout) -> Vec<(Speaker, f64)> {
    use Speaker::*;
    let has = |s| to.find(s).is_some();
    match speaker {
        s if has(s) => vec![(s, 1.0)],
        FrontCentre => vec![(FrontLeft, HALF_POWER), (FrontRight, HALF_POWER)],
        FrontLeftOfCentre => vec![(FrontLeft, HALF_POWER), (FrontCentre, HALF_POWER)],
        FrontRightOfCentre => vec![(FrontRight, HALF_POWER), (FrontCentre, HALF_POWER)],
        BackLeft if has(SideLeft) => vec![(SideLeft, 1.0)],
        BackRight if has(SideRight) => vec![(SideRight, 1.0)],
        SideLeft if has(BackLeft) => vec![(BackLeft, 1.0)],
        SideRight if has(BackRight) => vec![(BackRight, 1.0)],
        BackLeft | SideLeft => vec![(FrontLeft, HALF_POWER)],
        BackRight | SideRight => vec![(FrontRight, HALF_POWER)],
        BackCentre if has(BackLeft) => vec![(BackLeft, HALF_POWER), (BackRight, HALF_POWER)],
        BackCentre if has(SideLeft) => vec![(SideLeft, HALF_POWER), (SideRight, HALF_POWER)],
        BackCentre => vec![(FrontLeft, 0.5), (FrontRight, 0.5)],
        FrontLeft | FrontRight => vec![(FrontCentre, HALF_POWER)],
        Lfe | Elsewhere => Vec::new(),
    }
}

impl Route {
    /// Every channel where it was.
    pub(crate) fn identity() -> Self {
        Self(std::array::from_fn(|i| Some(i as u8)))
    }

    /// Appends `samples`, `inputs` to a frame, as frames of `outputs`, each sample shifted down by `shift`.
    pub(crate) fn copy(&self, samples: &[i32], inputs: usize, outputs: usize, shift: u32, out: &mut Vec<i32>) {
        if inputs == outputs && self.0[..outputs] == Self::identity().0[..outputs] {
            return out.extend(samples.iter().map(|&s| s >> shift));
        }
        for frame in samples.chunks_exact(inputs) {
            let moved = self.0[..outputs].iter().map(|input| input.map_or(0, |i| frame[usize::from(i)] >> shift));
            out.extend(moved);
        }
    }
}

#[cfg(test)]
mod tests;
