//! RTP, RTX, RTCP and NTP: read or refused, never a panic; what is read can be written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unisono_common::clock::ntp;
use unisono_common::rtcp::{self, Item};
use unisono_common::{rtp, rtx};

fuzz_target!(|bytes: &[u8]| {
    let _ = rtp::Packet::parse(bytes);
    let _ = ntp::Packet::parse(bytes);
    let mut out = [0; 4096];
    if let Ok(length) = rtx::write(bytes, rtx::PAYLOAD_TYPE, 1, &mut out) {
        assert!(rtx::parse(&out[..length], rtx::PAYLOAD_TYPE).is_ok());
    }
    let _ = rtx::parse(bytes, rtx::PAYLOAD_TYPE);
    for item in rtcp::parse(bytes).unwrap_or_default() {
        if let Item::Nack { reporter, media, sequences } = item {
            assert!(sequences.len() <= rtcp::MOST_MISSING);
            assert!(rtcp::write_nack(reporter, media, "fuzz", &sequences, &mut out).is_ok());
        }
    }
});
