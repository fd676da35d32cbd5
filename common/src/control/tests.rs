use super::*;
use proptest::prelude::*;

#[test]
fn unknown_fields_and_missing_ones_are_no_obstacle() {
    let hello: FromRoom = decode(r#"{"type":"hello","room_id":"r1","shoe_size":44}"#).unwrap();
    assert_eq!(hello, FromRoom::Hello(Hello { room_id: "r1".into(), ..Hello::default() }));
}

#[test]
fn a_message_of_an_unknown_type_is_unknown() {
    assert_eq!(decode::<FromHub>(r#"{"type":"dance","how":"slowly"}"#).unwrap(), FromHub::Unknown);
    assert_eq!(decode::<FromRoom>(r#"{"type":"dance"}"#).unwrap(), FromRoom::Unknown);
}

#[test]
fn an_unknown_state_or_channel_mode_is_not_fatal() {
    let health: FromRoom = decode(r#"{"type":"health","state":"levitating"}"#).unwrap();
    assert!(matches!(health, FromRoom::Health(health) if health.state == State::Unknown));
    let orders: FromHub = decode(r#"{"type":"orders","channels":"quadrophonic"}"#).unwrap();
    assert!(matches!(orders, FromHub::Orders(orders) if orders.channels == Channels::Stereo));
}

#[test]
fn orders_are_what_they_were_after_the_wire() {
    let stream = Announced { id: "radio".into(), sdp: "v=0\n".into() };
    let orders = Orders { serial: 7, stream: Some(stream), volume_db: -12.5, max_db: -3.0, ..Orders::default() };
    let message = FromHub::Orders(orders);
    assert_eq!(decode::<FromHub>(&encode(&message)).unwrap(), message);
}

#[test]
fn the_maximum_binds() {
    let orders = Orders { volume_db: 0.0, max_db: -10.0, ..Orders::default() };
    assert_eq!(orders.gain_db(), Some(-10.0));
    assert_eq!(Orders { mute: true, ..orders.clone() }.gain_db(), None);
    assert_eq!(Orders { volume_db: SILENCE_DB, ..orders }.gain_db(), None);
}

#[test]
fn a_huge_message_is_refused_before_it_is_read() {
    let text = format!(r#"{{"type":"hello","room":"{}"}}"#, "x".repeat(1_000_000));
    assert!(matches!(decode::<FromRoom>(&text), Err(DecodeError::TooLong(_))));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,300}") {
        let _ = decode::<FromRoom>(&text);
        let _ = decode::<FromHub>(&text);
    }

    #[test]
    fn sane_orders_are_in_range(volume in any::<f32>(), max in any::<f32>(), trim in any::<i64>()) {
        let orders = Orders { volume_db: volume, max_db: max, trim_us: trim, ..Orders::default() }.sane();
        prop_assert!((SILENCE_DB..=0.0).contains(&orders.volume_db) && (SILENCE_DB..=0.0).contains(&orders.max_db));
        prop_assert!(orders.trim_us.abs() <= MAX_TRIM_US);
        prop_assert!(orders.gain_db().is_none_or(|db| db <= orders.max_db));
    }
}
