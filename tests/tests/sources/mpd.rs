//! Debian's `mpd`, driven by `mpc` and by our API, into a pipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use unisono_host::clock;
use unisono_tests::feeder::Feeder;
use unisono_tests::processes::Process;
use unisono_tests::signals::{Signal, noise};
use unisono_tests::station::{Station, Tap, free_port};
use unisono_tests::truth;

use crate::{PATIENCE, have, ms, start, tone};

/// An MPD with three tracks, writing into a station's pipe.
struct Mpd {
    dir: TempDir,
    port: u16,
    process: Process,
    station: Station,
}

impl Mpd {
    /// One that writes `format`.
    fn new(format: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, fifo) = (free_port().unwrap(), dir.path().join("mpd.fifo"));
        std::fs::create_dir(dir.path().join("music")).unwrap();
        for (n, hertz) in [(1, 441), (2, 882), (3, 1_323)] {
            tone(&dir.path().join(format!("music/{n}.flac")), hertz, 30, &format!("Tone {n}"));
        }
        let streams = format!(
            "[[streams]]\nid = \"mpd@\"\nsource = {{ type = \"pipe\", path = {fifo:?}, format = \"{format}\", mpd = \
             \"127.0.0.1:{port}\" }}\n"
        );
        let station = Station::start(dir.path(), &streams).unwrap();
        // The block that the sender prints is the one that MPD gets.
        let file = dir.path().join("station.toml");
        let binary = unisono_tests::house::binaries().unwrap().join("unisono-sender");
        let output = Command::new(binary).args(["mpd-conf", file.to_str().unwrap()]).output().unwrap();
        let block = String::from_utf8(output.stdout).unwrap();
        let conf = format!(
            "music_directory \"{0}/music\"\ndb_file \"{0}/mpd.db\"\nlog_file \"{0}/mpd.txt\"\nstate_file \"{0}/mpd.state\"\n\
             bind_to_address \"127.0.0.1\"\nport \"{port}\"\nauto_update \"no\"\n{block}",
            dir.path().display()
        );
        std::fs::write(dir.path().join("mpd.conf"), conf).unwrap();
        let process = start_mpd(dir.path());
        let mpd = Mpd { dir, port, process, station };
        mpd.wait_until_up();
        mpd.mpc(&["update", "--wait"]);
        mpd.mpc(&["add", "/"]);
        mpd
    }

    fn wait_until_up(&self) {
        let up = || Command::new("mpc").args(["-p", &self.port.to_string(), "status"]).output().ok();
        let up = truth::wait_for(PATIENCE, || up().filter(|output| output.status.success()));
        assert!(up.is_some(), "mpd does not come up: {}", self.process.log());
    }

    fn mpc(&self, arguments: &[&str]) {
        crate::run("mpc", &[&["-q", "-p", &self.port.to_string()], arguments].concat());
    }

    fn restart(&mut self) {
        self.process.stop();
        self.process = start_mpd(self.dir.path());
        self.wait_until_up();
    }

    fn tap(&self) -> Tap {
        Tap::open(self.station.group("mpd")).unwrap()
    }
}

fn start_mpd(dir: &Path) -> Process {
    start(dir, "mpd", "mpd", &["--no-daemon", "--stderr", dir.join("mpd.conf").to_str().unwrap()])
}

