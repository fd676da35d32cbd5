//! An announcement in two rooms that play different streams: heard in both at once, over music that dips and returns, and
//! not in a third one.

use std::time::Duration;

use serde_json::{Value, json};
use unisono_tests::records::Record;
use unisono_tests::station::Station;
use unisono_tests::truth;

use crate::PATIENCE;
use crate::rooms::{level, room};

#[test]
fn an_announcement_is_heard_in_two_rooms_at_once_and_the_music_returns() {
    let dir = tempfile::tempdir().unwrap();
    let streams = "[[streams]]\nid = \"one@\"\nsource = { type = \"tone\", level_db = -20 }\n[[streams]]\nid = \"two@\"\n\
                   source = { type = \"tone\", frequency = 333, level_db = -20 }\n";
    let station = Station::start(dir.path(), streams).unwrap();
    let of = |name: &str, stream: &str| room(&station, dir.path(), name, stream, "");
    let _rooms = [of("one", "one"), of("two", "two"), of("three", "one")];
    let record = |name: &str| Record::open(&dir.path().join(name)).ok();
    let sounds = |name: &str, from: i64| truth::wait_for(PATIENCE, || record(name)?.first_sound(from, 0.01));
    for name in ["one", "two", "three"] {
        assert!(sounds(name, 0).is_some(), "{name} is silent:\n{}", station.process.log());
    }
    let rooms = || {
        let house = station.target().get("/api/v1/house").ok()?;
        let id = |room: &Value| Some(room["id"].as_str()?.to_owned()).filter(|_| room["presence"] == "here");
        let rooms: Vec<(Value, String)> =
            house["rooms"].as_array()?.iter().filter_map(|room| Some((room["name"].clone(), id(room)?))).collect();
        (rooms.len() == 3).then_some(rooms)
    };
    let rooms = truth::wait_for(PATIENCE, rooms).unwrap();
    let some: Vec<String> = rooms.into_iter().filter(|(name, _)| name != "three").map(|(_, id)| id).collect();
    // A second of full scale.
    let file = dir.path().join("bell.wav");
    crate::run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "aevalsrc=0.8*sin(2*PI*1500*t):d=1:s=48000",
            file.to_str().unwrap(),
        ],
    );
    let asked = truth::now_ns();
    let answer = station.announce(&std::fs::read(&file).unwrap(), &some).unwrap();
    assert_eq!(answer["rooms"].as_array().map(Vec::len), Some(2), "{answer}");
    let rings = |name: &str| truth::wait_for(PATIENCE, || record(name)?.first_sound(asked, 0.5));
    let (one, two) = (rings("one"), rings("two"));
    let (Some(one), Some(two)) = (one, two) else { panic!("not heard: {one:?} {two:?}\n{}", station.process.log()) };
    println!(
        "announcement: {:.0} ms from the request, {} us apart",
        (one - asked) as f64 / 1e6,
        (one - two).abs() / 1_000
    );
    assert!((one - two).abs() < 5_000_000, "{} us apart", (one - two) / 1_000);
    // The whole of it, and the music after it.
    truth::pause(Duration::from_secs(6));
    for (name, began) in [("one", one), ("two", two)] {
        let record = record(name).unwrap();
        assert!(level(&record, began + 500_000_000) > 0.7, "{name}: the announcement");
        let dipped = level(&record, began + 1_300_000_000);
        assert!(dipped < 0.05, "{name}: the music is down right after it, {dipped}");
        let back = level(&record, began + 4_000_000_000);
        assert!((back - 0.1).abs() < 0.02, "{name}: the music is back, {back}");
    }
    let three = record("three").unwrap();
    for ms in (0..4_000).step_by(50) {
        let level = level(&three, one + ms * 1_000_000);
        assert!(level < 0.15, "three: it hears it too, {level} {ms} ms on");
    }
    let house = station.target().get("/api/v1/house").unwrap();
    let patched =
        |id: &str| house["rooms"].as_array().unwrap().iter().any(|room| room["stream"] == json!(station.id(id)));
    assert!(patched("one") && patched("two"), "{house}");
}
