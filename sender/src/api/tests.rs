//! The real server, at a port of its own, and real clients.

mod announce;
mod ctl;
mod knocking;
mod metrics;
mod served;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::Message;
use unisono_common::control::{FromHub, Health, LINK_PATH, State};
use unisono_host::seal::Keys;

use self::served::{Room, Served};
use super::door::DoorSettings;
use super::*;
use crate::hub::AutoApprove;
use crate::hub::catalogue::Action;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_room_appears_gets_orders_and_is_patched() {
    let served = Served::new(AutoApprove::SameHost);
    let mut room = served.room("kitchen1");
    let Some(FromHub::Welcome(welcome)) = room.hear() else { panic!("no welcome") };
    assert_eq!((welcome.hub.as_str(), welcome.streams.len()), ("Den", 2));
    let first = room.orders();
    assert_eq!(first.stream.unwrap().sdp, "v=0\ns=radio\n");
    served.ask("PUT", "/api/v1/subscriptions/kitchen1", json!({"stream": "tv"}));
    let orders = room.orders();
    assert!(orders.serial > first.serial);
    assert_eq!(orders.stream.unwrap().id, "tv");
    room.report(Health { orders: orders.serial, state: State::Playing, offset_us: Some(-3.5), ..Health::default() });
    let view = served.wait_for("/api/v1/rooms/kitchen1", |room| room["settled"] == true);
    assert_eq!((&view["presence"], &view["health"]["offset_us"]), (&json!("here"), &json!(-3.5)));
    drop(room);
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["presence"] == "gone");
}

#[test]
fn a_room_at_the_door_may_wait_as_long_as_it_answers() {
    let served = Served::new(AutoApprove::Never);
    let mut room = served.room("kitchen1");
    assert!(matches!(room.hear(), Some(FromHub::Wait(_))));
    // A beat is 3 s, and who says nothing for 7 s is gone.
    for _ in 0..4 {
        assert!(!matches!(room.socket.read(), Ok(Message::Close(_)) | Err(_)), "it was hung up on");
    }
}

#[test]
fn volume_is_held_at_the_maximum_and_reaches_the_room() {
    let served = Served::new(AutoApprove::Always);
    let mut room = served.room("kitchen1");
    room.orders();
    served.ask("PATCH", "/api/v1/rooms/kitchen1", json!({"max_db": -20.0, "name": "Küche"}));
    assert_eq!(room.orders().volume_db, -20.0);
    served.ask("PATCH", "/api/v1/rooms/kitchen1", json!({"volume": 1.0, "mute": true}));
    let orders = room.orders();
    assert_eq!((orders.volume_db, orders.mute), (-20.0, true));
    assert_eq!(served.local().get("/api/v1/rooms/kitchen1").unwrap()["name"], "Küche");
}

#[test]
fn groups_and_scenes_are_made_moved_and_recalled() {
    let served = Served::new(AutoApprove::Always);
    let (mut one, mut two) = (served.room("kitchen1"), served.room("bathroom"));
    one.orders();
    two.orders();
    let group = served.ask("POST", "/api/v1/groups", json!({"name": "Down", "rooms": ["kitchen1", "bathroom"]}));
    let scene = served.ask("POST", "/api/v1/scenes", json!({"name": "Morning"}));
    let group = format!("/api/v1/groups/{}", group["id"].as_str().unwrap());
    served.ask("PATCH", &group, json!({"volume_db": -30.0}));
    assert_eq!((one.orders().volume_db, two.orders().volume_db), (-30.0, -30.0));
    assert_eq!(served.local().get("/api/v1/scenes").unwrap()[0]["current"], false);
    let recall = format!("/api/v1/scenes/{}/recall", scene["id"].as_str().unwrap());
    served.local().ask("POST", &recall, None).unwrap();
    assert_eq!((one.orders().volume_db, two.orders().volume_db), (0.0, 0.0));
    served.ask("PUT", "/api/v1/subscriptions", json!({"stream": null}));
    assert_eq!((one.orders().stream, two.orders().stream), (None, None));
    served.local().ask("DELETE", &group, None).unwrap();
    assert_eq!(served.local().get("/api/v1/groups").unwrap(), json!([]));
}

