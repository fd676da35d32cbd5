//! Many rooms in one process, for storms of requests: each has the receiver's own [`Repair`] and a socket of its own, and
//! asks as a room does; they share the stream that they hear, and play nothing.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};
use unisono_common::sap::{self, Directory};
use unisono_common::sdp::{self, Session};
use unisono_common::sequence::{self, Extender};
use unisono_common::time::LocalTime;
use unisono_common::{rtcp, rtp, rtx};
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastReceiver, SendOptions};
use unisono_host::peer::PeerSocket;
use unisono_host::{clock, wait};
use unisono_receiver::repair::{MOST_MISSED, Repair, Way};
use unisono_tests::truth;

/// Of the playout delay, what is left when the card's ring has its part.
const LEFT: f64 = 0.64;

/// A room: what it misses, and where it asks.
struct Room {
    repair: Repair,
    socket: PeerSocket,
    /// Until then it looks for answers.
    expects: LocalTime,
}

/// Plays `count` rooms on `eth0` until the user ends it, then says how many packets came too late for one of them.
pub(crate) fn run(count: usize) -> Result<()> {
    let interface = Interface::by_name("eth0")?;
    let session = announced(&interface)?;
    let address = session.repair.context("the stream announces no repair")?;
    let frames = session.packet_frames.context("the stream does not say how long its packets are")?;
    let packet_ns = i64::from(frames) * 1_000_000_000 / i64::from(session.format.rate);
    let left_ns = (f64::from(session.playout_delay_ms.unwrap_or(250)) * 1e6 * LEFT) as i64;
    let mut stream = MulticastReceiver::join(SocketAddr::new(session.address, session.port), &interface)?;
    let mut group = MulticastReceiver::join(address.group, &interface)?;
    let mut rooms = (0..count).map(|i| Room::open(i as u64, &interface, &address)).collect::<Result<Vec<_>>>()?;
    let mut extender = Extender::default();
    let mut newest = (0, clock::now(), 0);
    let (mut buffer, mut wanted) = ([0; 2_048], Vec::with_capacity(MOST_MISSED));
    while !truth::interrupted() {
        let idle = clock::now() + 20_000_000;
        let next = rooms.iter().filter_map(|room| room.repair.next()).fold(idle, LocalTime::min);
        wait::any([stream.as_fd(), group.as_fd()], next, None)?;
        while let Some(received) = stream.receive(&mut buffer)? {
            let Ok(packet) = rtp::Packet::parse(&buffer[..received.len]) else { continue };
            let number = extender.extend(packet.header.sequence);
            newest = (number, received.stamp.at, packet.header.ssrc);
            rooms.iter_mut().for_each(|room| room.repair.arrived(number, Way::Stream, received.stamp.at));
        }
        let again = |bytes: &[u8]| {
            let again = rtx::parse(bytes, address.payload_type).ok()?;
            Some(sequence::unwrap(again.sequence, newest.0))
        };
        while let Some(received) = group.receive(&mut buffer)? {
            let Some(number) = again(&buffer[..received.len]) else { continue };
            rooms.iter_mut().for_each(|room| room.repair.arrived(number, Way::GroupAnswer, received.stamp.at));
        }
        let now = clock::now();
        let due = |number: i64| newest.1 + (number - newest.0) * packet_ns + left_ns;
        for (i, room) in rooms.iter_mut().enumerate() {
            while room.expects - now > 0
                && let Some(received) = room.socket.receive(&mut buffer)?
            {
                let Some(number) = again(&buffer[..received.len]) else { continue };
                room.repair.arrived(number, Way::Answer, received.stamp.at);
            }
            if room.repair.next().is_none_or(|next| next - now > 0) {
                continue;
            }
            room.repair.ask(now, due, &mut wanted);
            if !wanted.is_empty() {
                let sequences: Vec<u16> = wanted.iter().map(|number| *number as u16).collect();
                let length = rtcp::write_nack(i as u32 + 1, newest.2, "room@crowd", &sequences, &mut buffer)?;
                let _ = room.socket.send_to(&buffer[..length], address.requests);
                room.expects = now + 1_000_000_000;
            }
        }
    }
    println!("asked: {}", rooms.iter().map(|room| room.repair.counts().asked).sum::<u64>());
    println!("given up: {}", rooms.iter().map(|room| room.repair.counts().given_up).sum::<u64>());
    Ok(())
}

impl Room {
    fn open(seed: u64, interface: &Interface, address: &sdp::Repair) -> Result<Room> {
        let options = SendOptions { source_port: 0, ttl: 16, dscp: 34 };
        let socket = PeerSocket::open(interface, address.requests.ip(), options)?;
        Ok(Room { repair: Repair::new(seed), socket, expects: LocalTime::from_ns(0) })
    }
}

/// The first stream that is announced.
fn announced(interface: &Interface) -> Result<Session> {
    let mut socket = MulticastReceiver::join(SocketAddr::new(sap::GROUP_PULSE.into(), sap::PORT), interface)?;
    let (mut directory, mut buffer) = (Directory::default(), [0; 4_096]);
    while !truth::interrupted() {
        socket.wait(clock::now() + 100_000_000, None)?;
        while let Some(received) = socket.receive(&mut buffer)? {
            let _ = directory.receive(&buffer[..received.len], clock::now());
        }
        if let Some(session) = directory.sessions().first() {
            return Ok(Session::clone(session));
        }
    }
    bail!("ended before a stream was announced")
}
