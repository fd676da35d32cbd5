use std::f64::consts::TAU;

use super::*;
use crate::testing::{db, fit_sine, noise, residual_db, spectrum};

fn format(text: &str) -> Format {
    text.parse().unwrap()
}

fn shape(rate: u32, channels: usize, bits: Option<u32>) -> Shape {
    Shape { rate, layout: Layout::of_count(channels), bits }
}

/// Converts stereo integers at the top of 32 bits in blocks of uneven length.
fn convert(from: &Shape, to: &str, samples: &[i32]) -> Vec<i32> {
    let (mut converter, mut out) = (Converter::new(format(to), 5), Vec::new());
    let frame = from.layout.len();
    let (mut rest, mut length) = (samples, 1);
    while !rest.is_empty() {
        let (block, later) = rest.split_at((length * frame).min(rest.len()));
        converter.feed(from, Samples::Int(block), &mut out);
        (rest, length) = (later, (length * 7 + 3) % 4_099 + 1);
    }
    converter.finish(&mut out);
    out
}

/// A sine in both channels, as 24-bit integers at the top of 32 bits.
fn sine(frequency: f64, level_db: f64, rate: u32, seconds: f64) -> Vec<i32> {
    let (amplitude, frames) = (10f64.powf(level_db / 20.0) * f64::from(i32::MAX), (f64::from(rate) * seconds) as usize);
    let sample = |n: usize| (amplitude * (TAU * frequency * n as f64 / f64::from(rate)).sin()) as i32;
    (0..frames * 2).map(|i| sample(i / 2)).collect()
}

/// One channel as full scale 1.0.
fn channel(samples: &[i32], channel: usize, bits: u32) -> Vec<f64> {
    samples.iter().skip(channel).step_by(2).map(|&s| f64::from(s) / f64::from(1u32 << (bits - 1))).collect()
}

#[test]
fn what_fits_passes_bit_for_bit() {
    for (bits, to, shift) in [(16, "48000:16:2", 0), (24, "48000:24:2", 0), (16, "48000:24:2", 8), (8, "48000:16:2", 8)]
    {
        let samples = noise(bits, 10_000, 2, 1);
        let top: Vec<i32> = samples.iter().map(|s| s << (32 - bits)).collect();
        let expected: Vec<i32> = samples.iter().map(|s| s << shift).collect();
        assert!(convert(&shape(48_000, 2, Some(bits)), to, &top) == expected, "{bits} to {to}");
    }
}

#[test]
fn mono_is_in_both_channels_bit_for_bit() {
    let mono = noise(16, 5_000, 1, 1);
    let top: Vec<i32> = mono.iter().map(|s| s << 16).collect();
    let both: Vec<i32> = mono.iter().flat_map(|&s| [s, s]).collect();
    assert!(convert(&shape(48_000, 1, Some(16)), "48000:16:2", &top) == both);
}

#[test]
fn silence_that_nothing_is_done_to_stays_silence() {
    assert!(convert(&shape(48_000, 2, Some(16)), "48000:16:2", &[0; 9_600]).iter().all(|&s| s == 0));
}

#[test]
fn conversion_of_the_rate_adds_less_than_minus_110_db_at_1_khz() {
    for rate in [22_050, 32_000, 44_100, 88_200, 96_000, 192_000] {
        let out = convert(&shape(rate, 2, Some(24)), "48000:24:2", &sine(997.0, -1.0, rate, 2.0));
        for c in 0..2 {
            let left = channel(&out, c, 24);
            let thd_n = residual_db(&left[9_600..86_400], 997.0, 48_000.0);
            assert!(thd_n < -125.0, "{rate} Hz: THD+N {thd_n:.1} dB");
        }
    }
}

#[test]
fn conversion_of_the_rate_is_flat_to_20_khz_and_lets_no_image_through() {
    for rate in [44_100, 96_000] {
        for frequency in [20.0, 1_000.0, 10_000.0, 18_000.0, 20_000.0] {
            let out = convert(&shape(rate, 2, Some(24)), "48000:24:2", &sine(frequency, -6.0, rate, 1.0));
            let middle = &channel(&out, 0, 24)[4_800..43_200];
            let (amplitude, _) = fit_sine(middle, frequency, 48_000.0);
            assert!((db(amplitude) + 6.0).abs() < 0.01, "{rate} Hz: {frequency} Hz is {:.3} dB", db(amplitude));
            let residual = residual_db(middle, frequency, 48_000.0);
            assert!(residual < -110.0, "{rate} Hz: {frequency} Hz leaves {residual:.1} dB");
        }
    }
    // What the stream's rate cannot carry is gone, not folded down.
    for frequency in [26_500.0, 30_000.0, 47_000.0] {
        let out = convert(&shape(96_000, 2, Some(24)), "48000:24:2", &sine(frequency, -1.0, 96_000, 1.0));
        let rms = (channel(&out, 0, 24)[4_800..43_200].iter().map(|s| s * s).sum::<f64>() / 38_400.0).sqrt();
        assert!(db(rms) < -110.0, "{frequency} Hz comes out at {:.1} dB", db(rms));
    }
}

#[test]
fn conversion_of_the_rate_keeps_the_exact_length_and_no_latency() {
    for (rate, frames) in
        [(44_100, 1), (44_100, 147), (44_100, 100_003), (96_000, 9_999), (8_000, 1_234), (44_099, 9_001)]
    {
        let out = convert(&shape(rate, 2, Some(24)), "48000:24:2", &vec![0; frames * 2]);
        assert_eq!(
            out.len() / 2,
            (frames as f64 * 48_000.0 / f64::from(rate)).round() as usize,
            "{frames} at {rate} Hz"
        );
    }
    // A click in the middle stays where it was.
    let mut click = vec![0; 44_100 * 2];
    click[22_050 * 2] = i32::MAX;
    let out = channel(&convert(&shape(44_100, 2, Some(24)), "48000:24:2", &click), 0, 24);
    let loudest = out.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap();
    assert_eq!(loudest.0, 24_000);
}

