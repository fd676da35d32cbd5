//! The unicast socket of the clock exchange: every packet with the kernel's own stamp, both ways.
//!
//! Receive stamps come with the packet. Transmit stamps come later through the socket's error queue, each with the
//! number of the packet that it is for ([`StampedSocket::sent`]). Not every driver makes them: Wi-Fi on a Raspberry Pi
//! does not. So both the driver's stamp and the one before the queueing discipline are asked for until the first has
//! been seen; where neither comes, the time of the send call has to do. What is in use can change at run time (a cable
//! is plugged in), and is seen from the stamps themselves: nothing is probed with packets of its own.
//!
//! Made for a plain blocking thread: [`wait`](StampedSocket::wait), then take what is there.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use unisono_common::clock::{Stamp, StampSource};
use unisono_common::time::LocalTime;

use crate::clock::{self, StampConverter};
use crate::interface::Interface;
use crate::multicast::{self, SendOptions};
use crate::socket::{self, Received};
use crate::stop::StopSignal;

/// Why a stamped socket could not be had.
#[derive(Debug, Error)]
pub enum StampedError {
    /// Another process has the port.
    #[error("UDP port {port} is already in use on this host; stop the other process or configure another port")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The address is not one of this host's.
    #[error("this host has no address {0}; see: ip address")]
    NotOurs(IpAddr),
    /// The interface has no address to send from.
    #[error("network interface \"{interface}\" has no IPv4 address; give it one (ip address add ... dev {interface})")]
    NoAddress {
        /// Which one.
        interface: String,
    },
    /// The kernel refused.
    #[error("can't open a UDP socket on {address}: {source}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A transmit stamp that the kernel handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which packet: the number that [`StampedSocket::send`] returned.
    pub number: u32,
    /// When it left.
    pub stamp: Stamp,
}

/// A UDP socket whose packets are stamped.
#[derive(Debug)]
pub struct StampedSocket {
    socket: UdpSocket,
    converter: StampConverter,
    /// The kernel numbers packets by itself; this is our count of the same.
    next_number: u32,
    asked: Asked,
    /// Packets sent since the driver last stamped one.
    sent_unstamped: u32,
}

/// Which transmit stamps the kernel is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// None: it does not know how.
    None,
    /// The driver's, and the one before the queueing discipline in case that the driver's never comes.
    Both,
    /// The driver's, which was seen to come.
    Driver,
}

impl Asked {
    fn flags(self) -> libc::c_uint {
        let receive = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
        let driver =
            libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_OPT_ID | libc::SOF_TIMESTAMPING_OPT_TSONLY;
        match self {
            Self::None => receive,
            Self::Both => receive | driver | libc::SOF_TIMESTAMPING_TX_SCHED,
            Self::Driver => receive | driver,
        }
    }
}

impl StampedSocket {
    /// After so many packets without a driver's stamp, the earlier one is asked for again.
    const PATIENCE: u32 = 8;

