//! Would fewer system calls pay? Packets one by one, as the sender sends and rooms receive them, beside the kernel's ways for
//! many at once: sendmmsg, segmentation of one large datagram (GSO) and recvmmsg, over the house's network.
//!
//! What is counted is processor time of the calling thread, the network's share of it included.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use unisono_common::rtp;
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::{IPV4, MulticastReceiver, MulticastSender, SendOptions};
use unisono_tests::threads::own_cpu_ns;
use unisono_tests::{machine, namespaces, truth};

use crate::run::Bench;

/// A packet of the default stream.
const LENGTH: usize = rtp::HEADER_LEN + 960;

/// So many are due at once: those of one stream, of a small house, of a large one.
const AT_ONCE: [usize; 3] = [1, 4, 16];

/// Times that each is done; the median counts.
const TIMES: usize = 400;

const PORT: u16 = 5004;

/// linux/udp.h, which libc has for some targets only: cut what is sent into datagrams of this length.
const UDP_SEGMENT: libc::c_int = 103;

/// Nanoseconds of processor time a packet.
#[derive(Debug, Serialize)]
struct Cost {
    at_once: usize,
    sendto: f64,
    sendmmsg: f64,
    gso: Option<f64>,
    recvmsg: f64,
    recvmmsg: f64,
}

/// Prints the table.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    let stage = bench.stage("calls", 1)?;
    let host = |name| stage.house.network().and_then(|network| network.host(name)).context("a house has hosts");
    let options = SendOptions { source_port: 0, ttl: 1, dscp: 34 };
    let open = || anyhow::Ok(MulticastSender::open(&Interface::by_name("eth0")?, IPV4, options)?);
    let sender = namespaces::inside(&host("srv")?, open)??;
    let segmenter = namespaces::inside(&host("srv")?, open)??;
    let group = SocketAddr::from((Ipv4Addr::new(239, 77, 1, 1), PORT));
    let join = || anyhow::Ok(MulticastReceiver::join(group, &Interface::by_name("eth0")?)?);
    let receiver = namespaces::inside(&host("r1")?, join)??;
    println!("{}; nanoseconds of processor time a packet of {LENGTH} bytes\n", machine::describe());
    println!("| due at once | sendto each | sendmmsg | one sendmsg, GSO | recvmsg each | recvmmsg |");
    println!("|---|---|---|---|---|---|");
    let mut costs = vec![];
    for at_once in AT_ONCE {
        let cost = Cost {
            at_once,
            sendto: send_each(&sender, at_once)?,
            sendmmsg: send_many(&sender, at_once)?,
            // Not every kernel and interface segments.
            gso: send_segmented(&segmenter, at_once).ok(),
            recvmsg: receive(&sender, &receiver, at_once, receive_each)?,
            recvmmsg: receive(&sender, &receiver, at_once, receive_many)?,
        };
        let gso = cost.gso.map_or("-".into(), |ns| format!("{ns:.0}"));
        let Cost { sendto, sendmmsg, recvmsg, recvmmsg, .. } = cost;
        println!("| {at_once} | {sendto:.0} | {sendmmsg:.0} | {gso} | {recvmsg:.0} | {recvmmsg:.0} |");
        costs.push(cost);
    }
    std::fs::write(bench.out().join("calls.json"), serde_json::to_string_pretty(&costs)?)?;
    Ok(())
}

/// The median of what `work` takes for a packet, when it does `packets` of them.
fn median_ns(packets: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut taken = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begun_ns = own_cpu_ns();
        work()?;
        taken.push((own_cpu_ns() - begun_ns) as f64 / packets as f64);
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken[TIMES / 2])
}

/// The group of each of the streams that are due at once.
fn groups(count: usize) -> Vec<SocketAddr> {
    (1..=count).map(|stream| SocketAddr::from((Ipv4Addr::new(239, 77, 2, stream as u8), PORT))).collect()
}

fn send_each(sender: &MulticastSender, at_once: usize) -> Result<f64> {
    let (packet, groups) = ([0_u8; LENGTH], groups(at_once));
    median_ns(at_once, || Ok(groups.iter().try_for_each(|group| sender.send_to(&packet, *group))?))
}

fn send_many(sender: &MulticastSender, at_once: usize) -> Result<f64> {
    let mut packets = Packets::new(at_once, Some(&groups(at_once)));
    let fd = sender.as_fd().as_raw_fd();
    median_ns(at_once, || {
        // SAFETY: the headers describe what `packets` owns, which lives through the call.
        let sent = unsafe { libc::sendmmsg(fd, packets.headers.as_mut_ptr(), at_once as libc::c_uint, 0) };
        ensure!(sent == at_once as libc::c_int, "sendmmsg: {sent} of {at_once}: {}", std::io::Error::last_os_error());
        Ok(())
    })
}

