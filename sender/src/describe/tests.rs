use unisono_common::config::sender::SourceConfig;

use super::*;

const HOST: Host = Host { address: Ipv4Addr::new(10, 77, 0, 1), clock_port: 7680, ttl: 16, playout_delay_ms: 250 };

fn stream(id: &str) -> StreamConfig {
    StreamConfig::new(id, SourceConfig::Demo)
}

fn settle_at(host: &Host, identity: &mut StreamIdentity) -> Option<String> {
    let group = groups(&[stream("music")])[0];
    settle(identity, |identity| session(&stream("music"), group, host, identity))
}

#[test]
fn every_stream_has_a_group_of_its_own() {
    let mut configured = stream("a");
    configured.group = Some(multicast_group("b", &[]));
    let groups = groups(&[stream("b"), configured, stream("c")]);
    assert_eq!(groups[1].ip(), &multicast_group("b", &[]), "what is configured comes first");
    assert_ne!(groups[0].ip(), groups[1].ip());
    assert_eq!(groups[2].ip(), &multicast_group("c", &[]));
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
