//! What passes an interface, as another host on the switch sees it: UDP over IPv4 with its headers.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use unisono_host::clock;

/// A datagram, and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Time of day of this machine, in nanoseconds since 1970.
    pub seen_ns: i64,
    /// Who sent it.
    pub from: SocketAddrV4,
    /// Where it goes.
    pub to: SocketAddrV4,
    /// Differentiated services code point.
    pub dscp: u8,
    /// How many routers it may pass.
    pub ttl: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// An open ear; hears from when it is opened on.
#[derive(Debug)]
pub struct Capture(OwnedFd);

impl Capture {
    /// Of all interfaces of the namespace that the calling thread is in; what this host sends is not heard. Needs root.
    pub fn open() -> io::Result<Capture> {
        let protocol = i32::from((libc::ETH_P_IP as u16).to_be());
        // SAFETY: takes numbers only.
        let fd = unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, protocol)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let buffer: i32 = 8 << 20;
        // SAFETY: just opened and owned by nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let value = (&raw const buffer).cast();
        // SAFETY: the value is an int that lives through the call.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, size_of::<i32>() as u32) };
        Ok(Capture(socket))
    }

    /// The next datagram that is already here.
    pub fn next(&self) -> Option<Datagram> {
        let mut bytes = [0; 2_048];
        loop {
            // SAFETY: pointer and length describe `bytes`.
            let length = unsafe { libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
            let length = usize::try_from(length).ok()?;
            if let Some(datagram) = parse(&bytes[..length], clock::time_of_day_ns()) {
                return Some(datagram);
            }
        }
    }
}

fn parse(packet: &[u8], seen_ns: i64) -> Option<Datagram> {
    const UDP: u8 = 17;
    let header = usize::from(packet.first().filter(|byte| **byte >> 4 == 4)? & 0xf) * 4;
    let (ip, udp) = packet.split_at_checked(header.max(20))?;
    let whole = ip[9] == UDP && udp.len() >= 8 && u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff == 0;
    let address = |at: usize| Ipv4Addr::from([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
    let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    whole.then(|| Datagram {
        seen_ns,
        from: SocketAddrV4::new(address(12), port(0)),
        to: SocketAddrV4::new(address(16), port(2)),
        dscp: ip[1] >> 2,
        ttl: ip[8],
        payload: udp[8..].to_vec(),
    })
}
