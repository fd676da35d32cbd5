//! Sockets that receive from and send to multicast groups on one interface.
//!
//! The interface is always named by its index, never found by routing: a host with no default route, with several
//! networks or with nothing but loopback works the same. A receiving socket is bound to the group itself, so it gets
//! nothing that other processes joined; IPv4 and IPv6 go through the same protocol-independent options.
//!
//! Loopback alone is enough for IPv4 groups; Linux does not carry IPv6 groups over loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use unisono_common::time::LocalTime;

use crate::clock::StampConverter;
use crate::interface::{Interface, InterfaceError};
use crate::socket::{self, Received};
use crate::stop::StopSignal;

/// Receive buffer asked for: a second of the largest streams. The kernel grants up to `net.core.rmem_max`.
pub(crate) const RECEIVE_BUFFER_BYTES: usize = 2 << 20;

/// Why a multicast socket could not be had.
#[derive(Debug, Error)]
pub enum MulticastError {
    /// The address is not a group.
    #[error("{0} is not a multicast address; IPv4 groups are 224.0.0.0 to 239.255.255.255, IPv6 groups begin with ff")]
    NotAGroup(IpAddr),
    /// The interface lacks what is needed.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// Another process has the port and does not share it.
    #[error("UDP port {port} is in use by another process that does not share it; choose another port or stop it")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The kernel refused a step.
    #[error("can't {step} {address} on interface \"{interface}\": {source}")]
    Refused {
        /// What was tried, as in "join".
        step: &'static str,
        /// Group or local address.
        address: SocketAddr,
        /// On which interface.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A socket that is a member of one group on one interface. Leaves the group when dropped.
#[derive(Debug)]
pub struct MulticastReceiver {
    socket: UdpSocket,
    group: SocketAddr,
    source: Option<IpAddr>,
    interface: Interface,
    converter: StampConverter,
}

impl MulticastReceiver {
    /// Joins `group` on `interface`, from any source.
    pub fn join(group: SocketAddr, interface: &Interface) -> Result<Self, MulticastError> {
        Self::open(group, None, interface)
    }

    /// Joins `group` on `interface`, but only what `source` sends to it (RFC 4607).
    pub fn join_source(group: SocketAddr, source: IpAddr, interface: &Interface) -> Result<Self, MulticastError> {
        Self::open(group, Some(source), interface)
    }

    /// Leaves and joins anew: makes switches that forgot the membership learn it again (IGMP snooping without a
    /// querier forgets after minutes). Packets that arrive between the two are lost.
    pub fn rejoin(&self) -> Result<(), MulticastError> {
        // Leaving fails when the interface went away and took the membership with it: then joining is what counts.
        let _ = self.membership(false);
        self.membership(true).map_err(|error| refused("join", self.group, &self.interface, error))
    }

    /// As [`rejoin`](Self::rejoin); where the interface went and another of its name came, as when an adapter is plugged in
    /// again, on that one, with a new socket.
    pub fn revive(&mut self) -> Result<(), MulticastError> {
        let now = Interface::by_name(&self.interface.name)?;
        if now.index == self.interface.index {
            return self.rejoin();
        }
        // Without the scope, which is the number of the interface that went.
        let group = SocketAddr::new(self.group.ip(), self.group.port());
        *self = Self::open(group, self.source, &now)?;
        Ok(())
    }

    /// Waits until something can be taken, `stop` is raised or local time is `until`. True: something can be taken.
    pub fn wait(&self, until: LocalTime, stop: Option<&StopSignal>) -> io::Result<bool> {
        let fds = [self.socket.as_raw_fd(), StopSignal::fd(stop)];
        socket::wait(fds, socket::remaining_ns(until)).map(|[ready, _]| ready)
    }

    /// Takes the next packet without waiting; `None` when there is none. Allocates nothing.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        socket::receive_packet(self.socket.as_raw_fd(), buffer, &mut self.converter)
    }

    /// The group that it is a member of, with the port.
    pub fn group(&self) -> SocketAddr {
        self.group
    }

    /// The interface that it listens on.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    fn open(group: SocketAddr, source: Option<IpAddr>, interface: &Interface) -> Result<Self, MulticastError> {
        let group = scoped(group, interface)?;
        let refuse = |step| move |error| refused(step, group, interface, error);
        let socket = new_socket(group).map_err(refuse("open a socket for"))?;
        // A process may hold several sockets for one port, and so may its neighbours.
        socket.set_reuse_address(true).map_err(refuse("share"))?;
        // A small buffer works too, until the machine is busy: not worth failing for.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        set_multicast_all_off(&socket, group).map_err(refuse("limit the socket to"))?;
        socket.bind(&group.into()).map_err(|error| bind_error(group, interface, error))?;
        socket.set_nonblocking(true).map_err(refuse("open"))?;
        let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
        // Without kernel stamps packets are stamped in user space, and say so.
        let _ = socket::set_option(socket.as_raw_fd(), libc::SOL_SOCKET, socket::TIMESTAMPING, &flags);
        let receiver = Self {
            socket: socket.into(),
            group,
            source,
            interface: interface.clone(),
            converter: StampConverter::new(),
        };
        receiver.membership(true).map_err(refuse("join"))?;
        Ok(receiver)
    }

