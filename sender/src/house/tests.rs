use super::group::GroupChange;
use super::room::{Admission, RoomChange};
use super::*;
use proptest::prelude::*;
use unisono_common::control::{MAX_TRIM_US, SILENCE_DB};

fn hello(id: &str) -> Hello {
    Hello { room_id: id.into(), room: format!("Room {id}"), volume_db: Some(-10.0), ..Hello::default() }
}

/// Rooms `a`, `b` and `c`, let in, on the stream "radio".
fn house() -> House {
    let mut house = House::default();
    for id in ["a", "b", "c"] {
        house.greet(&hello(id), Admission::LetIn, Some("radio")).unwrap();
    }
    house
}

fn volume(db: f32) -> RoomChange {
    RoomChange { volume_db: Some(db), ..RoomChange::default() }
}

fn level(db: f32) -> GroupChange {
    GroupChange { volume_db: Some(db), ..GroupChange::default() }
}

fn sdp(_: &str) -> Option<String> {
    Some("v=0\n".into())
}

#[test]
fn a_new_room_goes_on_with_what_it_does() {
    let mut house = House::default();
    let pinned = Hello { stream: Some("tv".into()), trim_us: 300, ..hello("a") };
    house.greet(&pinned, Admission::LetIn, Some("radio")).unwrap();
    let orders = house.orders("a", sdp, |_| false).unwrap();
    assert_eq!((orders.stream.unwrap().id.as_str(), orders.volume_db, orders.trim_us), ("tv", -10.0, 300));
}

#[test]
fn a_room_at_the_door_gets_no_orders_and_cannot_be_changed() {
    let mut house = House::default();
    house.greet(&hello("a"), Admission::AtTheDoor, None).unwrap();
    assert_eq!(house.orders("a", sdp, |_| false), None);
    assert_eq!(house.patch("a", Some("radio")), Err(Refusal::AtTheDoor("Room a".into())));
    house.admit("a").unwrap();
    assert!(house.orders("a", sdp, |_| false).is_some());
    house.greet(&hello("a"), Admission::AtTheDoor, None).unwrap();
    assert!(house.orders("a", sdp, |_| false).is_some(), "who was let in stays in");
}

#[test]
fn a_renamed_room_keeps_the_hubs_name() {
    let mut house = house();
    house.change_room("a", &RoomChange { name: Some(" Bath ".into()), ..RoomChange::default() }).unwrap();
    house.greet(&hello("a"), Admission::LetIn, None).unwrap();
    assert_eq!(house.rooms["a"].name, "Bath");
}

#[test]
fn two_rooms_of_one_name_are_told_apart() {
    let mut house = house();
    house.greet(&Hello { room: "Room a".into(), ..hello("d") }, Admission::LetIn, None).unwrap();
    assert_eq!(house.rooms["d"].name, "Room a 2");
}

#[test]
fn a_refused_change_changes_nothing() {
    let mut house = house();
    let before = house.clone();
    let change = RoomChange { name: Some("Bath".into()), volume_db: Some(3.0), ..RoomChange::default() };
    assert!(matches!(house.change_room("a", &change), Err(Refusal::Range { .. })));
    let change = GroupChange { name: Some("x".repeat(65)), ..level(-3.0) };
    house.form_group("g", "Down", &["a".into(), "b".into()]).unwrap();
    house.dissolve_group("g").unwrap();
    assert!(house.change_group("g", &change).is_err());
    assert_eq!(house, before);
}

#[test]
fn the_maximum_holds_whoever_asks() {
    let mut house = house();
    house.change_room("a", &RoomChange { max_db: Some(-20.0), ..RoomChange::default() }).unwrap();
    assert_eq!(house.rooms["a"].volume_db, -20.0);
    house.change_room("a", &volume(0.0)).unwrap();
    assert_eq!(house.rooms["a"].volume_db, -20.0);
    house.form_group("g", "Down", &["a".into(), "b".into()]).unwrap();
    house.change_group("g", &level(0.0)).unwrap();
    assert_eq!(house.rooms["a"].volume_db, -20.0);
    assert_eq!(house.rooms["b"].volume_db, 0.0);
}

#[test]
fn balance_survives_a_trip_to_the_bottom_and_back() {
    let mut house = house();
    house.change_room("b", &volume(-30.0)).unwrap();
    house.form_group("g", "Down", &["a".into(), "b".into()]).unwrap();
    house.change_group("g", &level(SILENCE_DB)).unwrap();
    assert_eq!(house.rooms["b"].volume_db, SILENCE_DB);
    house.change_group("g", &level(-5.0)).unwrap();
    assert_eq!((house.rooms["a"].volume_db, house.rooms["b"].volume_db), (-5.0, -25.0));
}

