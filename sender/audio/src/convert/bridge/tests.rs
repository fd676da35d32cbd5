use super::*;
use crate::convert::Layout;
use crate::testing::noise;

fn shape(rate: u32, bits: Option<u32>) -> Shape {
    Shape { rate, layout: Layout::of_count(2), bits }
}

fn at_the_top(samples: &[i32]) -> Vec<i32> {
    samples.iter().map(|s| s << 16).collect()
}

#[test]
fn what_fits_passes_bit_for_bit_until_it_is_stretched() {
    let (mut bridge, mut out) = (Bridge::new(Format::DEFAULT, 1), Vec::new());
    let samples = noise(16, 4_800, 2, 1);
    bridge.feed(&shape(48_000, Some(16)), Samples::Int(&at_the_top(&samples)), &mut out);
    assert!(out == samples && !bridge.is_stretching());
    bridge.stretch(1.0);
    bridge.feed(&shape(48_000, Some(16)), Samples::Int(&at_the_top(&samples)), &mut out);
    assert!(bridge.is_stretching() && out.len() < 2 * samples.len());
    bridge.finish(&mut out);
    assert_eq!((out.len(), bridge.is_stretching()), (2 * samples.len(), false));
}

#[test]
fn what_is_beyond_full_scale_is_counted_once_and_what_is_no_number_is_silence() {
    let (mut bridge, mut out) = (Bridge::new(Format::DEFAULT, 1), Vec::new());
    let samples = [1.5, -1.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5];
    bridge.feed(&shape(48_000, None), Samples::Float(&samples), &mut out);
    assert_eq!((out[0], out[1], bridge.clipped()), (32_767, -32_768, 2));
    assert!(out[2..5].iter().all(|s| s.abs() <= 1) && (out[5] - 16_384).abs() <= 1, "{out:?}");
}

#[test]
fn another_shape_completes_what_went_before() {
    let (mut bridge, mut out) = (Bridge::new(Format::DEFAULT, 1), Vec::new());
    let samples = noise(16, 1_000, 2, 2);
    bridge.feed(&shape(44_100, Some(16)), Samples::Int(&[0; 2 * 4_410]), &mut out);
    bridge.feed(&shape(48_000, Some(16)), Samples::Int(&at_the_top(&samples)), &mut out);
    assert_eq!(out.len(), 2 * 4_800 + samples.len());
    assert!(out.ends_with(&samples));
    // What is forgotten does not come out.
    bridge.feed(&shape(44_100, Some(16)), Samples::Int(&[0; 2 * 4_410]), &mut Vec::new());
    bridge.reset();
    out.clear();
    bridge.feed(&shape(48_000, Some(16)), Samples::Int(&at_the_top(&samples)), &mut out);
    assert!(out == samples);
}
