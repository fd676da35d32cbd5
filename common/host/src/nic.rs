//! What the driver of a network interface tells, by the ioctls of ethtool and of the older wireless extensions.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// linux/sockios.h, linux/wireless.h.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const SIOCGIWPOWER: libc::c_ulong = 0x8b2d;

/// linux/ethtool.h.
const ETHTOOL_GET_TS_INFO: u32 = 0x41;
const ETHTOOL_GEEE: u32 = 0x44;

/// linux/net_tstamp.h.
const TX_SOFTWARE: u32 = 1 << 1;
const RX_SOFTWARE: u32 = 1 << 3;

/// `struct ifreq` and `struct iwreq`, as far as they are used: a name, and a pointer or a few numbers.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: Data,
}

#[repr(C)]
union Data {
    pointer: *mut u32,
    /// `struct iw_param`: a value of four bytes, whether it is fixed, whether it is disabled, and flags.
    power: [u8; 8],
    /// The kernel writes up to so many bytes.
    whole: [u64; 3],
}

/// Whether the kernel stamps packets as they are sent, and as they are received.
pub(crate) fn stamps(name: &str) -> Option<(bool, bool)> {
    // struct ethtool_ts_info: the command, the flags, and nine more words.
    let mut info = [0; 11];
    ethtool(name, ETHTOOL_GET_TS_INFO, &mut info).ok()?;
    Some((info[1] & TX_SOFTWARE != 0, info[1] & RX_SOFTWARE != 0))
}

/// Whether Energy-Efficient Ethernet is in use: agreed with the other side, and switched on.
pub(crate) fn eee(name: &str) -> Option<bool> {
    // struct ethtool_eee: the command, what is supported, advertised here and there, active, enabled, and four more.
    let mut eee = [0; 10];
    ethtool(name, ETHTOOL_GEEE, &mut eee).ok()?;
    Some(eee[4] != 0 && eee[5] != 0)
}

/// Whether a wireless interface sleeps between beacons.
pub(crate) fn power_save(name: &str) -> Option<bool> {
    let mut request = request(name);
    ask(SIOCGIWPOWER, &mut request).ok()?;
    // SAFETY: the kernel has written a `struct iw_param`; all bytes were there before.
    let power = unsafe { request.data.power };
    Some(power[5] == 0)
}

fn ethtool(name: &str, command: u32, words: &mut [u32]) -> io::Result<()> {
    words[0] = command;
    let mut request = request(name);
    request.data = Data { pointer: words.as_mut_ptr() };
    ask(SIOCETHTOOL, &mut request)
}

fn request(name: &str) -> Request {
    let mut bytes = [0; libc::IFNAMSIZ];
    let kept = name.len().min(libc::IFNAMSIZ - 1);
    bytes[..kept].copy_from_slice(&name.as_bytes()[..kept]);
    Request { name: bytes, data: Data { whole: [0; 3] } }
}

fn ask(what: libc::c_ulong, request: &mut Request) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: the request is as long as the kernel's, and what it points to is as long as the command in it asks for.
    match unsafe { libc::ioctl(socket.as_raw_fd(), what as _, request) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_stamps_packets_and_is_no_wireless() {
        assert_eq!(super::stamps("lo"), Some((true, true)));
        assert_eq!(super::power_save("lo"), None);
        assert_eq!(super::stamps("nonesuch0"), None);
    }
}
