//! Old and new versions in one house: every message that a release puts on the wire is kept in `wire/VERSION`, and every
//! later version must still read it.
//!
//! A new release adds its own: `UNISONO_WRITE_WIRE=1 cargo test -p unisono-common --test releases` writes the directory of
//! the version that is being built, once; from then on the test also holds this version to it, byte for byte.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use unisono_common::clock::ntp::Mode;
use unisono_common::control::{
    self, Announced, FromHub, FromRoom, Health, Hello, Orders, Reports, Streams, Wait, Welcome,
};
use unisono_common::delivery::{self, Kind, Message};
use unisono_common::fec::{Decoder, Encoder, Matrix};
use unisono_common::format::Format;
use unisono_common::rtcp::{self, Item, SenderReport};
use unisono_common::rtp::{HEADER_LEN, Header, Packet};
use unisono_common::sap;
use unisono_common::sdp::{DelayChange, Fec, Origin, ReferenceClock, Repair, Session};
use unisono_common::time::{ClockEpoch, LocalTime, MediaTime, direct_offset_ntp};
use unisono_common::{clock, rtx};

const SSRC: u32 = 0x1122_3344;

/// Some day in 2030.
const LATER: MediaTime = MediaTime::from_ns(1_900_000_000_000_000_000);

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

fn session() -> Session {
    Session {
        origin: Origin {
            username: "-".into(),
            session_id: "3900000000".into(),
            version: 1,
            address: "10.77.0.1".into(),
        },
        name: "Living Room".into(),
        address: "239.77.0.1".parse().unwrap(),
        ttl: Some(16),
        port: 5004,
        payload_type: 127,
        format: Format::DEFAULT,
        packet_frames: Some(240),
        reference_clock: Some(ReferenceClock::Ntp("10.77.0.1:7680".parse().unwrap())),
        direct_offset: Some(direct_offset_ntp(48_000)),
        source: None,
        stream_id: Some("living-room".into()),
        playout_delay_ms: Some(250),
        delay_change: None,
        repair: Some(Repair {
            requests: "10.77.0.1:7681".parse().unwrap(),
            group: "239.77.9.8:5010".parse().unwrap(),
            payload_type: 97,
            ssrc: SSRC,
        }),
        fec: Some(Fec { group: "239.77.9.9:5006".parse().unwrap(), matrix: Matrix { columns: 10, rows: 4 } }),
    }
}

/// The same while its playout delay changes.
fn changing() -> Session {
    Session { delay_change: Some(DelayChange { from_ms: 200, begins: LATER }), ..session() }
}

fn media(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0; HEADER_LEN];
    let timestamp = u32::from(sequence) * 240;
    Header { payload_type: 127, sequence, timestamp, ssrc: SSRC }.write(&mut packet).unwrap();
    packet.extend((0..16).map(|i| (sequence + i) as u8));
    packet
}

