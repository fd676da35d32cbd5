//! The socket by which a sender and a room talk to each other about a stream: requests for lost packets one way, answers the
//! other. Unicast both ways; the sender's end also sends to groups.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::clock::StampConverter;
use crate::interface::Interface;
use crate::multicast::{self, MulticastError, SendOptions};
use crate::socket::{self, Received};

/// A socket of one address and port of this host, which no other process shares.
#[derive(Debug)]
pub struct PeerSocket {
    socket: UdpSocket,
    /// Number of the interface by which it sends to groups.
    index: u32,
    converter: StampConverter,
}

impl PeerSocket {
    /// Opens a socket on `interface`, for addresses of the family of `family`. A source port of 0 is any that is free.
    pub fn open(interface: &Interface, family: IpAddr, options: SendOptions) -> Result<Self, MulticastError> {
        let local = multicast::local_address(interface, family, options.source_port)?;
        let refuse = |step| move |error| multicast::refused(step, local, interface, error);
        let socket = multicast::new_socket(local).map_err(refuse("open a socket for"))?;
        socket.bind(&local.into()).map_err(|error| multicast::bind_error(local, interface, error))?;
        multicast::send_through(&socket, interface, local, options).map_err(|(step, error)| refuse(step)(error))?;
        // A small buffer works too, until the machine is busy: not worth failing for.
        let _ = socket.set_recv_buffer_size(multicast::RECEIVE_BUFFER_BYTES);
        socket.set_nonblocking(true).map_err(refuse("open"))?;
        Ok(Self { socket: socket.into(), index: interface.index, converter: StampConverter::new() })
    }

    /// Sends to groups by `interface` from now on, as [`MulticastSender::follow`](multicast::MulticastSender::follow).
    pub fn follow(&mut self, interface: &Interface) -> io::Result<()> {
        multicast::leave_by(self.socket.as_raw_fd(), self.local_addr()?.is_ipv4(), interface.index)?;
        self.index = interface.index;
        Ok(())
    }

    /// Sends one packet to a host or a group; fails at once when the interface's queue is full.
    pub fn send_to(&self, packet: &[u8], to: SocketAddr) -> io::Result<()> {
        let to = multicast::with_scope(to, self.index);
        self.socket.send_to(packet, to).map(|_| ())
    }

    /// Takes the next packet without waiting; `None` when there is none. Allocates nothing.
    ///
    /// An ICMP error that an earlier packet caused (nobody listens there) is not reported: a missing answer says it.
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
}

impl AsFd for PeerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multicast::IPV4;
    use crate::{clock, wait};

    const OPTIONS: SendOptions = SendOptions { source_port: 0, ttl: 1, dscp: 34 };

    #[test]
    fn a_question_is_answered_to_where_it_came_from() {
        let lo = Interface::by_name("lo").unwrap();
        let (mut room, mut sender) =
            (PeerSocket::open(&lo, IPV4, OPTIONS).unwrap(), PeerSocket::open(&lo, IPV4, OPTIONS).unwrap());
        room.send_to(b"lost?", sender.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 64];
        let until = clock::now() + 2_000_000_000;
        assert_eq!(wait::any([room.as_fd(), sender.as_fd()], until, None).unwrap(), [false, true]);
        let question = sender.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((&buffer[..question.len], question.from), (&b"lost?"[..], room.local_addr().unwrap()));
        sender.send_to(b"here", question.from).unwrap();
        assert_eq!(wait::any([room.as_fd(), sender.as_fd()], until, None).unwrap(), [true, false]);
        assert_eq!(room.receive(&mut buffer).unwrap().unwrap().from, sender.local_addr().unwrap());
    }

    #[test]
    fn a_port_in_use_is_not_shared() {
        let lo = Interface::by_name("lo").unwrap();
        let first = PeerSocket::open(&lo, IPV4, OPTIONS).unwrap();
        let options = SendOptions { source_port: first.local_addr().unwrap().port(), ..OPTIONS };
        assert!(matches!(PeerSocket::open(&lo, IPV4, options), Err(MulticastError::PortInUse { .. })));
    }
}
