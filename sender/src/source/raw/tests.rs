use super::*;

fn raw(format: &str) -> RawPcm {
    RawPcm::new(format.parse().unwrap())
}

fn feed_in_pieces(raw: &mut RawPcm, bytes: &[u8], piece: usize) -> Vec<i32> {
    let mut out = Vec::new();
    bytes.chunks(piece).for_each(|part| feed(raw, part, &mut out));
    out
}

fn feed(raw: &mut RawPcm, bytes: &[u8], out: &mut Vec<i32>) {
    raw.feed(bytes);
    let Samples::Int(samples) = raw.samples() else { panic!("integers") };
    out.extend_from_slice(samples);
}

#[test]
fn frames_survive_any_cut() {
    let bytes: Vec<u8> = (0..4_000u32).map(|n| (n * 7) as u8).collect();
    for piece in [1, 2, 3, 5, 7, 1_000] {
        let out = feed_in_pieces(&mut raw("48000:16:2"), &bytes, piece);
        let expected: Vec<i32> = bytes.chunks(2).map(|b| i32::from(i16::from_le_bytes([b[0], b[1]])) << 16).collect();
        assert!(out == expected, "pieces of {piece}");
    }
}

#[test]
fn a_writer_that_leaves_within_a_frame_takes_it_with_it() {
    let (mut raw, mut out) = (raw("48000:16:2"), Vec::new());
    feed(&mut raw, &[1, 0, 2, 0, 3, 0, 4], &mut out);
    assert_eq!(raw.end(), 3);
    feed(&mut raw, &[5, 0, 6, 0], &mut out);
    assert_eq!(out, [1 << 16, 2 << 16, 5 << 16, 6 << 16]);
}

#[test]
fn twenty_four_bits_come_in_four_bytes_or_in_three() {
    let samples: Vec<i32> = (0..3_000).map(|n: i32| n.wrapping_mul(2_654_435) >> 8).collect();
    let top: Vec<i32> = samples.iter().map(|s| s << 8).collect();
    let padded: Vec<u8> = samples.iter().flat_map(|s| (s << 8 >> 8).to_le_bytes()).collect();
    let packed: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes().into_iter().take(3)).collect();
    for piece in [10, 999, 100_000] {
        assert!(feed_in_pieces(&mut raw("48000:24:2"), &padded, piece) == top, "four bytes in pieces of {piece}");
        let out = feed_in_pieces(&mut raw("48000:24:2"), &packed, piece);
        assert!(top.ends_with(&out[8..]), "three bytes in pieces of {piece}");
    }
}

#[test]
fn eight_bits_are_signed() {
    let out = feed_in_pieces(&mut raw("44100:8:2"), &[0, 1, 0x7f, 0x80, 0xff, 0xfe, 3], 5);
    assert_eq!(out, [0, 1 << 24, 127 << 24, -128 << 24, -1 << 24, -2 << 24]);
}

#[test]
fn floating_point_stays_what_it_is() {
    let samples: Vec<f32> = (0..600).map(|n| (n as f32 - 300.0) / 200.0).chain([f32::INFINITY, f32::MIN]).collect();
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    for piece in [1, 3, 10, 10_000] {
        let (mut raw, mut out) = (raw("48000:f:2"), Vec::new());
        for part in bytes.chunks(piece) {
            raw.feed(part);
            let Samples::Float(floats) = raw.samples() else { panic!("floating point") };
            out.extend_from_slice(floats);
        }
        assert!(out == samples, "pieces of {piece}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_make_whole_frames(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2_000), piece in 1usize..100,
        format in proptest::sample::select(vec![
            "48000:8:2", "48000:16:2", "48000:24:2", "48000:32:2", "48000:f:2", "48000:24:6", "48000:16:1",
        ]),
    ) {
        let format: RawFormat = format.parse().unwrap();
        let mut raw = RawPcm::new(format);
        for part in bytes.chunks(piece) {
            raw.feed(part);
            let samples = match raw.samples() {
                Samples::Int(samples) => samples.len(),
                Samples::Float(samples) => samples.len(),
            };
            proptest::prop_assert_eq!(samples % usize::from(format.channels), 0);
        }
        proptest::prop_assert!(raw.end() < 8 * 6 + 1);
    }
}