/// What `write` puts into a buffer and says the length of.
fn written<E: std::fmt::Debug>(write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Vec<u8> {
    let mut out = vec![0; 2_048];
    let length = write(&mut out).unwrap();
    out.truncate(length);
    out
}

fn about_delivery(kind: Kind) -> Vec<u8> {
    let message = Message { kind, media: SSRC, token: 0x0102_0304_0506_0708 };
    written(|out| delivery::write(&message, 5, out))
}

/// Everything that this version puts on the wire, by file name.
fn messages() -> BTreeMap<&'static str, Vec<u8>> {
    let report = SenderReport { ssrc: SSRC, ntp: 0xeeac_c3de_8bb4_8000, rtp_timestamp: 7, packets: 1_000, octets: 960 };
    let mut encoder = Encoder::new(Matrix { columns: 1, rows: 4 }, SSRC);
    let parity = (0..4).find_map(|i| encoder.push(&media(1_112 + i)).map(<[u8]>::to_vec)).unwrap();
    let announced = || Announced { id: "living-room".into(), sdp: session().to_string() };
    let hello = Hello { version: control::VERSION, room_id: "r".into(), room: "Kitchen".into(), ..Hello::default() };
    let welcome = Welcome { version: control::VERSION, streams: vec![announced()], ..Welcome::default() };
    let orders = Orders { serial: 7, stream: Some(announced()), volume_db: -12.0, ..Orders::default() };
    let mut client = clock::exchange::Client::new(7);
    let request = client.handle_timer(LocalTime::from_ns(1)).request.unwrap();
    let room = "10.77.0.2".parse().unwrap();
    let mut server = clock::exchange::Server::new(ClockEpoch(5));
    let reply = server.handle_request(&request.bytes, room, LATER, LATER + 50_000).unwrap();
    let sap_of = |session: Session, kind| sap::packet(kind, "10.77.0.1".parse().unwrap(), &session.to_string());
    let sap = |kind| sap_of(session(), kind);
    let text = String::into_bytes;
    BTreeMap::from([
        ("announcement.sap", sap(sap::Kind::Announcement)),
        ("changing.sap", sap_of(changing(), sap::Kind::Announcement)),
        ("deletion.sap", sap(sap::Kind::Deletion)),
        ("media.rtp", media(1_112)),
        ("again.rtx", written(|out| rtx::write(&media(1_112), rtx::PAYLOAD_TYPE, 3, out))),
        ("parity.fec", parity),
        ("report.rtcp", written(|out| rtcp::write_report(&report, "music@10.77.0.1", Some("the sender ends"), out))),
        ("nack.rtcp", written(|out| rtcp::write_nack(5, SSRC, "room@10.77.0.2", &[1_112, 1_113, 1_115], out))),
        ("ask.rtcp", about_delivery(Kind::Ask)),
        ("token.rtcp", about_delivery(Kind::Token)),
        ("end.rtcp", about_delivery(Kind::End)),
        ("request.ntp", request.bytes.to_vec()),
        ("reply.ntp", reply.bytes.to_vec()),
        ("hello.room.json", text(control::encode(&FromRoom::Hello(hello)))),
        ("health.room.json", text(control::encode(&FromRoom::Health(Box::default())))),
        ("welcome.hub.json", text(control::encode(&FromHub::Welcome(welcome)))),
        ("wait.hub.json", text(control::encode(&FromHub::Wait(Wait { code: "1234".into(), ..Wait::default() })))),
        ("orders.hub.json", text(control::encode(&FromHub::Orders(orders)))),
        ("streams.hub.json", text(control::encode(&FromHub::Streams(Streams { streams: vec![announced()] })))),
        ("identify.hub.json", text(control::encode(&FromHub::Identify))),
        ("reports.hub.json", text(control::encode(&FromHub::Reports(Reports { every_ms: 4_000 })))),
        ("cloned.hub.json", text(control::encode(&FromHub::Cloned))),
    ])
}

fn announces_the_stream(bytes: &[u8]) -> bool {
    let read = Session::parse(sap::Packet::parse(bytes).unwrap().sdp).unwrap();
    let expected = session();
    read.stream_id == expected.stream_id
        && read.repair == expected.repair
        && read.fec == expected.fec
        && read.reference_clock == expected.reference_clock
}

fn computes_a_lost_packet(parity: &[u8]) -> bool {
    let mut decoder = Decoder::default();
    decoder.parity(parity).unwrap();
    for packet in [1_112, 1_114, 1_115].map(media) {
        let packet = Packet::parse(&packet).unwrap();
        decoder.stream(&packet.header, packet.payload);
    }
    decoder.compute().is_some_and(|found| found.sequence == 1_113 && found.payload == &media(1_113)[HEADER_LEN..])
}

