use super::*;
use std::net::TcpListener;
use tungstenite::{Message, WebSocket};
use unisono_common::control::{self, FromHub, FromRoom, State, Welcome};
use unisono_host::seal::{Handshake, Keys, Sealed};

fn start(settings: HubSettings) -> Hub {
    spawn(settings, Arc::new(|| Health { state: State::Playing, ..Health::default() }))
}

/// A hub's end of a link.
struct Server {
    socket: WebSocket<std::net::TcpStream>,
    sealed: Sealed,
    room_key: String,
}

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

fn accept(listener: &TcpListener) -> Server {
    accept_as(listener, &Keys::generate().unwrap()).unwrap()
}

fn accept_as(listener: &TcpListener, keys: &Keys) -> Result<Server, Box<dyn std::error::Error>> {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut socket = tungstenite::accept(stream)?;
    let mut handshake = Handshake::hub(keys)?;
    handshake.read(&socket.read()?.into_data())?;
    socket.send(Message::binary(handshake.write()?))?;
    handshake.read(&socket.read()?.into_data())?;
    let room_key = handshake.peer().unwrap_or_default();
    Ok(Server { socket, sealed: handshake.finish()?, room_key })
}

fn heard(server: &mut Server) -> FromRoom {
    let sealed = server.socket.read().unwrap().into_data();
    control::decode(&server.sealed.open(&sealed).unwrap()).unwrap()
}

fn say(server: &mut Server, message: &FromHub) {
    tell(server, &control::encode(message));
}

fn tell(server: &mut Server, text: &str) {
    let sealed = server.sealed.seal(text).unwrap();
    server.socket.send(Message::binary(sealed)).unwrap();
}

fn orders(serial: u64) -> Orders {
    let stream = Announced { id: "radio".into(), sdp: "v=0\n".into() };
    Orders { serial, stream: Some(stream), volume_db: -20.0, ..Orders::default() }
}

#[test]
fn a_room_says_hello_obeys_and_reports() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = start(config(&listener, state.path()));
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
    let hub = start(config(&listener, state.path()));
    let keys = Keys::generate().unwrap();
    let mut server = accept_as(&listener, &keys).unwrap();
    say(&mut server, &FromHub::Welcome(Welcome::default()));
    say(&mut server, &FromHub::Orders(orders(4)));
    while !matches!(hub.events().recv_timeout(PATIENCE).unwrap(), Event::Orders(_)) {}
    drop(server);
    assert!(matches!(hub.events().recv_timeout(PATIENCE), Ok(Event::Lost { .. })));
    drop(accept_as(&listener, &keys).unwrap());
    drop(hub);
    let again = start(config(&listener, state.path()));
    assert_eq!(again.events().recv_timeout(PATIENCE), Ok(Event::Orders(orders(4))));
}

#[test]
fn a_cloned_room_comes_back_with_another_id_and_key() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = start(config(&listener, state.path()));
    let mut server = accept(&listener);
    let FromRoom::Hello(first) = heard(&mut server) else { panic!("not a hello") };
    say(&mut server, &FromHub::Cloned);
    let mut again = accept(&listener);
    let FromRoom::Hello(second) = heard(&mut again) else { panic!("not a hello") };
    assert_ne!(first.room_id, second.room_id);
    assert_ne!(server.room_key, again.room_key);
    drop(hub);
}

#[test]
fn a_room_that_starts_again_keeps_its_id_and_key() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let start_as = |room: &str| {
        let hub = start(HubSettings { room: room.into(), ..config(&listener, state.path()) });
        let server = accept(&listener);
        drop(hub);
        (server.room_key, Identity::load_or_create(state.path()).room_id)
    };
    assert_eq!(start_as("Kitchen"), start_as("Cellar"), "a rename");
}

#[test]
fn a_room_appears_within_two_seconds_of_its_hub() {
    // What is asked or dialled just before the hub comes is in vain; after the pause it is found at once.
    let worst = seek::PATIENCE.max(link::DIAL_PATIENCE) + Runner::LONGEST_PAUSE;
    assert!(worst <= Duration::from_millis(1_600), "{worst:?}");
    for random in [0, 1, 255, 256, u64::MAX] {
        let pause = varied(Runner::LONGEST_PAUSE, random);
        assert!(pause <= Runner::LONGEST_PAUSE && pause * 4 >= Runner::LONGEST_PAUSE * 3, "{pause:?}");
    }
}

#[test]
fn garbage_from_the_hub_is_skipped() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = start(config(&listener, state.path()));
    let mut server = accept(&listener);
    tell(&mut server, "{\"type\":\"orders\",\"serial\":\"many\"}");
    server.socket.send(Message::text("{\"type\":\"orders\"}")).unwrap();
    say(&mut server, &FromHub::Welcome(Welcome::default()));
    assert!(matches!(hub.events().recv_timeout(PATIENCE), Ok(Event::Connected { .. })));
}

#[test]
fn a_room_that_was_let_in_hangs_up_on_a_stranger() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = start(config(&listener, state.path()));
    let keys = Keys::generate().unwrap();
    let mut server = accept_as(&listener, &keys).unwrap();
    say(&mut server, &FromHub::Welcome(Welcome::default()));
    assert!(matches!(hub.events().recv_timeout(PATIENCE), Ok(Event::Connected { .. })));
    drop(server);
    let stranger = accept_as(&listener, &Keys::generate().unwrap());
    assert!(stranger.is_err(), "the room proves nothing to a stranger");
    let mut server = accept_as(&listener, &keys).unwrap();
    assert!(matches!(heard(&mut server), FromRoom::Hello(_)));
}

#[test]
fn a_room_at_the_door_hears_of_the_streams() {
    let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let hub = start(config(&listener, state.path()));
    let mut server = accept(&listener);
    let streams = vec![Announced { id: "radio".into(), sdp: "v=0\n".into() }];
    let wait = control::Wait { hub: "Den".into(), code: "123456".into(), streams: streams.clone() };
    say(&mut server, &FromHub::Wait(wait));
    let waiting = Event::Waiting { hub: "Den".into(), code: "123456".into() };
    assert_eq!(hub.events().recv_timeout(PATIENCE), Ok(waiting));
    assert_eq!(hub.events().recv_timeout(PATIENCE), Ok(Event::Streams(streams)));
    assert_eq!(kept::trusted(state.path()), None);
}