/// All to one group: only packets of one stream can be sent so.
fn send_segmented(sender: &MulticastSender, at_once: usize) -> Result<f64> {
    let (all, group, length) = (vec![0_u8; LENGTH * at_once], groups(1)[0], LENGTH as libc::c_int);
    let fd = sender.as_fd().as_raw_fd();
    let value = (&raw const length).cast();
    // SAFETY: the value is an int that lives through the call.
    let set =
        unsafe { libc::setsockopt(fd, libc::SOL_UDP, UDP_SEGMENT, value, size_of::<libc::c_int>() as libc::socklen_t) };
    ensure!(set == 0, "UDP_SEGMENT: {}", std::io::Error::last_os_error());
    median_ns(at_once, || Ok(sender.send_to(&all, group)?))
}

/// What taking packets in takes, which have been sent before.
fn receive(
    sender: &MulticastSender,
    receiver: &MulticastReceiver,
    at_once: usize,
    take: fn(RawFd, &mut Packets) -> usize,
) -> Result<f64> {
    let mut packets = Packets::new(at_once, None);
    let fd = receiver.as_fd().as_raw_fd();
    let mut taken = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        for _ in 0..at_once {
            sender.send_to(&[0; LENGTH], receiver.group())?;
        }
        ensure!(receiver.wait(clock::now() + 1_000_000_000, None)?, "nothing arrives");
        // The others are there with the first: the network runs in its sender's call.
        std::thread::yield_now();
        let begun_ns = own_cpu_ns();
        let count = take(fd, &mut packets);
        let ns = own_cpu_ns() - begun_ns;
        if count == at_once {
            taken.push(ns as f64 / at_once as f64);
        }
        ensure!(!truth::interrupted(), "ended early");
        while take(fd, &mut packets) > 0 {}
    }
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().context("never were all packets there at once")
}

/// Until there is none, as a room does it.
fn receive_each(fd: RawFd, packets: &mut Packets) -> usize {
    let mut count = 0;
    packets.renew();
    // SAFETY: the header describes what `packets` owns, which lives through the call.
    while unsafe { libc::recvmsg(fd, &raw mut packets.headers[0].msg_hdr, libc::MSG_DONTWAIT) } > 0 {
        count += 1;
        packets.renew();
    }
    count
}

fn receive_many(fd: RawFd, packets: &mut Packets) -> usize {
    packets.renew();
    let most = packets.headers.len() as libc::c_uint;
    let headers = packets.headers.as_mut_ptr();
    // SAFETY: the headers describe what `packets` owns, which lives through the call.
    let count = unsafe { libc::recvmmsg(fd, headers, most, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
    usize::try_from(count).unwrap_or(0)
}

/// Buffers for packets, their addresses and what the kernel says of them, and the headers that describe them.
struct Packets {
    headers: Vec<libc::mmsghdr>,
    control_bytes: usize,
    _parts: Vec<libc::iovec>,
    _addresses: Vec<libc::sockaddr_in>,
    _bytes: Vec<u8>,
    _control: Vec<u64>,
}

impl Packets {
    /// To these groups, or to be received: with room for a stamp then.
    fn new(count: usize, to: Option<&[SocketAddr]>) -> Packets {
        const CONTROL: usize = 256;
        let address = |at: usize| match to.map(|groups| groups[at]) {
            Some(SocketAddr::V4(group)) => libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: group.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*group.ip()).to_be() },
                sin_zero: [0; 8],
            },
            // SAFETY: all-zero is a valid address of no family.
            _ => unsafe { std::mem::zeroed() },
        };
        let mut bytes = vec![0_u8; count * LENGTH];
        let mut control = vec![0_u64; count * CONTROL / size_of::<u64>()];
        let mut addresses: Vec<libc::sockaddr_in> = (0..count).map(address).collect();
        let part = |packet: &mut [u8]| libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: LENGTH };
        let mut parts: Vec<libc::iovec> = bytes.chunks_exact_mut(LENGTH).map(part).collect();
        let control_bytes = if to.is_some() { 0 } else { CONTROL };
        let places = control.chunks_exact_mut(CONTROL / size_of::<u64>());
        let described = parts.iter_mut().zip(&mut addresses).zip(places).map(|((part, address), control)| {
            // SAFETY: all-zero is a valid header.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = (&raw mut *address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = control_bytes as _;
            header
        });
        let headers = described.collect();
        Packets { headers, control_bytes, _parts: parts, _addresses: addresses, _bytes: bytes, _control: control }
    }

    /// Makes the headers what they were: the kernel writes into them what it used.
    fn renew(&mut self) {
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = self.control_bytes as _;
        }
    }
}
