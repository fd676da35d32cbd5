//! Wakes the music server: a room that is told to play what nobody announces sends a magic packet (AMD, "Magic Packet
//! Technology"), three times, and then leaves it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use unisono_common::config::receiver::MacAddress;
use unisono_common::time::LocalTime;
use unisono_host::interface::Interface;

/// A stream that is there announces itself before this.
const PATIENCE_NS: i64 = 6_000_000_000;

/// Between two packets: one may get lost.
const AGAIN_NS: i64 = 10_000_000_000;

const TRIES: u32 = 3;

/// Port 9, discard: what nobody listens to.
const PORT: u16 = 9;

/// When packets are due. (P)
#[derive(Clone, Copy, Debug)]
pub struct Waker {
    left: u32,
    due: LocalTime,
}

impl Waker {
    /// Something has been asked for: from now on the server is wanted.
    pub fn asked(now: LocalTime) -> Self {
        Waker { left: TRIES, due: now + PATIENCE_NS }
    }

    /// Whether a packet is due; `missing`: what was asked for is not there. Once it has been there no more is sent.
    #[must_use]
    pub fn is_due(&mut self, missing: bool, now: LocalTime) -> bool {
        if !missing {
            self.left = 0;
        }
        let due = self.left > 0 && now - self.due >= 0;
        if due {
            self.left -= 1;
            self.due = now + AGAIN_NS;
        }
        due
    }
}

/// Wakes the machine with this address, on this interface's network.
///
/// # Errors
/// when the packet can't be sent.
pub fn wake(machine: MacAddress, interface: &Interface) -> io::Result<()> {
    let socket = UdpSocket::bind((interface.ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED), 0))?;
    socket.set_broadcast(true)?;
    socket.send_to(&packet(machine), SocketAddr::from((Ipv4Addr::BROADCAST, PORT))).map(drop)
}

/// Six bytes of ones, then the address sixteen times.
fn packet(machine: MacAddress) -> [u8; 102] {
    let mut packet = [0xff; 102];
    packet[6..].chunks_exact_mut(6).for_each(|place| place.copy_from_slice(&machine.0));
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> LocalTime {
        LocalTime::from_ns(s * 1_000_000_000)
    }

    #[test]
    fn what_is_missing_is_asked_for_three_times() {
        let mut waker = Waker::asked(at(0));
        let sent: Vec<i64> = (0..100).filter(|&s| waker.is_due(true, at(s))).collect();
        assert_eq!(sent, [6, 16, 26]);
    }

    #[test]
    fn what_has_been_there_is_not_asked_for_again() {
        let mut waker = Waker::asked(at(0));
        let sent: Vec<i64> = (0..100).filter(|&s| waker.is_due(!(10..12).contains(&s), at(s))).collect();
        assert_eq!(sent, [6]);
    }

    #[test]
    fn the_packet_is_the_one_that_network_cards_know() {
        let packet = packet("00:11:22:aa:bb:cc".parse().unwrap());
        assert_eq!(packet[..12], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x11, 0x22, 0xaa, 0xbb, 0xcc]);
        assert_eq!(packet[96..], [0x00, 0x11, 0x22, 0xaa, 0xbb, 0xcc]);
    }
}
