//! What a room does when there is nothing to play: another choice, hooks, and a card that others may have.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use unisono_tests::feeder::Feeder;
use unisono_tests::records::Record;
use unisono_tests::signals::sine;
use unisono_tests::station::Station;
use unisono_tests::truth;

use crate::PATIENCE;
use crate::rooms::{level, room};

/// A pipe that is idle after two seconds of silence.
fn television(fifo: &Path) -> String {
    format!("[[streams]]\nid = \"tv@\"\nidle_after_s = 2\nsource = {{ type = \"pipe\", path = {fifo:?} }}\n")
}

fn feed(fifo: &Path) -> Feeder {
    Feeder::start(fifo, Arc::new(sine(48_000, 500, 0.5)), 2).unwrap()
}

#[test]
fn the_amplifier_is_switched_and_the_card_is_let_go_of_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let (fifo, told) = (dir.path().join("tv.fifo"), dir.path().join("amplifier"));
    let station = Station::start(dir.path(), &television(&fifo)).unwrap();
    let hooks = format!(
        "[idle]\nafter_s = 2\nrelease_card = true\non_play = \"echo $UNISONO_ROOM on >> {0}\"\non_idle = \"echo \
         $UNISONO_ROOM off >> {0}\"\n",
        told.display()
    );
    let first = feed(&fifo);
    let den = room(&station, dir.path(), "den", "tv", &hooks);
    let record = || Record::open(&dir.path().join("den")).ok();
    let said = |wanted: &str| {
        let said = || Some(std::fs::read_to_string(&told).unwrap_or_default()).filter(|said| said == wanted);
        let now = truth::wait_for(PATIENCE, said);
        assert!(now.is_some(), "{wanted:?}: {:?}\n{}", std::fs::read_to_string(&told), den.log());
    };
    said("den on\n");
    assert!(truth::wait_for(PATIENCE, || record()?.first_sound(0, 0.1)).is_some(), "{}", den.log());

    drop(first);
    said("den on\nden off\n");
    // The card does not run any longer.
    let stopped = || (record()?.segments.last()?.end_ns() < truth::now_ns() - 1_000_000_000).then_some(());
    assert!(truth::wait_for(PATIENCE, stopped).is_some(), "{}", den.log());

    let again = truth::now_ns();
    let _second = feed(&fifo);
    said("den on\nden off\nden on\n");
    let sound = truth::wait_for(PATIENCE, || record()?.first_sound(again, 0.1));
    let sound = sound.unwrap_or_else(|| panic!("silent:\n{}", den.log()));
    println!("idle: a card that was let go of sounds {:.0} ms after the writer came", (sound - again) as f64 / 1e6);
}

#[test]
fn a_room_plays_its_next_choice_while_its_stream_is_idle() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("tv.fifo");
    let radio = "[[streams]]\nid = \"radio@\"\nsource = { type = \"tone\", level_db = -20 }\n";
    let station = Station::start(dir.path(), &(television(&fifo) + radio)).unwrap();
    let first = feed(&fifo);
    let den = room(&station, dir.path(), "den", "tv", "");
    let plays = |wanted: f64| {
        let now = || {
            let level = level(&Record::open(&dir.path().join("den")).ok()?, truth::now_ns() - 400_000_000);
            ((level - wanted).abs() < wanted / 10.0).then_some(())
        };
        assert!(truth::wait_for(PATIENCE, now).is_some(), "{wanted}:\n{}\n{}", den.log(), station.process.log());
    };
    plays(0.5);
    let id = || {
        let house = station.target().get("/api/v1/house").ok()?;
        Some(house["rooms"][0]["id"].as_str()?.to_owned())
    };
    let path = format!("/api/v1/rooms/{}", truth::wait_for(PATIENCE, id).unwrap());
    let otherwise = json!({ "otherwise": [station.id("radio")] });
    station.target().ask("PATCH", &path, Some(&otherwise)).unwrap();
    plays(0.5);
    drop(first);
    plays(0.1);
    assert_eq!(station.playback("tv")["idle"], true);
    let again = truth::now_ns();
    let _second = feed(&fifo);
    plays(0.5);
    println!("idle: back from another stream within {:.0} ms", (truth::now_ns() - again) as f64 / 1e6);
}
