//! Streams that come, go, change and fail beside one that must stay perfect.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use unisono_host::clock;
use unisono_tests::feeder::Feeder;
use unisono_tests::signals::{Signal, noise};
use unisono_tests::stalls::Watch;
use unisono_tests::station::{Station, Tap};
use unisono_tests::truth;

use crate::{PATIENCE, have, tone};

/// A stream fed with noise, and what is needed to judge it.
struct Perfect {
    signal: Arc<Signal>,
    _feeder: Feeder,
    watch: Watch,
}

fn stream(fifo: &Path) -> String {
    format!("[[streams]]\nid = \"perfect@\"\nsource = {{ type = \"pipe\", path = {fifo:?} }}\n")
}

impl Perfect {
    fn start(fifo: &Path) -> Self {
        let signal = Arc::new(noise(48_000, 1 << 20, 11));
        Perfect { _feeder: Feeder::start(fifo, signal.clone(), 2).unwrap(), signal, watch: Watch::start() }
    }

    /// Every sample is the signal's, from the first to the last, and no packet is missing. A machine that stands still for
    /// longer than the queue lasts breaks it off once a time, and no oftener.
    fn assert_bit_exact(self, station: &Station, tap: &Tap, seconds: usize) {
        let (heard, stalls) = (tap.sound(0), self.watch.finish());
        assert!(heard.len() > seconds * 48_000, "only {} frames", heard.len());
        let wanted = self.signal.stereo_pcm(0, heard.len() + 2 * 48_000, 2);
        let wanted: Vec<i32> =
            wanted.chunks_exact(4).map(|frame| i32::from(i16::from_le_bytes([frame[0], frame[1]]))).collect();
        let breaks = breaks(&heard, &wanted);
        println!("beside: {} s, breaks at {breaks:?}; {stalls:?}", heard.len() / 48_000);
        assert!(breaks.len() <= stalls.over_40_ms as usize, "{breaks:?}; {stalls:?}\n{}", station.process.log());
        station.assert_unbroken(tap);
    }
}

/// So many samples in a row are no coincidence.
const PROBE: usize = 48;

/// Where what was heard is no longer what was to be heard. After each break the place is looked for anew: silence comes in
/// between, and a writer that is held up leaves nothing out.
fn breaks(heard: &[i32], wanted: &[i32]) -> Vec<usize> {
    let mut breaks = Vec::new();
    // The tap may have come late.
    let (mut at, mut place) = (4_800, find(&heard[4_800..4_800 + PROBE], wanted).expect("it is another signal"));
    while at < heard.len() {
        if heard[at] == wanted[place] {
            (at, place) = (at + 1, place + 1);
            continue;
        }
        breaks.push(at);
        let found = (at..heard.len().saturating_sub(PROBE)).find_map(|next| {
            let probe = &heard[next..next + PROBE];
            let behind = place.saturating_sub(480)..wanted.len().min(place + 48_000);
            let from = behind.start;
            (probe.iter().any(|sample| *sample != 0))
                .then(|| find(probe, &wanted[behind]))
                .flatten()
                .map(|p| (next, from + p))
        });
        let Some(next) = found else { break };
        (at, place) = next;
    }
    breaks
}

fn find(probe: &[i32], wanted: &[i32]) -> Option<usize> {
    wanted.windows(probe.len()).position(|window| window == probe)
}