#[test]
fn mpd_plays_pauses_seeks_skips_and_restarts() {
    if !have(&["mpd", "mpc", "ffmpeg"]) {
        return;
    }
    let mut mpd = Mpd::new("44100:16:2");
    let tap = mpd.tap();
    let log = |mpd: &Mpd| mpd.station.process.log() + &mpd.process.log();

    let asked = clock::now();
    mpd.mpc(&["play", "1"]);
    let Some(heard) = tap.wait_for_sound(asked, PATIENCE) else { panic!("no sound:\n{}", log(&mpd)) };
    println!("mpd: {:.0} ms from play to the wire", ms(asked, heard));
    let shown = mpd.station.wait_for("mpd", PATIENCE, |now| now["title"] == "Tone 1" && now["state"] == "playing");
    let shown = shown.unwrap_or_else(|| panic!("{}\n{}", mpd.station.playback("mpd"), log(&mpd)));
    assert_eq!(shown["artist"], "The Oscillators");
    assert!(shown["duration_s"].as_f64().is_some_and(|s| (s - 30.0).abs() < 0.5), "{shown}");
    let can: Vec<&str> = shown["can"].as_array().unwrap().iter().filter_map(|can| can.as_str()).collect();
    assert_eq!(can, ["play", "pause", "next", "previous", "seek"]);

    let asked = clock::now();
    mpd.mpc(&["next"]);
    assert!(mpd.station.wait_for("mpd", PATIENCE, |now| now["title"] == "Tone 2").is_some(), "{}", log(&mpd));
    // So long it is listened to for a hole, here and below.
    truth::pause(Duration::from_secs(2));
    println!("mpd: {:.0} ms of silence at next", longest_silence_ms(&tap, asked, clock::now()));
    let asked = clock::now();
    mpd.mpc(&["seek", "00:20"]);
    truth::pause(Duration::from_secs(2));
    println!("mpd: {:.0} ms of silence at seek", longest_silence_ms(&tap, asked, clock::now()));
    assert!(mpd.station.wait_for("mpd", PATIENCE, |now| now["position_s"].as_f64() > Some(20.0)).is_some());

    let asked = clock::now();
    mpd.station.act("mpd", "pause").unwrap();
    let Some(silent) = tap.wait_for_silence(asked, PATIENCE) else { panic!("it plays on:\n{}", log(&mpd)) };
    println!("mpd: {:.0} ms from pause to silence", ms(asked, silent));
    assert!(mpd.station.wait_for("mpd", PATIENCE, |now| now["state"] == "paused").is_some());
    let asked = clock::now();
    mpd.station.act("mpd", "play").unwrap();
    let Some(heard) = tap.wait_for_sound(asked, PATIENCE) else { panic!("no sound:\n{}", log(&mpd)) };
    println!("mpd: {:.0} ms from play after pause to the wire", ms(asked, heard));
    mpd.station.act("mpd", "next").unwrap();
    assert!(mpd.station.wait_for("mpd", PATIENCE, |now| now["title"] == "Tone 3").is_some(), "{}", log(&mpd));
    // Once it has begun, to its beginning; from there to the piece before.
    let went_back = truth::wait_for(PATIENCE, || {
        mpd.station.act("mpd", "previous").ok()?;
        mpd.station.wait_for("mpd", Duration::from_secs(2), |now| now["title"] == "Tone 2")
    });
    assert!(went_back.is_some_and(|now| now["state"] == "playing"), "{}", log(&mpd));

    let asked = clock::now();
    mpd.restart();
    mpd.mpc(&["play", "1"]);
    assert!(mpd.station.wait_for("mpd", PATIENCE, |now| now["title"] == "Tone 1").is_some(), "{}", log(&mpd));
    assert!(tap.wait_for_sound(clock::now(), PATIENCE).is_some(), "no sound after the restart:\n{}", log(&mpd));
    println!("mpd: {:.0} ms of silence at a restart of mpd", longest_silence_ms(&tap, asked, clock::now()));
    mpd.station.assert_unbroken(&tap);
    assert!(mpd.station.process.stop().is_some_and(|status| status.success()), "{}", log(&mpd));
}

#[test]
fn mpd_writes_floating_point() {
    if !have(&["mpd", "mpc", "ffmpeg"]) {
        return;
    }
    let mpd = Mpd::new("44100:f:2");
    let (tap, log) = (mpd.tap(), || mpd.station.process.log() + &mpd.process.log());
    mpd.mpc(&["play", "1"]);
    let heard = truth::wait_for(PATIENCE, || Some(tap.sound(0)).filter(|heard| heard.len() >= 96_000));
    let Some(heard) = heard else { panic!("too little sound:\n{}", log()) };
    // A second of the first tone, which is 441 Hz at an eighth of full scale or a little less.
    let tone = &heard[48_000..96_000];
    let crossings = tone.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
    let peak = tone.iter().fold(0, |peak, sample| sample.abs().max(peak));
    println!("mpd: {crossings} crossings a second and a peak of {peak} by floating point");
    let right = (872..=892).contains(&crossings) && (2_000..5_000).contains(&peak);
    assert!(right || mpd.station.lost_ms() > 40.0, "{crossings} crossings, peak {peak}\n{}", log());
}

