use proptest::prelude::*;

use super::*;
use crate::time::direct_offset_ntp;

/// Verified against PulseAudio 16, PipeWire 0.3 and 1.4, GStreamer 1.22, VLC 3 and ffmpeg 5.
const GOLDEN: &str = concat!(
    "v=0\n",
    "o=- 3900000000 1 IN IP4 10.77.0.1\n",
    "s=Living Room\n",
    "c=IN IP4 239.77.0.1/16\n",
    "t=0 0\n",
    "m=audio 5004 RTP/AVP 127\n",
    "i=2 channels: Left, Right\n",
    "a=recvonly\n",
    "a=rtpmap:127 L16/48000/2\n",
    "a=ptime:5\n",
    "a=maxptime:5\n",
    "a=framecount:240\n",
    "a=sync-time:0\n",
    "a=ts-refclk:ntp=10.77.0.1:7680\n",
    "a=mediaclk:direct=2691979648\n",
    "a=tool:unisono ",
    env!("CARGO_PKG_VERSION"),
    "\n",
    "a=x-unisono-id:living-room\n",
    "a=x-unisono-delay:250\n",
    "a=x-unisono-repair:1 nack=10.77.0.1:7681 rtx=239.77.9.8:5004 pt=97 ssrc=287454020\n",
);

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
            group: "239.77.9.8:5004".parse().unwrap(),
            payload_type: 97,
            ssrc: 0x1122_3344,
        }),
        fec: None,
    }
}

#[test]
fn a_change_of_the_delay_is_announced_and_read_back() {
    let begins = MediaTime::from_ns(1_900_000_000_000_000_000);
    let with = Session { delay_change: Some(DelayChange { from_ms: 200, begins }), ..session() };
    assert!(with.to_string().contains("a=x-unisono-delay:250\na=x-unisono-delay-change:1 from=200 begins=19000"));
    assert_eq!(Session::parse(with.to_string().as_bytes()), Ok(with.clone()));
    assert!(with.is_but_for_delay(&session()));
    assert!(!with.is_but_for_delay(&Session { port: 5006, ..session() }));
    assert_eq!(with.playout_delay(0), PlayoutDelay::gliding(200_000_000, 250_000_000, begins));
    // One of a later version is left alone.
    let later = with.to_string().replace("change:1", "change:2");
    assert_eq!(Session::parse(later.as_bytes()), Ok(session()));
}

#[test]
fn parity_is_announced_and_read_back() {
    let fec = Fec { group: "239.77.9.9:5006".parse().unwrap(), matrix: Matrix { columns: 10, rows: 4 } };
    let with = Session { fec: Some(fec), ..session() };
    assert!(with.to_string().ends_with("a=x-unisono-fec:1 group=239.77.9.9:5006 columns=10 rows=4\n"));
    assert_eq!(Session::parse(with.to_string().as_bytes()), Ok(with));
    for wrong in ["1 group=10.0.0.1:5006 columns=10 rows=4", "1 group=239.77.9.9:5006 columns=10 rows=40", "2 x=1"] {
        let text = format!("{GOLDEN}a=x-unisono-fec:{wrong}\n");
        assert_eq!(Session::parse(text.as_bytes()).unwrap().fec, None, "{wrong}");
    }
}

#[test]
fn repair_of_another_version_or_without_an_address_is_left_alone() {
    let repair = |value: &str| {
        let golden = "1 nack=10.77.0.1:7681 rtx=239.77.9.8:5004 pt=97 ssrc=287454020";
        Session::parse(GOLDEN.replace(golden, value).as_bytes()).unwrap().repair
    };
    assert_eq!(repair("1 news=7 pt=97 ssrc=287454020 rtx=239.77.9.8:5004 nack=10.77.0.1:7681 more"), session().repair);
    for wrong in [
        "2 nack=10.77.0.1:7681 rtx=239.77.9.8:5004 pt=97 ssrc=287454020",
        "1 nack=10.77.0.1:7681 pt=97 ssrc=287454020",
        "1 nack=10.77.0.1:7681 rtx=239.77.9.8:5004 pt=97",
        "1 nack=239.77.0.1:7681 rtx=239.77.9.8:5004 pt=97 ssrc=287454020",
        "1 nack=10.77.0.1:7681 rtx=10.77.0.9:5004 pt=97 ssrc=1",
        "1 nack=10.77.0.1:7681 rtx=239.77.9.8:5004 pt=200 ssrc=1",
        "1",
        "x",
    ] {
        assert_eq!(repair(wrong), None, "{wrong}");
    }
}

