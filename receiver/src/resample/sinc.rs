//! Windowed-sinc interpolation whose position is its own to say: a filter for any fraction of a frame, from a table with
//! straight lines between its rows (J. O. Smith, "Digital Audio Resampling").
//!
//! The step moves in a straight line over a chunk, so the position of each frame is a parabola that is evaluated, not
//! summed: nothing drifts, and the next input frame is known before a sample is touched.

use std::f64::consts::PI;

use unisono_host::realtime::prefault;

mod kernel;

/// Rows of the table between two frames. What the lines between them add is 120 dB below a full tone at 20 kHz and 140 dB at
/// 1 kHz.
const ROWS: usize = 512;

/// A filter's length in content frames, and how far below a tone its images are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) taps: usize,
    pub(super) attenuation_db: f64,
}

/// The interpolator.
#[derive(Debug)]
pub(super) struct Sinc {
    table: Table,
    /// What came in last, a plane for each channel: `taps` frames of the past, then room for a chunk.
    planes: Vec<Vec<f32>>,
    /// Of the last frame put out, relative to the content frame that comes in next.
    at: f64,
    /// Step of the last frame put out.
    step: f64,
    nominal_step: f64,
    planned: Path,
}

/// `ROWS + 1` filters, each later than the one before by a row.
#[derive(Debug)]
pub(super) struct Table {
    taps: usize,
    rows: Vec<f32>,
}

/// Where the frames of a chunk lie, relative to the content frame that comes in next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Path {
    frames: usize,
    from: f64,
    step: f64,
    increment: f64,
}

impl Path {
    /// `frames` frames after one at `from`, the first with a step beyond `step`, the last with one of `to`.
    fn new(frames: usize, from: f64, step: f64, to: f64) -> Self {
        Self { frames, from, step, increment: if frames == 0 { 0.0 } else { (to - step) / frames as f64 } }
    }

    /// Of frame `n`, counted from 1.
    fn position(&self, n: usize) -> f64 {
        let n = n as f64;
        self.from + n * self.step + self.increment * (n * (n + 1.0) / 2.0)
    }

    fn end(&self) -> f64 {
        self.position(self.frames)
    }
}

impl Sinc {
    /// For chunks of at most `max_input` content frames.
    pub(super) fn new(shape: Shape, nominal_step: f64, channels: usize, max_input: usize) -> Self {
        let table = Table::new(shape, nominal_step);
        let mut planes = vec![vec![0.0; table.taps + max_input]; channels];
        planes.iter_mut().for_each(|plane| prefault(plane));
        let at = table.start();
        Self { table, planes, at, step: nominal_step, nominal_step, planned: Path::default() }
    }

    /// Length of the filter, in content frames: longer than its shape says where the content has the higher rate.
    pub(super) fn taps(shape: Shape, nominal_step: f64) -> usize {
        ((shape.taps as f64 * nominal_step.max(1.0)).ceil() as usize).next_multiple_of(kernel::STEP)
    }

    /// Where the last frame put out lies, in content frames after the one that comes in next.
    pub(super) fn at(&self) -> f64 {
        self.at
    }

    /// Prepares a chunk of `frames`, the last of which is `step` content frames after the one before; how many content frames
    /// it wants.
    pub(super) fn plan(&mut self, frames: usize, step: f64) -> usize {
        self.planned = Path::new(frames, self.at, self.step, step);
        self.step = step;
        self.table.reach(self.planned.end())
    }

    /// Makes the planned chunk of `input` into `out`, both interleaved.
    pub(super) fn process(&mut self, input: &[f32], out: &mut [f32]) {
        let (channels, taps) = (self.planes.len(), self.table.taps);
        let frames = input.len() / channels;
        if let [left, right] = &mut self.planes[..] {
            let places = left[taps..taps + frames].iter_mut().zip(&mut right[taps..taps + frames]);
            places.zip(input.as_chunks().0).for_each(|(to, [l, r])| (*to.0, *to.1) = (*l, *r));
        } else {
            for (channel, plane) in self.planes.iter_mut().enumerate() {
                let samples = input[channel.min(input.len())..].iter().step_by(channels);
                plane[taps..taps + frames].iter_mut().zip(samples).for_each(|(to, sample)| *to = *sample);
            }
        }
        kernel::run(&self.table, &self.planes, &self.planned, out);
        for plane in &mut self.planes {
            plane.copy_within(frames..frames + taps, 0);
        }
        self.at = self.planned.end() - frames as f64;
    }

