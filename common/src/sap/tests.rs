use proptest::prelude::*;

use super::*;
use crate::time::LocalTime;

const SDP: &str = "v=0\no=- 3900000000 1 IN IP4 10.77.0.1\ns=x\nc=IN IP4 239.77.0.1/16\nt=0 0\n\
                   m=audio 5004 RTP/AVP 127\na=rtpmap:127 L16/48000/2\n";
const V4: [u8; 4] = [10, 77, 0, 1];

fn at(seconds: i64) -> LocalTime {
    LocalTime::from_ns(seconds * 1_000_000_000)
}

fn described(session_id: u64, version: u64, stream_id: &str) -> String {
    SDP.replace("3900000000 1", &format!("{session_id} {version}")) + "a=x-unisono-id:" + stream_id + "\n"
}

fn announcement(sdp: &str) -> Vec<u8> {
    packet(Kind::Announcement, IpAddr::from(V4), sdp)
}

fn deletion(sdp: &str) -> Vec<u8> {
    packet(Kind::Deletion, IpAddr::from(V4), sdp)
}

#[test]
fn writes_the_golden_bytes() {
    let hash = message_hash(SDP).to_be_bytes();
    let head = [&[0x20, 0, hash[0], hash[1], 10, 77, 0, 1][..], b"application/sdp\0"].concat();
    assert_eq!(announcement(SDP), [&head, SDP.as_bytes()].concat());
    let mut deleted = announcement(SDP);
    deleted[0] = 0x24;
    assert_eq!(deletion(SDP), deleted);
    let v6 = packet(Kind::Announcement, "fd00::7700:1".parse().unwrap(), SDP);
    let origin = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x77, 0, 0, 1];
    assert_eq!(v6[..36], [&[0x30, 0, hash[0], hash[1]][..], &origin, b"application/sdp\0"].concat());
    assert_eq!(packet(Kind::Deletion, "fd00::1".parse().unwrap(), SDP)[0], 0x34);
}

#[test]
fn the_hash_is_the_crc_and_never_zero() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_ne!(message_hash(SDP), message_hash(&SDP.replace("s=x", "s=y")));
    let zero = (0..200_000_u32).map(|n| n.to_string()).find(|text| crc32(text.as_bytes()) as u16 == 0).unwrap();
    assert_eq!(message_hash(&zero), 1);
}

#[test]
fn reads_what_others_send() {
    let sdp = SDP.as_bytes();
    let parsed = |bytes: &[u8]| Packet::parse(bytes).map(|packet| (packet.kind, packet.origin, packet.sdp.to_vec()));
    let expected = Ok((Kind::Announcement, IpAddr::from(V4), sdp.to_vec()));
    assert_eq!(parsed(&announcement(SDP)), expected);
    assert_eq!(parsed(&[&[0x20, 0, 0, 0, 10, 77, 0, 1], sdp].concat()), expected, "no media type, hash 0");
    assert_eq!(parsed(&[&[0x20, 1, 5, 5, 10, 77, 0, 1, 9, 9, 9, 9], sdp].concat()), expected, "authentication data");
    let only_origin = [&[0x24, 0, 0, 0, 10, 77, 0, 1][..], b"o=- 1 1 IN IP4 10.77.0.1\r\n"].concat();
    assert_eq!(Packet::parse(&only_origin).unwrap().kind, Kind::Deletion);
}

#[test]
fn says_what_is_wrong() {
    assert_eq!(Packet::parse(&[0x20, 0, 0]), Err(SapError::Truncated(3)));
    assert_eq!(Packet::parse(&[0x30, 0, 0, 0, 1, 2, 3, 4]), Err(SapError::Truncated(8)));
    assert_eq!(Packet::parse(&[0x20, 9, 0, 0, 1, 2, 3, 4, 5]), Err(SapError::Truncated(9)));
    assert_eq!(Packet::parse(&[0x40, 0, 0, 0]), Err(SapError::Version(2)));
    assert_eq!(Packet::parse(&[0x21, 0, 0, 0]), Err(SapError::Encoded));
    assert_eq!(Packet::parse(&[0x20, 0, 0, 0, 1, 2, 3, 4, b'x', 0]), Err(SapError::NotSdp));
}

