//! A house in one machine: hosts in network namespaces on one switch. Nothing leaves the machine.
//!
//! The names carry the process that made them, so that runs side by side don't meet; what a killed run left behind is
//! removed by the next. Inside, every house has the same addresses: `srv` is 10.77.0.1 and room N is 10.77.0.(10 + N), each
//! on its `eth0`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::switch::Switch;

const PREFIX: &str = "unisono-";
const MOUNTS: &str = "/run/netns";

/// Address of the host `srv`.
pub const SERVER_ADDRESS: &str = "10.77.0.1";

/// The hosts of a house; removed when dropped.
#[derive(Debug)]
pub struct Network {
    /// Ends before the namespace that its ports are in.
    switch: Option<Switch>,
    names: Vec<String>,
}

/// Why there is no house.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Only root may make namespaces.
    #[error("network namespaces need root; run with sudo")]
    NotRoot,
    /// No iproute2.
    #[error("`ip` can't be run (Debian: apt install iproute2): {0}")]
    NoIp(std::io::Error),
    /// No switch of our own.
    #[error("no packet sockets for the switch: {0}")]
    NoSwitch(std::io::Error),
    /// The kernel or iproute2 refused.
    #[error("ip {command}: {message}")]
    Refused {
        /// What was asked for.
        command: String,
        /// What it said.
        message: String,
    },
}

impl Network {
    /// Makes `srv` and `rooms` rooms, on a switch that loses and delays nothing; see [`Network::shape`], [`Network::lose`].
    pub fn new(rooms: usize) -> Result<Network, NetworkError> {
        Network::wired(rooms, |switch, port| ip(None, &format!("link set {port} master br0 up"), switch))
    }

    /// Makes the same on a switch of our own, which does what it is told to the packets of each room; chance comes from
    /// `seed`.
    pub fn impaired(rooms: usize, seed: u64) -> Result<Network, NetworkError> {
        let mut network = Network::wired(rooms, |switch, port| ip(None, &format!("link set {port} up"), switch))?;
        let ports: Vec<String> = (0..=rooms).map(|room| format!("port{room}")).collect();
        let namespace = Path::new(MOUNTS).join(&network.names[0]);
        // The ports' own stack has nothing to say to the hosts.
        set_in(&namespace, Path::new("/proc/sys/net/ipv6/conf/all/disable_ipv6"), "1")
            .map_err(NetworkError::NoSwitch)?;
        network.switch = Some(Switch::start(&namespace, &ports, seed).map_err(NetworkError::NoSwitch)?);
        Ok(network)
    }

    /// The switch of [`Network::impaired`]; port N is room N's, port 0 the server's.
    pub fn switch(&self) -> Option<&Switch> {
        self.switch.as_ref()
    }

    /// Makes `srv` alone, a host that has nothing but its loopback.
    pub fn alone() -> Result<Network, NetworkError> {
        let house = new_house()?;
        let mut network = Network { switch: None, names: vec![] };
        let host = network.add(&house, "srv")?;
        ip(None, "link set lo up", &host)?;
        Ok(network)
    }

    fn wired(rooms: usize, plug: impl Fn(&str, &str) -> Result<(), NetworkError>) -> Result<Network, NetworkError> {
        let house = new_house()?;
        let mut network = Network { switch: None, names: vec![] };
        let switch = network.add(&house, "sw")?;
        ip(None, "link set lo up", &switch)?;
        ip(None, "link add br0 type bridge mcast_snooping 0", &switch)?;
        ip(None, "link set br0 up", &switch)?;
        for room in 0..=rooms {
            let host = network.add(&house, &if room == 0 { "srv".into() } else { format!("r{room}") })?;
            // IPv6 addresses are good at once: there is nobody to share them with.
            let file = Path::new("/proc/sys/net/ipv6/conf/default/accept_dad");
            set_in(&Path::new(MOUNTS).join(&host), file, "0").map_err(NetworkError::NoSwitch)?;
            let port = format!("port{room}");
            ip(None, &format!("link add eth0 type veth peer name {port} netns {switch}"), &host)?;
            ip(None, "link set lo up", &host)?;
            plug(&switch, &port)?;
            network.connect(room)?;
        }
        Ok(network)
    }

    /// Gives a room (or `srv`, which is 0) its address and brings its interface up.
    pub fn connect(&self, room: usize) -> Result<(), NetworkError> {
        let address = if room == 0 { SERVER_ADDRESS.into() } else { format!("10.77.0.{}", 10 + room) };
        ip(None, &format!("addr replace {address}/24 brd + dev eth0"), self.name(room))?;
        ip(None, "link set eth0 up", self.name(room))?;
        ip(None, "route replace default via 10.77.0.254", self.name(room))
    }

    /// Takes a room's interface down, and its address with it: a cable that is not there, a Wi-Fi that is not joined.
    pub fn disconnect(&self, room: usize) -> Result<(), NetworkError> {
        ip(None, "link set eth0 down", self.name(room))?;
        ip(None, "addr flush dev eth0", self.name(room))
    }

    /// The first name is that of the switch.
    fn name(&self, room: usize) -> &str {
        &self.names[room + 1]
    }

