use super::*;

fn at(seconds: i64) -> LocalTime {
    LocalTime::from_ns(seconds * NS_PER_S)
}

#[test]
fn pulseaudio_hears_every_five_seconds_and_the_others_slow_down() {
    let mut rhythm = Rhythm::new(at(100));
    let heard: Vec<(i64, usize)> = (100..=200).map(|s| (s, rhythm.due(at(s)).len())).filter(|(_, n)| *n > 0).collect();
    let often: Vec<i64> = heard.iter().map(|(s, _)| *s).collect();
    assert_eq!(often, (100..=200).step_by(5).collect::<Vec<_>>());
    let wide: Vec<i64> = heard.iter().filter(|(_, n)| *n == 3).map(|(s, _)| *s).collect();
    assert_eq!(wide, [100, 105, 110, 115, 120, 125, 130, 160, 190]);
}

#[test]
fn a_relay_is_told_of_only_where_its_original_is_not_played() {
    assert_eq!(told_of("library", false), ALL_GROUPS);
    assert_eq!(told_of("library", true), [GROUP_LOCAL]);
    assert_eq!(told_of(RELAY, false), [GROUP_LOCAL]);
}

const OURS: &str = "v=0\no=- 7 1 IN IP4 10.0.0.1\ns=Music\nc=IN IP4 239.77.1.1/16\nt=0 0\nm=audio 5004 RTP/AVP 127\n\
                    a=rtpmap:127 L16/48000/2\na=x-unisono-id:music\n";
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 77, 1, 1)), 5004);

fn conflict_with(sdp: &str) -> Option<String> {
    let packet = sap::packet(Kind::Announcement, IpAddr::from([10, 0, 0, 2]), sdp);
    conflict(&announced_session(&packet).unwrap(), "music", GROUP, OURS)
}

#[test]
fn our_own_announcement_is_no_conflict_and_a_neighbour_is_none() {
    assert_eq!(conflict_with(OURS), None);
    let neighbour = OURS.replace("239.77.1.1", "239.77.1.2").replace("id:music", "id:radio").replace("o=- 7", "o=- 8");
    assert_eq!(conflict_with(&neighbour), None);
}

#[test]
fn the_same_id_or_group_elsewhere_is_a_conflict() {
    let twin = OURS.replace("IP4 10.0.0.1", "IP4 10.0.0.2").replace("239.77.1.1", "239.77.1.9");
    assert!(conflict_with(&twin).unwrap().contains("10.0.0.2 has a stream with the id \"music\" too"));
    let squatter = OURS.replace("o=- 7", "o=root 9").replace("a=x-unisono-id:music\n", "");
    assert!(conflict_with(&squatter).unwrap().contains("to our group 239.77.1.1"));
}

#[test]
fn a_stranger_s_name_is_cut_for_the_log() {
    let giant = OURS.replace("o=- 7", "o=- 8").replace("a=x-unisono-id:music\n", "").replace("Music", &"x".repeat(900));
    let told = conflict_with(&giant).unwrap();
    assert!(told.contains(&"x".repeat(64)) && !told.contains(&"x".repeat(65)), "{told}");
}
