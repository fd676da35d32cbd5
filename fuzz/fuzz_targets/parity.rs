//! Parity and packets in any order: nothing panics, and nothing goes on for ever.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unisono_common::fec::{Decoder, Encoder, Matrix};
use unisono_common::rtp::Packet;

fuzz_target!(|bytes: &[u8]| {
    let (mut decoder, mut encoder) = (Decoder::default(), Encoder::new(Matrix { columns: 4, rows: 4 }, 1));
    for piece in bytes.chunks(64) {
        let _ = decoder.parity(piece);
        if let Ok(packet) = Packet::parse(piece) {
            decoder.stream(&packet.header, packet.payload);
        }
        if let Some(parity) = encoder.push(piece) {
            let _ = decoder.parity(parity);
        }
        let mut computed = 0;
        while decoder.compute().is_some() {
            computed += 1;
            assert!(computed < 10_000);
        }
    }
});