    /// Opens a socket on `address` (port 0: any) whose packets carry `dscp`.
    pub fn bind(address: SocketAddr, dscp: u8) -> Result<Self, StampedError> {
        let refuse = |source| StampedError::Refused { address, source };
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).map_err(refuse)?;
        let tos = u32::from(dscp & 63) << 2;
        let fd = socket.as_raw_fd();
        if address.is_ipv4() {
            socket.set_tos_v4(tos).map_err(refuse)?;
            socket::set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, &1_i32).map_err(refuse)?;
        } else {
            socket.set_tclass_v6(tos).map_err(refuse)?;
            socket::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &1_i32).map_err(refuse)?;
        }
        // Wi-Fi's queue follows the socket priority where the DSCP is not looked at; 6 needs no privilege.
        let _ = socket::set_option(fd, libc::SOL_SOCKET, libc::SO_PRIORITY, &i32::from(dscp >> 3).min(6));
        Self::bound(socket, address)
    }

    /// Opens a socket that sends stamped packets to groups on `interface`, from the port that `options` say, which it
    /// shares with whoever shares it too. What it sends does not come back to this host.
    pub fn multicast(interface: &Interface, options: SendOptions) -> Result<Self, StampedError> {
        let address = interface.ipv4.map(|address| SocketAddr::new(address.into(), options.source_port));
        let address = address.ok_or_else(|| StampedError::NoAddress { interface: interface.name.clone() })?;
        let refuse = |source| StampedError::Refused { address, source };
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(refuse)?;
        socket.set_reuse_address(true).map_err(refuse)?;
        multicast::send_through(&socket, interface, address, options).map_err(|(_, error)| refuse(error))?;
        socket.set_multicast_loop_v4(false).map_err(refuse)?;
        Self::bound(socket, address)
    }

    fn bound(socket: Socket, address: SocketAddr) -> Result<Self, StampedError> {
        let refuse = |source| StampedError::Refused { address, source };
        socket.bind(&address.into()).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => StampedError::PortInUse { port: address.port() },
            io::ErrorKind::AddrNotAvailable => StampedError::NotOurs(address.ip()),
            _ => refuse(error),
        })?;
        socket.set_nonblocking(true).map_err(refuse)?;
        let mut stamped = Self {
            socket: socket.into(),
            converter: StampConverter::new(),
            next_number: 0,
            asked: Asked::None,
            sent_unstamped: 0,
        };
        // Where nothing is stamped at all the times of our own calls have to do, and say so.
        if stamped.ask(Asked::Both).is_err() {
            let _ = stamped.ask(Asked::None);
        }
        Ok(stamped)
    }

    /// Sends a packet now, from `from` if it must come from a certain address of ours. Returns its number, under which
    /// [`sent`](Self::sent) may report better stamps later, and the time of the call as a first, crude one.
    ///
    /// Never waits; a full queue is an error, and the packet is not sent.
    pub fn send(&mut self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<Sent> {
        if self.asked == Asked::Driver && self.sent_unstamped >= Self::PATIENCE {
            self.ask(Asked::Both)?;
        }
        let at = clock::now();
        socket::send_from(self.socket.as_raw_fd(), bytes, to, from)?;
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        self.sent_unstamped = self.sent_unstamped.saturating_add(1);
        Ok(Sent { number, stamp: Stamp::user(at) })
    }

    /// Waits until something can be taken, `stop` is raised or local time is `until`. True: something can be taken.
    pub fn wait(&self, until: LocalTime, stop: Option<&StopSignal>) -> io::Result<bool> {
        let fds = [self.socket.as_raw_fd(), StopSignal::fd(stop)];
        socket::wait(fds, socket::remaining_ns(until)).map(|[ready, _]| ready)
    }

    /// Takes the next transmit stamp without waiting; `None` when there is none. One packet may have two: take the
    /// better source. Take these before packets: a reply's own request is then always stamped first.
    pub fn sent(&mut self) -> io::Result<Option<Sent>> {
        loop {
            let Some(message) = socket::receive(self.socket.as_raw_fd(), &mut [], true)? else { return Ok(None) };
            let (Some(sent), Some(stamp_ns)) = (message.control.sent, message.control.stamp_ns) else { continue };
            if !sent.scheduled_only {
                self.sent_unstamped = 0;
                if self.asked == Asked::Both {
                    self.ask(Asked::Driver)?;
                }
            }
            let source = if sent.scheduled_only { StampSource::Queue } else { StampSource::Kernel };
            if let Some(at) = self.converter.local(stamp_ns) {
                return Ok(Some(Sent { number: sent.number, stamp: Stamp { at, source } }));
            }
        }
    }

    /// Takes the next packet without waiting; `None` when there is none.
    ///
    /// An ICMP error that an earlier packet caused (nobody listens there) is not reported: a missing reply says it.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        match socket::receive_packet(self.socket.as_raw_fd(), buffer, &mut self.converter) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            result => result,
        }
    }

    /// The address that it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Changing the flags does not disturb the kernel's numbering while OPT_ID stays set.
    fn ask(&mut self, asked: Asked) -> io::Result<()> {
        socket::set_option(self.socket.as_raw_fd(), libc::SOL_SOCKET, socket::TIMESTAMPING, &asked.flags())?;
        self.asked = asked;
        Ok(())
    }
}

impl AsFd for StampedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_stamped_both_ways_in_the_right_order() {
        let mut a = StampedSocket::bind("127.0.0.1:0".parse().unwrap(), 48).unwrap();
        let mut b = StampedSocket::bind("127.0.0.1:0".parse().unwrap(), 48).unwrap();
        let to = b.local_addr().unwrap();
        let mut buffer = [0; 64];
        for round in 0..5 {
            let call = a.send(&[round; 48], to, None).unwrap();
            assert_eq!(call.number, u32::from(round));
            let until = clock::now() + 2_000_000_000;
            let mut left: Option<Sent> = None;
            while left.is_none_or(|sent| sent.stamp.source != StampSource::Kernel) && clock::now() < until {
                a.wait(until, None).unwrap();
                left = a.sent().unwrap().or(left);
            }
            let left = left.expect("a transmit stamp");
            let mut packet = None;
            while packet.is_none() && clock::now() < until {
                b.wait(until, None).unwrap();
                packet = b.receive(&mut buffer).unwrap();
            }
            let packet = packet.expect("the packet");
            assert_eq!(left.number, call.number);
            assert_eq!((packet.len, buffer[0], packet.from), (48, round, a.local_addr().unwrap()));
            assert_eq!(packet.to, Some(to.ip()));
            if packet.stamp.source == StampSource::Kernel {
                assert!(packet.stamp.at - left.stamp.at > -5_000, "received before it was sent");
            }
            assert!(left.stamp.at - call.stamp.at > -5_000);
        }
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = StampedSocket::bind("127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let error = StampedSocket::bind(taken.local_addr().unwrap(), 0).unwrap_err();
        assert!(error.to_string().contains(&taken.local_addr().unwrap().port().to_string()), "{error}");
    }
}