/// What must be understood of a message, whichever release it is from.
fn assert_understood(name: &str, bytes: &[u8]) {
    let items = || rtcp::parse(bytes).unwrap();
    let delivers = |kind| items().iter().any(|i| matches!(i, Item::Delivery(m) if m.kind == kind && m.media == SSRC));
    let json = || String::from_utf8(bytes.to_vec()).unwrap();
    let understood = match name {
        "announcement.sap" => announces_the_stream(bytes),
        "changing.sap" => {
            let read = Session::parse(sap::Packet::parse(bytes).unwrap().sdp).unwrap();
            announces_the_stream(bytes) && read.delay_change == changing().delay_change
        }
        "deletion.sap" => sap::Packet::parse(bytes).unwrap().kind == sap::Kind::Deletion,
        "media.rtp" => Packet::parse(bytes).unwrap().header.sequence == 1_112,
        "again.rtx" => rtx::parse(bytes, rtx::PAYLOAD_TYPE).unwrap().sequence == 1_112,
        "parity.fec" => computes_a_lost_packet(bytes),
        "report.rtcp" => items().contains(&Item::Bye { ssrc: SSRC }),
        "nack.rtcp" => items().contains(&Item::Nack { reporter: 5, media: SSRC, sequences: vec![1_112, 1_113, 1_115] }),
        "ask.rtcp" => delivers(Kind::Ask),
        "token.rtcp" => delivers(Kind::Token),
        "end.rtcp" => delivers(Kind::End),
        "request.ntp" => clock::ntp::Packet::parse(bytes).unwrap().mode == Mode::Client,
        // The epoch is what tells rooms that a sender's clock began anew.
        "reply.ntp" => {
            let reply = clock::ntp::Packet::parse(bytes).unwrap();
            (reply.mode, reply.stratum, reply.reference_id) == (Mode::Server, 1, 5)
        }
        _ if name.ends_with(".room.json") => control::decode::<FromRoom>(&json()).unwrap() != FromRoom::Unknown,
        _ if name.ends_with(".hub.json") => control::decode::<FromHub>(&json()).unwrap() != FromHub::Unknown,
        _ => panic!("nobody knows how {name} is read"),
    };
    assert!(understood, "{name} reads as something else");
}

/// The directory of this version; written first if that was asked for.
fn own() -> PathBuf {
    let own = directory().join(env!("CARGO_PKG_VERSION"));
    if std::env::var_os("UNISONO_WRITE_WIRE").is_some() {
        std::fs::create_dir_all(&own).unwrap();
        let missing = messages().into_iter().filter(|(name, _)| !own.join(name).exists());
        missing.for_each(|(name, bytes)| std::fs::write(own.join(name), bytes).unwrap());
    }
    own
}

#[test]
fn every_release_is_understood() {
    assert!(own().is_dir());
    for release in std::fs::read_dir(directory()).unwrap() {
        for file in std::fs::read_dir(release.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            assert_understood(file.file_name().unwrap().to_str().unwrap(), &std::fs::read(&file).unwrap());
        }
    }
}

#[test]
fn this_version_says_what_is_kept_of_it() {
    let own = own();
    for (name, bytes) in messages() {
        let kept = std::fs::read(own.join(name)).unwrap_or_default();
        if name.ends_with(".json") {
            // A version that is being built may learn to say more; what it said it still says.
            let [now, kept] = [&bytes, &kept].map(|json| serde_json::from_slice(json).unwrap_or_default());
            assert!(still_says(&now, &kept), "{name}: {now} no longer says {kept}");
            continue;
        }
        let told = [&bytes, &kept].map(|bytes| bytes.escape_ascii().to_string());
        assert!(bytes == kept, "{name} is no longer what this version was kept with: {told:#?}");
    }
}

fn still_says(now: &Value, kept: &Value) -> bool {
    match (now, kept) {
        (Value::Object(now), Value::Object(kept)) => {
            kept.iter().all(|(key, kept)| now.get(key).is_some_and(|now| still_says(now, kept)))
        }
        _ => now == kept,
    }
}

#[test]
fn what_a_newer_version_may_add_is_passed_over() {
    let orders = r#"{"type":"orders","serial":3,"new_field":{"deep":[1,2]},"channels":"surround","volume_db":-6}"#;
    let FromHub::Orders(orders) = control::decode(orders).unwrap() else { panic!() };
    assert_eq!((orders.serial, orders.channels), (3, control::Channels::Stereo));
    assert_eq!(control::decode::<FromHub>(r#"{"type":"dance","how":"tango"}"#).unwrap(), FromHub::Unknown);
    let health = r#"{"type":"health","state":"levitating","delivery":"pigeon","mood":"fine"}"#;
    let FromRoom::Health(health) = control::decode(health).unwrap() else { panic!() };
    assert_eq!((health.state, health.delivery), (control::State::Unknown, Some(control::Way::Unknown)));
    let newer = session().to_string() + "a=x-unisono-telepathy:1 on\n";
    assert_eq!(Session::parse(newer.as_bytes()), Ok(session()));
    assert_eq!(control::decode::<Health>("{}").unwrap(), Health::default());
}
