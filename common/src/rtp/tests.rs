use proptest::prelude::*;

use super::*;

const GOLDEN: [u8; 20] = [
    0x80, 0x7f, 0x04, 0x58, 0x2a, 0x5f, 0x3c, 0x10, 0x11, 0x22, 0x33, 0x44, 0x00, 0x64, 0xff, 0x9c, 0x00, 0xc8, 0xff,
    0x38,
];
const HEADER: Header = Header { payload_type: 127, sequence: 0x458, timestamp: 0x2a5f_3c10, ssrc: 0x1122_3344 };

#[test]
fn writes_the_golden_bytes() {
    let mut packet = GOLDEN;
    packet[..HEADER_LEN].fill(0xaa);
    HEADER.write(&mut packet).unwrap();
    assert_eq!(packet, GOLDEN);
}

#[test]
fn reads_the_golden_bytes() {
    let packet = Packet::parse(&GOLDEN).unwrap();
    assert_eq!(packet, Packet { header: HEADER, marker: false, payload: &GOLDEN[12..] });
}

#[test]
fn skips_csrcs_extension_and_padding() {
    let mut bytes = GOLDEN[..HEADER_LEN].to_vec();
    bytes[0] = 0x80 | 0x20 | 0x10 | 2; // padding, extension, two CSRCs
    bytes[1] |= 0x80; // marker
    bytes.extend([1, 1, 1, 1, 2, 2, 2, 2]);
    bytes.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
    bytes.extend([0, 0x64, 0xff, 0x9c]);
    bytes.extend([0, 0, 3]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet, Packet { header: HEADER, marker: true, payload: &[0, 0x64, 0xff, 0x9c] });
}

#[test]
fn says_what_is_wrong() {
    assert_eq!(Packet::parse(&GOLDEN[..11]), Err(RtpError::TooShort(11)));
    assert_eq!(Packet::parse(&[0x40; 12]), Err(RtpError::Version(1)));
    let mut truncated = GOLDEN;
    truncated[0] |= 15;
    assert_eq!(Packet::parse(&truncated), Err(RtpError::Truncated { header: 72, packet: 20 }));
    let mut padded = GOLDEN;
    padded[0] |= 0x20;
    assert_eq!(Packet::parse(&padded), Err(RtpError::Padding(0x38)));
    assert_eq!(HEADER.write(&mut [0; 11]), Err(RtpError::Unwritable));
    assert_eq!(Header { payload_type: 128, ..HEADER }.write(&mut [0; 12]), Err(RtpError::Unwritable));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), first in 0x80..0xc0_u8) {
        let _ = Packet::parse(&bytes);
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(packet.payload.len() + HEADER_LEN <= bytes.len());
        }
    }

    #[test]
    fn headers_come_back(payload_type in 0..128_u8, sequence: u16, timestamp: u32, ssrc: u32) {
        let header = Header { payload_type, sequence, timestamp, ssrc };
        let mut bytes = [0; 16];
        header.write(&mut bytes).unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!(packet, Packet { header, marker: false, payload: &[0; 4] });
    }
}
