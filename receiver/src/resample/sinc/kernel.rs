//! The arithmetic of [`Sinc`](super::Sinc): for each frame a filter between two rows of the table, and its product with the
//! past of each channel. Written in lanes, so that a compiler makes vector instructions of it for whatever it builds for;
//! on x86 with the wider ones where the processor has them.

use super::{Path, Table};

/// Products that are summed side by side. Filters are a multiple of this long.
pub(super) const LANES: usize = 16;

/// Makes all frames of a path, interleaved, of the planes.
pub(super) fn run(table: &Table, planes: &[Vec<f32>], path: &Path, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: this processor has both, as just asked (the answer is remembered).
        return unsafe { run_wide(table, planes, path, out) };
    }
    // Elsewhere fused arithmetic is either always there or a slow call.
    frames::<{ cfg!(target_arch = "aarch64") }>(table, planes, path, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_wide(table: &Table, planes: &[Vec<f32>], path: &Path, out: &mut [f32]) {
    frames::<true>(table, planes, path, out);
}

#[inline(always)]
fn frames<const FUSED: bool>(table: &Table, planes: &[Vec<f32>], path: &Path, out: &mut [f32]) {
    for (n, frame) in out.chunks_exact_mut(planes.len()).enumerate() {
        let (first, before, after, share) = table.filter(path.position(n + 1));
        // Two channels at a time share the making of the filter.
        for (pair, planes) in frame.chunks_mut(2).zip(planes.chunks(2)) {
            match (pair, planes) {
                ([left, right], [a, b]) => {
                    let past = [&a[first..first + table.taps], &b[first..first + table.taps]];
                    [*left, *right] = products::<FUSED, 2>(before, after, share, past);
                }
                ([one], [a]) => [*one] = products::<FUSED, 1>(before, after, share, [&a[first..first + table.taps]]),
                _ => {}
            }
        }
    }
}

/// The sums of each past times the filter that is `share` of the way from `before` to `after`.
#[inline(always)]
fn products<const FUSED: bool, const N: usize>(
    before: &[f32],
    after: &[f32],
    share: f32,
    past: [&[f32]; N],
) -> [f32; N] {
    let mut sums = [[0.0; LANES]; N];
    let past = past.map(|past| past.as_chunks::<LANES>().0);
    let rows = before.as_chunks::<LANES>().0.iter().zip(after.as_chunks::<LANES>().0);
    for (at, (before, after)) in rows.enumerate() {
        let mut taps = [0.0; LANES];
        for lane in 0..LANES {
            taps[lane] = multiply_add::<FUSED>(share, after[lane] - before[lane], before[lane]);
        }
        for (sums, past) in sums.iter_mut().zip(past) {
            let Some(past) = past.get(at) else { break };
            for lane in 0..LANES {
                sums[lane] = multiply_add::<FUSED>(taps[lane], past[lane], sums[lane]);
            }
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