    fn membership(&self, join: bool) -> io::Result<()> {
        match self.membership_by_number(join) {
            Err(error) if socket::is_unknown(&error) => self.membership_by_address(join).unwrap_or(Err(error)),
            done => done,
        }
    }

    /// In the older words, which name the interface by its address and go for IPv4 alone; `None`: there are none for this.
    fn membership_by_address(&self, join: bool) -> Option<io::Result<()>> {
        let (IpAddr::V4(group), Some(address), None) = (self.group.ip(), self.interface.ipv4, self.source) else {
            return None;
        };
        let part = |address: Ipv4Addr| libc::in_addr { s_addr: u32::from(address).to_be() };
        let request = libc::ip_mreq { imr_multiaddr: part(group), imr_interface: part(address) };
        let name = if join { libc::IP_ADD_MEMBERSHIP } else { libc::IP_DROP_MEMBERSHIP };
        Some(socket::set_option(self.socket.as_raw_fd(), libc::IPPROTO_IP, name, &request))
    }

    fn membership_by_number(&self, join: bool) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let level = if self.group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
        let gr_group = socket::storage(self.group);
        match self.source {
            None => {
                let request = libc::group_req { gr_interface: self.interface.index, gr_group };
                let name = if join { libc::MCAST_JOIN_GROUP } else { libc::MCAST_LEAVE_GROUP };
                socket::set_option(fd, level, name, &request)
            }
            Some(source) => {
                let request = libc::group_source_req {
                    gsr_interface: self.interface.index,
                    gsr_group: gr_group,
                    gsr_source: socket::storage(SocketAddr::new(source, 0)),
                };
                let name = if join { libc::MCAST_JOIN_SOURCE_GROUP } else { libc::MCAST_LEAVE_SOURCE_GROUP };
                socket::set_option(fd, level, name, &request)
            }
        }
    }
}

impl AsFd for MulticastReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How a [`MulticastSender`] sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendOptions {
    /// The port that packets come from: peers that know a stream by it survive a restart. 0: any.
    pub source_port: u16,
    /// How many routers packets may pass, 1 to 255.
    pub ttl: u8,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
}

/// A socket that sends to groups on one interface, and also to members on this very host.
#[derive(Debug)]
pub struct MulticastSender {
    socket: UdpSocket,
    /// Number of the interface.
    index: AtomicU32,
}

impl MulticastSender {
    /// Opens a socket that sends to groups of the family of `family` (its address does not matter) on `interface`.
    pub fn open(interface: &Interface, family: IpAddr, options: SendOptions) -> Result<Self, MulticastError> {
        let local = local_address(interface, family, options.source_port)?;
        let refuse = |step| move |error| refused(step, local, interface, error);
        let socket = new_socket(local).map_err(refuse("open a socket for"))?;
        // A stream's port must be ours again at once after a crash.
        socket.set_reuse_address(true).map_err(refuse("share"))?;
        socket.bind(&local.into()).map_err(|error| bind_error(local, interface, error))?;
        send_through(&socket, interface, local, options).map_err(|(step, error)| refuse(step)(error))?;
        // Who sends in time drops a packet rather than wait behind a full queue.
        socket.set_nonblocking(true).map_err(refuse("open"))?;
        Ok(Self { socket: socket.into(), index: interface.index.into() })
    }

    /// Sends by `interface` from now on: another one, with the same address, as when an adapter was plugged in again. Whoever
    /// sends meanwhile sends on.
    ///
    /// # Errors
    /// when there is no such interface, or the socket is tied to the one before, as with IPv6 addresses of link scope: then
    /// another socket must be opened.
    pub fn follow(&self, interface: &Interface) -> io::Result<()> {
        leave_by(self.socket.as_raw_fd(), self.local_addr()?.is_ipv4(), interface.index)?;
        self.index.store(interface.index, Ordering::Relaxed);
        Ok(())
    }