#[test]
fn a_cut_between_blocks_of_one_shape_leaves_no_trace() {
    let (from, whole) = (shape(44_100, 2, Some(24)), sine(997.0, -1.0, 44_100, 1.0));
    let mut converter = Converter::new(format("48000:24:2"), 5);
    let (mut once, mut cut) = (Vec::new(), Vec::new());
    converter.feed(&from, Samples::Int(&whole), &mut once);
    converter.finish(&mut once);
    let mut converter = Converter::new(format("48000:24:2"), 5);
    for part in whole.chunks(2 * 9_973) {
        converter.feed(&from, Samples::Int(part), &mut cut);
    }
    converter.finish(&mut cut);
    assert!(once == cut);
}

#[test]
fn a_change_of_rate_flushes_what_was_before() {
    let mut converter = Converter::new(format("48000:24:2"), 5);
    let mut out = Vec::new();
    converter.feed(&shape(44_100, 2, Some(24)), Samples::Int(&sine(997.0, -1.0, 44_100, 1.0)), &mut out);
    converter.feed(&shape(96_000, 2, Some(24)), Samples::Int(&sine(997.0, -1.0, 96_000, 1.0)), &mut out);
    converter.feed(&shape(48_000, 2, Some(24)), Samples::Int(&sine(997.0, -1.0, 48_000, 1.0)), &mut out);
    converter.finish(&mut out);
    assert_eq!(out.len() / 2, 3 * 48_000);
    // Each second holds 997 whole cycles, so that the sine goes on through all three: no click at the seams.
    let all = channel(&out, 0, 24);
    for seam in [48_000, 96_000] {
        let step = all[seam - 50..seam + 50].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f64::max);
        assert!(step < 0.14, "a step of {step} near frame {seam}");
    }
}

#[test]
fn reduction_to_16_bits_is_dithered_flat_and_at_the_right_level() {
    let samples = sine(997.0, -40.0, 48_000, 4.0);
    let out = channel(&convert(&shape(48_000, 2, Some(24)), "48000:16:2", &samples), 0, 16);
    let (amplitude, phase) = fit_sine(&out, 997.0, 48_000.0);
    let floor: Vec<f64> = (out.iter().enumerate())
        .map(|(n, s)| s - amplitude * (TAU * 997.0 * n as f64 / 48_000.0 + phase).sin())
        .collect();
    let rms = (floor.iter().map(|s| s * s).sum::<f64>() / floor.len() as f64).sqrt();
    // TPDF and rounding: a quarter of an LSB squared, which is -93.3 dB below a full-scale sine.
    assert!((db(rms * 2f64.sqrt()) + 93.3).abs() < 0.2, "{:.2} dB", db(rms * 2f64.sqrt()));
    let bands = spectrum(&floor, 16);
    let mean = bands.iter().sum::<f64>() / 16.0;
    for (n, power) in bands.iter().enumerate() {
        assert!((10.0 * (power / mean).log10()).abs() < 0.7, "band {n}: {:.2} dB", 10.0 * (power / mean).log10());
    }
}

#[test]
fn what_is_beyond_full_scale_is_held_there_and_counted() {
    let mut converter = Converter::new(format("48000:16:2"), 1);
    let mut out = Vec::new();
    converter.feed(&shape(48_000, 2, None), Samples::Float(&[1.5, -1.5, 0.0, f32::NAN, f32::INFINITY, 0.5]), &mut out);
    assert_eq!((out[0], out[1], converter.clipped()), (32_767, -32_768, 2));
    assert!(out[3].abs() <= 1 && out[4].abs() <= 1 && (out[5] - 16_384).abs() <= 1);
}

#[test]
fn surround_is_folded_down_without_clipping() {
    let mut converter = Converter::new(format("48000:24:2"), 1);
    let mut out = Vec::new();
    let full = vec![i32::MAX / 100 * 99; 6 * 100];
    converter.feed(&shape(48_000, 6, Some(24)), Samples::Int(&full), &mut out);
    assert_eq!((out.len(), converter.clipped()), (200, 0));
    assert!(out.iter().all(|&s| s > 8_300_000));
}

proptest::proptest! {
    #[test]
    fn any_shape_converts_to_any_format(
        rate in 1_000u32..=768_000, channels in 1usize..=8, to in 1u16..=8, bits in proptest::option::of(1u32..=32),
        stream_rate in proptest::sample::select(vec![8_000u32, 44_100, 48_000, 192_000]), frames in 0usize..3_000,
    ) {
        let to = Format { rate: stream_rate, channels: to, ..Format::DEFAULT };
        let from = shape(rate, channels, bits);
        let (mut converter, mut out) = (Converter::new(to, 1), Vec::new());
        let (ints, floats) = (vec![1 << 20; frames * channels], vec![0.25; frames * channels]);
        converter.feed(&from, if bits.is_some() { Samples::Int(&ints) } else { Samples::Float(&floats) }, &mut out);
        converter.finish(&mut out);
        let expected = (frames as u64 * u64::from(stream_rate) + u64::from(rate) / 2) / u64::from(rate);
        proptest::prop_assert_eq!(out.len() as u64, expected * u64::from(to.channels));
    }
}
