//! What has a clock of its own: a card's input, another sender, a writer that is off.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use unisono_host::clock;
use unisono_tests::instruments::input;
use unisono_tests::records::Record;
use unisono_tests::station::{Station, Tap};
use unisono_tests::{processes, signals, truth};

use crate::rooms::room;
use crate::{PATIENCE, common, ms};

#[test]
fn a_card_with_a_clock_of_its_own_is_captured_without_a_break() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("tone.s16");
    // A whole number of cycles, so that round and round has no seam.
    std::fs::write(&sound, signals::sine(48_000, 500, 0.5).stereo_pcm(0, 48_000, 2)).unwrap();
    let environment = match input(dir.path(), &sound, 300.0) {
        Ok(environment) => environment,
        Err(error) => return common::skipped::<()>(&error.to_string()).unwrap_or_default(),
    };
    let streams = "[[streams]]\nid = \"mic@\"\nsource = { type = \"capture\", device = \"simmic\", latency_ms = 40 }\n";
    let began = clock::now();
    let station = Station::start_in(dir.path(), streams, environment).unwrap();
    let tap = Tap::open(station.group("mic")).unwrap();
    let Some(heard) = tap.wait_for_sound(began, PATIENCE) else { panic!("no sound:\n{}", station.process.log()) };
    println!("capture: heard {:.0} ms after the sender was started", ms(began, heard));
    // A card read by a machine that is busy: its level wanders. Much longer, it is known to a few ppm.
    let near = |now: &serde_json::Value| now["writer_ppm"].as_f64().is_some_and(|ppm| (ppm - 300.0).abs() < 250.0);
    let known = station.wait_for("mic", PATIENCE * 4, near);
    let known = known.unwrap_or_else(|| panic!("{}", station.playback("mic")));
    println!(
        "capture: a card that is 300 ppm fast is taken for {} ppm, {:.0} ms on",
        known["writer_ppm"],
        ms(heard, clock::now())
    );
    let gone = tap.silence_after(heard, Duration::from_millis(100), 100);
    assert!(gone.is_none() || station.lost_ms() > 100.0, "it breaks off:\n{}", station.process.log());
    station.assert_unbroken(&tap);
}

/// From the television's socket to the loudspeaker, by clicks whose time is known at both ends.
#[test]
fn sound_stays_with_its_picture() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("clicks.s16");
    let click = (0..48_000).flat_map(|frame| [if (24_000..24_096).contains(&frame) { 16_000_i16 } else { 0 }; 2]);
    std::fs::write(&sound, click.flat_map(i16::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let environment = match input(dir.path(), &sound, 0.0) {
        Ok(environment) => environment,
        Err(error) => return common::skipped::<()>(&error.to_string()).unwrap_or_default(),
    };
    let streams = "playout_delay_ms = 20\n[[streams]]\nid = \"tv@\"\n\
                   source = { type = \"capture\", device = \"simmic\", latency_ms = 10 }\n";
    let station = Station::start_in(dir.path(), streams, environment).unwrap();
    let den = room(&station, dir.path(), "den", "tv", "");
    // After each click went in: how much later it came out; none while it is not there yet, or was lost.
    let latencies = || {
        let began: i64 = std::fs::read_to_string(dir.path().join("clicks.s16.began")).ok()?.trim().parse().ok()?;
        let record = Record::open(&dir.path().join("den")).ok()?;
        let went_in = (0..60).map(|second| began + second * 1_000_000_000 + 500_000_000);
        let came_out = went_in.filter_map(|at| Some(record.first_sound(at, 0.2)? - at));
        let mut latencies: Vec<i64> = came_out.filter(|latency| *latency < 500_000_000).collect();
        latencies.sort_unstable();
        (latencies.len() >= 12).then_some(latencies)
    };
    let latencies = truth::wait_for(PATIENCE * 2, latencies);
    let Some(latencies) = latencies else { panic!("no clicks:\n{}\n{}", station.process.log(), den.log()) };
    let median_ms = latencies[latencies.len() / 2] as f64 / 1e6;
    println!("capture: {median_ms:.1} ms from the card's input to another card's output, playout_delay_ms = 20");
    assert!((15.0..120.0).contains(&median_ms), "{latencies:?}");
}

#[test]
fn another_senders_stream_is_taken_over_by_its_name() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let name = format!("Studio {:x}", unisono_host::random::number());
    let theirs = format!("[[streams]]\nid = \"studio@\"\nname = \"{name}\"\nsource = {{ type = \"tone\" }}\n");
    let ours = format!("[[streams]]\nid = \"taken@\"\nsource = {{ type = \"rtp\", session = \"{name}\" }}\n");
    let station = Station::start(dirs[0].path(), &ours).unwrap();
    let waits = station.wait_for("taken", PATIENCE, |now| now["state"] == "failed").unwrap();
    assert!(waits["reason"].as_str().unwrap().contains(&name), "{waits}");
    let tap = Tap::open(station.group("taken")).unwrap();
    let began = clock::now();
    let mut other = Station::start(dirs[1].path(), &theirs).unwrap();
    let Some(heard) = tap.wait_for_sound(began, PATIENCE) else { panic!("no sound:\n{}", station.process.log()) };
    println!("rtp: {:.0} ms from the start of the other sender to our wire", ms(began, heard));
    assert!(station.wait_for("taken", PATIENCE, |now| now["title"] == *name && now["state"] == "playing").is_some());
    other.process.stop();
    let silent = station.wait_for("taken", PATIENCE, |now| now["state"] == "stalled" || now["state"] == "idle");
    assert!(silent.is_some(), "{}", station.playback("taken"));
    let again = clock::now();
    let _other = Station::start(dirs[1].path(), &theirs.replace("tone", "demo")).unwrap();
    assert!(tap.wait_for_sound(again, PATIENCE).is_some(), "it is not taken again:\n{}", station.process.log());
    station.assert_unbroken(&tap);
}