    /// Sends one packet to `group`; fails at once when the interface's queue is full.
    pub fn send_to(&self, packet: &[u8], group: SocketAddr) -> io::Result<()> {
        let group = with_scope(group, self.index.load(Ordering::Relaxed));
        self.socket.send_to(packet, group).map(|_| ())
    }

    /// The address and port that packets come from.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl AsFd for MulticastSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes what `socket` sends to groups leave by `interface`, and come back to this host too; says which step failed.
pub(crate) fn send_through(
    socket: &Socket,
    interface: &Interface,
    local: SocketAddr,
    options: SendOptions,
) -> Result<(), (&'static str, io::Error)> {
    let tos = u32::from(options.dscp & 63) << 2;
    let step = |step| move |error| (step, error);
    leave_by(socket.as_raw_fd(), local.is_ipv4(), interface.index).map_err(step("send from"))?;
    if local.is_ipv4() {
        socket.set_multicast_loop_v4(true).map_err(step("loop back"))?;
        socket.set_multicast_ttl_v4(options.ttl.into()).map_err(step("set the TTL of"))?;
        socket.set_tos_v4(tos).map_err(step("set the DSCP of"))
    } else {
        socket.set_multicast_loop_v6(true).map_err(step("loop back"))?;
        socket.set_multicast_hops_v6(options.ttl.into()).map_err(step("set the hop limit of"))?;
        socket.set_tclass_v6(tos).map_err(step("set the DSCP of"))
    }
}

/// Makes what a socket sends to groups leave by the interface of this number.
pub(crate) fn leave_by(fd: RawFd, ipv4: bool, index: u32) -> io::Result<()> {
    if !ipv4 {
        return socket::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index);
    }
    let request = libc::ip_mreqn {
        imr_multiaddr: libc::in_addr { s_addr: 0 },
        imr_address: libc::in_addr { s_addr: 0 },
        imr_ifindex: index as i32,
    };
    match socket::set_option(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request) {
        // Then it goes by the address that the socket is bound to.
        Err(error) if socket::is_unknown(&error) => Ok(()),
        done => done,
    }
}

/// The address of `interface` to bind to.
pub(crate) fn local_address(interface: &Interface, family: IpAddr, port: u16) -> Result<SocketAddr, InterfaceError> {
    Ok(match interface.address(family)? {
        IpAddr::V4(address) => SocketAddr::new(address.into(), port),
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, scope(address, interface)).into(),
    })
}

pub(crate) fn new_socket(family: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(family), Type::DGRAM, Some(Protocol::UDP))
}

/// Only what this very socket joined, not what any socket of the host did.
fn set_multicast_all_off(socket: &Socket, group: SocketAddr) -> io::Result<()> {
    let (level, name) = match group {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MULTICAST_ALL),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL),
    };
    match socket::set_option(socket.as_raw_fd(), level, name, &0_i32) {
        // Bound to the group, it is spared all others.
        Err(error) if socket::is_unknown(&error) => Ok(()),
        done => done,
    }
}

/// linux/in6.h, Linux 4.20; libc has it for some targets only.
const IPV6_MULTICAST_ALL: i32 = 29;

fn scoped(group: SocketAddr, interface: &Interface) -> Result<SocketAddr, MulticastError> {
    if group.ip().is_multicast() {
        Ok(with_scope(group, interface.index))
    } else {
        Err(MulticastError::NotAGroup(group.ip()))
    }
}

/// IPv6 groups of link or interface scope are only complete with the number of the interface.
pub(crate) fn with_scope(group: SocketAddr, index: u32) -> SocketAddr {
    match group {
        SocketAddr::V6(v6) if v6.scope_id() == 0 => SocketAddrV6::new(*v6.ip(), v6.port(), v6.flowinfo(), index).into(),
        other => other,
    }
}

fn scope(address: Ipv6Addr, interface: &Interface) -> u32 {
    if address.is_unicast_link_local() { interface.index } else { 0 }
}

pub(crate) fn bind_error(address: SocketAddr, interface: &Interface, error: io::Error) -> MulticastError {
    match error.kind() {
        io::ErrorKind::AddrInUse => MulticastError::PortInUse { port: address.port() },
        _ => refused("bind to", address, interface, error),
    }
}

pub(crate) fn refused(
    step: &'static str,
    address: SocketAddr,
    interface: &Interface,
    source: io::Error,
) -> MulticastError {
    MulticastError::Refused { step, address, interface: interface.name.clone(), source }
}

/// Any IPv4 address, for [`MulticastSender::open`].
pub const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Any IPv6 address, for [`MulticastSender::open`].
pub const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

#[cfg(test)]
mod tests;
