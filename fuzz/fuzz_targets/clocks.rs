//! What keeps a state from packet to packet: both ends of the clock's exchange, a PTP slave, and the directory of what is
//! announced. Whatever comes in whatever order, nothing panics.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use unisono_common::clock::Stamp;
use unisono_common::clock::exchange::{Client, Server};
use unisono_common::clock::ptp::{ClockIdentity, Node, Slave, Tracking};
use unisono_common::sap::Directory;
use unisono_common::time::{ClockEpoch, LocalTime, MediaTime};

fuzz_target!(|bytes: &[u8]| {
    let mut now = LocalTime::from_ns(0);
    let (mut client, mut server, mut directory) = (Client::new(7), Server::new(ClockEpoch(5)), Directory::default());
    let node = Node::new(ClockIdentity([7; 8]), 0);
    let (mut slave, mut tracking) = (Slave::new(&node, 1, now), Tracking::default());
    let mut rest = bytes;
    // How much later, how long, and the packet.
    while let [later, length, tail @ ..] = rest {
        let (packet, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        now = now + i64::from(*later) * 10_000_000;
        if let Some(request) = client.handle_timer(now).request {
            client.handle_sent(request.number, Stamp::kernel(now));
        }
        let _ = client.handle_reply(packet, Stamp::user(now));
        let media = MediaTime::from_ns(now.as_ns());
        let _ = server.handle_request(packet, IpAddr::V4(Ipv4Addr::LOCALHOST), media, media);
        let request = slave.handle_timer(now);
        let sent = request.and_then(|request| slave.handle_sent(request.number, Stamp::kernel(now)));
        let event = slave.handle_event(packet, Stamp::kernel(now));
        let general = slave.handle_general(packet, now);
        for measured in [sent, event, general].iter().flatten() {
            let _ = tracking.take(measured);
        }
        let _ = tracking.look(now, slave.grandmaster());
        let _ = directory.receive(packet, now);
        let _ = directory.expire(now);
    }
});
