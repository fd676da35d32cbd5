//! What Prometheus reads.

use super::*;

#[test]
fn metrics_tell_of_every_room() {
    let served = Served::new(AutoApprove::Always);
    let mut room = served.room("kitchen1");
    room.orders();
    room.report(Health { offset_us: Some(7.25), packets_lost: 3, packets_bogus: 4, ..Health::default() });
    served.wait_for("/api/v1/rooms/kitchen1", |room| room["health"] != Value::Null);
    let (status, text) = served.network(None).text("GET", "/metrics", None).unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("unisono_room_offset_microseconds{id=\"kitchen1\",name=\"Room kitchen1\"} 7.25"), "{text}");
    assert!(text.contains("fate=\"lost\"} 3") && text.contains("fate=\"bogus\"} 4"), "{text}");
    for own in [
        "unisono_clock_server_bogus_total 5\n",
        "unisono_announcements_bogus_total 6\n",
        "unisono_repair_bogus_total 7\n",
        "unisono_stream_source_bogus_total{id=\"tv\",name=\"TV\"} 8\n",
    ] {
        assert!(text.contains(own), "{text}");
    }
}

#[test]
fn metrics_tell_what_was_sent_again_of_each_stream() {
    let served = Served::new(AutoApprove::Always);
    let (status, text) = served.network(None).text("GET", "/metrics", None).unwrap();
    assert_eq!(status, 200);
    for (name, count) in [
        ("repair_asked", 9),
        ("repair_to_rooms", 4),
        ("repair_to_group", 3),
        ("repair_unanswered", 2),
        ("unicast_packets", 800),
    ] {
        let line = format!("unisono_stream_{name}_total{{id=\"radio\",name=\"RADIO\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(!text.contains("repair_asked_total{id=\"tv\""), "what is not sent from here has none: {text}");
}
