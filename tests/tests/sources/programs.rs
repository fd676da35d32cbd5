//! Programs whose output is played.

use unisono_host::clock;
use unisono_tests::station::{Station, Tap};
use unisono_tests::truth;

use crate::{PATIENCE, have, ms};

/// Processes whose command line holds `mark`.
fn running(mark: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

#[test]
fn ffmpeg_plays_and_ends_with_all_it_has_started() {
    if !have(&["ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("mark-{:x}", unisono_host::random::number());
    // By way of a shell, so that there is a process to be left behind.
    let command = format!(
        "ffmpeg -v warning -re -f lavfi -i sine=frequency=500:sample_rate=48000 -metadata comment={mark} -ac 2 -f s16le - | cat"
    );
    let streams = format!("[[streams]]\nid = \"cmd@\"\nsource = {{ type = \"command\", command = {command:?} }}\n");
    let began = clock::now();
    let mut station = Station::start(dir.path(), &streams).unwrap();
    let tap = Tap::open(station.group("cmd")).unwrap();
    let Some(heard) = tap.wait_for_sound(began, PATIENCE) else { panic!("no sound:\n{}", station.process.log()) };
    println!("command: ffmpeg is heard {:.0} ms after the sender was started", ms(began, heard));
    assert!(station.wait_for("cmd", PATIENCE, |now| now["state"] == "playing").is_some());
    assert!(running(&mark) > 0);
    let quiet = station.reconfigure("[[streams]]\nid = \"cmd@\"\nsource = { type = \"tone\" }\n").unwrap();
    assert_eq!(quiet["changed"], serde_json::json!([station.id("cmd")]), "{quiet}");
    assert!(truth::wait_for(PATIENCE, || (running(&mark) == 0).then_some(())).is_some(), "something is left behind");
    assert!(station.process.stop().is_some_and(|status| status.success()), "{}", station.process.log());
    drop(tap);
}

#[test]
fn a_program_that_ends_is_started_again_and_its_words_are_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let sound = "dd if=/dev/urandom bs=19200 count=10 2>/dev/null";
    let command = format!("{sound}; echo out of paper >&2; exit 3");
    let streams = format!("[[streams]]\nid = \"cmd@\"\nsource = {{ type = \"command\", command = {command:?} }}\n");
    let station = Station::start(dir.path(), &streams).unwrap();
    let tap = Tap::open(station.group("cmd")).unwrap();
    let failed = station.wait_for("cmd", PATIENCE, |now| now["state"] == "failed").unwrap();
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("exit code 3") && reason.contains("out of paper"), "{reason}");
    assert!(station.process.log().contains("out of paper"), "{}", station.process.log());
    let first = clock::now();
    assert!(tap.wait_for_sound(first, PATIENCE).is_some(), "it is not started again:\n{}", station.process.log());
}

#[test]
fn shairport_sync_is_run_and_what_it_lacks_is_told() {
    if !have(&["shairport-sync"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = unisono_tests::station::free_port().unwrap();
    let command = format!("shairport-sync --name=Test --output=stdout --port={port}");
    let streams = format!(
        "[[streams]]\nid = \"airplay@\"\nsource = {{ type = \"command\", command = {command:?}, format = \
         \"44100:16:2\" }}\n"
    );
    let station = Station::start(dir.path(), &streams).unwrap();
    // Where Avahi runs it waits for a sender; elsewhere it says what it misses and ends.
    let waits = |now: &serde_json::Value| now["state"] == "idle" && !now["idle"].is_null();
    let told = |now: &serde_json::Value| now["reason"].as_str().is_some_and(|reason| reason.contains("ended with"));
    let now = station.wait_for("airplay", PATIENCE, |now| waits(now) || told(now));
    let now = now.unwrap_or_else(|| panic!("{}\n{}", station.playback("airplay"), station.process.log()));
    let named = || station.process.log().contains("shairport-sync").then_some(());
    assert!(truth::wait_for(PATIENCE, named).is_some(), "{now}\n{}", station.process.log());
}
