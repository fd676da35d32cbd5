//! Unisono in a house: a sender and one receiver for each room, configured as a user would. The house is either a network
//! of hosts of its own ([`House::new`]), or this machine's loopback ([`House::on_loopback`]), which needs no rights.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use unisono_common::control::Health;

use crate::instruments::{Card, Environment, HostClock, Instruments};
use crate::namespaces::Network;
use crate::processes::{Launch, PLAYER_PRIORITY, Process};
use crate::truth;

/// A room: its host's clock and its card.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Room {
    /// Its host's clock.
    pub clock: HostClock,
    /// Its card.
    pub card: Card,
}

/// A house: hosts, and a place for logs, records and state.
#[derive(Debug)]
pub struct House {
    hosts: Hosts,
    /// Id of its stream.
    id: String,
    binaries: PathBuf,
    dir: PathBuf,
    /// True time at which the clocks of all hosts begin to drift.
    anchor_ns: i64,
}

#[derive(Debug)]
enum Hosts {
    Own { network: Network, instruments: Instruments },
    Loopback { clock_port: u16, repair_port: u16, http_port: u16, rtp_port: u16 },
}

/// What the sender does; the rest is as by default.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// The stream's format.
    pub format: &'a str,
    /// Its source, as an inline table.
    pub source: String,
    /// From a frame's timestamp to its sound.
    pub playout_delay_ms: u32,
}

impl House {
    /// Makes the network. `binaries` is the directory of `unisono-sender` and `unisono-receiver`; everything that is written
    /// goes to `dir`.
    pub fn new(rooms: usize, dir: &Path, binaries: &Path, instruments: &Instruments) -> anyhow::Result<House> {
        let hosts = Hosts::Own { network: Network::new(rooms)?, instruments: instruments.clone() };
        Ok(House { hosts, id: "lab".into(), binaries: binaries.into(), dir: dir.into(), anchor_ns: truth::now_ns() })
    }

    /// The same on a switch that does to packets what it is told; see [`Network::impaired`].
    pub fn impaired(
        rooms: usize,
        seed: u64,
        dir: &Path,
        binaries: &Path,
        instruments: &Instruments,
    ) -> anyhow::Result<House> {
        let hosts = Hosts::Own { network: Network::impaired(rooms, seed)?, instruments: instruments.clone() };
        Ok(House { hosts, id: "lab".into(), binaries: binaries.into(), dir: dir.into(), anchor_ns: truth::now_ns() })
    }

    /// A house on loopback whose stream has the given id; houses with different ids don't meet.
    pub fn on_loopback(id: &str, dir: &Path, binaries: &Path) -> anyhow::Result<House> {
        // All held until all are known, so that they differ.
        let clock = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let repair = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let hosts = Hosts::Loopback {
            clock_port: clock.local_addr()?.port(),
            repair_port: repair.local_addr()?.port(),
            http_port: http.local_addr()?.port(),
            rtp_port: rtp.local_addr()?.port() & !1,
        };
        Ok(House { hosts, id: id.into(), binaries: binaries.into(), dir: dir.into(), anchor_ns: truth::now_ns() })
    }

    /// The network, to shape its links; loopback has none.
    pub fn network(&self) -> Option<&Network> {
        match &self.hosts {
            Hosts::Own { network, .. } => Some(network),
            Hosts::Loopback { .. } => None,
        }
    }

    /// Id of its stream.
    pub fn stream(&self) -> &str {
        &self.id
    }

