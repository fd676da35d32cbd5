use proptest::prelude::*;

use super::*;

const SR_SDES: &str = "80c80006 11223344 eeacc3de 8bb48000 2a5f3c10 000003e8 000ea600 \
                       81ca0005 11223344 010d736e 64403130 2e37372e 302e3100";
const BYE: &str = "81cb0002 11223344 03627965";
const RR_SDES_NACK: &str = "81c90007 55667788 11223344 03000007 00010457 00000015 c3de8bb4 00000ccc \
                            81ca0005 55667788 010c7278 4031302e 37372e30 2e320000 \
                            81cd0003 55667788 11223344 04580005";
const RR_SDES_RRTR: &str = "80c90001 55667788 81ca0005 55667788 010c7278 4031302e 37372e30 2e320000 \
                            80cf0004 55667788 04000002 eeacc3de 8bb48000";

const REPORT: SenderReport = SenderReport {
    ssrc: 0x1122_3344,
    ntp: 0xeeac_c3de_8bb4_8000,
    rtp_timestamp: 0x2a5f_3c10,
    packets: 1_000,
    octets: 960_000,
};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A room asks for delivery by unicast.
fn asking() -> Vec<u8> {
    let message = delivery::Message { kind: delivery::Kind::Ask, media: REPORT.ssrc, token: 9 };
    let mut out = [0; 64];
    let len = delivery::write(&message, 0x5566_7788, &mut out).unwrap();
    out[..len].to_vec()
}

fn written(bye: Option<&str>) -> Vec<u8> {
    let mut out = [0; 128];
    let len = write_report(&REPORT, "snd@10.77.0.1", bye, &mut out).unwrap();
    out[..len].to_vec()
}

#[test]
fn writes_the_golden_bytes() {
    assert_eq!(written(None), bytes(SR_SDES));
    assert_eq!(written(Some("bye")), [bytes(SR_SDES), bytes(BYE)].concat());
    assert!(write_report(&REPORT, "snd@10.77.0.1", None, &mut [0; 20]).is_err());
}

#[test]
fn reads_what_it_writes() {
    let cname = Item::Cname { ssrc: REPORT.ssrc, name: "snd@10.77.0.1".into() };
    let items = parse(&written(Some("bye"))).unwrap();
    assert_eq!(items, [Item::SenderReport(REPORT), cname, Item::Bye { ssrc: REPORT.ssrc }]);
}

#[test]
fn a_request_has_the_golden_bytes_and_is_read_back() {
    let mut out = [0; 2048];
    let len = write_nack(0x5566_7788, REPORT.ssrc, "rx@10.77.0.2", &[1_112, 1_113, 1_115], &mut out).unwrap();
    let empty_report = "80c90001 55667788";
    assert_eq!(out[..len], [bytes(empty_report), bytes(RR_SDES_NACK)[32..].to_vec()].concat());
    // Numbers of a whole burst, across the end of the 16 bits.
    let burst: Vec<u16> = (0..MOST_MISSING as u16 + 9).map(|i| 65_500_u16.wrapping_add(i)).collect();
    let len = write_nack(1, 2, "room", &burst, &mut out).unwrap();
    let items = parse(&out[..len]).unwrap();
    let Some(Item::Nack { reporter: 1, media: 2, sequences }) = items.last() else { panic!("{items:?}") };
    let mut expected = burst[..MOST_MISSING].to_vec();
    expected.sort_unstable();
    assert_eq!(*sequences, expected);
}

#[test]
fn reads_strangers() {
    let reporter = 0x5566_7788;
    let cname = Item::Cname { ssrc: reporter, name: "rx@10.77.0.2".into() };
    let block = ReportBlock {
        ssrc: REPORT.ssrc,
        fraction_lost: 3,
        cumulative_lost: 7,
        highest_sequence: 0x0001_0457,
        jitter: 0x15,
        last_report: 0xc3de_8bb4,
        delay_since_last_report: 0x0ccc,
    };
    let nack = Item::Nack { reporter, media: REPORT.ssrc, sequences: vec![1_112, 1_113, 1_115] };
    assert_eq!(parse(&bytes(RR_SDES_NACK)).unwrap(), [Item::ReportBlock { reporter, block }, cname.clone(), nack]);
    let reference = Item::ReferenceTime { ssrc: reporter, ntp: REPORT.ntp };
    assert_eq!(parse(&bytes(RR_SDES_RRTR)).unwrap(), [cname, reference]);
}

#[test]
fn a_negative_loss_is_negative() {
    let mut packet = bytes(RR_SDES_NACK);
    packet[13..16].fill(0xff);
    let items = parse(&packet).unwrap();
    assert!(matches!(items[0], Item::ReportBlock { block: ReportBlock { cumulative_lost: -1, .. }, .. }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0..100_usize, value: u8, cut in 0..100_usize, which in 0..4_usize) {
        let mut packet = [SR_SDES, RR_SDES_NACK, RR_SDES_RRTR].get(which).map_or_else(asking, |hex| bytes(hex));
        let at = at % packet.len();
        packet[at] = value;
        let _ = parse(&packet);
        packet.truncate(cut);
        let _ = parse(&packet);
    }

    #[test]
    fn a_part_of_any_kind_does_not_make_it_panic(kind in 192..224_u8, count in 0..64_u8, words in proptest::collection::vec(any::<[u8; 4]>(), 0..16)) {
        let mut packet = vec![0x80 | count, kind, 0, words.len() as u8];
        packet.extend(words.iter().flatten());
        let _ = parse(&packet);
    }
}