/// The longest time between two packets with sound in it.
fn longest_silence_ms(tap: &Tap, from: unisono_common::time::LocalTime, to: unisono_common::time::LocalTime) -> f64 {
    let packets = tap.packets();
    let within = packets.iter().filter(|heard| heard.at - from >= 0 && to - heard.at >= 0);
    let loud: Vec<i64> = within.filter(|h| h.samples.iter().any(|s| s.abs() > 100)).map(|h| h.frame).collect();
    let longest = loud.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    longest as f64 / 48.0 - 5.0
}

/// How a writer begins.
type Begin = fn(&Path, Arc<Signal>, usize) -> std::io::Result<Feeder>;

/// How soon a first writer is heard, many times over: one that is ahead of time, and one that is not.
#[test]
fn a_pipe_is_heard_within_100_ms_of_its_first_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("in.fifo");
    let streams = format!("[[streams]]\nid = \"pipe@\"\nsource = {{ type = \"pipe\", path = {fifo:?} }}\n");
    let station = Station::start(dir.path(), &streams).unwrap();
    let tap = Tap::open(station.group("pipe")).unwrap();
    let signal = Arc::new(noise(48_000, 1 << 18, 3));
    let ways: [(&str, Begin); 2] = [("100 ms ahead of time", Feeder::start), ("in time", Feeder::start_live)];
    for (what, begin) in ways {
        let mut latencies = Vec::new();
        for _ in 0..8 {
            let before = (waits(&station), station.lost_ms());
            let asked = clock::now();
            let feeder = begin(&fifo, signal.clone(), 2).unwrap();
            let Some(heard) = tap.wait_for_sound(asked, PATIENCE) else { panic!("silent: {}", station.process.log()) };
            let (latency, held_up) = (ms(asked, heard), held_up_ms(&station, &before));
            assert!(latency - held_up < 100.0, "{what}: {latency:.0} ms, of which the machine took {held_up:.0}");
            latencies.push(latency);
            drop(feeder);
            let idle = station.wait_for("pipe", PATIENCE, |now| now["state"] == "idle");
            assert!(idle.is_some(), "{}", station.playback("pipe"));
            assert!(tap.wait_for_silence(clock::now(), PATIENCE).is_some());
        }
        latencies.sort_by(f64::total_cmp);
        println!(
            "pipe: {:.0} ms from the first byte of a writer {what} to the wire (worst of 8: {:.0})",
            latencies[4], latencies[7]
        );
    }
}

/// For how long this machine has kept threads waiting since `before` that had something to do, the sender's and ours, in
/// milliseconds. One that is left alone hardly does.
fn held_up_ms(station: &Station, (before, lost_ms): &(BTreeMap<PathBuf, f64>, f64)) -> f64 {
    let grown = waits(station).into_iter().map(|(task, ms)| ms - before.get(&task).copied().unwrap_or(0.0));
    grown.sum::<f64>() + station.lost_ms() - lost_ms
}

/// What each of them has waited for a processor so far.
fn waits(station: &Station) -> BTreeMap<PathBuf, f64> {
    let tasks = [station.process.id(), std::process::id()].map(|id| std::fs::read_dir(format!("/proc/{id}/task")));
    let each = tasks.into_iter().flatten().flatten().flatten();
    // Documentation/scheduler/sched-stats.rst: time on a processor, then time waiting for one, in nanoseconds.
    let waited = each.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ns: f64 = text.split_whitespace().nth(1)?.parse().ok()?;
        Some((task.path(), ns / 1e6))
    });
    waited.collect()
}