/// Writes a tone into a FIFO at the pace of a clock that is off, in pieces of 25 ms, and never waits for room.
fn write_off(fifo: std::path::PathBuf, ppm: f64, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let signal = signals::sine(48_000, 500, 0.5);
    std::thread::spawn(move || {
        let _ = processes::real_time(processes::PLAYER_PRIORITY);
        let open = || std::fs::File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo).ok();
        let Some(mut pipe) = truth::wait_for(PATIENCE, open) else { return };
        let (begun, mut frame) = (truth::now_ns(), 0_i64);
        while !stop.load(Ordering::Relaxed) {
            // What does not fit is lost, as with MPD.
            let _ = pipe.write(&signal.stereo_pcm(frame, 1_200, 2));
            frame += 1_200;
            let due = begun + (frame as f64 / (48e3 * (1.0 + ppm * 1e-6)) * 1e9) as i64;
            let wait = due - truth::now_ns();
            std::thread::sleep(Duration::from_nanos(wait.max(0) as u64));
        }
    })
}

/// `cargo test --release -p unisono-tests --test sources -- --ignored off --nocapture`
#[test]
#[ignore = "takes six minutes of real time"]
fn a_writer_whose_clock_is_off_is_followed_without_a_break() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("off.fifo");
    let streams = format!("[[streams]]\nid = \"off@\"\nsource = {{ type = \"pipe\", path = {fifo:?} }}\n");
    let station = Station::start(dir.path(), &streams).unwrap();
    let tap = Tap::open(station.group("off")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write_off(fifo, -300.0, stop.clone());
    assert!(tap.wait_for_sound(clock::now(), PATIENCE).is_some());
    truth::pause(Duration::from_secs(360));
    let ppm = station.playback("off")["writer_ppm"].as_f64().unwrap();
    println!("pipe: a writer that is 300 ppm slow is taken for {ppm:.0} ppm");
    assert!((ppm + 300.0).abs() < 60.0, "{ppm}");
    let packets = tap.packets();
    let silent = packets.iter().skip(200).filter(|heard| heard.samples.iter().all(|s| s.abs() < 100)).count();
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(silent as f64 * 5.0 <= station.lost_ms(), "{silent} silent packets; {} ms lost", station.lost_ms());
}