#[test]
fn writes_the_golden_text() {
    assert_eq!(session().to_string(), GOLDEN);
}

#[test]
fn reads_what_it_writes_with_either_line_end() {
    assert_eq!(Session::parse(GOLDEN.as_bytes()), Ok(session()));
    assert_eq!(Session::parse(GOLDEN.replace('\n', "\r\n").as_bytes()), Ok(session()));
}

#[test]
fn a_name_can_add_no_line() {
    let named = |name: &str| Session { name: name.into(), ..session() }.to_string();
    assert!(named("x\na=evil\r\nc=1").contains("\ns=xa=evilc=1\n"));
    assert!(named(" \n").contains("\ns=-\n"));
}

#[test]
fn the_packet_time_is_within_half_a_sample() {
    let format = "44100:16:2".parse::<Format>().unwrap();
    let odd = Session { format, payload_type: 10, packet_frames: Some(format.packet_frames()), ..session() };
    let text = odd.to_string();
    assert!(text.contains("m=audio 5004 RTP/AVP 10\n") && text.contains("a=rtpmap:10 L16/44100/2\n"), "{text}");
    assert!(text.contains("a=ptime:4.989\n"), "{text}");
    let without_count = text.replace("a=framecount:220\n", "");
    assert_eq!(Session::parse(without_count.as_bytes()).unwrap().packet_frames, Some(220));
}

#[test]
fn reads_pulseaudio() {
    let text = "v=0\no=root 4004298247 0 IN IP4 10.77.0.1\ns=PulseAudio RTP Stream on vm\nc=IN IP4 224.0.0.56\n\
                t=4004298247 0\na=recvonly\nm=audio 46966 RTP/AVP 127\na=rtpmap:127 L16/48000/2\na=type:broadcast\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    assert_eq!((session.port, session.packet_frames, session.reference_clock), (46966, None, None));
    assert_eq!(session.origin.key().to_string(), "root/4004298247@10.77.0.1");
}

#[test]
fn reads_pipewire() {
    let text = "v=0\no=root 0 0 IN IP4 10.77.0.1\ns=pw sink\nc=IN IP4 239.77.0.8/1\nt=0 0\nm=audio 5004 RTP/AVP 127\n\
                i=2 channels: L, R\na=recvonly\na=rtpmap:127 L24/48000/2\n\
                a=source-filter: incl IN IP4 239.77.0.8 10.77.0.1\na=ssrc:622813487\na=ptime:1\na=framecount:48\n\
                a=ts-refclk:ptp=traceable\na=mediaclk:direct=0\na=tool:PipeWire 1.4.2\na=type:broadcast\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    assert_eq!(session.format.to_string(), "48000:24:2");
    assert_eq!(session.source, Some("10.77.0.1".parse().unwrap()));
    assert_eq!(session.reference_clock, Some(ReferenceClock::Other("ptp=traceable".into())));
    assert_eq!(session.direct_offset, Some(0));
}

#[test]
fn reads_aes67_gear() {
    let text = "v=0\r\no=- 1 0 IN IP4 10.0.0.5\r\ns=Stagebox\r\nt=0 0\r\na=ts-refclk:ptp=IEEE1588-2008:00-0B:0\r\n\
                a=group:DUP 1 2\r\nm=audio 5004 RTP/AVP 98 97\r\nc=IN IP4 239.1.0.1/15\r\n\r\n\
                a=rtpmap:98 L20/48000/2\r\na=rtpmap:97 l24/96000/8\r\na=ptime:0.125\r\na=mediaclk:direct=963214424\r\n\
                m=video 6000 RTP/AVP 96\r\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    assert_eq!((session.payload_type, session.format.to_string().as_str()), (97, "96000:24:8"));
    assert_eq!((session.packet_frames, session.ttl), (Some(12), Some(15)));
    assert_eq!(session.reference_clock, Some(ReferenceClock::Other("ptp=IEEE1588-2008:00-0B:0".into())));
}