#[test]
fn the_house_outlives_the_hub() {
    let served = Served::new(AutoApprove::Always);
    let keys = Keys::generate().unwrap();
    let mut room = Room::dial(served.address(), "kitchen1", &keys);
    room.orders();
    served.ask("PATCH", "/api/v1/rooms/kitchen1", json!({"volume_db": -17.5}));
    let Served { hub, server, state, .. } = served;
    drop((server, hub, room));
    let again = Served::with(AutoApprove::Never, DoorSettings::default(), state);
    assert_eq!(Room::dial(again.address(), "kitchen1", &keys).orders().volume_db, -17.5);
}

#[test]
fn changing_needs_a_sign_in_and_looking_too_when_reading_is_closed() {
    for reading_open in [true, false] {
        let door = DoorSettings { reading_open, ..DoorSettings::default() };
        let served = Served::with(AutoApprove::Always, door, tempfile::tempdir().unwrap());
        let (token, _) = served.hub.change_secrets(door::Secrets::new_token);
        let (stranger, friend) = (served.network(None), served.network(Some(token.clone())));
        assert_eq!(stranger.get("/api/v1/house").is_ok(), reading_open);
        assert_eq!(stranger.get("/api/v1/session").unwrap()["signed_in"], false);
        let body = json!({"enabled": false});
        for path in ["/api/v1/streams/tv", "/api/v1/rooms/x", "/api/v1/groups/x"] {
            assert_eq!(stranger.text("PATCH", path, Some(&body)).unwrap().0, 401, "{path}");
        }
        friend.ask("PATCH", "/api/v1/streams/tv", Some(&body)).unwrap();
        assert_eq!(friend.get("/api/v1/streams/tv").unwrap()["enabled"], false);
        let link = raw(served.address(), &format!("GET /sign-in?token={token} HTTP/1.1\r\nHost: den.local\r\n\r\n"));
        assert!(link.starts_with("HTTP/1.1 303") && link.contains("HttpOnly; SameSite=Strict"), "{link}");
        let cookie = link.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
        let look = format!("GET /api/v1/house HTTP/1.1\r\nHost: den.local\r\nCookie: a=b; {cookie}\r\n\r\n");
        assert!(raw(served.address(), &look).starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn a_password_signs_in_and_guessing_is_slow() {
    let served = Served::new(AutoApprove::Always);
    served.ask("PUT", "/api/v1/password", json!({"password": "open sesame"}));
    let guest = served.network(None);
    let (status, _) = guest.text("POST", "/api/v1/session", Some(&json!({"password": "open sesame"}))).unwrap();
    assert_eq!(status, 204);
    let guess = json!({"token": "guess"});
    let answers: Vec<u16> = (0..15).map(|_| guest.text("POST", "/api/v1/session", Some(&guess)).unwrap().0).collect();
    assert_eq!(answers[..5], [401; 5]);
    assert_eq!(answers[14], 429);
}

#[test]
fn other_names_and_other_origins_are_refused() {
    let served = Served::new(AutoApprove::Always);
    let (token, _) = served.hub.change_secrets(door::Secrets::new_token);
    let answer = |head: &str| {
        let text =
            raw(served.address(), &format!("{head}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"));
        text.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(answer("GET /api/v1/house HTTP/1.1\r\nHost: evil.example.org"), "421");
    let recall = "POST /api/v1/sign-in-link HTTP/1.1\r\nHost: den.local:7680";
    assert_eq!(answer(&format!("{recall}\r\nOrigin: http://evil.example.org")), "403");
    assert_eq!(answer(&format!("{recall}\r\nSec-Fetch-Site: cross-site")), "403");
    assert_eq!(answer(&format!("{recall}\r\nOrigin: http://den.local:7680")), "200");
    let link = format!("GET {LINK_PATH} HTTP/1.1\r\nHost: den.local\r\nUpgrade: websocket\r\nConnection: upgrade");
    assert_eq!(answer(&format!("{link}\r\nOrigin: http://den.local")), "403");
    assert_eq!(answer(&format!("{link}\r\nOrigin: http://evil.example.org")), "403");
}

#[test]
fn wrong_requests_are_problems_with_a_sentence() {
    let served = Served::new(AutoApprove::Always);
    served.room("kitchen1").orders();
    let cases = [
        ("GET", "/api/v1/rooms/nobody", Value::Null, 404, "no room"),
        ("GET", "/api/v2/rooms", Value::Null, 404, "openapi.json"),
        ("DELETE", "/api/v1/house", Value::Null, 405, "can't be done"),
        ("GET", "/api/v1/streams/radio/queue?limit=x", Value::Null, 400, "limit"),
        ("GET", "/api/v1/streams/radio/queue", Value::Null, 404, "plays no library"),
        ("PATCH", "/api/v1/streams/radio/player", json!({"shuffle": true}), 404, "plays no library"),
        ("GET", "/api/v1/streams/opera/queue", Value::Null, 404, "no stream"),
        ("POST", "/api/v1/streams/opera/queue", json!({}), 404, "no stream"),
        ("DELETE", "/api/v1/streams/opera/queue/7", Value::Null, 404, "no stream"),
        ("GET", "/api/v1/streams/opera/player", Value::Null, 404, "no stream"),
        ("GET", "/streams/radio/artwork?size=x", Value::Null, 400, "size"),
        ("POST", "/api/v1/announce?duck_db=x", json!(1), 400, "duck_db"),
        ("PUT", "/api/v1/subscriptions/kitchen1", json!({"stream": "opera"}), 404, "no stream"),
        ("PATCH", "/api/v1/rooms/kitchen1", json!({"volume_db": 3}), 422, "-60 (silence) to 0"),
        ("PATCH", "/api/v1/rooms/kitchen1", json!({"volum": 3}), 422, "volum"),
        ("PATCH", "/api/v1/rooms/kitchen1", json!({"name": "x".repeat(65)}), 422, "1 to 64"),
        ("PATCH", "/api/v1/rooms/kitchen1", json!({"channels": "quad"}), 422, "quad"),
        ("POST", "/api/v1/groups", json!({"name": "Me", "rooms": ["kitchen1"]}), 422, "two rooms"),
        ("POST", "/api/v1/streams/radio/playback", json!({"action": "seek", "position_s": -1}), 422, "position_s"),
    ];
    for (method, path, body, status, words) in cases {
        let (got, text) = served.local().text(method, path, Some(&body)).unwrap();
        assert_eq!(got, status, "{method} {path}: {text}");
        assert!(text.contains(words) && text.contains("\"type\":\"/problems/"), "{method} {path}: {text}");
    }
    // Too long a body is refused while it comes; whether the client still reads the answer is up to the sockets.
    let megabyte = json!({"name": "x".repeat(1_000_000)});
    let answer = served.local().text("PATCH", "/api/v1/rooms/kitchen1", Some(&megabyte));
    assert!(answer.is_err() || answer.is_ok_and(|(status, _)| status == 413));
    assert_eq!(served.local().get("/api/v1/rooms/kitchen1").unwrap()["name"], "Room kitchen1");
}

#[test]
fn streams_are_described_and_driven() {
    let served = Served::new(AutoApprove::Always);
    assert_eq!(served.network(None).text("GET", "/streams/tv.sdp", None).unwrap(), (200, "v=0\ns=tv\n".into()));
    assert_eq!(served.network(None).get("/api/v1/streams").unwrap()[0]["playback"]["title"], "So What");
    served.ask("POST", "/api/v1/streams/radio/playback", json!({"action": "seek", "position_s": 12.5}));
    served.ask("POST", "/api/v1/streams/radio/playback", json!({"action": "next"}));
    let acts = served.acts.lock().unwrap().clone();
    assert_eq!(acts, [("radio".into(), Action::Seek { position_s: 12.5 }), ("radio".into(), Action::Next)]);
}

#[test]
fn watchers_hear_the_house_at_once_and_of_every_change() {
    let served = Served::new(AutoApprove::Always);
    let mut stream = TcpStream::connect(served.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: den.local\r\n\r\n").unwrap();
    let mut heard = String::new();
    let mut wait = |word: &str| {
        let mut buffer = [0; 4096];
        while !heard.contains(word) {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0);
            heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    wait("event: house");
    let _room = served.room("kitchen1");
    wait("Room kitchen1");
    wait("event: now");
}

#[test]
fn garbage_and_too_many_connections_leave_the_hub_well() {
    let served = Served::new(AutoApprove::Always);
    let mut room = served.room("kitchen1");
    room.orders();
    let garbage: [&[u8]; 4] =
        [b"\x16\x03\x01\x02\x00garbage", b"GET / HTTP/9.9\r\n\r\n", &[0xff; 4096], b"POST /api/v1/groups"];
    for bytes in garbage {
        let mut stream = TcpStream::connect(served.address()).unwrap();
        let _ = stream.write_all(bytes);
    }
    for length in [0, 1, 40, 200, 100_000] {
        if let Ok((mut socket, _)) = tungstenite::client(
            format!("ws://{}{LINK_PATH}", served.address()),
            TcpStream::connect(served.address()).unwrap(),
        ) {
            let _ = socket.send(Message::binary(vec![0xaa; length]));
            let _ = socket.send(Message::text("{\"type\":\"hello\"}"));
        }
    }
    let idle: Vec<_> = (0..300).filter_map(|_| TcpStream::connect(served.address()).ok()).collect();
    served.ask("PATCH", "/api/v1/rooms/kitchen1", json!({"volume_db": -1.0}));
    assert_eq!(room.orders().volume_db, -1.0);
    drop(idle);
    let well = || served.network(None).get("/api/v1/health").is_ok();
    assert!((0..200).any(|_| well() || {
        std::thread::sleep(Duration::from_millis(50));
        false
    }));
}

#[test]
fn links_that_were_upgraded_keep_their_places() {
    let served = Served::new(AutoApprove::Always);
    let dial = || {
        let stream = TcpStream::connect(served.address()).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(tungstenite::client(format!("ws://{}{LINK_PATH}", served.address()), stream).ok()?.0)
    };
    let links: Vec<_> = (0..80).map_while(|_| dial()).collect();
    // Strangers that say nothing are given up after some seconds, which is later than this.
    assert!(links.len() <= 64, "{} links of one address", links.len());
    drop(links);
    assert!((0..200).any(|_| served.network(None).get("/api/v1/health").is_ok() || {
        std::thread::sleep(Duration::from_millis(50));
        false
    }));
}

#[test]
fn the_committed_openapi_document_is_the_code_s() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("UNISONO_WRITE_OPENAPI").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, openapi()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == openapi(), "run this test with UNISONO_WRITE_OPENAPI=1 and commit docs/openapi.json");
}

#[test]
fn the_document_tells_what_bodies_and_queries_may_meet() {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    let told = |path: &str, method: &str, status: &str| !document["paths"][path][method]["responses"][status].is_null();
    for path in ["/api/v1/library/search", "/api/v1/library/albums", "/api/v1/streams/{id}/queue"] {
        assert!(told(path, "get", "400") && !told(path, "get", "408"), "{path}");
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|limit| limit["name"] == "limit" && limit["in"] == "query"), "{path}");
    }
    assert!(told("/api/v1/announce", "post", "400") && told("/api/v1/announce", "post", "408"));
    assert!(!told("/api/v1/house", "get", "400") && !told("/api/v1/house", "get", "408"));
}

/// What the server answers to these bytes, up to the end of what comes at once.
fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut buffer = [0; 65_536];
    let length = stream.read(&mut buffer).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}