    /// Path prefix of what a room's card recorded.
    pub fn record(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The sender's configuration file.
    pub fn sender_configuration(&self, stream: &Stream) -> String {
        let (state, id) = (self.sender_state(), &self.id);
        let Stream { format, source, playout_delay_ms } = stream;
        let (interface, clock, http, port) = match self.hosts {
            Hosts::Own { .. } => ("eth0", String::new(), String::new(), String::new()),
            Hosts::Loopback { clock_port, repair_port, http_port, rtp_port } => (
                "lo",
                format!("clock_port = {clock_port}\nrepair_port = {repair_port}\n"),
                format!("[http]\nlisten = \"127.0.0.1:{http_port}\"\n"),
                format!("port = {rtp_port}\n"),
            ),
        };
        format!(
            "interface = \"{interface}\"\nplayout_delay_ms = {playout_delay_ms}\nstate_dir = {state:?}\n{clock}{http}\n\
             [[streams]]\nid = \"{id}\"\nformat = \"{format}\"\nsource = {source}\n{port}"
        )
    }

    /// Starts the sender with one stream.
    pub fn start_sender(&self, stream: &Stream) -> anyhow::Result<Process> {
        self.start_sender_in(stream, vec![])
    }

    /// Starts the sender with one stream, on a host that is as `environment` makes it.
    pub fn start_sender_in(&self, stream: &Stream, environment: Environment) -> anyhow::Result<Process> {
        self.start_sender_as(&self.sender_configuration(stream), environment)
    }

    /// Starts the sender with any configuration.
    pub fn start_sender_as(&self, configuration: &str, environment: Environment) -> anyhow::Result<Process> {
        self.start("unisono-sender", "sender", "srv", configuration, environment)
    }

    /// Starts another sender, on any host, with a state directory of its own; `extra` is put in front of its configuration.
    pub fn start_sender_on(&self, host: &str, name: &str, stream: &Stream, extra: &str) -> anyhow::Result<Process> {
        let text = self.sender_configuration(stream).replace("state-sender", &format!("state-{name}"));
        self.start("unisono-sender", name, host, &format!("{extra}{text}"), vec![])
    }

    /// Starts a hub on any host: a sender that lets every room in and has a tone of its own, whose id is `name`.
    pub fn start_hub_on(&self, host: &str, name: &str) -> anyhow::Result<Process> {
        let tone = Stream { format: "48000:16:2", source: "{ type = \"tone\" }".into(), playout_delay_ms: 250 };
        let text = self.sender_configuration(&tone).replace("state-sender", &format!("state-{name}"));
        let text = text.replace(&format!("id = \"{}\"", self.id), &format!("id = \"{name}\""));
        let text = text.replacen("[[streams]]", "[hub]\nauto_approve = \"always\"\n[[streams]]", 1);
        self.start("unisono-sender", name, host, &text, vec![])
    }

    /// Starts the receiver of room `number` (1, 2, ...) on the host and card of `room`, which records into NAME.pcm and
    /// NAME.seg. `extra` is added to its configuration, above its `[output]`.
    pub fn start_receiver(&self, number: usize, room: &Room, name: &str, extra: &str) -> anyhow::Result<Process> {
        self.start_receiver_on(number, "simcard", name, extra, self.environment(room, name)?)
    }

    /// Starts the receiver of room `number` with any output device.
    pub fn start_receiver_on(
        &self,
        number: usize,
        device: &str,
        name: &str,
        extra: &str,
        environment: Environment,
    ) -> anyhow::Result<Process> {
        let interface = if self.network().is_some() { "eth0" } else { "lo" };
        let extra = format!("interface = \"{interface}\"\nhub = \"none\"\n{extra}");
        self.start_receiver_with(number, device, name, &extra, environment)
    }

    /// Starts the receiver of room `number` with any output device, interface and hub: those are `extra`'s to say.
    pub fn start_receiver_with(
        &self,
        number: usize,
        device: &str,
        name: &str,
        extra: &str,
        environment: Environment,
    ) -> anyhow::Result<Process> {
        let (state, id) = (self.room_state(number), &self.id);
        let text = format!(
            "room = \"r{number}\"\nstream = \"{id}\"\nstate_dir = {state:?}\n{extra}\n[output]\n\
             device = \"{device}\"\n"
        );
        self.start("unisono-receiver", name, &format!("r{number}"), &text, environment)
    }

    /// Asks the sender's hub for something, as `unisono-sender ctl` with these arguments does; what it prints.
    pub fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(self.binaries.join("unisono-sender"));
        let output = command.arg("ctl").arg("--state-dir").arg(self.sender_state()).args(arguments).output()?;
        anyhow::ensure!(output.status.success(), "ctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The state directory of a room's receiver.
    pub fn room_state(&self, number: usize) -> PathBuf {
        self.dir.join(format!("state-r{number}"))
    }

    fn sender_state(&self) -> PathBuf {
        self.dir.join("state-sender")
    }

    /// Starts any program on a host.
    pub fn launch(&self, launch: Launch, host: &str) -> anyhow::Result<Process> {
        let namespace = self.network().and_then(|network| network.host(host));
        Ok(Process::start(Launch { namespace, ..launch })?)
    }

    /// What makes a program live in a room.
    pub fn environment(&self, room: &Room, record: &str) -> anyhow::Result<Environment> {
        let Hosts::Own { instruments, .. } = &self.hosts else {
            anyhow::bail!("loopback has no rooms with clocks of their own")
        };
        Ok(instruments.environment(&room.clock, self.anchor_ns, &room.card, &self.record(record))?)
    }

    fn start(
        &self,
        program: &str,
        name: &str,
        host: &str,
        text: &str,
        environment: Environment,
    ) -> anyhow::Result<Process> {
        let file = self.dir.join(name).with_extension("toml");
        std::fs::write(&file, text)?;
        let mut arguments = vec!["--config".into(), file.display().to_string()];
        if program == "unisono-receiver" {
            arguments.extend(["--report".into(), "1".into()]);
        }
        let launch = Launch {
            name,
            program: &self.binaries.join(program),
            arguments,
            environment,
            namespace: None,
            priority: Some(PLAYER_PRIORITY),
            logs: &self.dir,
        };
        self.launch(launch, host)
    }
}

/// What a receiver has reported of itself, once a second.
pub fn reports(receiver: &Process) -> Vec<Health> {
    receiver.log().lines().filter(|line| line.starts_with('{')).flat_map(serde_json::from_str).collect()
}

/// The directory that holds Unisono's programs: that of the running program or, for a test, the one above.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let holds = |dir: &&Path| dir.join("unisono-sender").exists() && dir.join("unisono-receiver").exists();
    own.ancestors().skip(1).take(2).find(holds).map(Path::to_path_buf).ok_or_else(|| {
        let above = own.parent().unwrap_or(&own).display();
        anyhow::anyhow!(
            "unisono-sender and unisono-receiver are neither in {above} nor above it; `cargo build --workspace` first"
        )
    })
}
