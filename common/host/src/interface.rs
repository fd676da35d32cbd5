//! Network interfaces by name.

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// A network interface as it was when asked for; addresses may change later, the index stays while it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as in `ip link`.
    pub name: String,
    /// The kernel's number for it: what multicast joins and sends go by.
    pub index: u32,
    /// Its first IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its first IPv6 address, link-local only if it has no other.
    pub ipv6: Option<Ipv6Addr>,
    /// It leads back to this host.
    pub loopback: bool,
    /// It is up and has a link.
    pub running: bool,
}

/// Why there is no such interface.
#[derive(Debug, Error)]
pub enum InterfaceError {
    /// No interface of this name exists.
    #[error("there is no network interface \"{name}\" on this host; there are: {existing}")]
    NotFound {
        /// The name asked for.
        name: String,
        /// The names that exist.
        existing: String,
    },
    /// It has no address of the family that a group needs.
    #[error("network interface \"{name}\" has no {family} address; give it one (ip address add ... dev {name})")]
    NoAddress {
        /// The interface.
        name: String,
        /// "IPv4" or "IPv6".
        family: &'static str,
    },
    /// The kernel would not list interfaces.
    #[error("the network interfaces of this host can't be listed: {0}")]
    List(#[source] io::Error),
}

impl Interface {
    /// All interfaces, in the kernel's order.
    pub fn list() -> Result<Vec<Self>, InterfaceError> {
        let mut interfaces: Vec<Self> = Vec::new();
        for entry in Entries::read().map_err(InterfaceError::List)?.iter() {
            let known = interfaces.iter().position(|interface| interface.name == entry.name);
            let position = known.unwrap_or_else(|| {
                interfaces.push(entry.interface());
                interfaces.len() - 1
            });
            interfaces[position].add(entry.address);
        }
        Ok(interfaces)
    }

    /// The interface called `name`.
    pub fn by_name(name: &str) -> Result<Self, InterfaceError> {
        let mut interfaces = Self::list()?;
        match interfaces.iter().position(|interface| interface.name == name) {
            Some(position) => Ok(interfaces.swap_remove(position)),
            None => {
                let names: Vec<_> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
                Err(InterfaceError::NotFound { name: name.to_owned(), existing: names.join(", ") })
            }
        }
    }

    /// The interface to use when none is named: that of the default route, else the first that runs and has an IPv4
    /// address, loopback only if there is no other.
    pub fn pick() -> Result<Self, InterfaceError> {
        let interfaces = Self::list()?;
        let usable = |interface: &&Self| interface.running && interface.ipv4.is_some();
        let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        let default = default_route(&routes);
        let rank = |interface: &&Self| (interface.loopback, Some(interface.name.as_str()) != default, interface.index);
        let picked = interfaces.iter().filter(usable).min_by_key(rank);
        picked.cloned().ok_or_else(|| InterfaceError::NoAddress { name: "lo".to_owned(), family: "IPv4" })
    }

    /// The interface called `name`; without a name the one to use, once there is one that leads out of this machine, or none
    /// that ever could.
    pub fn leading_out(name: Option<&str>) -> Result<Option<Self>, InterfaceError> {
        if let Some(name) = name {
            return Self::by_name(name).map(Some);
        }
        let picked = Self::pick()?;
        let alone = Self::list()?.iter().all(|interface| interface.loopback);
        Ok((!picked.loopback || alone).then_some(picked))
    }

    /// This interface as it is now, where that is news: an adapter that was plugged in again is another one of the same name,
    /// and a lease may have brought another address. One that is `fixed` is kept whether it is there or not. Nothing while
    /// there is no such interface, or no address on it.
    pub fn moved(&self, fixed: bool) -> Option<Self> {
        let now = Self::by_name(&self.name).ok()?;
        let kept = self.ipv4.filter(|address| fixed || is_own(IpAddr::V4(*address)));
        let now = Self { ipv4: Some(kept.or(now.ipv4)?), ..now };
        ((now.index, now.ipv4) != (self.index, self.ipv4)).then_some(now)
    }

    /// Its address of the family of `like`.
    pub fn address(&self, like: IpAddr) -> Result<IpAddr, InterfaceError> {
        let (address, family) = match like {
            IpAddr::V4(_) => (self.ipv4.map(IpAddr::V4), "IPv4"),
            IpAddr::V6(_) => (self.ipv6.map(IpAddr::V6), "IPv6"),
        };
        address.ok_or_else(|| InterfaceError::NoAddress { name: self.name.clone(), family })
    }

