use super::*;
use crate::clock;
use unisono_common::clock::StampSource;

const OPTIONS: SendOptions = SendOptions { source_port: 0, ttl: 1, dscp: 34 };

fn loopback() -> Interface {
    Interface::by_name("lo").unwrap()
}

fn next(receiver: &mut MulticastReceiver) -> Option<(Vec<u8>, Received)> {
    let mut buffer = [0; 64];
    let until = clock::now() + 2_000_000_000;
    while clock::now() < until {
        receiver.wait(until, None).unwrap();
        if let Some(received) = receiver.receive(&mut buffer).unwrap() {
            return Some((buffer[..received.len].to_vec(), received));
        }
    }
    None
}

#[test]
fn a_packet_reaches_its_group_on_loopback_with_a_stamp() {
    let group: SocketAddr = "239.77.250.1:15004".parse().unwrap();
    let mut receiver = MulticastReceiver::join(group, &loopback()).unwrap();
    let mut neighbour = MulticastReceiver::join("239.77.250.2:15004".parse().unwrap(), &loopback()).unwrap();
    let sender = MulticastSender::open(&loopback(), IPV4, OPTIONS).unwrap();
    let before = clock::now();
    sender.send_to(b"first", group).unwrap();
    let (bytes, received) = next(&mut receiver).expect("the packet");
    assert_eq!(bytes, b"first");
    assert_eq!(received.from, sender.local_addr().unwrap());
    assert!(received.stamp.at - before > -1_000_000 && clock::now() - received.stamp.at > -1_000_000);
    assert!(neighbour.receive(&mut [0; 64]).unwrap().is_none(), "another group's packet came through");

    receiver.rejoin().unwrap();
    sender.send_to(b"second", group).unwrap();
    assert_eq!(next(&mut receiver).expect("the packet after a rejoin").0, b"second");
    // As it would be when the interface came back under another number.
    receiver.interface.index += 1_000;
    receiver.revive().unwrap();
    sender.send_to(b"third", group).unwrap();
    assert_eq!(next(&mut receiver).expect("the packet on the interface as it is now").0, b"third");
    assert_eq!(*receiver.interface(), loopback());

    // The kernel switches its stamps on in its own time: the first packets may lack them.
    let until = clock::now() + 10_000_000_000;
    let mut kernel_stamped = false;
    while !kernel_stamped && clock::now() < until {
        sender.send_to(b"stamped", group).unwrap();
        kernel_stamped = next(&mut receiver).is_some_and(|(_, packet)| packet.stamp.source == StampSource::Kernel);
        clock::sleep_until(clock::now() + 5_000_000);
    }
    assert!(kernel_stamped);
}

#[test]
fn a_sender_follows_its_interface_to_another_number() {
    let group: SocketAddr = "239.77.250.4:15010".parse().unwrap();
    let mut receiver = MulticastReceiver::join(group, &loopback()).unwrap();
    let sender = MulticastSender::open(&loopback(), IPV4, OPTIONS).unwrap();
    let gone = Interface { index: loopback().index + 1_000, ..loopback() };
    assert!(sender.follow(&gone).is_err());
    sender.follow(&loopback()).unwrap();
    sender.send_to(b"here", group).unwrap();
    assert_eq!(next(&mut receiver).expect("the packet").0, b"here");
}

#[test]
fn a_source_specific_member_hears_only_its_source() {
    let group: SocketAddr = "239.77.250.3:15006".parse().unwrap();
    let mut wanted = MulticastReceiver::join_source(group, "127.0.0.1".parse().unwrap(), &loopback()).unwrap();
    let mut other = MulticastReceiver::join_source(group, "127.0.0.9".parse().unwrap(), &loopback()).unwrap();
    let sender = MulticastSender::open(&loopback(), IPV4, OPTIONS).unwrap();
    sender.send_to(b"here", group).unwrap();
    assert!(next(&mut wanted).is_some());
    assert!(other.receive(&mut [0; 64]).unwrap().is_none());
}

/// As under an emulator that knows no others.
#[test]
fn a_group_is_joined_in_the_older_words_too() {
    let group: SocketAddr = "239.77.250.5:15012".parse().unwrap();
    let mut receiver = MulticastReceiver::join(group, &loopback()).unwrap();
    receiver.membership(false).unwrap();
    receiver.membership_by_address(true).unwrap().unwrap();
    let sender = MulticastSender::open(&loopback(), IPV4, OPTIONS).unwrap();
    sender.send_to(b"here", group).unwrap();
    assert_eq!(next(&mut receiver).expect("the packet").0, b"here");
    receiver.membership_by_address(false).unwrap().unwrap();
    assert!(receiver.membership(false).is_err(), "it is a member no more");
}

#[test]
fn ipv6_groups_are_joined_by_the_same_call() {
    if loopback().ipv6.is_some() {
        let mut receiver = MulticastReceiver::join("[ff15::77:1]:15008".parse().unwrap(), &loopback()).unwrap();
        receiver.rejoin().unwrap();
        receiver.revive().unwrap();
        MulticastSender::open(&loopback(), IPV6, OPTIONS).unwrap();
    }
}

#[test]
fn an_address_that_is_no_group_is_refused_with_the_reason() {
    let error = MulticastReceiver::join("10.0.0.1:5004".parse().unwrap(), &loopback()).unwrap_err();
    assert!(error.to_string().contains("not a multicast address"), "{error}");
}
