//! Whether groups are carried from the hub to here: `doctor` has the hub send it a few packets by multicast, and counts
//! those that come.
//!
//! Streams are packets too, but they may be paused, or come by unicast; and a group that a room has been in for long tells
//! nothing about joining one. The probe's group is nobody's: a switch must learn of it anew.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use unisono_common::doctor::Finding;

use crate::interface::Interface;
use crate::multicast::MulticastReceiver;
use crate::{clock, random};

/// Where a hub is asked for packets: `?token=`, 16 hexadecimal digits.
pub const PATH: &str = "/api/v1/receivers/probe";

/// So many packets are sent, this far apart: a group that is joined meanwhile has time to be learned of.
pub const TIMES: u32 = 10;
/// See [`TIMES`].
pub const EVERY: Duration = Duration::from_millis(100);

/// Beside the groups of streams, which are 239.77.x.y, at their port: firewalls treat it alike.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 76, 77, 77);
const PORT: u16 = 5004;

/// Routers that a probe may pass, as streams do by default.
const TTL: u32 = 16;

/// Whose packets they are. The first byte is not one of RTP.
const MAGIC: &[u8; 16] = b"unisono's probe ";

/// How long the hub may take to answer, and a packet to come.
const WITHIN: Duration = Duration::from_secs(2);

/// A status line is shorter.
const MAX_LINE: u64 = 256;

/// What a hub sends to one who asks. It does so by the way that leads there, whatever interface that is.
#[derive(Debug)]
pub struct Burst {
    socket: UdpSocket,
    packet: [u8; 24],
}

impl Burst {
    /// A burst towards the network of `peer`, with the token that tells it from others.
    ///
    /// # Errors
    /// when no way leads there by IPv4.
    pub fn towards(peer: IpAddr, token: u64) -> io::Result<Self> {
        let way = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Nothing is sent: the kernel picks the address that it would send from.
        way.connect((peer.to_canonical(), PORT))?;
        let IpAddr::V4(local) = way.local_addr()?.ip() else { return Err(io::ErrorKind::Unsupported.into()) };
        let socket = UdpSocket::bind((local, 0))?;
        socket2::SockRef::from(&socket).set_multicast_if_v4(&local)?;
        socket.set_multicast_ttl_v4(TTL)?;
        socket.set_multicast_loop_v4(true)?;
        Ok(Burst { socket, packet: packet(token) })
    }

    /// Sends one packet of it; to be called [`TIMES`] times, [`EVERY`] so often.
    ///
    /// # Errors
    /// when the network is gone.
    pub fn send(&self) -> io::Result<()> {
        self.socket.send_to(&self.packet, (GROUP, PORT)).map(drop)
    }
}

/// Asks the hub at `HOST:PORT` for a burst, and says what came of it on `interface`.
pub fn through(hub: &str, interface: &Interface) -> Finding {
    let group = SocketAddr::from((GROUP, PORT));
    let mut socket = match MulticastReceiver::join(group, interface) {
        Ok(socket) => socket,
        Err(error) => return Finding::problem("probe", error.to_string(), format!("sudo ss -lunp 'sport = :{PORT}'")),
    };
    let token = random::number();
    match ask(hub, token) {
        Ok(200..=299) => {}
        Ok(404) => return Finding::unseen("probe", "the hub is an older one, which sends no probes"),
        Ok(status) => return Finding::unseen("probe", format!("the hub sends no probe: HTTP status {status}")),
        Err(error) => return Finding::unseen("probe", format!("the hub sends no probe: {error}")),
    }
    let (mut came, until) = (0, clock::now() + (EVERY * TIMES + WITHIN).as_nanos() as i64);
    let mut buffer = [0; 2_048];
    while came < TIMES && clock::now() < until {
        let _ = socket.wait(until, None);
        while let Ok(Some(received)) = socket.receive(&mut buffer) {
            came += u32::from(buffer.get(..received.len) == Some(packet(token).as_slice()));
        }
    }
    judge(came)
}

fn judge(came: u32) -> Finding {
    let fix = "IGMP: the switch or access point does not carry groups: switch IGMP snooping on together with a querier, or both \
               off; on an access point look for \"multicast enhancement\" or \"multicast to unicast\"";
    match came {
        0 => {
            Finding::problem("probe", format!("the hub sent {TIMES} packets to the group {GROUP}, and none came"), fix)
        }
        TIMES => Finding::ok("probe", format!("all {TIMES} packets that the hub sent to the group {GROUP} came")),
        _ => Finding::note(
            "probe",
            format!("{came} of {TIMES} packets that the hub sent to the group {GROUP} came"),
            fix,
        ),
    }
}

/// Asks for a burst; the status of the answer.
fn ask(hub: &str, token: u64) -> io::Result<u16> {
    let address = hub.to_socket_addrs()?.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    let request = format!("GET {PATH}?token={token:016x} HTTP/1.1\r\nHost: {hub}\r\nConnection: close\r\n\r\n");
    // In one piece: who answers without reading on would break it off otherwise.
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line)?;
    status(&line).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Of `HTTP/1.1 202 Accepted`.
fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()
}

fn packet(token: u64) -> [u8; 24] {
    let mut packet = [0; 24];
    packet[..16].copy_from_slice(MAGIC);
    packet[16..].copy_from_slice(&token.to_be_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use unisono_common::doctor::Level;

    use super::*;

    #[test]
    fn what_came_is_judged() {
        assert_eq!([0, 4, TIMES].map(|came| judge(came).level), [Level::Problem, Level::Note, Level::Ok]);
        assert!(judge(0).fix.is_some_and(|fix| fix.contains("snooping")));
    }

    #[test]
    fn an_answer_has_a_status_or_is_none() {
        assert_eq!(status("HTTP/1.1 202 Accepted\r\n"), Some(202));
        assert_eq!(status("SSH-2.0-OpenSSH_9.2\r\n"), None);
        assert_eq!(status(""), None);
    }

    #[test]
    fn a_burst_comes_to_who_is_in_the_group() {
        let lo = Interface::by_name("lo").unwrap();
        let mut socket = MulticastReceiver::join((GROUP, PORT).into(), &lo).unwrap();
        let burst = Burst::towards(Ipv4Addr::LOCALHOST.into(), 77).unwrap();
        let (mut buffer, until) = ([0; 64], clock::now() + 5_000_000_000);
        while clock::now() < until {
            burst.send().unwrap();
            let _ = socket.wait(clock::now() + 100_000_000, None);
            while let Ok(Some(received)) = socket.receive(&mut buffer) {
                if buffer[..received.len] == packet(77) {
                    return;
                }
            }
        }
        panic!("nothing came");
    }

    #[test]
    fn who_is_no_hub_is_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
        });
        let finding = through(&address, &Interface::by_name("lo").unwrap());
        server.join().unwrap();
        assert!(finding.level == Level::Note && finding.what.contains("older"), "{finding:?}");
    }
}
