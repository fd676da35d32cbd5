use super::*;
use proptest::prelude::*;

#[test]
fn direct_offsets_are_those_that_peers_were_seen_to_accept() {
    assert_eq!(direct_offset_ntp(48_000), 2_691_979_648);
    assert_eq!(direct_offset_ntp(44_100), 2_043_759_572);
    assert_eq!(direct_offset_ntp(96_000), 1_088_992_000);
}

#[test]
fn a_media_second_is_an_ntp_second_37_earlier() {
    let t = MediaTime::from_ns(1_000_000_000_500_000_000);
    assert_eq!(t.to_ntp() >> 32, 1_000_000_000 - 37 + 2_208_988_800);
    assert_eq!(t.to_ntp() & 0xffff_ffff, 1 << 31);
}

proptest! {
    #[test]
    fn ntp_round_trips_in_any_era(ns in 0_i64..8_000_000_000_000_000_000, skew in -1_000_000_000_i64..1_000_000_000) {
        let t = MediaTime::from_ns(ns);
        let back = MediaTime::from_ntp(t.to_ntp(), t + skew);
        prop_assert!((back - t).abs() <= 1, "{} ns", back - t);
    }

    #[test]
    fn frames_round_trip(seconds in 0_i64..1 << 33, part in 0_i64..8_000, rate in 8_000_u32..=192_000) {
        let frame = seconds * i64::from(rate) + part;
        prop_assert_eq!((MediaTime::from_frame(frame, rate) + 1).to_frame(rate), frame);
    }

    #[test]
    fn timestamps_unwrap_against_the_clock(frame in 0_i64..1 << 50, skew in -0x7fff_ffff_i64..0x7fff_ffff) {
        prop_assert_eq!(unwrap_timestamp(rtp_timestamp(frame), frame + skew), frame);
    }
}
