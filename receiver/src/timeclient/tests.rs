use super::*;
use std::net::UdpSocket;
use std::thread::JoinHandle;
use std::time::Duration;
use unisono_common::clock::exchange::Server;
use unisono_common::time::MediaTime;
use unisono_host::stop::{self, StopHandle};

const OFFSET_NS: i64 = 1_790_000_000_000_000_000;

/// Serves this host's own clock plus a constant from an ordinary socket until stopped.
struct PlainServer {
    address: SocketAddr,
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

impl PlainServer {
    fn start(address: &str, epoch: u32) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, signal) = stop::pair().unwrap();
        let media = || MediaTime::from_ns(clock::now().as_ns() + OFFSET_NS);
        let thread = std::thread::spawn(move || {
            let mut server = Server::new(ClockEpoch(epoch));
            let mut bytes = [0; 100];
            while !signal.is_raised() {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
                let reached = media();
                let reply = server.handle_request(&bytes[..length], from.ip(), reached, media()).unwrap();
                socket.send_to(&reply.bytes, from).unwrap();
            }
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for PlainServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn follow(server: SocketAddr) -> TimeClient {
    spawn(TimeClientConfig { server, interface: None, priority: 0 }).unwrap()
}

fn wait_until(condition: impl Fn() -> bool) -> bool {
    let until = clock::now() + 20_000_000_000;
    while clock::now() < until {
        if condition() {
            return true;
        }
        clock::sleep_until(clock::now() + 2_000_000);
    }
    false
}

#[test]
fn it_locks_and_reads_the_servers_time() {
    let server = PlainServer::start("127.0.0.1:0", 9);
    let client = follow(server.address);
    assert!(wait_until(|| client.status().locked), "{:?}", client.status());
    let now = clock::now();
    let error_ns = client.reader().read().unwrap().media_at(now).as_ns() - now.as_ns() - OFFSET_NS;
    assert!(error_ns.abs() < 2_000_000, "{error_ns} ns off");
    assert_eq!(client.status().epoch, Some(ClockEpoch(9)));
}

#[test]
fn a_restarted_server_is_followed_in_its_new_epoch() {
    let server = PlainServer::start("127.0.0.1:0", 1);
    let (address, client) = (server.address, follow(server.address));
    assert!(wait_until(|| client.status().locked));
    drop(server);
    let _server = PlainServer::start(&address.to_string(), 2);
    let reader = client.reader();
    assert!(wait_until(|| reader.read().is_some_and(|map| map.epoch == ClockEpoch(2))), "{:?}", client.status());
}

#[test]
fn a_server_that_is_not_there_is_waited_for_and_left_at_once() {
    let client = follow("127.0.0.1:9".parse().unwrap());
    assert!(wait_until(|| client.status().timeouts > 0));
    assert_eq!(client.reader().read(), None);
    let before = clock::now();
    drop(client);
    assert!(clock::now() - before < 5_000_000_000);
}

#[test]
fn what_is_no_reply_is_counted_and_dropped() {
    let [server, stranger] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let client = follow(server.local_addr().unwrap());
    let mut request = [0; 100];
    let (_, from) = server.recv_from(&mut request).unwrap();
    let garbage: [&[u8]; 3] = [&[], &[0xff; 48], &[0x24; 500]];
    for garbage in garbage {
        server.send_to(garbage, from).unwrap();
        stranger.send_to(garbage, from).unwrap();
    }
    assert!(wait_until(|| client.status().bogus == 6), "{:?}", client.status());
    assert_eq!((client.status().samples, client.reader().read()), (0, None));
}
