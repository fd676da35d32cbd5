//! The command line against a real hub.

use super::*;
use crate::client::ClientError;

/// What `ctl` prints.
fn said(served: &Served, words: &[&str]) -> Result<String, ClientError> {
    let start = ["unisono-sender", "ctl", "--state-dir", served.state.path().to_str().unwrap()];
    match crate::cli::command(start.iter().chain(words).map(std::ffi::OsString::from)) {
        Ok(crate::cli::Command::Ctl(hub, request)) => crate::ctl::run(&hub, &request),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_sees_and_changes_the_house() {
    let served = Served::new(AutoApprove::Always);
    let mut room = served.room("kitchen1");
    room.orders();
    let ctl = |words: &[&str]| said(&served, words);
    ctl(&["patch", "room KITCHEN1", "TV"]).unwrap();
    assert_eq!(room.orders().stream.unwrap().id, "tv");
    ctl(&["volume", "kitchen1", "50%"]).unwrap();
    assert_eq!(room.orders().volume_db, -15.58);
    ctl(&["keep", "Evening"]).unwrap();
    ctl(&["patch", "everywhere", "none"]).unwrap();
    assert_eq!(room.orders().stream, None);
    ctl(&["recall", "evening"]).unwrap();
    assert_eq!(room.orders().stream.unwrap().id, "tv");
    let rooms = ctl(&["rooms"]).unwrap();
    assert!(rooms.starts_with("name") && rooms.contains("Room kitchen1  here"), "{rooms}");
    let json: Value = serde_json::from_str(&ctl(&["rooms", "--json"]).unwrap()).unwrap();
    assert_eq!(json[0]["id"], "kitchen1");
    assert!(ctl(&["patch", "attic", "tv"]).unwrap_err().to_string().contains("there is: Room kitchen1"));
    assert!(ctl(&["volume", "kitchen1", "loud"]).unwrap_err().to_string().contains("0% to 100%"));
    let house = served.local().get("/api/v1/house").unwrap();
    let picture = crate::watch::picture(&house, &served.network(None), None, 40);
    assert!(picture.contains("So What") && picture.contains("Room kitchen1"), "{picture}");
    assert!(picture.ends_with(&format!("The page: http://{}/\n", served.address())), "{picture}");
    let link = "http://127.0.0.1:7680/sign-in?token=of-more-than-forty-characters";
    assert!(crate::watch::picture(&house, &served.network(None), Some(link), 40).ends_with(&format!("{link}\n")));
}

#[test]
fn the_command_line_changes_groups() {
    let served = Served::new(AutoApprove::Always);
    let _rooms = ["kitchen1", "bathroom", "bedroom1"].map(|id| {
        let mut room = served.room(id);
        room.orders();
        room
    });
    let ctl = |words: &[&str]| said(&served, words);
    let groups = || serde_json::from_str::<Value>(&ctl(&["groups", "--json"]).unwrap()).unwrap();
    ctl(&["group", "Down", "kitchen1", "room bathroom"]).unwrap();
    ctl(&["volume", "down", "-20"]).unwrap();
    ctl(&["join", "down", "bedroom1"]).unwrap();
    ctl(&["mute", "down"]).unwrap();
    ctl(&["rename", "down", "Ground floor"]).unwrap();
    let group = groups()[0].clone();
    assert_eq!((&group["name"], &group["volume_db"]), (&json!("Ground floor"), &json!(-20.0)));
    assert_eq!((&group["rooms"], &group["mute"]), (&json!(["bathroom", "bedroom1", "kitchen1"]), &json!(true)));
    ctl(&["leave", "ground floor", "bathroom"]).unwrap();
    ctl(&["unmute", "ground floor"]).unwrap();
    assert_eq!(groups()[0]["rooms"], json!(["bedroom1", "kitchen1"]));
    assert_eq!(groups()[0]["mute"], false);
    let refused = |words: &[&str]| ctl(words).unwrap_err().to_string();
    assert!(refused(&["leave", "ground floor", "bathroom"]).contains("not in this group"));
    assert!(refused(&["leave", "ground floor", "bedroom1"]).contains("ungroup"));
    assert!(refused(&["join", "attic", "bathroom"]).contains("there is: Ground floor"));
    ctl(&["ungroup", "ground floor"]).unwrap();
    assert_eq!(groups(), json!([]));
}

#[test]
fn the_command_line_rewrites_and_forgets_scenes_and_sets_fall_backs() {
    let served = Served::new(AutoApprove::Always);
    let mut room = served.room("kitchen1");
    room.orders();
    let ctl = |words: &[&str]| said(&served, words);
    let scenes = || serde_json::from_str::<Value>(&ctl(&["scenes", "--json"]).unwrap()).unwrap();
    ctl(&["keep", "Evening"]).unwrap();
    ctl(&["patch", "everywhere", "none"]).unwrap();
    assert_eq!(scenes()[0]["current"], false);
    ctl(&["keep", "evening"]).unwrap();
    let kept = scenes();
    assert_eq!(kept.as_array().unwrap().len(), 1, "{kept}");
    assert_eq!((&kept[0]["name"], &kept[0]["current"]), (&json!("Evening"), &json!(true)));
    ctl(&["forget-scene", "EVENING"]).unwrap();
    assert_eq!(scenes(), json!([]));
    assert!(ctl(&["forget-scene", "Evening"]).unwrap_err().to_string().contains("there is: nothing"));

    let otherwise = || served.local().get("/api/v1/rooms/kitchen1").unwrap()["otherwise"].clone();
    ctl(&["otherwise", "room kitchen1", "TV", "radio"]).unwrap();
    assert_eq!(otherwise(), json!(["tv", "radio"]));
    assert!(ctl(&["otherwise", "kitchen1", "opera"]).unwrap_err().to_string().contains("there is: RADIO, TV"));
    ctl(&["otherwise", "kitchen1", "none"]).unwrap();
    assert_eq!(otherwise(), json!([]));
}