#[test]
fn rooms_of_a_group_follow_each_other() {
    let mut house = house();
    house.patch("c", Some("tv")).unwrap();
    house.form_group("g", "Down", &["a".into(), "c".into()]).unwrap();
    assert_eq!(house.rooms["c"].stream.as_deref(), Some("radio"));
    house.patch("c", Some("tv")).unwrap();
    let streams: Vec<_> = house.rooms.values().map(|room| room.stream.as_deref()).collect();
    assert_eq!(streams, [Some("tv"), Some("radio"), Some("tv")]);
}

#[test]
fn a_room_is_in_one_group_and_a_group_of_one_is_none() {
    let mut house = house();
    house.form_group("g", "Down", &["a".into(), "b".into()]).unwrap();
    house.form_group("h", "Up", &["b".into(), "c".into()]).unwrap();
    assert_eq!(house.groups.keys().collect::<Vec<_>>(), ["h"]);
    house.forget("c").unwrap();
    assert!(house.groups.is_empty());
    assert_eq!(house.form_group("g", "Me", &["a".into(), "a".into()]), Err(Refusal::Alone));
}

#[test]
fn a_scene_brings_back_the_patch_but_not_above_the_maximum() {
    let mut house = house();
    house.patch("b", None).unwrap();
    house.keep_scene("s", "Evening").unwrap();
    let kept = house.clone();
    house.patch_everywhere(Some("tv"));
    house.change_room("a", &volume(-40.0)).unwrap();
    assert!(!house.stands_as(&house.scenes["s"]));
    house.recall_scene("s").unwrap();
    assert_eq!(house, kept);
    house.change_room("a", &RoomChange { max_db: Some(-30.0), ..RoomChange::default() }).unwrap();
    house.recall_scene("s").unwrap();
    assert_eq!(house.rooms["a"].volume_db, -30.0);
    assert!(house.stands_as(&house.scenes["s"]));
}

#[test]
fn a_stream_that_is_off_or_away_is_waited_for() {
    let mut house = house();
    assert_eq!(house.orders("a", |_| None, |_| false).unwrap().stream.unwrap().sdp, "");
    house.enable_stream("radio", false);
    assert_eq!(house.orders("a", sdp, |_| false).unwrap().stream, None);
    house.enable_stream("radio", true);
    assert_eq!(house.orders("a", sdp, |_| false).unwrap().stream.unwrap().id, "radio");
}

#[test]
fn the_house_cannot_be_filled() {
    let mut house = House::default();
    for n in 0..MOST {
        house.greet(&hello(&n.to_string()), Admission::AtTheDoor, None).unwrap();
    }
    assert_eq!(house.greet(&hello("one more"), Admission::AtTheDoor, None).err(), Some(Refusal::Full("rooms")));
}

#[test]
fn fader_and_level_agree() {
    assert_eq!((volume::to_db(0.0), volume::to_db(1.0)), (SILENCE_DB, 0.0));
    assert_eq!((volume::to_travel(SILENCE_DB), volume::to_travel(0.0)), (0.0, 1.0));
    assert!((volume::to_db(0.5) + 15.58).abs() < 0.01);
}