    /// Moves as if the last frame put out were `fraction` of a frame after content frame `frame`. Returns the content frame
    /// that comes in next; `content(first, past)` fills the frames before it that the filter reaches back to.
    pub(super) fn seek(
        &mut self,
        frame: i64,
        fraction: f64,
        past: &mut [f32],
        mut content: impl FnMut(i64, &mut [f32]),
    ) -> i64 {
        let (channels, taps) = (self.planes.len(), self.table.taps);
        let next = frame + taps as i64 / 2 + 1;
        self.at = fraction - (next - frame) as f64;
        self.step = self.nominal_step;
        content(next - taps as i64, past);
        for (channel, plane) in self.planes.iter_mut().enumerate() {
            plane.iter_mut().zip(past[channel..].iter().step_by(channels)).for_each(|(to, sample)| *to = *sample);
        }
        next
    }
}

impl Table {
    fn new(shape: Shape, nominal_step: f64) -> Self {
        let taps = Sinc::taps(shape, nominal_step);
        let half = taps as f64 / 2.0;
        // Half of the lower rate, in cycles a content frame, doubled.
        let band = 1.0 / nominal_step.max(1.0);
        let window = Kaiser::new(shape.attenuation_db);
        let mut rows = Vec::with_capacity((ROWS + 1) * taps);
        for row in 0..=ROWS {
            let fraction = row as f64 / ROWS as f64;
            let tap = |k: usize| {
                let distance = fraction + half - 1.0 - k as f64;
                sinc(band * distance) * window.at(distance / half)
            };
            let sum: f64 = (0..taps).map(tap).sum();
            rows.extend((0..taps).map(|k| (tap(k) / sum) as f32));
        }
        Self { taps, rows }
    }

    /// Where a fresh filter is, relative to the content frame that comes in next.
    fn start(&self) -> f64 {
        -(self.taps as f64 / 2.0) - 1.0
    }

    /// How many content frames from the next one on the filter at `position` reaches over.
    fn reach(&self, position: f64) -> usize {
        (position.floor() as i64 + self.taps as i64 / 2 + 1).max(0) as usize
    }

    /// The filter for a frame at `position`.
    #[inline(always)]
    fn filter(&self, position: f64) -> Filter {
        let whole = position.floor();
        let fine = (position - whole) * ROWS as f64;
        let row = (fine as usize).min(ROWS - 1);
        let first = (whole as i64 + self.taps as i64 / 2 + 1) as usize;
        Filter { first, row, share: (fine - row as f64) as f32 }
    }

    /// The rows before and after a filter.
    #[inline(always)]
    fn rows(&self, row: usize) -> (&[f32], &[f32]) {
        self.rows[row * self.taps..(row + 2) * self.taps].split_at(self.taps)
    }
}

/// A filter between two rows of the table.
#[derive(Clone, Copy, Debug)]
struct Filter {
    /// Where its first tap is in a plane.
    first: usize,
    /// The row before it.
    row: usize,
    /// How far it is from there to the next, 0 to 1.
    share: f32,
}

impl Filter {
    /// How far from its row to the next the filters at these positions are, counted from this one's, which is at the first of
    /// them, and each a content frame on: 0 to 1 is between the same rows.
    #[inline(always)]
    fn shares<const N: usize>(&self, positions: &[f64; N]) -> [f32; N] {
        let mut shares = [0.0; N];
        for (n, (share, position)) in shares.iter_mut().zip(positions).enumerate() {
            *share = (f64::from(self.share) + (position - positions[0] - n as f64) * ROWS as f64) as f32;
        }
        shares
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Kaiser's window ("Nonrecursive digital filter design using the I0-sinh window function", 1974).
struct Kaiser {
    beta: f64,
    scale: f64,
}

impl Kaiser {
    /// For at least 50 dB.
    fn new(attenuation_db: f64) -> Self {
        let beta = 0.1102 * (attenuation_db - 8.7);
        Self { beta, scale: 1.0 / bessel_i0(beta) }
    }

    /// At `x` from -1 to 1; nothing beyond.
    fn at(&self, x: f64) -> f64 {
        if x.abs() > 1.0 { 0.0 } else { bessel_i0(self.beta * (1.0 - x * x).sqrt()) * self.scale }
    }
}

/// The modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}
