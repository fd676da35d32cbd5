//! Raw PCM in every encoding that MPD has.

use unisono_tests::signals::noise;
use unisono_tests::station::{Station, Tap};
use unisono_tests::truth;

use crate::PATIENCE;

/// How much is written: a second.
const FRAMES: usize = 48_000;

#[test]
fn every_encoding_arrives_as_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let encodings = ["8", "16", "24", "32", "f"];
    let fifo = |bits: &str| dir.path().join(format!("{bits}.fifo"));
    let streams = encodings.map(|bits| {
        let source = format!("{{ type = \"pipe\", path = {:?}, format = \"48000:{bits}:2\" }}", fifo(bits));
        format!("[[streams]]\nid = \"raw{bits}@\"\nsource = {source}\n")
    });
    let station = Station::start(dir.path(), &streams.concat()).unwrap();
    // In steps of 8 bits, which all of them hold; found by its first sample.
    let signal = noise(48_000, 1 << 16, 5);
    let mut samples: Vec<i8> = signal.cut(0, FRAMES).into_iter().map(|sample| (sample * 127.0).round() as i8).collect();
    samples[0] = 100;
    for bits in encodings {
        let name = format!("raw{bits}");
        let tap = Tap::open(station.group(&name)).unwrap();
        let bytes = samples.iter().flat_map(|&sample| [written(sample, bits), written(sample, bits)].concat());
        std::fs::write(fifo(bits), bytes.collect::<Vec<u8>>()).unwrap();
        let heard = truth::wait_for(PATIENCE, || Some(tap.sound(0)).filter(|heard| heard.len() >= FRAMES));
        let heard = heard.unwrap_or_else(|| panic!("{}\n{}", station.playback(&name), station.process.log()));
        // What is deeper than the stream is dithered.
        let most = if ["8", "16"].contains(&bits) { 0 } else { 1 };
        let off = |(heard, sample): (&i32, &i8)| (heard - (i32::from(*sample) << 8)).abs() > most;
        let wrong = heard.iter().zip(&samples).position(off);
        // A machine that stands still for longer than the queue lasts breaks it off.
        let right = wrong.is_none() || station.lost_ms() > 40.0;
        assert!(right, "{bits}: frame {wrong:?} is another one\n{}", station.process.log());
    }
}

/// A sample as `bits` has it.
fn written(sample: i8, bits: &str) -> Vec<u8> {
    let top = i32::from(sample) << 24;
    match bits {
        "8" => sample.to_le_bytes().to_vec(),
        "16" => top.to_le_bytes()[2..].to_vec(),
        // In four bytes, as MPD writes them.
        "24" => (top >> 8).to_le_bytes().to_vec(),
        "32" => top.to_le_bytes().to_vec(),
        _ => (f32::from(sample) / 128.0).to_le_bytes().to_vec(),
    }
}
