use unisono_common::config::sender::SourceConfig;

use super::*;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const HOST: Host = Host {
    address: ADDRESS,
    clock_port: 7680,
    ttl: 16,
    playout_delay_ms: 250,
    repair: SocketAddr::V4(SocketAddrV4::new(ADDRESS, 7681)),
};

fn stream(id: &str) -> StreamConfig {
    StreamConfig::new(id, SourceConfig::Demo)
}

fn settle_at(host: &Host, identity: &mut StreamIdentity) -> Option<String> {
    let groups = groups(&[stream("music")])[0];
    settle(identity, false, |identity| session(&stream("music"), &groups, host, identity, own_clock(host)))
}

#[test]
fn every_stream_has_a_group_of_its_own() {
    let mut configured = stream("a");
    configured.group = Some(multicast_group("b", &[]).into());
    let groups = groups(&[stream("b"), configured, stream("c")]);
    assert_eq!(groups[1].media.ip(), multicast_group("b", &[]), "what is configured comes first");
    assert_eq!(groups[2].media.ip(), multicast_group("c", &[]));
    let all: std::collections::HashSet<_> =
        groups.iter().flat_map(|groups| [groups.media.ip(), IpAddr::from(*groups.repair.ip())]).collect();
    assert_eq!(all.len(), 6, "none twice, and what is sent again in none of them: {groups:?}");
}

#[test]
fn a_restart_keeps_the_session() {
    let mut identity = StreamIdentity::new([7; 8]);
    assert_eq!(settle_at(&HOST, &mut identity), None);
    let first = identity.clone();
    assert!(first.announced.contains("m=audio 5004 RTP/AVP 127\n"));
    assert_eq!(settle_at(&HOST, &mut identity), None);
    assert_eq!(identity, first);
}

#[test]
fn a_change_deletes_the_old_session_and_makes_a_new_one() {
    let mut identity = StreamIdentity::new([7; 8]);
    settle_at(&HOST, &mut identity);
    let first = identity.clone();
    let outdated = settle_at(&Host { playout_delay_ms: 400, ..HOST }, &mut identity);
    assert_eq!(outdated, Some(first.announced));
    assert_eq!((identity.ssrc, identity.session_id), (first.ssrc, first.session_id + 1));
    assert!(identity.announced.contains("a=x-unisono-delay:400\n"));
}

#[test]
fn senders_with_one_text_are_one_to_the_network() {
    let stands_in = || {
        let mut identity = StreamIdentity::derived("our house", "music");
        let groups = groups(&[stream("music")])[0];
        let outdated = settle(&mut identity, true, |identity| {
            session(&stream("music"), &groups, &HOST, identity, own_clock(&HOST))
        });
        assert_eq!(outdated, None);
        identity
    };
    assert_eq!(stands_in(), stands_in());
    assert_ne!(stands_in().ssrc, StreamIdentity::derived("their house", "music").ssrc);
    let mut changed = stands_in();
    let groups = groups(&[stream("music")])[0];
    let host = Host { playout_delay_ms: 400, ..HOST };
    let outdated =
        settle(&mut changed, true, |identity| session(&stream("music"), &groups, &host, identity, own_clock(&host)));
    assert_eq!(outdated, Some(stands_in().announced));
    assert_ne!(changed.session_id, stands_in().session_id);
}
