use unisono_common::rtp::{MAX_PACKET, Packet};

use super::*;

#[test]
fn the_golden_packet() {
    let format: Format = "48000:16:2".parse().unwrap();
    let mut packetizer = Packetizer::new(format, 240, 0x1122_3344);
    let frame = 0x1234_0000_0000 + 240 * 0x458;
    let packet =
        packetizer.packet(frame - frame % 240, |samples| samples[..4].copy_from_slice(&[100, -100, 200, -200]));
    assert_eq!(packet.len(), 972);
    assert_eq!(packet[..2], [0x80, 0x7f]);
    assert_eq!(packet[8..20], [0x11, 0x22, 0x33, 0x44, 0x00, 0x64, 0xff, 0x9c, 0x00, 0xc8, 0xff, 0x38]);
    assert!(packet[20..].iter().all(|&byte| byte == 0));
}

#[test]
fn sequence_and_timestamp_follow_from_the_frame() {
    let mut packetizer = Packetizer::new("48000:24:2".parse().unwrap(), 192, 7);
    for frame in [0, 192 * 65_535, 192 * 65_536, 192 * 22_369_622] {
        let bytes = packetizer.packet(frame, |_| {}).to_vec();
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.header.timestamp, frame as u32);
        assert_eq!(packet.header.sequence, (frame / 192) as u16);
        assert_eq!((packet.header.payload_type, packet.header.ssrc, packet.marker), (98, 7, false));
    }
}

#[test]
fn what_was_in_the_last_packet_is_not_in_the_next() {
    let mut packetizer = Packetizer::new(Format::DEFAULT, 240, 1);
    packetizer.packet(0, |samples| samples.fill(-1));
    let silence = packetizer.packet(240, |_| {});
    assert!(silence[HEADER_LEN..].iter().all(|&byte| byte == 0));
}

#[test]
fn no_format_makes_a_packet_that_a_peer_would_cut() {
    for rate in [8_000, 44_100, 48_000, 88_200, 96_000, 192_000] {
        for bits in [16, 24] {
            for channels in 1..=8 {
                let format: Format = format!("{rate}:{bits}:{channels}").parse().unwrap();
                let len = Packetizer::new(format, format.packet_frames(), 1).packet(0, |_| {}).len();
                assert!(len <= MAX_PACKET && len > HEADER_LEN, "{format}: {len}");
            }
        }
    }
}
