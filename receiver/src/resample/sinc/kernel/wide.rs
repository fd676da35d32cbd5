//! The same with AVX2 and FMA, said to the processor itself: what a compiler makes of lanes and of their sums changes with
//! every rearrangement of them, and this loop is the most of a room's arithmetic.
//!
//! Two sums for each channel: a fused product waits four cycles for the one before it, and two of them start in each.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_cvtss_f32, _mm_hadd_ps, _mm_movehdup_ps, _mm256_add_ps, _mm256_castps256_ps128,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_sub_ps,
};

use super::{LANES, Path, STEP, Table, products};

/// Makes all frames of a path, interleaved, of the planes.
#[target_feature(enable = "avx2,fma")]
pub(super) fn frames(table: &Table, planes: &[Vec<f32>], path: &Path, out: &mut [f32]) {
    let channels = planes.len();
    // Two channels at a time share the making of the filter.
    for (pair, planes) in planes.chunks(2).enumerate() {
        for (n, frame) in out[2 * pair..].chunks_mut(channels).enumerate() {
            let position = path.position(n + 1);
            match planes {
                [left, right] => [frame[0], frame[1]] = both(table, position, left, right),
                [one] => [frame[0]] = products::<true, 1>(table, position, [one]),
                _ => {}
            }
        }
    }
}

/// Two planes' frame at `position`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn both(table: &Table, position: f64, left: &[f32], right: &[f32]) -> [f32; 2] {
    let (first, before, after, share) = table.filter(position);
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