    fn add(&mut self, house: &str, host: &str) -> Result<String, NetworkError> {
        let name = format!("{house}-{host}");
        ip(Some("netns"), &format!("add {name}"), "")?;
        self.names.push(name.clone());
        Ok(name)
    }

    /// The namespace of `srv` or of `r1`, `r2`, ...
    pub fn host(&self, host: &str) -> Option<PathBuf> {
        let suffix = format!("-{host}");
        self.names.iter().find(|name| name.ends_with(&suffix)).map(|name| Path::new(MOUNTS).join(name))
    }

    /// Lets what the switch sends to room `room` pass netem with `options`, such as `delay 2ms 1ms`. Not every kernel
    /// has it.
    pub fn shape(&self, room: usize, options: &str) -> Result<(), NetworkError> {
        let run = Command::new("tc")
            .args(["-n", &self.names[0], "qdisc", "replace", "dev", &format!("port{room}"), "root", "netem"])
            .args(options.split_whitespace())
            .output();
        finish(run, &format!("netem {options}"))
    }

    /// Takes the link of room `room` (0: of the server) down, or brings it up.
    pub fn plug(&self, room: usize, up: bool) -> Result<(), NetworkError> {
        ip(None, &format!("link set port{room} {}", if up { "up" } else { "down" }), &self.names[0])
    }

    /// Makes the bridge of [`Network::new`] carry groups only to who has joined them, with or without a querier that asks
    /// every second who that is; who has not answered for 2.6 s is forgotten.
    pub fn snoop(&self, querier: bool) -> Result<(), NetworkError> {
        let querier = u8::from(querier);
        let intervals = "mcast_query_interval 100 mcast_membership_interval 260 mcast_query_response_interval 50";
        ip(
            None,
            &format!("link set br0 type bridge mcast_snooping 1 mcast_querier {querier} {intervals}"),
            &self.names[0],
        )
    }

    /// Packets that have come to room `room`.
    pub fn received(&self, room: usize) -> Option<u64> {
        let output =
            Command::new("ip").args(["-n", self.name(room), "-j", "-s", "link", "show", "eth0"]).output().ok()?;
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        links[0]["stats64"]["rx"]["packets"].as_u64()
    }

    /// Takes an address from a host, as a restart of it would.
    pub fn forget_address(&self, host: &str, address: &str) {
        let suffix = format!("-{host}");
        for name in self.names.iter().filter(|name| name.ends_with(&suffix)) {
            // It may never have had it.
            let _ = ip(None, &format!("addr del {address}/24 dev eth0"), name);
        }
    }

    /// Room `room` loses so many of a thousand packets that come to it, at random.
    pub fn lose(&self, room: usize, per_mille: u32) -> Result<(), NetworkError> {
        let rule = format!(
            "table inet lossy {{ chain input {{ type filter hook input priority 0; \
             iif eth0 numgen random mod 1000 < {per_mille} drop; }}; }}"
        );
        let run = Command::new("ip").args(["netns", "exec", self.name(room), "nft", &rule]).output();
        finish(run, &format!("nft {rule}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.switch.take());
        for name in self.names.iter().rev() {
            let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
        }
    }
}

/// What the names of a new house begin with, once what killed runs left is gone.
fn new_house() -> Result<String, NetworkError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Err(NetworkError::NotRoot);
    }
    sweep();
    Ok(format!("{PREFIX}{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// Runs `ip -n HOST COMMAND`, or `ip OBJECT COMMAND` outside of any namespace.
fn ip(object: Option<&str>, command: &str, host: &str) -> Result<(), NetworkError> {
    let mut run = Command::new("ip");
    match object {
        Some(object) => run.arg(object),
        None => run.args(["-n", host]),
    };
    finish(run.args(command.split_whitespace()).output(), command)
}

fn finish(output: std::io::Result<std::process::Output>, command: &str) -> Result<(), NetworkError> {
    let output = output.map_err(NetworkError::NoIp)?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err(NetworkError::Refused { command: command.into(), message })
}

/// Removes the namespaces of processes that are no more.
fn sweep() {
    for entry in std::fs::read_dir(MOUNTS).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let Some((pid, _)) = rest.split_once('x') else { continue };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
        }
    }
}

/// Opens a namespace for [`enter`].
pub(crate) fn open(namespace: &Path) -> std::io::Result<File> {
    File::open(namespace)
}

/// Moves the calling thread into a namespace.
pub(crate) fn enter(namespace: &File) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open for as long as `namespace` is borrowed.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Does something on a thread in `namespace`: the sockets that it opens are there, whoever uses them.
pub fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    let namespace = open(namespace)?;
    let there = || {
        enter(&namespace)?;
        Ok(work())
    };
    std::thread::scope(|scope| scope.spawn(there).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Writes a line to a file in /proc or /sys as seen from `namespace`.
pub fn set_in(namespace: &Path, file: &Path, value: &str) -> std::io::Result<()> {
    inside(namespace, || std::fs::OpenOptions::new().write(true).open(file)?.write_all(value.as_bytes()))?
}