#[test]
fn one_source_of_each_kind_failing_in_a_loop_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("perfect.fifo");
    let failing = format!(
        r#"
        [[streams]]
        id = "library@"
        source = {{ type = "library", path = {empty:?} }}
        [[streams]]
        id = "pipe@"
        source = {{ type = "pipe", path = {stuttering:?} }}
        [[streams]]
        id = "command@"
        source = {{ type = "command", command = "head -c 5001 /dev/urandom; exit 1" }}
        [[streams]]
        id = "http@"
        source = {{ type = "http", url = "http://127.0.0.1:1/" }}
        [[streams]]
        id = "capture@"
        source = {{ type = "capture", device = "hw:CARD=nonesuch" }}
        [[streams]]
        id = "rtp@"
        source = {{ type = "rtp", session = "nobody sends this" }}
        [[streams]]
        id = "mix@"
        source = {{ type = "mix", streams = ["command@", "http@"] }}
        "#,
        empty = dir.path().join("empty"),
        stuttering = dir.path().join("stuttering.fifo"),
    );
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let mut station = Station::start(dir.path(), &(stream(&fifo) + &failing)).unwrap();
    let tap = Tap::open(station.group("perfect")).unwrap();
    let perfect = Perfect::start(&fifo);
    // A writer that comes, writes odd bytes, and goes, again and again.
    let path = dir.path().join("stuttering.fifo");
    let until = clock::now() + 12_000_000_000;
    while clock::now() < until {
        let _ = std::fs::write(&path, [7; 1_001]);
        truth::pause(Duration::from_millis(20));
    }
    for name in ["library", "command", "http", "capture", "rtp"] {
        let failed = station.wait_for(name, PATIENCE, |now| now["state"] == "failed");
        let failed = failed.unwrap_or_else(|| panic!("{name}: {}\n{}", station.playback(name), station.process.log()));
        assert!(failed["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{name}: {failed}");
    }
    assert_eq!(station.playback("perfect")["state"], "playing");
    // The log says the same, and is not flooded by the one that stutters 50 times a second.
    let log = station.process.log();
    let told = |name: &str, what: &str| {
        let id = station.id(name);
        log.lines().filter(|line| line.contains(&id) && line.contains(what)).count()
    };
    for name in ["library", "command", "http", "capture", "rtp"] {
        assert!(told(name, "failed: ") > 0, "{name}:\n{log}");
    }
    assert!(told("perfect", "playing") > 0, "{log}");
    assert!((1..200).contains(&told("pipe", "")), "{} lines:\n{log}", told("pipe", ""));
    perfect.assert_bit_exact(&station, &tap, 10);
    assert!(station.process.stop().is_some_and(|status| status.success()), "{}", station.process.log());
}

#[test]
fn what_is_missing_at_the_start_keeps_nobody_from_playing_and_plays_once_it_is_there() {
    if !have(&["ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (fifo, late) = (dir.path().join("perfect.fifo"), dir.path().join("late"));
    let missing = format!(
        "[[streams]]\nid = \"library@\"\nsource = {{ type = \"library\", path = {:?} }}\n[[streams]]\nid = \"pipe@\"\n\
         source = {{ type = \"pipe\", path = {:?} }}\n",
        late.join("music"),
        late.join("pipe.fifo")
    );
    let mut station = Station::start(dir.path(), &(stream(&fifo) + &missing)).unwrap();
    let taps = ["perfect", "library", "pipe"].map(|name| Tap::open(station.group(name)).unwrap());
    let perfect = Perfect::start(&fifo);
    for name in ["library", "pipe"] {
        let failed = station.wait_for(name, PATIENCE, |now| now["state"] == "failed").unwrap();
        assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("/late/")), "{failed}");
    }
    // The disk is mounted.
    let disk = dir.path().join("disk");
    std::fs::create_dir_all(disk.join("music")).unwrap();
    tone(&disk.join("music/1.flac"), 500, 30, "Late");
    let mounted = clock::now();
    std::fs::rename(&disk, &late).unwrap();
    assert!(truth::wait_for(PATIENCE, || late.join("pipe.fifo").exists().then_some(())).is_some());
    let _feeder = Feeder::start(&late.join("pipe.fifo"), perfect.signal.clone(), 2).unwrap();
    for (name, tap) in ["library", "pipe"].iter().zip(&taps[1..]) {
        let heard = tap.wait_for_sound(mounted, PATIENCE);
        assert!(heard.is_some(), "{name}: {}\n{}", station.playback(name), station.process.log());
    }
    assert!(station.wait_for("library", PATIENCE, |now| now["title"] == "Late" && now["state"] == "playing").is_some());
    perfect.assert_bit_exact(&station, &taps[0], 1);
    assert!(station.process.stop().is_some_and(|status| status.success()), "{}", station.process.log());
}

