use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::house::room::RoomChange;
use crate::hub::HubSettings;
use crate::hub::catalogue::{Action, ActionError, Catalogue, Playback, StreamFacts};

/// A house without streams.
struct Quiet;

impl Catalogue for Quiet {
    fn streams(&self) -> Vec<StreamFacts> {
        Vec::new()
    }

    fn playback(&self, _: &str) -> Option<Playback> {
        None
    }

    fn act(&self, id: &str, _: Action) -> Result<(), ActionError> {
        Err(ActionError::NotHere(id.to_owned()))
    }
}

fn hub() -> (Hub, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let settings = HubSettings { name: "Den".into(), auto_approve: AutoApprove::Never };
    (Hub::open(state.path(), settings, Box::new(Quiet)).unwrap(), state)
}

/// A room dials in: the number of its link, and what it is told.
fn dial(hub: &Hub, id: &str, key: &str) -> Result<(u64, mpsc::Receiver<FromHub>), Refusal> {
    let (outbox, inbox) = mpsc::channel(8);
    let hello = Hello { room_id: id.into(), room: format!("Room {id}"), ..Hello::default() };
    let link = Link::new(SocketAddr::from(([192, 0, 2, 7], 40_000)), outbox);
    match hub.greet(&hello, key, link, true)? {
        Greeting::Linked(number) => Ok((number, inbox)),
        Greeting::Taken(_) => panic!("it should take the other's place"),
    }
}

/// A room that is let in, by its own key.
fn inside(hub: &Hub, id: &str, key: &str) -> (u64, mpsc::Receiver<FromHub>) {
    let there = dial(hub, id, key).unwrap();
    drop(hub.admit(id).unwrap());
    there
}

#[test]
fn who_is_turned_away_may_knock_again_an_hour_later() {
    let at = |seconds: i64| LocalTime::from_ns(seconds * 1_000_000_000);
    let mut away = TurnedAway::default();
    away.add("key".into(), at(0));
    assert!(away.has("key", at(3_599)) && !away.has("other", at(3_599)));
    assert!(!away.has("key", at(3_600)));
    for n in 0..2 * MOST_TURNED_AWAY {
        away.add(n.to_string(), at(4_000));
    }
    assert_eq!(away.0.len(), MOST_TURNED_AWAY);
}

#[test]
fn a_copy_that_is_turned_away_does_not_keep_its_original_out() {
    let (hub, _state) = hub();
    let (number, _) = inside(&hub, "kitchen1", "key");
    hub.hang_up("kitchen1", number);
    let _copy = dial(&hub, "kitchen2", "key").unwrap();
    drop(hub.forget("kitchen2").unwrap());
    assert_eq!(dial(&hub, "kitchen2", "key").err(), Some(Refusal::TurnedAway));
    let (_, mut inbox) = dial(&hub, "kitchen1", "key").unwrap();
    assert!(matches!(inbox.try_recv(), Ok(FromHub::Welcome(_))));
}

#[test]
fn a_crowd_at_the_door_keeps_nobody_out_who_lives_here() {
    let (hub, _state) = hub();
    let (number, _) = inside(&hub, "kitchen1", "key");
    hub.hang_up("kitchen1", number);
    let crowd: Vec<_> = (0..40).map(|n| dial(&hub, &format!("stranger{n}"), &format!("key {n}"))).collect();
    assert_eq!(crowd.iter().filter(|knock| knock.is_ok()).count(), MOST_AT_THE_DOOR);
    assert!(dial(&hub, "kitchen1", "key").is_ok());
}

#[test]
fn a_stranger_with_a_room_s_id_goes_alone() {
    let (hub, _state) = hub();
    let (number, _) = inside(&hub, "kitchen1", "key");
    hub.hang_up("kitchen1", number);
    let (_, mut stranger) = dial(&hub, "kitchen1", "another key").unwrap();
    assert!(matches!(stranger.try_recv(), Ok(FromHub::Wait(_))));
    drop(hub.forget("kitchen1").unwrap());
    assert_eq!(stranger.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(dial(&hub, "kitchen1", "another key").err(), Some(Refusal::TurnedAway));
    let (_, mut inbox) = dial(&hub, "kitchen1", "key").unwrap();
    assert!(matches!(inbox.try_recv(), Ok(FromHub::Welcome(_))));
    drop(hub.forget("kitchen1").unwrap());
    assert!(hub.house(|house| house.rooms.is_empty()), "a room that is inside is forgotten");
}

#[test]
fn a_room_that_misses_a_message_is_hung_up_on_and_given_all_anew() {
    let (hub, _state) = hub();
    let (_, mut stuck) = inside(&hub, "kitchen1", "key");
    for db in 1..=20_i16 {
        let change = RoomChange { volume_db: Some(-f32::from(db)), ..RoomChange::default() };
        drop(hub.change(|house| house.change_room("kitchen1", &change)).unwrap());
    }
    while stuck.try_recv().is_ok() {}
    assert_eq!(stuck.try_recv(), Err(TryRecvError::Disconnected));
    let (_, mut inbox) = dial(&hub, "kitchen1", "key").unwrap();
    assert!(matches!(inbox.try_recv(), Ok(FromHub::Welcome(_))));
    assert!(matches!(inbox.try_recv(), Ok(FromHub::Orders(orders)) if orders.volume_db == -20.0));
}

#[test]
fn a_room_that_cannot_chirp_says_why() {
    let (hub, _state) = hub();
    let (number, _inbox) = inside(&hub, "kitchen1", "key");
    assert_eq!(hub.identify("kitchen1"), Ok(()));
    hub.report("kitchen1", number, Health { state: control::State::NoCard, ..Health::default() });
    assert_eq!(hub.identify("kitchen1"), Err(NoChirp::NoCard("Room kitchen1".into())));
    hub.hang_up("kitchen1", number);
    assert_eq!(hub.identify("kitchen1"), Err(NoChirp::Gone));
    assert!(matches!(hub.identify("attic"), Err(NoChirp::Refused(_))));
}
