//! The arithmetic of [`Sinc`](super::Sinc): for each frame a filter between two rows of the table, and its product with the
//! past of each channel. Written in lanes, so that a compiler makes vector instructions of it for whatever it builds for;
//! on x86 in the wider ones' own terms ([`wide`]) where the processor has them.

#[cfg(target_arch = "x86_64")]
mod wide;

use super::{Filter, Path, Table};

/// Products that are summed side by side.
const LANES: usize = 8;

/// Filters are a multiple of this long.
pub(super) const STEP: usize = 2 * LANES;

/// Makes all frames of a path, interleaved, of the planes.
pub(super) fn run(table: &Table, planes: &[Vec<f32>], path: &Path, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: this processor has both, as just asked (the answer is remembered).
        return unsafe { wide::frames(table, planes, path, out) };
    }
    // Elsewhere fused arithmetic is either always there or a slow call.
    frames::<{ cfg!(target_arch = "aarch64") }>(table, planes, path, out);
}

#[inline(always)]
fn frames<const FUSED: bool>(table: &Table, planes: &[Vec<f32>], path: &Path, out: &mut [f32]) {
    let channels = planes.len();
    // Two channels at a time share the making of the filter.
    for (pair, planes) in planes.chunks(2).enumerate() {
        // Loops and not closures: those would be compiled without what this processor can.
        for (n, frame) in out[2 * pair..].chunks_mut(channels).enumerate() {
            let position = path.position(n + 1);
            match planes {
                [left, right] => [frame[0], frame[1]] = products::<FUSED, 2>(table, position, [left, right]),
                [one] => [frame[0]] = products::<FUSED, 1>(table, position, [one]),
                _ => {}
            }
        }
    }
}

/// Each plane's frame at `position`.
#[inline(always)]
fn products<const FUSED: bool, const N: usize>(table: &Table, position: f64, planes: [&[f32]; N]) -> [f32; N] {
    let Filter { first, row, share } = table.filter(position);
    let (before, after) = table.rows(row);
    let (before, after) = (before.as_chunks::<LANES>().0, after.as_chunks::<LANES>().0);
    let mut past = [before; N];
    for (past, plane) in past.iter_mut().zip(planes) {
        *past = &plane[first..first + table.taps].as_chunks::<LANES>().0[..before.len()];
    }
    let mut sums = [[0.0; LANES]; N];
    for (at, (before, after)) in before.iter().zip(after).enumerate() {
        let mut taps = [0.0; LANES];
        for lane in 0..LANES {
            taps[lane] = multiply_add::<FUSED>(share, after[lane] - before[lane], before[lane]);
        }
        for (sums, past) in sums.iter_mut().zip(past) {
            for lane in 0..LANES {
                sums[lane] = multiply_add::<FUSED>(taps[lane], past[at][lane], sums[lane]);
            }
        }
    }
    let mut totals = [0.0; N];
    for (total, sums) in totals.iter_mut().zip(sums) {
        *total = sum(sums);
    }
    totals
}

#[inline(always)]
fn sum(lanes: [f32; LANES]) -> f32 {
    lanes.iter().sum()
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;

    #[test]
    fn what_this_processor_can_makes_the_same_as_the_plain_way() {
        let cases = [
            (32, 2, 1.000_3),
            (128, 2, 1.000_05),
            (128, 2, 0.999_98),
            (128, 2, 0.918_75),
            (128, 1, 1.0),
            (144, 3, 1.0),
        ];
        for (taps, channels, step) in cases {
            let table = Table::new(Shape { taps, attenuation_db: 130.0 }, 1.0);
            let sample = |channel: usize, i: usize| ((i * (7 + channel)) as f32 * 0.21).sin();
            let plane = |channel: usize| -> Vec<f32> { (0..table.taps + 64).map(|i| sample(channel, i)).collect() };
            let planes: Vec<Vec<f32>> = (0..channels).map(plane).collect();
            let path = Path::new(50, table.start() + 0.37, 1.0, step);
            let (mut plain, mut fast) = (vec![0.0; 50 * channels], vec![0.0; 50 * channels]);
            frames::<false>(&table, &planes, &path, &mut plain);
            run(&table, &planes, &path, &mut fast);
            let apart = plain.iter().zip(&fast).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5, "{taps} taps, {channels} channels, step {step}: {apart}");
            assert!(plain.iter().any(|sample| sample.abs() > 0.1));
        }
    }
}