#[test]
fn streams_come_change_and_go_while_others_play_on() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("perfect.fifo");
    let mut station = Station::start(dir.path(), &stream(&fifo)).unwrap();
    let tap = Tap::open(station.group("perfect")).unwrap();
    let perfect = Perfect::start(&fifo);
    let other = |source: &str| stream(&fifo) + &format!("[[streams]]\nid = \"other@\"\n{source}\n");
    let other_tap = Tap::open(station.group("other")).unwrap();
    for _ in 0..3 {
        let added = station.reconfigure(&other("source = { type = \"tone\" }")).unwrap();
        assert_eq!(added["added"], serde_json::json!([station.id("other")]), "{added}");
        assert!(other_tap.wait_for_sound(clock::now(), PATIENCE).is_some());
        let changed = station.reconfigure(&other("source = { type = \"demo\" }")).unwrap();
        assert_eq!(changed["changed"], serde_json::json!([station.id("other")]), "{changed}");
        assert!(other_tap.wait_for_sound(clock::now(), PATIENCE).is_some());
        let renamed = station.reconfigure(&other("name = \"New\"\nsource = { type = \"demo\" }")).unwrap();
        assert_eq!(renamed["changed"], serde_json::json!([station.id("other")]), "{renamed}");
        assert!(other_tap.wait_for_sound(clock::now(), PATIENCE).is_some());
        let removed = station.reconfigure(&stream(&fifo)).unwrap();
        assert_eq!(removed["removed"], serde_json::json!([station.id("other")]), "{removed}");
        let wrong = station.reconfigure("[[streams]]\nid = \"X\"\n").unwrap_err().to_string();
        assert!(wrong.contains("station.toml"), "{wrong}");
    }
    // It plays on after them too.
    truth::pause(Duration::from_secs(2));
    assert_eq!(station.playback("perfect")["state"], "playing");
    perfect.assert_bit_exact(&station, &tap, 2);
    assert!(station.process.stop().is_some_and(|status| status.success()), "{}", station.process.log());
}

#[test]
fn a_mix_plays_the_first_that_sounds_in_step_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let bell = dir.path().join("bell.fifo");
    let streams = format!(
        "[[streams]]\nid = \"bell@\"\nsource = {{ type = \"pipe\", path = {bell:?} }}\n[[streams]]\nid = \"radio@\"\n\
         source = {{ type = \"tone\" }}\n[[streams]]\nid = \"all@\"\n\
         source = {{ type = \"mix\", streams = [\"bell@\", \"radio@\"], duck_db = -60, hold_ms = 200 }}\n"
    );
    let station = Station::start(dir.path(), &streams).unwrap();
    let (radio, all) = (Tap::open(station.group("radio")).unwrap(), Tap::open(station.group("all")).unwrap());
    assert!(all.wait_for_sound(clock::now(), PATIENCE).is_some(), "{}", station.process.log());
    let same = |one: &Tap, other: &Tap| {
        let others = other.packets();
        let packets = one.packets();
        let pairs = packets.iter().filter_map(|a| Some((a, others.iter().find(|b| b.frame == a.frame)?)));
        pairs.rev().take(20).filter(|(a, b)| a.samples == b.samples).count()
    };
    let is_radio = || truth::wait_for(PATIENCE, || (same(&radio, &all) >= 20).then_some(())).is_some();
    assert!(is_radio(), "while the bell is silent, packet for packet the radio");
    assert!(
        station.wait_for("all", PATIENCE, |now| now["title"].as_str().is_some_and(|t| t.contains("Tone"))).is_some()
    );
    let signal = Arc::new(noise(48_000, 1 << 18, 5));
    let feeder = Feeder::start(&bell, signal, 2).unwrap();
    let bell = Tap::open(station.group("bell")).unwrap();
    assert!(bell.wait_for_sound(clock::now(), PATIENCE).is_some());
    assert!(truth::wait_for(PATIENCE, || (same(&bell, &all) >= 20).then_some(())).is_some(), "now it is the bell");
    drop(feeder);
    assert!(is_radio(), "and the radio again");
}
