use unisono_common::rtp::Header;
use unisono_common::time::LocalTime;

use super::*;
use crate::testing;

fn packet(timestamp: u32, ssrc: u32, payload: &[u8]) -> Packet<'_> {
    let header = Header { payload_type: 127, sequence: 0, timestamp, ssrc };
    Packet { header, marker: false, payload }
}

#[test]
fn what_is_missing_is_silence_and_what_comes_twice_is_left_out() {
    let format: Format = "48000:16:1".parse().unwrap();
    let mut line = Line::new(format, 127);
    let mut out = Vec::new();
    let mut take = |timestamp, ssrc, at_s: i64, payload: &[u8]| {
        let before = out.len();
        line.take(&packet(timestamp, ssrc, payload), LocalTime::from_ns(at_s * 1_000_000_000), &mut out);
        out[before..].to_vec()
    };
    assert_eq!(take(u32::MAX, 7, 0, &[0, 1, 0, 2]), [1, 2]);
    assert_eq!(take(1, 7, 0, &[0, 3]), [3]);
    assert_eq!(take(1, 7, 0, &[0, 3]), [0; 0]);
    assert_eq!(take(4, 7, 0, &[0, 4]), [0, 0, 4]);
    // Another source, while the first is there and when it is gone.
    assert_eq!(take(5, 8, 0, &[0, 9]), [0; 0]);
    assert_eq!(take(100, 8, 2, &[0, 9]), [9]);
    // A jump of hours is a new beginning.
    assert_eq!(take(1_000_000_000, 8, 3, &[0, 5]), [5]);
}

#[test]
fn flac_and_wav_decode_to_what_was_sent() {
    for (format, suffix, container) in [
        ("48000:16:2", "flac", Container::Flac),
        ("44100:24:1", "flac", Container::Flac),
        ("96000:24:8", "flac", Container::Flac),
        ("48000:16:2", "wav", Container::Wav),
        ("96000:24:2", "wav", Container::Wav),
    ] {
        let format: Format = format.parse().unwrap();
        let sent = testing::noise(format.depth.bits(), 3 * 4096, format.channels.into(), 5);
        let mut wrap = container.wrap(format, "Radio").unwrap();
        let mut file = wrap.head();
        for piece in sent.chunks(240 * usize::from(format.channels)) {
            assert!(wrap.put(piece, &mut file));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("listen").with_extension(suffix);
        std::fs::write(&path, file).unwrap();
        let wanted: Vec<i32> = sent.iter().map(|sample| sample << (32 - format.depth.bits())).collect();
        let decoded = testing::decode_all(&path);
        assert!(decoded == wanted, "{format} {suffix}: {} of {} samples", decoded.len(), wanted.len());
    }
}

#[test]
fn no_more_than_so_many_listen() {
    let taken = Arc::new(AtomicUsize::new(0));
    let mut places: Vec<Place> = (0..MOST).map(|_| Place::take(&taken).unwrap()).collect();
    assert!(matches!(Place::take(&taken), Err(ListenError::Full)));
    places.pop();
    assert!(Place::take(&taken).is_ok());
}

#[test]
fn a_listener_ends_when_its_stream_is_another_and_not_when_it_is_away() {
    let sdp = "v=0\no=- 7 1 IN IP4 10.0.0.2\ns=Den\nc=IN IP4 239.1.2.3/4\nt=0 0\nm=audio 5004 RTP/AVP 98\n\
               a=rtpmap:98 L16/48000/2\n";
    let session = |from: &str, to: &str| Session::parse(sdp.replace(from, to).as_bytes()).unwrap();
    let before = session("", "");
    let stream = |format: Format| Stream {
        id: "den".to_owned(),
        name: "Den".to_owned(),
        format,
        packet_frames: 240,
        kind: "demo",
        enabled: false,
        on_air: None,
    };
    assert!(!is_other(None, &before) && !is_other(Some(&stream(before.format)), &before));
    for other in ["44100:16:2", "48000:24:2", "48000:16:1"] {
        assert!(is_other(Some(&stream(other.parse().unwrap())), &before), "{other}");
    }
    let announced = |from: &str, to: &str| vec![Arc::new(session(from, to))];
    assert!(!is_reshaped(&[], &before) && !is_reshaped(&announced("Den", "Attic"), &before));
    assert!(!is_reshaped(&announced("5004", "5006"), &before));
    assert!(is_reshaped(&announced("L16", "L24"), &before));
    // As long as it is announced as it was, too, it is.
    assert!(!is_reshaped(&[announced("L16", "L24"), announced("", "")].concat(), &before));
}