#[test]
fn a_session_comes_changes_and_goes() {
    let mut directory = Directory::default();
    let mut receive = |packet: Vec<u8>, s| directory.receive(&packet, at(s)).unwrap();
    let [Event::Added(added)] = &receive(announcement(&described(1, 1, "a")), 0)[..] else { panic!("added") };
    assert_eq!(added.stream_id.as_deref(), Some("a"));
    assert_eq!(receive(announcement(&described(1, 1, "a")), 5), []);
    let changed = receive(announcement(&described(1, 2, "b")), 10);
    assert!(matches!(&changed[..], [Event::Changed(session)] if session.stream_id.as_deref() == Some("b")));
    assert_eq!(receive(announcement(&described(1, 1, "a")), 11), [], "an old version changes nothing");
    assert_eq!(receive(deletion(&described(1, 1, "a")), 12), [], "nor does it delete");
    assert_eq!(receive(deletion("o=- 1 2 IN IP4 10.77.0.2\n"), 13), [], "nor does another host");
    assert!(matches!(receive(deletion("o=- 1 2 IN IP4 10.77.0.1\n"), 14)[..], [Event::Removed(_)]));
    assert!(directory.sessions().is_empty());
}

#[test]
fn what_is_no_announcement_is_counted() {
    let mut directory = Directory::default();
    let cut = |length: usize| announcement(SDP)[..length].to_vec();
    for bytes in [vec![0xff; 64], cut(0), cut(20), cut(80), announcement("v=0\nrubbish\n"), deletion("v=0\n")] {
        assert!(directory.receive(&bytes, at(0)).is_err(), "{bytes:?}");
    }
    assert_eq!(directory.bogus(), 6);
    assert!(directory.receive(&announcement(&SDP.replace("L16", "opus")), at(0)).is_err(), "in order, but not for us");
    assert!(directory.receive(&announcement(SDP), at(0)).is_ok());
    assert_eq!(directory.receive(&deletion("o=- 9 9 IN IP4 10.77.0.9\n"), at(0)), Ok(vec![]), "of nothing we know");
    assert_eq!(directory.bogus(), 6);
}

#[test]
fn what_is_no_longer_announced_is_forgotten() {
    let mut directory = Directory::default();
    directory.receive(&announcement(&described(1, 1, "often")), at(0)).unwrap();
    directory.receive(&announcement(&described(1, 1, "often")), at(5)).unwrap();
    directory.receive(&announcement(&described(2, 1, "once")), at(5)).unwrap();
    assert_eq!(directory.next_expiry(), Some(at(65)));
    assert_eq!(directory.expire(at(64)), []);
    assert!(matches!(&directory.expire(at(65))[..], [Event::Removed(s)] if s.stream_id.as_deref() == Some("often")));
    assert_eq!(directory.expire(at(904)), []);
    assert_eq!(directory.expire(at(905)).len(), 1);
    assert_eq!(directory.next_expiry(), None);
}

#[test]
fn what_is_announced_again_is_shown_before_what_was_announced_once() {
    let mut directory = Directory::default();
    let elsewhere =
        |id: u64| announcement(&described(id, 1, "x").replace("audio 5004", &format!("audio {}", 6_000 + id)));
    for id in 0..100 {
        directory.receive(&elsewhere(id), at(0)).unwrap();
    }
    directory.receive(&elsewhere(77), at(5)).unwrap();
    let shown = directory.steadiest(3);
    let ids: Vec<&str> = shown.iter().map(|session| session.origin.session_id.as_str()).collect();
    assert_eq!(ids, ["77", "0", "1"]);
}