#[derive(Clone, Debug)]
enum Act {
    Volume(usize, f32),
    Max(usize, f32),
    Trim(usize, i64),
    Level(f32),
    Form(Vec<usize>),
    Dissolve,
    Patch(usize, Option<bool>),
    Keep,
    Recall,
    Forget(usize),
    Greet(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let room = 0_usize..4;
    let db = prop_oneof![-70.0_f32..10.0, Just(f32::NAN)];
    prop_oneof![
        (room.clone(), db.clone()).prop_map(|(room, db)| Act::Volume(room, db)),
        (room.clone(), db.clone()).prop_map(|(room, db)| Act::Max(room, db)),
        (room.clone(), any::<i64>()).prop_map(|(room, trim)| Act::Trim(room, trim)),
        db.prop_map(Act::Level),
        prop::collection::vec(room.clone(), 0..5).prop_map(Act::Form),
        Just(Act::Dissolve),
        (room.clone(), any::<Option<bool>>()).prop_map(|(room, stream)| Act::Patch(room, stream)),
        Just(Act::Keep),
        Just(Act::Recall),
        room.clone().prop_map(Act::Forget),
        room.prop_map(Act::Greet),
    ]
}

const IDS: [&str; 4] = ["a", "b", "c", "d"];

fn perform(house: &mut House, act: &Act) {
    // Refusals are part of the game; the invariants hold either way.
    let _ = match act {
        Act::Volume(room, db) => house.change_room(IDS[*room], &volume(*db)),
        Act::Max(room, db) => house.change_room(IDS[*room], &RoomChange { max_db: Some(*db), ..Default::default() }),
        Act::Trim(room, us) => house.change_room(IDS[*room], &RoomChange { trim_us: Some(*us), ..Default::default() }),
        Act::Level(db) => house.change_group("g", &level(*db)),
        Act::Form(rooms) => house.form_group("g", "Down", &rooms.iter().map(|r| IDS[*r].into()).collect::<Vec<_>>()),
        Act::Dissolve => house.dissolve_group("g"),
        Act::Patch(room, stream) => house.patch(IDS[*room], stream.map(|tv| if tv { "tv" } else { "radio" })),
        Act::Keep => house.keep_scene("s", "Evening"),
        Act::Recall => house.recall_scene("s"),
        Act::Forget(room) => house.forget(IDS[*room]),
        Act::Greet(room) => house.greet(&hello(IDS[*room]), Admission::LetIn, None).map(|_| ()),
    };
}

proptest! {
    #[test]
    fn whatever_happens_the_house_is_in_order(acts in prop::collection::vec(act(), 0..60)) {
        let mut house = house();
        for act in &acts {
            perform(&mut house, act);
            for room in house.rooms.values() {
                prop_assert!((SILENCE_DB..=0.0).contains(&room.volume_db) && room.volume_db <= room.max_db);
                prop_assert!(room.trim_us.abs() <= MAX_TRIM_US);
                prop_assert!(house.groups.values().filter(|g| g.rooms().any(|id| id == room.id)).count() <= 1);
                let orders = house.orders(&room.id, sdp, |_| false).unwrap();
                prop_assert_eq!(orders.clone().sane(), orders);
            }
            for group in house.groups.values() {
                prop_assert!(group.rooms().count() >= 2 && group.rooms().all(|id| house.rooms.contains_key(id)));
                let streams: BTreeSet<_> = group.rooms().map(|id| &house.rooms[id].stream).collect();
                prop_assert!(streams.len() == 1 || acts.iter().any(|act| matches!(act, Act::Recall)));
            }
        }
    }

    #[test]
    fn any_trip_of_the_group_fader_ends_where_it_began(
        volumes in prop::array::uniform3(-60.0_f32..=0.0),
        trip in prop::collection::vec(-60.0_f32..=0.0, 0..10),
    ) {
        let mut house = house();
        for (id, db) in IDS.iter().zip(volumes) {
            house.change_room(id, &volume(db)).unwrap();
        }
        house.form_group("g", "All", &["a".into(), "b".into(), "c".into()]).unwrap();
        let (start, begin) = (house.rooms.clone(), house.groups["g"].level_db);
        for db in trip {
            house.change_group("g", &level(db)).unwrap();
        }
        house.change_group("g", &level(begin)).unwrap();
        for (id, room) in &house.rooms {
            prop_assert!((room.volume_db - start[id].volume_db).abs() < 0.011);
        }
    }

    #[test]
    fn the_curve_rises_and_inverts(travel in 0.0_f64..=1.0, more in 0.0_f64..=1.0) {
        let (low, high) = (travel.min(more), travel.max(more));
        prop_assert!(volume::to_db(low) <= volume::to_db(high));
        prop_assert!((volume::to_travel(volume::to_db(travel)) - travel).abs() < 0.002);
    }
}

#[test]
fn a_room_plays_its_next_choice_while_its_stream_is_idle() {
    let mut house = House::default();
    let hello = Hello { room_id: "a".into(), room: "A".into(), stream: Some("tv".into()), ..Hello::default() };
    house.greet(&hello, Admission::LetIn, None).unwrap();
    let otherwise = Some(vec!["records".to_owned(), "radio".to_owned()]);
    house.change_room("a", &RoomChange { otherwise, ..RoomChange::default() }).unwrap();
    let plays = |house: &House, idle: &[&str]| {
        let orders = house.orders("a", |_| Some(String::new()), |id| idle.contains(&id)).unwrap();
        orders.stream.unwrap().id
    };
    assert_eq!(plays(&house, &[]), "tv");
    assert_eq!(plays(&house, &["tv"]), "records");
    assert_eq!(plays(&house, &["tv", "records"]), "radio");
    assert_eq!(plays(&house, &["tv", "records", "radio"]), "tv", "all idle: its own");
    house.enable_stream("records", false);
    assert_eq!(plays(&house, &["tv"]), "radio", "one that is switched off is no choice");
    let many = Some(vec!["x".to_owned(); 9]);
    assert!(house.change_room("a", &RoomChange { otherwise: many, ..RoomChange::default() }).is_err());
}
