//! The sources that need no file: what the demo and the tone put on a card.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{PATIENCE, end};
use unisono_tests::analysis::tone;
use unisono_tests::house::{House, Stream, binaries};
use unisono_tests::records::Record;
use unisono_tests::stalls::{Stalls, Watch, undisturbed};
use unisono_tests::{AUDIBLE, truth};

/// What a room heard of `source`, on a card that is 40 ppm fast, from the first sound on and for so many seconds.
fn heard(name: &str, source: &str, format: &str, seconds: u64) -> (Vec<f64>, f64, Stalls) {
    let watch = Watch::start();
    let dir = tempfile::tempdir().unwrap();
    let id = format!("{name}-{}", std::process::id());
    let house = House::on_loopback(&id, dir.path(), &binaries().unwrap()).unwrap();
    let stream = Stream { format, source: source.into(), playout_delay_ms: 500 };
    let mut sender = house.start_sender(&stream).unwrap();
    let device = format!("sim:ppm=40,record={}", house.record("u1").display());
    let mut receiver = house.start_receiver_on(1, &device, "u1", "", vec![]).unwrap();
    let sound = || Record::open(&house.record("u1")).ok()?.first_sound(0, AUDIBLE);
    let begun_ns = truth::wait_for(PATIENCE, sound);
    let begun_ns = begun_ns.unwrap_or_else(|| panic!("silence: {}\n{}", sender.log(), receiver.log()));
    truth::pause(Duration::from_secs(seconds + 1));
    end(&mut [&mut receiver, &mut sender]);
    let record = Record::open(&house.record("u1")).unwrap();
    let segment = &record.segments[0];
    let first = ((begun_ns - segment.start_ns) as f64 * 1e-9 * segment.rate) as i64;
    (record.samples(first, (seconds * 48_000) as usize), segment.rate, watch.finish())
}

#[test]
fn a_tone_has_its_frequency_and_nothing_beside_it() {
    undisturbed(|| {
        let source = "{ type = \"tone\", frequency = 997.0, level_db = -6.0 }";
        let (samples, rate, stalls) = heard("tone", source, "48000:24:2", 7);
        // The rooms' estimates settle during the first seconds.
        let tone = tone::measure(&samples[3 * 48_000..], rate, 997.0);
        assert!((tone.hertz / 997.0 - 1.0).abs() < 5e-6, "{tone:?}");
        assert!((tone.amplitude / 0.501 - 1.0).abs() < 0.01, "{tone:?}");
        println!("{tone:?}; {stalls:?}");
        let pure = tone.thd_n_db < -110.0 && tone.sideband.db < -110.0 && tone.modulation_ppm_rms < 0.5;
        assert!(pure, "{tone:?}; {stalls:?}");
    });
}

#[test]
fn the_demo_is_music_without_a_hole() {
    undisturbed(|| {
        let (samples, ..) = heard("demo", "{ type = \"demo\" }", "48000:16:2", 4);
        let rms = |block: &[f64]| (block.iter().map(|x| x * x).sum::<f64>() / block.len() as f64).sqrt();
        let blocks: Vec<f64> = samples[4_800..].chunks_exact(24_000).map(rms).collect();
        assert!(blocks.iter().all(|level| (0.005..0.7).contains(level)), "{blocks:?}");
        assert!(samples.iter().all(|x| x.abs() < 0.999), "it clips");
    });
}
