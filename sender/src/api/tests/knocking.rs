//! Rooms at the door, strangers and copies.

use super::*;

#[test]
fn a_new_room_waits_at_the_door_until_it_is_let_in() {
    let served = Served::new(AutoApprove::Never);
    let mut room = served.room("kitchen1");
    let Some(FromHub::Wait(wait)) = room.hear() else { panic!("it should wait") };
    assert_eq!(wait.streams.len(), 2);
    let view = served.wait_for("/api/v1/rooms/kitchen1", |room| room["presence"] == "at_the_door");
    assert_eq!(view["code"], json!(wait.code));
    let refused = served.local().ask("PUT", "/api/v1/subscriptions/kitchen1", Some(&json!({"stream": "tv"})));
    assert!(refused.unwrap_err().to_string().contains("let in"));
    served.local().ask("POST", "/api/v1/rooms/kitchen1/admit", None).unwrap();
    assert!(matches!(room.hear(), Some(FromHub::Welcome(_))));
    room.orders();
    served.local().ask("POST", "/api/v1/rooms/kitchen1/identify", None).unwrap();
    assert_eq!(room.hear(), Some(FromHub::Identify));
}

#[test]
fn a_room_at_the_door_chirps_and_once_turned_away_may_not_knock_again_soon() {
    let served = Served::new(AutoApprove::Never);
    let keys = Keys::generate().unwrap();
    let mut room = Room::dial(served.address(), "kitchen1", &keys);
    assert!(matches!(room.hear(), Some(FromHub::Wait(_))));
    served.local().ask("POST", "/api/v1/rooms/kitchen1/identify", None).unwrap();
    assert_eq!(room.hear(), Some(FromHub::Identify));
    served.local().ask("DELETE", "/api/v1/rooms/kitchen1", None).unwrap();
    assert_eq!(Room::dial(served.address(), "kitchen1", &keys).hear(), None);
    assert_eq!(served.local().get("/api/v1/rooms").unwrap(), json!([]));
    assert!(matches!(served.room("kitchen2").hear(), Some(FromHub::Wait(_))));
}

#[test]
fn a_stranger_with_the_id_of_a_room_stays_at_the_door() {
    let served = Served::new(AutoApprove::Never);
    let keys = Keys::generate().unwrap();
    let mut room = Room::dial(served.address(), "kitchen1", &keys);
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["presence"] == "at_the_door");
    served.local().ask("POST", "/api/v1/rooms/kitchen1/admit", None).unwrap();
    room.orders();
    drop(room);
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["presence"] == "gone");
    let mut stranger = served.room("kitchen1");
    assert!(matches!(stranger.hear(), Some(FromHub::Wait(_))));
    drop(stranger);
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["presence"] == "gone");
    assert!(matches!(Room::dial(served.address(), "kitchen1", &keys).hear(), Some(FromHub::Welcome(_))));
}

#[test]
fn a_copy_of_a_room_that_is_here_must_take_another_id() {
    let served = Served::new(AutoApprove::Always);
    let keys = Keys::generate().unwrap();
    let mut room = Room::dial(served.address(), "kitchen1", &keys);
    room.orders();
    let mut twin = Room::dial(served.address(), "kitchen1", &keys);
    let alive = std::thread::spawn(move || {
        for _ in 0..100 {
            room.report(Health { state: State::Playing, ..Health::default() });
            std::thread::sleep(Duration::from_millis(20));
        }
        room
    });
    assert_eq!(twin.hear(), Some(FromHub::Cloned));
    drop(alive.join());
}

#[test]
fn a_room_that_comes_back_before_its_old_link_is_known_to_be_dead_takes_its_place() {
    let served = Served::new(AutoApprove::Always);
    let keys = Keys::generate().unwrap();
    let mut silent = Room::dial(served.address(), "kitchen1", &keys);
    silent.orders();
    let mut room = Room::dial(served.address(), "kitchen1", &keys);
    assert!(matches!(room.hear(), Some(FromHub::Welcome(_))));
    while silent.hear().is_some() {}
    assert_eq!(served.local().get("/api/v1/rooms/kitchen1").unwrap()["presence"], "here");
}

/// A room with its own key that was let in, is named, is part of a scene, and has gone.
fn kept(served: &Served) -> Keys {
    let keys = Keys::generate().unwrap();
    let mut room = Room::dial(served.address(), "kitchen1", &keys);
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["presence"] == "at_the_door");
    served.local().ask("POST", "/api/v1/rooms/kitchen1/admit", None).unwrap();
    room.orders();
    served.ask("PATCH", "/api/v1/rooms/kitchen1", json!({"name": "Küche"}));
    served.ask("POST", "/api/v1/scenes", json!({"name": "Morning"}));
    drop(room);
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["presence"] == "gone");
    keys
}

#[test]
fn a_stranger_that_is_turned_away_takes_no_room_with_it() {
    let served = Served::new(AutoApprove::Never);
    let keys = kept(&served);
    let impostor = Keys::generate().unwrap();
    let mut stranger = Room::dial(served.address(), "kitchen1", &impostor);
    assert!(matches!(stranger.hear(), Some(FromHub::Wait(_))));
    served.local().ask("DELETE", "/api/v1/rooms/kitchen1", None).unwrap();
    assert_eq!(stranger.hear(), None);
    let room = served.local().get("/api/v1/rooms/kitchen1").unwrap();
    assert_eq!((&room["name"], &room["presence"]), (&json!("Küche"), &json!("gone")));
    assert!(served.hub.house(|house| house.scenes.values().all(|scene| scene.rooms.contains_key("kitchen1"))));
    assert_eq!(Room::dial(served.address(), "kitchen1", &impostor).hear(), None);
    assert!(matches!(Room::dial(served.address(), "kitchen1", &keys).hear(), Some(FromHub::Welcome(_))));
}

#[test]
fn a_copied_card_that_is_turned_away_does_not_keep_its_original_out() {
    let served = Served::new(AutoApprove::Never);
    let keys = kept(&served);
    let mut copy = Room::dial(served.address(), "kitchen2", &keys);
    assert!(matches!(copy.hear(), Some(FromHub::Wait(_))));
    served.local().ask("DELETE", "/api/v1/rooms/kitchen2", None).unwrap();
    assert_eq!(Room::dial(served.address(), "kitchen2", &keys).hear(), None);
    assert!(matches!(Room::dial(served.address(), "kitchen1", &keys).hear(), Some(FromHub::Welcome(_))));
}

#[test]
fn a_room_without_a_card_cannot_chirp_and_says_so() {
    let served = Served::new(AutoApprove::Always);
    let mut room = served.room("kitchen1");
    room.orders();
    room.report(Health { state: State::NoCard, ..Health::default() });
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["health"]["state"] == "no_card");
    let (status, text) = served.local().text("POST", "/api/v1/rooms/kitchen1/identify", None).unwrap();
    assert_eq!(status, 409, "{text}");
    assert!(text.contains("/problems/no-card") && text.contains("Room kitchen1 has no sound card"), "{text}");
}
