//! The socket calls that std and socket2 do not offer: options by number, and receiving with control messages.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;

use socket2::{SockAddr, SockAddrStorage};
use unisono_common::clock::Stamp;
use unisono_common::time::LocalTime;

use crate::clock::{self, WideTime};

/// The option that has packets stamped, and the type of the control messages that bring the stamps. On 32-bit machines it
/// is the newer one (`SO_TIMESTAMPING_NEW`, Linux 5.1), whose stamps have 64 bits, as on all others: those of the older one
/// end in 2038.
pub(crate) const TIMESTAMPING: libc::c_int = if cfg!(target_pointer_width = "32") { 65 } else { libc::SO_TIMESTAMPING };

/// A packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes of the buffer it fills.
    pub len: usize,
    /// It was longer than the buffer, and its end is lost.
    pub truncated: bool,
    /// Who sent it.
    pub from: SocketAddr,
    /// When it came in.
    pub stamp: Stamp,
    /// Which of this host's addresses it was sent to, where the socket was asked to tell.
    pub to: Option<IpAddr>,
}

/// One message as the kernel handed it over.
pub(crate) struct Message {
    pub(crate) len: usize,
    pub(crate) truncated: bool,
    pub(crate) from: Option<SocketAddr>,
    pub(crate) control: Control,
}

/// What the kernel said about a message.
#[derive(Default)]
pub(crate) struct Control {
    /// Software stamp in nanoseconds of CLOCK_REALTIME.
    pub(crate) stamp_ns: Option<i64>,
    /// Which address of ours it was sent to.
    pub(crate) to: Option<IpAddr>,
    /// From the error queue: which packet of ours the stamp is for.
    pub(crate) sent: Option<Sent>,
}

/// The packet that a transmit stamp is for, and where in the kernel it was taken.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) number: u32,
    pub(crate) scheduled_only: bool,
}

