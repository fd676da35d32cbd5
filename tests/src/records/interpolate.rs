//! A signal between its samples, by a windowed sinc from a table.

use std::f64::consts::PI;
use std::sync::OnceLock;

/// Samples that are needed on either side of a position.
pub(crate) const HALF_WIDTH: usize = 24;

/// Steps of the table within a sample; linear in between, which leaves errors below -110 dB.
const STEPS: usize = 2048;

/// Kaiser window: images below -110 dB.
const BETA: f64 = 11.0;

/// `count` values of `input` at positions `begin`, `begin + step`, ...
///
/// The input must hold [`HALF_WIDTH`] samples before the first position and after the last; where it doesn't, it is
/// taken for silent.
pub(crate) fn interpolate(input: &[f64], begin: f64, step: f64, count: usize) -> Vec<f64> {
    let table = table();
    let mut out = Vec::with_capacity(count);
    for k in 0..count {
        let position = begin + k as f64 * step;
        let whole = position.floor();
        let fraction = (position - whole) * STEPS as f64;
        let (row, between) = (fraction as usize, fraction.fract());
        let first = whole as i64 + 1 - HALF_WIDTH as i64;
        let (a, b) = (&table[row], &table[row + 1]);
        let sum = match usize::try_from(first).ok().and_then(|first| input.get(first..first + 2 * HALF_WIDTH)) {
            Some(x) => (0..2 * HALF_WIDTH).map(|j| x[j] * (a[j] + (b[j] - a[j]) * between)).sum(),
            None => (0..2 * HALF_WIDTH)
                .map(|j| {
                    let x = usize::try_from(first + j as i64).ok().and_then(|i| input.get(i)).copied().unwrap_or(0.0);
                    x * (a[j] + (b[j] - a[j]) * between)
                })
                .sum(),
        };
        out.push(sum);
    }
    out
}

type Row = [f64; 2 * HALF_WIDTH];

fn table() -> &'static [Row] {
    static TABLE: OnceLock<Vec<Row>> = OnceLock::new();
    TABLE.get_or_init(|| (0..=STEPS).map(|row| kernel(row as f64 / STEPS as f64)).collect())
}

/// The weights of the samples around a position that lies `fraction` behind a sample.
fn kernel(fraction: f64) -> Row {
    std::array::from_fn(|j| {
        let x = j as f64 + 1.0 - HALF_WIDTH as f64 - fraction;
        let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        let edge = x / HALF_WIDTH as f64;
        sinc * bessel_i0(BETA * (1.0 - edge * edge).max(0.0).sqrt()) / bessel_i0(BETA)
    })
}

/// The modified Bessel function of the first kind of order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-16 {
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
        k += 1.0;
    }
    sum
}
