//! A room says which it is when somebody asks it to by the hub's API, and is no louder then than it may ever be.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "sources/rooms.rs"]
mod rooms;

use std::time::Duration;

use rooms::{level, room};
use unisono_tests::records::Record;
use unisono_tests::station::Station;
use unisono_tests::truth;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_room_that_let_go_of_its_card_takes_it_back_to_say_which_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("tv.fifo");
    let television = format!("[[streams]]\nid = \"tv@\"\nsource = {{ type = \"pipe\", path = {fifo:?} }}\n");
    let station = Station::start(dir.path(), &television).unwrap();
    let quiet = "max_volume_db = -20.0\n[idle]\nafter_s = 2\nrelease_card = true\n";
    let den = room(&station, dir.path(), "den", "tv", quiet);
    let released = |times: usize| {
        let let_go = || (den.log().matches("the card is let go of").count() == times).then_some(());
        assert!(truth::wait_for(PATIENCE, let_go).is_some(), "{times}:\n{}", den.log());
    };
    released(1);

    let id = || {
        let house = station.target().get("/api/v1/house").ok()?;
        let den = house["rooms"].get(0).filter(|den| den["presence"] == "here")?;
        Some(den["id"].as_str()?.to_owned())
    };
    let path = format!("/api/v1/rooms/{}/identify", truth::wait_for(PATIENCE, id).unwrap());
    let asked = truth::now_ns();
    station.target().ask("POST", &path, None).unwrap();
    let record = || Record::open(&dir.path().join("den")).ok();
    let sound = truth::wait_for(PATIENCE, || record()?.first_sound(asked, 0.05));
    let sound = sound.unwrap_or_else(|| panic!("no chirp:\n{}", den.log()));
    println!("identify: a card that was let go of sounds after {:.0} ms", (sound - asked) as f64 / 1e6);
    // It has the card for as long as for any other sound.
    released(2);
    let loudest = level(&record().unwrap(), sound + 30_000_000);
    assert!((0.09..0.102).contains(&loudest), "{loudest}");
}
