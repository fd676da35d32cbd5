use std::f64::consts::TAU;

use super::*;
use crate::testing::residual_db;

fn sine(frames: usize) -> Vec<f64> {
    (0..frames).map(|n| 0.5 * (TAU * 997.0 * n as f64 / 48_000.0).sin()).collect()
}

#[test]
fn it_comes_in_without_a_seam_and_stretches_as_it_is_told() {
    let input = sine(48_000);
    let (mut stretch, mut out) = (Stretch::new(1), Vec::new());
    for (n, piece) in input.chunks(500).enumerate() {
        if n == 20 {
            stretch.set_ratio(1.0);
        }
        if stretch.is_engaged() {
            stretch.feed(piece, &mut out);
        } else {
            stretch.bypass(piece);
            out.extend_from_slice(piece);
        }
    }
    stretch.finish(&mut out);
    assert_eq!(out.len(), input.len());
    // The filter hears silence behind the last frame.
    let end = out.len() - TAPS / 2;
    let error = |range: std::ops::Range<usize>| {
        out[range.clone()].iter().zip(&input[range]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    // A hundredth of a frame is 0.0007 of this sine.
    assert!(error(0..end) < 1e-3, "seamless, and in its place: {}", error(0..end));
    assert!(error(end..out.len()) < 5e-3, "to its end: {}", error(end..out.len()));
    assert!(residual_db(&out[12_000..end], 997.0, 48_000.0) < -80.0);
}

#[test]
fn the_ratio_is_what_comes_out() {
    let (mut stretch, mut out) = (Stretch::new(1), Vec::new());
    stretch.set_ratio(1.0);
    stretch.set_ratio(1.0003);
    stretch.feed(&sine(480_000), &mut out);
    let frames = (out.len() + stretch.held()) as f64;
    assert!((frames / 480_000.0 - 1.0003).abs() < 5e-6, "{frames}");
    assert!(residual_db(&out[48_000..96_000], 997.0 / 1.0003, 48_000.0) < -80.0);
}