/// Sets a socket option that takes a plain C value.
pub(crate) fn set_option<T: Copy>(fd: RawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: pointer and length describe `value`; the kernel copies it and checks what it means.
    let result = unsafe { libc::setsockopt(fd, level, name, (value as *const T).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether what refused an option does not know it at all: a kernel knows all of ours, what stands in for one (qemu's user
/// emulation, which runs the packages for other machines in tests) some of them.
pub(crate) fn is_unknown(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOPROTOOPT)
}

/// An address as the kernel wants it in `group_req` and its kin.
pub(crate) fn storage(address: SocketAddr) -> libc::sockaddr_storage {
    let storage = SockAddr::from(address).as_storage();
    // SAFETY: SockAddrStorage is a transparent wrapper of sockaddr_storage.
    unsafe { mem::transmute(storage) }
}

/// Waits until one of these has something to say (each does or not, in the answer), or `timeout_ns` have passed.
///
/// A stamp in the error queue and a closed pipe count; a descriptor of -1 never says anything. A signal ends the wait
/// early.
pub(crate) fn wait<const N: usize>(fds: [RawFd; N], timeout_ns: i64) -> io::Result<[bool; N]> {
    let mut polls = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout_ns = timeout_ns.max(0);
    let timeout =
        libc::timespec { tv_sec: (timeout_ns / 1_000_000_000) as _, tv_nsec: (timeout_ns % 1_000_000_000) as _ };
    // SAFETY: N pollfds and a valid timespec; no signal mask.
    let ready = unsafe { libc::ppoll(polls.as_mut_ptr(), N as _, &timeout, std::ptr::null()) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok([false; N]) } else { Err(error) };
    }
    Ok(polls.map(|poll| poll.revents != 0))
}

/// Receives one message with its control messages, without waiting. `None`: there is none.
pub(crate) fn receive(fd: RawFd, buffer: &mut [u8], error_queue: bool) -> io::Result<Option<Message>> {
    let mut control = ControlBuffer([MaybeUninit::uninit(); CONTROL_BYTES]);
    let mut from = SockAddrStorage::zeroed();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid msghdr (null pointers with zero lengths).
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = (&raw mut from).cast();
    header.msg_namelen = from.size_of();
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    let flags = libc::MSG_DONTWAIT | if error_queue { libc::MSG_ERRQUEUE } else { 0 };
    // SAFETY: every pointer in `header` is to a live local or to `buffer`, with its true length.
    let length = unsafe { libc::recvmsg(fd, &mut header, flags) };
    if length < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: recvmsg has just filled in `header`, and `control` is still alive.
    let control = unsafe { read_control(&header) };
    // SAFETY: the kernel wrote an address of `msg_namelen` bytes (none from the error queue: zero is "unspecified").
    let from = unsafe { SockAddr::new(from, header.msg_namelen) };
    Ok(Some(Message {
        len: length as usize,
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        from: from.as_socket(),
        control,
    }))
}

/// Receives one packet, stamped by the kernel where it did so, else by us. `None`: there is none, or its stamp
/// straddled a step of host time.
pub(crate) fn receive_packet(
    fd: RawFd,
    buffer: &mut [u8],
    converter: &mut clock::StampConverter,
) -> io::Result<Option<Received>> {
    let Some(Message { len, truncated, from: Some(from), control }) = receive(fd, buffer, false)? else {
        return Ok(None);
    };
    let stamp = match control.stamp_ns {
        None => Stamp::user(clock::now()),
        Some(stamp_ns) => match converter.local(stamp_ns) {
            Some(at) => Stamp::kernel(at),
            None => Stamp::user(clock::now()),
        },
    };
    Ok(Some(Received { len, truncated, from, stamp, to: control.to }))
}

/// Sends from one of this host's addresses, as IP_PKTINFO told of the request that is answered.
pub(crate) fn send_from(fd: RawFd, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
    let mut control = ControlBuffer([MaybeUninit::uninit(); CONTROL_BYTES]);
    let to = SockAddr::from(to);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero is a valid msghdr.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = to.as_ptr().cast_mut().cast();
    header.msg_namelen = to.len();
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = match from {
        Some(IpAddr::V4(address)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(address).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            write_control(&mut control, libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
        }
        Some(IpAddr::V6(address)) => {
            let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: address.octets() }, ipi6_ifindex: 0 };
            write_control(&mut control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
        }
        None => 0,
    } as _;
    // SAFETY: every pointer in `header` is to a live local or to `bytes`, which the kernel only reads.
    let sent = unsafe { libc::sendmsg(fd, &header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const CONTROL_BYTES: usize = 256;

/// Room for control messages, aligned as their headers must be.
#[repr(align(8))]
struct ControlBuffer([MaybeUninit<u8>; CONTROL_BYTES]);

/// Puts one control message into the buffer and returns its length.
fn write_control<T: Copy>(buffer: &mut ControlBuffer, level: i32, kind: i32, value: &T) -> usize {
    let size = mem::size_of::<T>() as u32;
    let header = buffer.0.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: arithmetic only.
    let (total, length) = (unsafe { libc::CMSG_SPACE(size) } as usize, unsafe { libc::CMSG_LEN(size) });
    assert!(total <= CONTROL_BYTES);
    // SAFETY: the buffer is aligned for a header and holds `total` bytes, checked above.
    unsafe { header.write(libc::cmsghdr { cmsg_len: length as _, cmsg_level: level, cmsg_type: kind }) };
    // SAFETY: the header was just written, its data lies within the `total` bytes.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: as above; unaligned, as control data may be.
    unsafe { data.cast::<T>().write_unaligned(*value) };
    total
}

/// Reads the control messages that we understand.
///
/// # Safety
/// `header` must come from a successful recvmsg, and its control buffer must still be alive.
unsafe fn read_control(header: &libc::msghdr) -> Control {
    let mut control = Control::default();
    // SAFETY: the macro checks that the first header fits.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, and written by the kernel.
        let message = unsafe { &*next };
        // SAFETY: within the buffer, right after the header.
        let data = unsafe { libc::CMSG_DATA(next) };
        // SAFETY: `data` is as long as the header says, and the kernel's structures of these types are those read.
        unsafe { control.take(message.cmsg_level, message.cmsg_type, data) };
        // SAFETY: walks within the control buffer.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    control
}

impl Control {
    /// # Safety
    /// `data` must point to what the kernel puts into a control message of this level and type.
    unsafe fn take(&mut self, level: i32, kind: i32, data: *const u8) {
        match (level, kind) {
            (libc::SOL_SOCKET, TIMESTAMPING) => {
                // Three stamps: software, (unused), hardware.
                // SAFETY: a scm_timestamping of this kind starts with the software stamp, in 64 bits each.
                let stamp = unsafe { data.cast::<WideTime>().read_unaligned() };
                self.stamp_ns = Some(stamp.as_ns()).filter(|&ns| ns != 0);
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                // SAFETY: the message is a sock_extended_err.
                let error = unsafe { data.cast::<libc::sock_extended_err>().read_unaligned() };
                if error.ee_origin == libc::SO_EE_ORIGIN_TIMESTAMPING {
                    self.sent = Some(Sent { number: error.ee_data, scheduled_only: error.ee_info == TSTAMP_SCHED });
                }
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: the message is an in_pktinfo.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                self.to = Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the message is an in6_pktinfo.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                self.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            }
            _ => {}
        }
    }
}

/// `SCM_TSTAMP_SCHED` of linux/errqueue.h, which libc lacks: stamped before the queueing discipline, not by the driver.
const TSTAMP_SCHED: u32 = 1;

/// Nanoseconds from now until `until`, for [`wait`].
pub(crate) fn remaining_ns(until: LocalTime) -> i64 {
    until - clock::now()
}
