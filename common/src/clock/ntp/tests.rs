use super::*;
use proptest::prelude::*;

const REQUEST: &str = "230006ec 00000000 00000000 00000000 0000000000000000 0000000000000000 0000000000000000 \
                       eeacc3de8bb48000";
const REPLY: &str = "240100ec 00000000 00000010 4c4f434c eeacc3dd00000000 eeacc3de8bb48000 eeacc3de8bb68000 \
                     eeacc3de8bb78000";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

#[test]
fn a_request_that_wireshark_dissects() {
    let request = Packet {
        leap: 0,
        version: 4,
        mode: Mode::Client,
        stratum: 0,
        poll: 6,
        precision: -20,
        root_delay: 0,
        root_dispersion: 0,
        reference_id: 0,
        reference: 0,
        origin: 0,
        receive: 0,
        transmit: 0xeeac_c3de_8bb4_8000,
    };
    assert_eq!(request.to_bytes()[..], bytes(REQUEST)[..]);
    assert_eq!(Packet::parse(&bytes(REQUEST)), Ok(request));
}

#[test]
fn a_reply_that_wireshark_dissects() {
    let reply = Packet::parse(&bytes(REPLY)).unwrap();
    assert_eq!((reply.mode, reply.version, reply.stratum, reply.precision), (Mode::Server, 4, 1, -20));
    assert_eq!((reply.root_dispersion, reply.reference_id), (16, u32::from_be_bytes(*b"LOCL")));
    assert_eq!((reply.origin, reply.receive), (0xeeac_c3de_8bb4_8000, 0xeeac_c3de_8bb6_8000));
    assert_eq!(reply.transmit, 0xeeac_c3de_8bb7_8000);
    assert_eq!(reply.to_bytes()[..], bytes(REPLY)[..]);
}

#[test]
fn gstreamers_request_is_understood() {
    let mut request = [0; LENGTH];
    request[..4].copy_from_slice(&[0xe3, 0x10, 0x03, 0x00]);
    let request = Packet::parse(&request).unwrap();
    assert_eq!((request.mode, request.version, request.leap), (Mode::Client, 4, 3));
}

#[test]
fn short_and_foreign_packets_are_refused() {
    assert_eq!(Packet::parse(&bytes(REPLY)[..47]), Err(NtpError::Short(47)));
    let mut odd = bytes(REPLY);
    odd[0] = 0x3c;
    assert_eq!(Packet::parse(&odd), Err(NtpError::Version(7)));
}

proptest! {
    #[test]
    fn any_bytes_parse_or_fail_quietly_and_what_parses_round_trips(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(&packet.to_bytes()[..], &bytes[..LENGTH]);
        }
    }
}
