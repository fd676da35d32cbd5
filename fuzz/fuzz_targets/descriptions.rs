//! SAP, SDP and the control messages: read or refused, never a panic; a description that is read is read again as written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unisono_common::control::{self, FromHub, FromRoom};
use unisono_common::sap;
use unisono_common::sdp::Session;

fuzz_target!(|bytes: &[u8]| {
    let sdp = sap::Packet::parse(bytes).map_or(bytes, |packet| packet.sdp);
    if let Ok(session) = Session::parse(sdp) {
        let _ = Session::parse(session.to_string().as_bytes());
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = control::decode::<FromRoom>(&text);
    let _ = control::decode::<FromHub>(&text);
});
