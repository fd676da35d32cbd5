use super::*;
use std::net::TcpListener;
use tungstenite::{Message, WebSocket};
use unisono_common::control::{self, FromHub, FromRoom, State, Welcome};

type Server = WebSocket<std::net::TcpStream>;

const PATIENCE: Duration = Duration::from_secs(20);

fn config(hub: &TcpListener, state_dir: &std::path::Path) -> HubSettings {
    HubSettings {
        hub: HubConfig::Url(format!("http://{}", hub.local_addr().unwrap())),
        interface: None,
        state_dir: state_dir.to_owned(),
        room: "Kitchen".into(),
        output: "sim".into(),
        stream: None,
        volume_db: 0.0,
        trim_us: 0,
    }
}

fn health() -> HealthSource {
    Arc::new(|| Health { state: State::Playing, ..Health::default() })
}

fn accept(listener: &TcpListener) -> Server {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::accept(stream).unwrap()
}

fn heard(server: &mut Server) -> FromRoom {
    control::decode(server.read().unwrap().to_text().unwrap()).unwrap()
}

fn say(server: &mut Server, message: &FromHub) {
    server.send(Message::text(control::encode(message))).unwrap();
}

fn orders(serial: u64) -> Orders {
    let stream = Announced { id: "radio".into(), sdp: "v=0\n".into() };
    Orders { serial, stream: Some(stream), volume_db: -20.0, ..Orders::default() }
}

#[test]
fn a_room_says_hello_obeys_and_reports() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = spawn(config(&listener, state.path()), health());
    let mut server = accept(&listener);
    let FromRoom::Hello(hello) = heard(&mut server) else { panic!("not a hello") };
    assert_eq!((hello.room.as_str(), hello.room_id.as_str()), ("Kitchen", hub.room_id()));
    let streams = vec![Announced { id: "radio".into(), sdp: "v=0\n".into() }];
    say(&mut server, &FromHub::Welcome(Welcome { hub: "Den".into(), streams: streams.clone(), ..Welcome::default() }));
    say(&mut server, &FromHub::Orders(orders(3)));
    assert!(matches!(hub.events().recv_timeout(PATIENCE), Ok(Event::Connected { hub, .. }) if hub == "Den"));
    assert_eq!(hub.events().recv_timeout(PATIENCE), Ok(Event::Streams(streams)));
    assert_eq!(hub.events().recv_timeout(PATIENCE), Ok(Event::Orders(orders(3))));
    assert!(matches!(heard(&mut server), FromRoom::Health(health) if health.state == State::Playing));
}

#[test]
fn a_lost_hub_is_dialled_again_and_the_last_orders_outlive_the_process() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = spawn(config(&listener, state.path()), health());
    let mut server = accept(&listener);
    say(&mut server, &FromHub::Welcome(Welcome::default()));
    say(&mut server, &FromHub::Orders(orders(4)));
    while !matches!(hub.events().recv_timeout(PATIENCE).unwrap(), Event::Orders(_)) {}
    drop(server);
    assert!(matches!(hub.events().recv_timeout(PATIENCE), Ok(Event::Lost { .. })));
    drop(accept(&listener));
    drop(hub);
    let again = spawn(config(&listener, state.path()), health());
    assert_eq!(again.events().recv_timeout(PATIENCE), Ok(Event::Orders(orders(4))));
}

#[test]
fn a_cloned_room_comes_back_with_another_id() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = spawn(config(&listener, state.path()), health());
    let mut server = accept(&listener);
    let FromRoom::Hello(first) = heard(&mut server) else { panic!("not a hello") };
    say(&mut server, &FromHub::Cloned);
    let FromRoom::Hello(second) = heard(&mut accept(&listener)) else { panic!("not a hello") };
    assert_ne!(first.room_id, second.room_id);
    drop(hub);
}

#[test]
fn garbage_from_the_hub_is_skipped() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = spawn(config(&listener, state.path()), health());
    let mut server = accept(&listener);
    server.send(Message::text("{\"type\":\"orders\",\"serial\":\"many\"}")).unwrap();
    server.send(Message::binary(vec![0xff; 100])).unwrap();
    say(&mut server, &FromHub::Welcome(Welcome::default()));
    assert!(matches!(hub.events().recv_timeout(PATIENCE), Ok(Event::Connected { .. })));
}