#[test]
fn what_several_announce_is_shown_once_and_always_as_the_same_tells_of_it() {
    let of = |origin: &str| SDP.replace("IP4 10.77.0.1", origin);
    let ours = described(1, 1, "music").replace("IP4 10.77.0.1", "IP4 10.77.0.3");
    let told = [of("IP4 10.77.0.1"), ours, of("IP6 fd00::1"), of("IP4 10.77.0.2")];
    for first in 0..told.len() {
        let mut directory = Directory::default();
        for sdp in told[first..].iter().chain(&told[..first]) {
            directory.receive(&announcement(sdp), at(0)).unwrap();
        }
        let shown = directory.steadiest(32);
        let ids: Vec<_> = shown.iter().map(|session| session.stream_id.as_deref()).collect();
        assert_eq!((ids, directory.sessions().len()), (vec![Some("music")], 4));
    }
    let mut directory = Directory::default();
    for sdp in [of("IP4 10.77.0.1"), of("IP6 fd00::1"), of("IP4 10.77.0.9").replace("s=x", "s=y")] {
        directory.receive(&announcement(&sdp), at(0)).unwrap();
    }
    directory.receive(&announcement(&of("IP4 10.77.0.1")), at(5)).unwrap();
    let shown = directory.steadiest(32);
    let ways: Vec<_> = shown.iter().map(|session| (session.name.as_str(), session.origin.address.as_str())).collect();
    assert_eq!(ways, [("x", "fd00::1"), ("y", "10.77.0.9")], "of equals the one added last");
}

#[test]
fn a_flood_fills_no_memory_and_drives_out_nobody_that_matters() {
    let mut directory = Directory::default();
    directory.prefer(["ours".to_owned()]);
    directory.receive(&announcement(&described(1, 1, "ours")), at(0)).unwrap();
    directory.receive(&announcement(&described(2, 1, "steady")), at(0)).unwrap();
    directory.receive(&announcement(&described(2, 1, "steady")), at(1)).unwrap();
    for id in 1_000..5_000 {
        let _ = directory.receive(&announcement(&described(id, 1, "bogus")), at(2));
    }
    assert_eq!(directory.sessions().len(), 256);
    assert!(directory.find("ours").is_some() && directory.find("steady").is_some());
    assert_eq!(directory.find("bogus").unwrap().origin.session_id, "4999", "the newest claim wins");
    for id in 1_000..5_000 {
        let _ = directory.receive(&announcement(&described(id, 1, "bogus")), at(3));
        let _ = directory.receive(&announcement(&described(id, 1, "bogus")), at(3));
    }
    assert!(directory.receive(&announcement(&described(9_000, 1, "late")), at(4)).is_err(), "all others are steady");
    assert!(directory.receive(&announcement(&described(9_001, 1, "ours")), at(4)).is_ok(), "ours always fits");
    assert_eq!(directory.sessions().len(), 256);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), flags in 0x20..0x40_u8) {
        let mut bytes = bytes;
        let _ = Packet::parse(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = flags;
        }
        let _ = Packet::parse(&bytes);
        let _ = Directory::default().receive(&bytes, at(0));
    }

    #[test]
    fn packets_come_back(delete: bool, v4: u32, v6: u128, is_v6: bool, tail in "[ -~\n]{0,100}") {
        let kind = if delete { Kind::Deletion } else { Kind::Announcement };
        let origin = if is_v6 { IpAddr::from(Ipv6Addr::from(v6)) } else { IpAddr::from(Ipv4Addr::from(v4)) };
        let sdp = format!("v=0\n{tail}");
        let bytes = packet(kind, origin, &sdp);
        let expected = Packet { kind, hash: message_hash(&sdp), origin, sdp: sdp.as_bytes() };
        prop_assert_eq!(Packet::parse(&bytes), Ok(expected));
    }
}
