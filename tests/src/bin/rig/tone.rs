//! The sine: what the resampler and the servo do to a pure tone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use unisono_tests::analysis::tone::{self, Tone};
use unisono_tests::feeder::Feeder;
use unisono_tests::house::{Room, Stream};
use unisono_tests::instruments::{Card, HostClock};
use unisono_tests::records::Record;
use unisono_tests::stalls::Watch;
use unisono_tests::{signals, truth};

use crate::run::{Bench, SKIP_S, stop};

const HERTZ: u32 = 997;

/// Plays 997 Hz at -6 dB through a 24-bit stream into cards that are off, and prints what comes out.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    let card = |ppm| Card { ppm, ..Card::default() };
    let rooms = [
        ("card exact", Room::default()),
        ("card +40 ppm", Room { card: card(40.0), ..Room::default() }),
        ("card +40 ppm, host +20 ppm", Room { card: card(40.0), clock: HostClock { ppm: 20.0, ..Default::default() } }),
    ];
    let signal = Arc::new(signals::sine(48_000, HERTZ, 0.5));
    let stage = bench.stage("tone", rooms.len())?;
    let fifo = stage.dir.join("in.fifo");
    let feeder = Feeder::start(&fifo, signal.clone(), 4)?;
    let source = format!("{{ type = \"pipe\", path = {fifo:?}, format = \"48000:32:2\" }}");
    let stream = Stream { format: "48000:24:2", source, playout_delay_ms: bench.delay_ms };
    let mut programs = vec![stage.house.start_sender(&stream)?];
    for (i, (_, room)) in rooms.iter().enumerate() {
        programs.push(stage.house.start_receiver(i + 1, room, &format!("u{}", i + 1), &bench.extra)?);
    }
    let watch = Watch::start();
    truth::pause(bench.duration);
    let stalls = watch.finish();
    anyhow::ensure!(!truth::interrupted(), "ended before the tone was over");
    stop(&mut programs).iter().for_each(|what| println!("{what}"));
    drop(feeder);
    println!(
        "{:<28} {:>11} {:>8} {:>10} {:>22} {:>20}",
        "room", "Hz", "ppm", "THD+N dB", "strongest sideband", "modulation ppm rms"
    );
    let mut results = vec![];
    for (i, (name, _)) in rooms.iter().enumerate() {
        let record = Record::open(&stage.dir.join(format!("u{}", i + 1)))?;
        let tone =
            settled(&record).with_context(|| format!("room {}: too little sound\n{}", i + 1, programs[i + 1].log()))?;
        println!(
            "{name:<28} {:>11.6} {:>8.3} {:>10.1} {:>11.1} dB {:>5.0} Hz {:>20.4}",
            tone.hertz,
            (tone.hertz / f64::from(HERTZ) - 1.0) * 1e6,
            tone.thd_n_db,
            tone.sideband.db,
            tone.sideband.hertz,
            tone.modulation_ppm_rms
        );
        results.push((name, tone));
    }
    println!("stalls of the machine over 10 ms: {}, worst {:.0} ms", stalls.over_10_ms, stalls.worst_ms);
    std::fs::write(bench.out().join("tone.json"), serde_json::to_string_pretty(&results)?)?;
    bench.put_away(&stage, &signal)
}

/// The longest segment, without its beginning and its end.
fn settled(record: &Record) -> Option<Tone> {
    let segment = record.segments.iter().max_by_key(|s| s.frames)?;
    let heard_ns = record.first_sound(segment.start_ns, unisono_tests::AUDIBLE)?;
    let skip = ((heard_ns - segment.start_ns) as f64 / 1e9 + SKIP_S) * segment.rate;
    let end = segment.frames as f64 - Duration::from_millis(500).as_secs_f64() * segment.rate;
    (end > skip)
        .then(|| record.samples((segment.first as f64 + skip) as i64, (end - skip) as usize))
        .map(|samples| tone::measure(&samples, segment.rate, f64::from(HERTZ)))
        .filter(|tone| tone.hertz > 0.0)
}
