//! A switch in user space, for kernels that have no netem: it joins the ports of a house and does to the packets of each,
//! both ways, what the scene says.
//!
//! It learns addresses and floods what it can't place, as a plain switch does. Frames are read and written raw, with
//! the kernel's notes on checksums and segments (virtio headers), so that offloads of virtual links don't matter.

pub mod impair;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use self::impair::{Impairment, Link};
use crate::{namespaces, processes, truth};

/// Above everything that plays: on a real network this is not one of the machine's processes at all.
const PRIORITY: i32 = 85;

/// The virtio header and the largest segment that a virtual link hands over.
const FRAME_BYTES: usize = VNET_HEADER + 65_536 + 64;
const VNET_HEADER: usize = 10;

/// Addresses remembered.
const MOST_ADDRESSES: usize = 4_096;

/// linux/if_packet.h; libc lacks them for some targets.
const PACKET_VNET_HDR: i32 = 15;
const PACKET_IGNORE_OUTGOING: i32 = 23;

/// A running switch; ends when dropped.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
}

/// What the owner sets and reads.
#[derive(Debug)]
struct State {
    /// For each port: the way from its host into the switch, and the way to it.
    links: Vec<[Link; 2]>,
    traffic: HashMap<Flow, Traffic>,
    /// For each port: all that came in by it, of whatever protocol.
    entered: Vec<Traffic>,
}

/// UDP from one port of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The port of the switch that it came in by: 0 is the server's.
    pub from: usize,
    /// UDP source port.
    pub source: u16,
    /// UDP destination port.
    pub destination: u16,
    /// To a group.
    pub multicast: bool,
}

/// How much there was of a flow, as it entered the switch: before any loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of Ethernet frames.
    pub bytes: u64,
}

impl Traffic {
    fn add(&mut self, frame: &[u8]) {
        self.packets += 1;
        self.bytes += frame.len() as u64;
    }
}

impl Switch {
    /// Starts a switch on these interfaces of `namespace`; chance comes from `seed`.
    pub fn start(namespace: &Path, ports: &[String], seed: u64) -> io::Result<Switch> {
        let namespace = namespaces::open(namespace)?;
        let link = |i: usize| Link::new(seed, i as u64);
        let links = (0..ports.len()).map(|i| [link(2 * i), link(2 * i + 1)]).collect();
        let state = State { links, traffic: HashMap::new(), entered: vec![Traffic::default(); ports.len()] };
        let state = Mutex::new(state);
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), state });
        let sockets = in_namespace(namespace, ports.to_vec())?;
        let thread = std::thread::Builder::new().name("switch".into()).spawn({
            let shared = shared.clone();
            move || {
                let _ = processes::real_time(PRIORITY);
                Worker { sockets, shared, addresses: HashMap::new(), waiting: BinaryHeap::new(), count: 0 }.run();
            }
        })?;
        Ok(Switch { shared, thread: Some(thread) })
    }

    /// What happens to the packets that the host on port `port` sends.
    pub fn from_host(&self, port: usize, impairment: Impairment) {
        self.state().links[port][0].set(impairment);
    }

    /// What happens to the packets on their way to the host on port `port`.
    pub fn to_host(&self, port: usize, impairment: Impairment) {
        self.state().links[port][1].set(impairment);
    }

    /// All UDP so far, of those flows that `wanted` picks.
    pub fn traffic(&self, wanted: impl Fn(&Flow) -> bool) -> Traffic {
        let state = self.state();
        let picked = state.traffic.iter().filter(|(flow, _)| wanted(flow));
        picked.fold(Traffic::default(), |sum, (_, traffic)| Traffic {
            packets: sum.packets + traffic.packets,
            bytes: sum.bytes + traffic.bytes,
        })
    }

    /// All that the host on port `port` has sent so far.
    pub fn entered(&self, port: usize) -> Traffic {
        self.state().entered[port]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens the ports' sockets; a thread of its own visits the namespace.
fn in_namespace(namespace: File, ports: Vec<String>) -> io::Result<Vec<OwnedFd>> {
    let open = move || {
        namespaces::enter(&namespace)?;
        ports.iter().map(|port| open_port(port)).collect::<io::Result<Vec<_>>>()
    };
    std::thread::spawn(open).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn open_port(name: &str) -> io::Result<OwnedFd> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: a C string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) };
    if index == 0 || fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    for (level, option, value) in [
        (libc::SOL_PACKET, PACKET_VNET_HDR, 1),
        (libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1),
        (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20),
    ] {
        let value: i32 = value;
        // SAFETY: the value is an int that lives through the call.
        let set = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), size_of::<i32>() as u32) };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: all zero is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: pointer and length describe `address`.
    match unsafe { libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as u32) } {
        0 => Ok(socket),
        _ => Err(io::Error::last_os_error()),
    }
}