#[test]
fn static_payload_types_need_no_map_and_ipv6_is_read() {
    let text = "v=0\no=- 1 0 IN IP6 fd00::1\ns= \nc=IN IP6 ff15::77:1\nm=audio 5004 RTP/AVP 11\n\
                a=ts-refclk:ntp=/traceable/\na=ts-refclk:ntp=[fd00::1]\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    assert_eq!((session.format.to_string().as_str(), session.ttl), ("44100:16:1", None));
    assert_eq!(session.reference_clock, Some(ReferenceClock::Ntp("[fd00::1]:123".parse().unwrap())));
}

#[test]
fn a_clock_is_followed_only_with_the_reading_at_its_epoch() {
    assert_eq!(session().media_clock(), session().reference_clock.as_ref());
    let with = |value: &str| Session::parse(GOLDEN.replace("direct=2691979648", value).as_bytes()).unwrap();
    assert_eq!(with("direct=0").media_clock(), session().reference_clock.as_ref());
    for unknown in ["sender", "direct", "direct=0 rate=1000/1001"] {
        assert_eq!(with(unknown).media_clock(), None, "{unknown}");
    }
    let elsewhere = GOLDEN.replace("ntp=10.77.0.1:7680", "ntp=/traceable/");
    assert_eq!(Session::parse(elsewhere.as_bytes()).unwrap().media_clock(), None);
}

#[test]
fn says_why_not() {
    let with = |from: &str, to: &str| Session::parse(GOLDEN.replace(from, to).as_bytes()).unwrap_err();
    assert_eq!(with("L16/48000/2", "OPUS/48000/2"), SdpError::Encoding("OPUS/48000/2".into()));
    assert_eq!(with("L16/48000/2", "L16/48000/9"), SdpError::Encoding("L16/48000/9".into()));
    assert_eq!(with("c=IN IP4 239.77.0.1/16\n", ""), SdpError::NoAddress);
    assert_eq!(with("m=audio", "m=video"), SdpError::NoAudio);
    assert_eq!(Session::parse(b"v=0\no=- 1 1 IN IP4 10.77.0.1\ns=x\n"), Err(SdpError::NoMedia));
    assert_eq!(with("o=- 3900000000 1 IN IP4 10.77.0.1\n", ""), SdpError::NoOrigin);
    assert!(matches!(with("v=0", "v=1"), SdpError::Syntax(_)));
    assert!(matches!(with("s=", &"s=x".repeat(2_000)), SdpError::TooLong(_)));
}

#[test]
fn what_our_own_attributes_say_is_held_to_what_a_sender_can_be_told() {
    let with = |from: &str, to: &str| Session::parse(GOLDEN.replace(from, to).as_bytes());
    let long = "x".repeat(33);
    for id in ["Living Room", "../living-room", "größe", &long] {
        let error = with("id:living-room", &format!("id:{id}")).unwrap_err();
        assert!(error.to_string().contains("is no stream id; use 1 to 32 of a-z"), "{id}: {error}");
    }
    for delay in ["19", "5001", "4294967295", "-1", "soon"] {
        let error = with("delay:250", &format!("delay:{delay}")).unwrap_err();
        assert_eq!(error.to_string(), format!("SDP: {delay} is no playout delay; use 20 to 5000 ms"));
        let changing = format!("delay:250\na=x-unisono-delay-change:1 from={delay} begins=0");
        assert_eq!(with("delay:250", &changing), Err(SdpError::Delay(delay.to_owned())));
    }
    for delay in [20, 5_000] {
        assert_eq!(with("delay:250", &format!("delay:{delay}")).unwrap().playout_delay_ms, Some(delay));
    }
}

