use super::*;

const SDP: &str = "v=0\no=- 7 1 IN IP4 10.77.0.1\ns=Music\nc=IN IP4 239.77.0.1/16\nt=0 0\nm=audio 5004 RTP/AVP 127\n\
                   a=rtpmap:127 L16/48000/2\n";

fn tuned(clock: ClockStatus, arrived: Arrived) -> Option<Tuned> {
    let description = Arc::new(sdp::Session::parse(SDP.as_bytes()).unwrap());
    Some(Tuned { description, clock, arrived })
}

#[test]
fn what_is_no_packet_is_told_wherever_it_came_in() {
    let announcements = Arc::new(AtomicU64::new(1));
    let mut status = Status::new(Arc::clone(&announcements));
    assert_eq!(status.health().packets_bogus, 1);
    let clock = ClockStatus { bogus: 10, ..ClockStatus::default() };
    let arrived = Arrived { malformed: 100, foreign: 1_000, received: 9, expected: 9, ..Arrived::default() };
    status.card_trouble = Some("it was unplugged".into());
    assert_eq!(status.to_string(), "NoCard: it was unplugged");
    status.update(None, false, tuned(clock, arrived), Telemetry::default());
    announcements.store(2, Ordering::Relaxed);
    let health = status.health();
    assert_eq!((health.packets_bogus, health.packets_received, health.packets_lost), (1_112, 9, 0));
    assert!(status.to_string().contains("1112 bogus"), "{status}");
}