struct Worker {
    sockets: Vec<OwnedFd>,
    shared: Arc<Shared>,
    /// Which port an address was last seen at.
    addresses: HashMap<[u8; 6], usize>,
    /// Frames on their way, the next one due first.
    waiting: BinaryHeap<Reverse<Waiting>>,
    count: u64,
}

/// A frame that leaves a port at a time; frames of one instant keep their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    at_ns: i64,
    number: u64,
    port: usize,
    frame: Arc<[u8]>,
}

impl Worker {
    fn run(mut self) {
        let mut buffer = vec![0; FRAME_BYTES];
        let mut polls: Vec<libc::pollfd> =
            self.sockets.iter().map(|s| libc::pollfd { fd: s.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.send_due();
            let next_ns = self.waiting.peek().map_or(i64::MAX, |Reverse(next)| next.at_ns);
            let wait_ns = (next_ns.saturating_sub(truth::now_ns())).clamp(0, 50_000_000);
            let timeout = libc::timespec { tv_sec: 0, tv_nsec: wait_ns as _ };
            // SAFETY: the array and the time live through the call; no signal mask.
            unsafe { libc::ppoll(polls.as_mut_ptr(), polls.len() as _, &timeout, std::ptr::null()) };
            for (from, poll) in polls.iter().enumerate() {
                if poll.revents != 0 {
                    self.drain(from, &mut buffer);
                }
            }
        }
    }

    fn drain(&mut self, from: usize, buffer: &mut [u8]) {
        // No port may starve the others.
        for _ in 0..64 {
            // SAFETY: pointer and length describe `buffer`.
            let got =
                unsafe { libc::recv(self.sockets[from].as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let Some(frame) = usize::try_from(got).ok().and_then(|length| buffer.get(..length)) else { return };
            self.forward(from, frame);
        }
    }

    fn forward(&mut self, from: usize, frame: &[u8]) {
        let Some(ethernet) = frame.get(VNET_HEADER..).filter(|ethernet| ethernet.len() >= 14) else { return };
        let now_ns = truth::now_ns();
        let (mut to, mut source) = ([0; 6], [0; 6]);
        to.copy_from_slice(&ethernet[..6]);
        source.copy_from_slice(&ethernet[6..12]);
        let multicast = to[0] & 1 == 1;
        if self.addresses.len() < MOST_ADDRESSES {
            self.addresses.insert(source, from);
        }
        let known = self.addresses.get(&to).copied().filter(|_| !multicast);
        let shared = self.shared.clone();
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entered[from].add(ethernet);
        if let Some(flow) = flow(from, ethernet) {
            state.traffic.entry(flow).or_default().add(ethernet);
        }
        let mut shared_frame: Option<Arc<[u8]>> = None;
        for entered_ns in state.links[from][0].pass(now_ns, ethernet.len(), multicast).into_iter().flatten() {
            let ports = (0..self.sockets.len()).filter(|port| *port != from && known.is_none_or(|to| to == *port));
            for port in ports {
                for at_ns in state.links[port][1].pass(entered_ns, ethernet.len(), multicast).into_iter().flatten() {
                    if at_ns <= now_ns {
                        send(&self.sockets[port], frame);
                        continue;
                    }
                    let frame = shared_frame.get_or_insert_with(|| frame.into()).clone();
                    self.count += 1;
                    self.waiting.push(Reverse(Waiting { at_ns, number: self.count, port, frame }));
                }
            }
        }
    }

    fn send_due(&mut self) {
        let now_ns = truth::now_ns();
        while let Some(Reverse(next)) = self.waiting.peek() {
            if next.at_ns > now_ns {
                return;
            }
            send(&self.sockets[next.port], &next.frame);
            self.waiting.pop();
        }
    }
}

/// A frame that a port does not take is lost, as on any switch.
fn send(port: &OwnedFd, frame: &[u8]) {
    // SAFETY: pointer and length describe `frame`, which the kernel only reads.
    unsafe { libc::send(port.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
}

/// The UDP flow of an IPv4 frame without IP options.
fn flow(from: usize, ethernet: &[u8]) -> Option<Flow> {
    let word = |at: usize| Some(u16::from_be_bytes([*ethernet.get(at)?, *ethernet.get(at + 1)?]));
    let udp = word(12)? == 0x0800 && ethernet.get(14)? == &0x45 && ethernet.get(23)? == &17;
    udp.then_some(Flow { from, source: word(34)?, destination: word(36)?, multicast: ethernet[0] & 1 == 1 })
}