#[test]
fn an_origin_may_stand_alone() {
    assert_eq!(origin(b"o=- 7 3 IN IP4 10.0.0.1\r\n").unwrap().version, 3);
    assert_eq!(origin(b"o=- 7 three IN IP4 10.0.0.1\n"), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Session::parse(&bytes);
        let _ = origin(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0..GOLDEN.len(), len in 0..20_usize, with in "\\PC{0,8}") {
        let mut bytes = GOLDEN.as_bytes().to_vec();
        bytes.splice(at..(at + len).min(GOLDEN.len()), with.into_bytes());
        let _ = Session::parse(&bytes);
    }

    #[test]
    fn sessions_come_back(
        name in "[a-zA-Z][ -~]{0,20}[a-zA-Z]", rate in 8_000..=192_000_u32, deep: bool, channels in 1..=8_u16,
        v6: bool, offset: u32, version: u64, port in 1..u16::MAX, frames in 1..2_000_u32,
    ) {
        let depth = if deep { crate::format::Depth::S24 } else { crate::format::Depth::S16 };
        let mut session = Session {
            name, port, format: Format { rate, depth, channels }, direct_offset: Some(offset),
            packet_frames: Some(frames), payload_type: 98, ..session()
        };
        session.origin.version = version;
        if v6 {
            session.address = "ff15::77:1".parse().unwrap();
            session.ttl = None;
            session.source = Some("fd00::1".parse().unwrap());
            session.origin.address = "fd00::1".into();
            session.reference_clock = Some(ReferenceClock::Ntp("[fd00::1]:7680".parse().unwrap()));
        }
        prop_assert_eq!(Session::parse(session.to_string().as_bytes()), Ok(session));
    }
}

/// The same of the AES67 profile: verified as above, but PulseAudio, which plays no L24.
const GOLDEN_AES67: &str = concat!(
    "v=0\n",
    "o=- 3900000001 1 IN IP4 10.77.0.1\n",
    "s=Living Room\n",
    "c=IN IP4 239.69.0.6/16\n",
    "t=0 0\n",
    "m=audio 5004 RTP/AVP 98\n",
    "i=2 channels: Left, Right\n",
    "a=recvonly\n",
    "a=rtpmap:98 L24/48000/2\n",
    "a=ptime:1\n",
    "a=maxptime:1\n",
    "a=framecount:48\n",
    "a=sync-time:0\n",
    "a=clock-domain:PTPv2 0\n",
    "a=ts-refclk:ptp=IEEE1588-2008:BE-3C-46-FF-FE-AB-AB-92:0\n",
    "a=mediaclk:direct=0\n",
    "a=tool:unisono ",
    env!("CARGO_PKG_VERSION"),
    "\n",
    "a=x-unisono-id:living-room\n",
    "a=x-unisono-delay:250\n",
);

#[test]
fn the_golden_text_of_aes67_is_written_and_read_back() {
    let grandmaster = Some("BE-3C-46-FF-FE-AB-AB-92".parse().unwrap());
    let aes67 = Session {
        origin: Origin { session_id: "3900000001".into(), ..session().origin },
        address: "239.69.0.6".parse().unwrap(),
        payload_type: 98,
        format: "48000:24:2".parse().unwrap(),
        packet_frames: Some(48),
        reference_clock: Some(ReferenceClock::Ptp(PtpClock { grandmaster, domain: 0 })),
        direct_offset: Some(0),
        repair: None,
        ..session()
    };
    assert_eq!(aes67.to_string(), GOLDEN_AES67);
    assert_eq!(Session::parse(GOLDEN_AES67.as_bytes()), Ok(aes67));
}

#[test]
fn ptp_clocks_are_read_as_others_write_them() {
    let clock = |value: &str| {
        let golden = "ptp=IEEE1588-2008:BE-3C-46-FF-FE-AB-AB-92:0";
        Session::parse(GOLDEN_AES67.replace(golden, value).as_bytes()).unwrap().reference_clock
    };
    let grandmaster = Some("39-A7-94-FF-FE-07-CB-D0".parse().unwrap());
    let ptp = |grandmaster, domain| Some(ReferenceClock::Ptp(PtpClock { grandmaster, domain }));
    assert_eq!(clock("ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37"), ptp(grandmaster, 37));
    assert_eq!(clock("ptp=IEEE1588-2008:39-a7-94-ff-fe-07-cb-d0"), ptp(grandmaster, 0));
    assert_eq!(clock("ptp=IEEE1588-2019:39-A7-94-FF-FE-07-CB-D0:1"), ptp(grandmaster, 1));
    assert_eq!(clock("ptp=IEEE1588-2008:traceable"), ptp(None, 0));
    for other in [
        "ptp=IEEE802.1AS-2011:39-A7-94-FF-FE-07-CB-D0",
        "ptp=IEEE1588-2008:39-A7-94:0",
        "ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:128",
        "ptp=traceable",
    ] {
        assert_eq!(clock(other), Some(ReferenceClock::Other(other.to_owned())));
    }
}
