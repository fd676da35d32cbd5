use proptest::prelude::*;

use super::*;

const DEPTHS: [Depth; 2] = [Depth::S16, Depth::S24];

#[test]
fn the_wire_is_big_endian() {
    let mut bytes = [0; 8];
    assert_eq!(encode_be(Depth::S16, &[100, -100, 200, -200], &mut bytes), 8);
    assert_eq!(bytes, [0x00, 0x64, 0xff, 0x9c, 0x00, 0xc8, 0xff, 0x38]);
    let mut bytes = [0; 6];
    assert_eq!(encode_be(Depth::S24, &[0x12_3456, -2], &mut bytes), 6);
    assert_eq!(bytes, [0x12, 0x34, 0x56, 0xff, 0xff, 0xfe]);
}

#[test]
fn files_are_little_endian() {
    let mut bytes = [0; 6];
    encode_le(Depth::S24, &[0x12_3456, -2], &mut bytes);
    assert_eq!(bytes, [0x56, 0x34, 0x12, 0xfe, 0xff, 0xff]);
    let mut samples = [0; 2];
    assert_eq!(decode_le(Depth::S24, &bytes, &mut samples), 2);
    assert_eq!(samples, [0x12_3456, -2]);
}

#[test]
fn floats_are_exact() {
    let mut out = [0.0; 3];
    decode_be_f32(Depth::S16, &[0x80, 0, 0x7f, 0xff, 0, 1], &mut out);
    assert_eq!(out, [-1.0, 32767.0 / 32768.0, 1.0 / 32768.0]);
    let mut out = [0.0; 2];
    decode_be_f32(Depth::S24, &[0x80, 0, 0, 0x7f, 0xff, 0xff], &mut out);
    assert_eq!(out, [-1.0, 8_388_607.0 / 8_388_608.0]);
}

proptest! {
    #[test]
    fn samples_come_back(samples in proptest::collection::vec(any::<i32>(), 0..100), which in 0..2_usize) {
        let depth = DEPTHS[which];
        let samples: Vec<i32> = samples.iter().map(|s| s >> (32 - depth.bits())).collect();
        let (mut bytes, mut back) = (vec![0; samples.len() * depth.bytes()], vec![0; samples.len()]);
        prop_assert_eq!(encode_be(depth, &samples, &mut bytes), bytes.len());
        prop_assert_eq!(decode_be(depth, &bytes, &mut back), samples.len());
        prop_assert_eq!(&back, &samples);
        encode_le(depth, &samples, &mut bytes);
        decode_le(depth, &bytes, &mut back);
        prop_assert_eq!(&back, &samples);
    }

    #[test]
    fn lengths_that_do_not_match_are_cut(bytes in proptest::collection::vec(any::<u8>(), 0..50), room in 0..20_usize, which in 0..2_usize) {
        let depth = DEPTHS[which];
        let expected = room.min(bytes.len() / depth.bytes());
        prop_assert_eq!(decode_be(depth, &bytes, &mut vec![0; room]), expected);
        prop_assert_eq!(decode_le(depth, &bytes, &mut vec![0; room]), expected);
        prop_assert_eq!(decode_be_f32(depth, &bytes, &mut vec![0.0; room]), expected);
    }
}
