use super::*;
use std::net::UdpSocket;
use std::time::Duration;
use unisono_common::clock::ntp::{Mode, Packet};
use unisono_common::time::MediaTime;

fn local_server() -> (TimeServer, MediaClock) {
    let clock = MediaClock::start();
    let listen = "127.0.0.1:0".parse().unwrap();
    (spawn(TimeServerConfig { listen, priority: 0 }, clock).unwrap(), clock)
}

#[test]
fn a_plain_ntp_client_gets_media_time() {
    let (server, clock) = local_server();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut request = [0; 48];
    request[0] = 0xe3; // as GStreamer asks
    request[40..48].copy_from_slice(b"anything");
    let before = clock.now();
    socket.send_to(&[0xff; 48], server.local_addr()).unwrap();
    socket.send_to(&request, server.local_addr()).unwrap();
    let mut reply = [0; 100];
    let (length, from) = socket.recv_from(&mut reply).unwrap();
    let after = clock.now();
    assert_eq!((length, from), (48, server.local_addr()));
    let reply = Packet::parse(&reply).unwrap();
    assert_eq!((reply.mode, reply.version, reply.stratum, reply.leap), (Mode::Server, 4, 1, 0));
    assert_eq!(reply.origin.to_be_bytes(), *b"anything");
    assert_eq!(reply.reference_id, clock.epoch().0);
    let reached = MediaTime::from_ntp(reply.receive, before);
    let answered = MediaTime::from_ntp(reply.transmit, before);
    assert!(reached - before > -1_000_000 && answered - reached >= 0 && after - answered > -1_000_000);
    assert_eq!(server.statistics().clients, 0);
    let counted = || (server.statistics().bogus, server.statistics().replies) == (1, 1);
    let waited = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        counted()
    });
    assert!(waited, "{:?}", server.statistics());
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let (server, clock) = local_server();
    let error = spawn(TimeServerConfig { listen: server.local_addr(), priority: 0 }, clock).unwrap_err();
    assert!(error.to_string().contains(&server.local_addr().port().to_string()), "{error}");
}

#[test]
fn media_and_local_time_invert_each_other() {
    let clock = MediaClock::start();
    let now = clock::now();
    assert_eq!(clock.local_at(clock.at(now)), now);
    assert_ne!(clock.epoch(), MediaClock::start().epoch());
}
