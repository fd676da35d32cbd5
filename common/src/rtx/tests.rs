use super::*;
use proptest::prelude::*;

const PACKET: [u8; 16] =
    [0x80, 0x7f, 0x04, 0x58, 0x2a, 0x5f, 0x3c, 0x10, 0x99, 0xaa, 0xbb, 0xcc, 0x00, 0x64, 0xff, 0x9c];

#[test]
fn a_retransmission_has_these_bytes() {
    let mut out = [0; 64];
    let length = write(&PACKET, 98, 16, &mut out).unwrap();
    let expected =
        [0x80, 0x62, 0x00, 0x10, 0x2a, 0x5f, 0x3c, 0x10, 0x99, 0xaa, 0xbb, 0xcc, 0x04, 0x58, 0x00, 0x64, 0xff, 0x9c];
    assert_eq!(out[..length], expected);
    let read = parse(&out[..length], 98).unwrap();
    assert_eq!((read.sequence, read.timestamp, read.ssrc), (0x0458, 0x2a5f_3c10, 0x99aa_bbcc));
    assert_eq!(read.payload, &PACKET[12..]);
}

#[test]
fn what_is_none_is_refused() {
    assert_eq!(parse(&PACKET, 97), Err(RtxError::PayloadType { found: 127, expected: 97 }));
    assert_eq!(parse(&PACKET[..13], 127), Err(RtxError::Short));
    assert!(matches!(parse(&PACKET[..5], 127), Err(RtxError::Rtp(_))));
    assert!(write(&PACKET, 97, 0, &mut [0; 17]).is_err());
    assert!(write(&[1, 2, 3], 97, 0, &mut [0; 64]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), payload_type in 0_u8..128) {
        let mut out = [0; 256];
        if let Ok(length) = write(&bytes, payload_type, 7, &mut out) {
            prop_assert!(parse(&out[..length], payload_type).is_ok());
        }
        let _ = parse(&bytes, payload_type);
    }
}