    fn add(&mut self, address: Option<IpAddr>) {
        match address {
            Some(IpAddr::V4(address)) => self.ipv4 = self.ipv4.or(Some(address)),
            Some(IpAddr::V6(address)) => match self.ipv6 {
                Some(known) if !known.is_unicast_link_local() => {}
                _ => self.ipv6 = Some(address),
            },
            None => {}
        }
    }
}

/// Whether an address is one of this host's.
fn is_own(address: IpAddr) -> bool {
    Entries::read().is_ok_and(|entries| entries.iter().any(|entry| entry.address == Some(address)))
}

/// The interface of the best default route in the kernel's IPv4 routing table, as `/proc/net/route` shows it.
fn default_route(table: &str) -> Option<&str> {
    fn metric_and_name(line: &str) -> Option<(u32, &str)> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Interface, destination, gateway, flags, reference count, use, metric, mask.
        let [name, "00000000", _, _, _, _, metric, "00000000", ..] = fields[..] else { return None };
        Some((metric.parse().ok()?, name))
    }
    table.lines().filter_map(metric_and_name).min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

/// The list that getifaddrs returned, freed when dropped.
struct Entries(*mut libc::ifaddrs);

/// One line of that list: an interface and one of its addresses.
struct Entry<'a> {
    name: &'a str,
    raw_name: &'a CStr,
    flags: i32,
    address: Option<IpAddr>,
}

impl Entries {
    fn read() -> io::Result<Self> {
        let mut first = std::ptr::null_mut();
        // SAFETY: `first` is a valid place for the pointer.
        let result = unsafe { libc::getifaddrs(&mut first) };
        if result == 0 { Ok(Self(first)) } else { Err(io::Error::last_os_error()) }
    }

    fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut next = self.0;
        std::iter::from_fn(move || {
            // SAFETY: null or a node of the list, which lives as long as `self`.
            let node = unsafe { next.as_ref() }?;
            next = node.ifa_next;
            Some(node)
        })
        .filter_map(|node| {
            // SAFETY: the name is a C string that lives as long as the list.
            let raw_name = unsafe { CStr::from_ptr(node.ifa_name) };
            let name = raw_name.to_str().ok()?;
            // SAFETY: null or a socket address of the family that it says, alive as long as the list.
            let address = unsafe { read_address(node.ifa_addr) };
            Some(Entry { name, raw_name, flags: node.ifa_flags as i32, address })
        })
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        // SAFETY: from getifaddrs, freed once.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

impl Entry<'_> {
    fn interface(&self) -> Interface {
        // SAFETY: a valid C string.
        let index = unsafe { libc::if_nametoindex(self.raw_name.as_ptr()) };
        let up = libc::IFF_UP | libc::IFF_RUNNING;
        Interface {
            name: self.name.to_owned(),
            index,
            ipv4: None,
            ipv6: None,
            loopback: self.flags & libc::IFF_LOOPBACK != 0,
            running: self.flags & up == up,
        }
    }
}

/// # Safety
/// `address` must be null or point to a socket address that is as long as its family says.
unsafe fn read_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null or a valid address, as promised.
    let family = i32::from(unsafe { address.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in.
            let address = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6.
            let address = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_name_and_by_nature() {
        let lo = Interface::list().unwrap().into_iter().find(|interface| interface.loopback).expect("a loopback");
        assert_eq!(Interface::by_name(&lo.name).unwrap(), lo);
        assert!(lo.index > 0);
    }

    #[test]
    fn another_number_is_news_and_so_is_an_address_that_is_gone() {
        let lo = Interface::by_name("lo").unwrap();
        assert_eq!(lo.moved(false), None);
        let before = Interface { index: lo.index + 1_000, ..lo.clone() };
        assert_eq!(before.moved(false), Some(lo.clone()));
        let before = Interface { ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)), ..lo.clone() };
        assert_eq!((before.moved(false), before.moved(true)), (Some(lo), None));
        let gone = Interface { name: "gone".to_owned(), ..before };
        assert_eq!(gone.moved(false), None);
    }

    #[test]
    fn the_default_route_with_the_lowest_metric_counts() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        assert_eq!(default_route(table), Some("eth0"));
        assert_eq!(default_route("Iface\n"), None);
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let error = Interface::by_name("eht0").unwrap_err().to_string();
        assert!(error.contains("eht0") && error.contains("lo"), "{error}");
    }
}
