//! The same with AVX2 and FMA, said to the processor itself: what a compiler makes of lanes and of their sums changes with
//! every rearrangement of them, and this loop is the most of a room's arithmetic.
//!
//! Eight sums at once, of two channels and four frames, or two for each channel: a fused product waits four cycles for the
//! one before it, and two of them start in each.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_cvtss_f32, _mm_hadd_ps, _mm_movehdup_ps, _mm256_add_ps, _mm256_castps256_ps128,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_sub_ps,
};

use super::{Filter, LANES, Path, STEP, Table, products};

/// Frames that are made together where they lie between the same rows, as nearly all do when both rates are the same but for
/// some ppm: the rows are read once for all of them. More would not fit into the processor's registers.
const TOGETHER: usize = 4;

/// Makes all frames of a path, interleaved, of the planes.
#[target_feature(enable = "avx2,fma")]
pub(super) fn frames(table: &Table, planes: &[Vec<f32>], path: &Path, out: &mut [f32]) {
    let channels = planes.len();
    // Two channels at a time share the making of the filter.
    for (pair, planes) in planes.chunks(2).enumerate() {
        let out = &mut out[2 * pair..];
        match planes {
            [left, right] => stereo(table, left, right, path, out, channels),
            [one] => {
                for (n, frame) in out.chunks_mut(channels).enumerate() {
                    [frame[0]] = products::<true, 1>(table, path.position(n + 1), [one]);
                }
            }
            _ => {}
        }
    }
}

/// Two planes' frames, the first two of every `channels` samples of `out`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn stereo(table: &Table, left: &[f32], right: &[f32], path: &Path, out: &mut [f32], channels: usize) {
    let mut n = 0;
    for frames in out.chunks_mut(TOGETHER * channels) {
        let positions = [1, 2, 3, 4].map(|i| path.position(n + i));
        n += TOGETHER;
        let filter = table.filter(positions[0]);
        let shares = filter.shares(&positions);
        let mut made = [[0.0; 2]; TOGETHER];
        // Filters only move one way, so those between are where these are.
        if frames.len() > (TOGETHER - 1) * channels && (0.0..=1.0).contains(&shares[TOGETHER - 1]) {
            made = together(table, &filter, &shares, left, right);
        } else {
            let places = frames.len().div_ceil(channels);
            for (made, position) in made.iter_mut().zip(&positions[..places]) {
                *made = both(table, &table.filter(*position), left, right);
            }
        }
        for (frame, made) in frames.chunks_mut(channels).zip(made) {
            [frame[0], frame[1]] = made;
        }
    }
}

/// Two planes' frames of filters that lie between the same rows, at these shares, each a content frame after the one before.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn together(
    table: &Table,
    filter: &Filter,
    shares: &[f32; TOGETHER],
    left: &[f32],
    right: &[f32],
) -> [[f32; 2]; TOGETHER] {
    let Filter { first, row, .. } = *filter;
    let (before, after) = table.rows(row);
    let reach = table.taps + TOGETHER - 1;
    let (left, right) = (&left[first..first + reach], &right[first..first + reach]);
    let nothing = _mm256_setzero_ps();
    let mut sums_left = [nothing; TOGETHER];
    let mut sums_right = [nothing; TOGETHER];
    for at in (0..table.taps - table.taps % LANES).step_by(LANES) {
        // SAFETY: both rows have `taps` samples, and `at` is at least a vector before their end; the planes have
        // `TOGETHER - 1` more.
        unsafe {
            let row = _mm256_loadu_ps(before.as_ptr().add(at));
            let slope = _mm256_sub_ps(_mm256_loadu_ps(after.as_ptr().add(at)), row);
            for i in 0..TOGETHER {
                let taps = _mm256_fmadd_ps(_mm256_set1_ps(shares[i]), slope, row);
                sums_left[i] = _mm256_fmadd_ps(taps, _mm256_loadu_ps(left.as_ptr().add(at + i)), sums_left[i]);
                sums_right[i] = _mm256_fmadd_ps(taps, _mm256_loadu_ps(right.as_ptr().add(at + i)), sums_right[i]);
            }
        }
    }
    let mut made = [[0.0; 2]; TOGETHER];
    for i in 0..TOGETHER {
        made[i] = sums(sums_left[i], sums_right[i]);
    }
    made
}

/// Two planes' frame of one filter.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn both(table: &Table, filter: &Filter, left: &[f32], right: &[f32]) -> [f32; 2] {
    let Filter { first, row, share } = *filter;
    let (before, after) = table.rows(row);
    let (left, right) = (&left[first..first + table.taps], &right[first..first + table.taps]);
    let (before, after) = (before.as_chunks::<STEP>().0, after.as_chunks::<STEP>().0);
    let (left, right) = (left.as_chunks::<STEP>().0, right.as_chunks::<STEP>().0);
    let share = _mm256_set1_ps(share);
    let nothing = _mm256_setzero_ps();
    let (mut left_even, mut left_odd, mut right_even, mut right_odd) = (nothing, nothing, nothing, nothing);
    for (((before, after), left), right) in before.iter().zip(after).zip(left).zip(right) {
        let even = taps(load::<0>(before), load::<0>(after), share);
        let odd = taps(load::<LANES>(before), load::<LANES>(after), share);
        left_even = _mm256_fmadd_ps(even, load::<0>(left), left_even);
        right_even = _mm256_fmadd_ps(even, load::<0>(right), right_even);
        left_odd = _mm256_fmadd_ps(odd, load::<LANES>(left), left_odd);
        right_odd = _mm256_fmadd_ps(odd, load::<LANES>(right), right_odd);
    }
    sums(_mm256_add_ps(left_even, left_odd), _mm256_add_ps(right_even, right_odd))
}

/// The filter between two rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn taps(before: __m256, after: __m256, share: __m256) -> __m256 {
    _mm256_fmadd_ps(share, _mm256_sub_ps(after, before), before)
}

/// The sum of each one's lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sums(left: __m256, right: __m256) -> [f32; 2] {
    // Of each half two sums of the left's neighbours, then two of the right's.
    let neighbours = _mm256_hadd_ps(left, right);
    let halves = _mm_add_ps(_mm256_castps256_ps128(neighbours), _mm256_extractf128_ps::<1>(neighbours));
    let whole = _mm_hadd_ps(halves, halves);
    [_mm_cvtss_f32(whole), _mm_cvtss_f32(_mm_movehdup_ps(whole))]
}

/// The lanes from `AT` on.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn load<const AT: usize>(from: &[f32; STEP]) -> __m256 {
    const { assert!(AT + LANES <= STEP) };
    // SAFETY: the lanes lie within the array, as just asserted; they need not be aligned.
    unsafe { _mm256_loadu_ps(from.as_ptr().add(AT)) }
}
