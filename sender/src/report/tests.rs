use super::*;

fn sender(ssrc: u32) -> Item {
    Item::SenderReport(SenderReport { ssrc, ntp: 0, rtp_timestamp: 0, packets: 0, octets: 0 })
}

#[test]
fn only_another_sender_is_a_conflict() {
    let (ours, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    assert_eq!(conflict(&sender(7), ours, ours, 7), None);
    assert_eq!(conflict(&Item::Bye { ssrc: 9 }, other, ours, 7), None);
    assert!(conflict(&sender(9), ours, ours, 7).is_some(), "another process of this host");
    assert!(conflict(&sender(7), other, ours, 7).is_some(), "a copy of our state directory");
}

#[test]
fn reports_come_by_chance_around_the_mean() {
    assert_eq!(interval_ns(0), MEAN_NS / 2);
    assert_eq!(interval_ns(1 << 31), MEAN_NS);
    assert_eq!(interval_ns(u32::MAX), MEAN_NS * 3 / 2 - 1);
}
