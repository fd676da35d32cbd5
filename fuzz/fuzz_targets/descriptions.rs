//! SAP, SDP and the control messages: read or refused, never a panic; nor does what is read make one when it is written again,
//! or when its playout delay is reckoned with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unisono_common::control::{self, FromHub, FromRoom};
use unisono_common::sap;
use unisono_common::sdp::Session;
use unisono_common::time::MediaTime;

fuzz_target!(|bytes: &[u8]| {
    let sdp = sap::Packet::parse(bytes).map_or(bytes, |packet| packet.sdp);
    if let Ok(session) = Session::parse(sdp) {
        let _ = Session::parse(session.to_string().as_bytes());
        let delay = session.playout_delay(250);
        for ns in [i64::MIN, 0, 1_790_000_000_000_000_000, i64::MAX] {
            let media = MediaTime::from_ns(ns);
            assert!((delay.shortest_ns()..=delay.longest_ns()).contains(&delay.at(media)));
            let _ = delay.rate(media);
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = control::decode::<FromRoom>(&text);
    let _ = control::decode::<FromHub>(&text);
});
