//! What makes music stutter or stay away, of a machine's processor, network and surroundings.

use std::path::PathBuf;

use super::Finding;

/// Real-time priority that the audio thread wants.
const PRIORITY: u64 = 60;

/// Memory that the programs lock, at most.
const LOCKED_BYTES: u64 = 256 << 20;

/// Longest packet of ours, with all headers.
const PACKET_BYTES: u32 = 1_300;

/// With less the state may be lost at the next change.
const FREE_BYTES: u64 = 50 << 20;

/// A machine, as far as it could be seen; what could not is `None`.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// A Raspberry Pi.
    pub raspberry_pi: bool,
    /// Whether who plays may open sound cards; `None` where none is needed.
    pub cards: Option<MayOpen>,
    /// What the program may take for itself.
    pub limits: Option<Limits>,
    /// How the frequency of each processor is chosen.
    pub governors: Vec<String>,
    /// The Pi's own word on its power, as `vcgencmd get_throttled`: bits 0 to 3 now, 16 to 19 since it was started.
    pub throttled: Option<u32>,
    /// The network interface in use.
    pub nic: Option<Nic>,
    /// Version of IGMP that the kernel speaks on it.
    pub igmp_version: Option<u8>,
    /// What keeps packets out.
    pub firewall: Firewall,
    /// Where state is kept.
    pub disk: Option<Disk>,
}

/// Who opens sound cards, and whether that is allowed.
#[derive(Clone, Debug, Default)]
pub struct MayOpen {
    /// The user: the service's if this machine has it, else who asks.
    pub user: String,
    /// In the group "audio", or root.
    pub allowed: bool,
}

/// Resource limits.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Whose they are, for people.
    pub whose: String,
    /// RLIMIT_RTPRIO.
    pub rtprio: u64,
    /// RLIMIT_MEMLOCK, in bytes.
    pub memlock: u64,
}

/// A network interface.
#[derive(Clone, Debug, Default)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Wi-Fi.
    pub wireless: bool,
    /// Wi-Fi that sleeps between beacons.
    pub power_save: Option<bool>,
    /// Energy-Efficient Ethernet is in use.
    pub eee: Option<bool>,
    /// Longest packet.
    pub mtu: Option<u32>,
    /// Whether the kernel stamps packets as they are sent and as they are received.
    pub stamps: Option<(bool, bool)>,
    /// It is up and has an IPv4 address.
    pub address: bool,
}

/// What keeps packets out.
#[derive(Clone, Debug, Default)]
pub struct Firewall {
    /// ufw is switched on.
    pub ufw: bool,
    /// firewalld runs.
    pub firewalld: bool,
    /// `nft list ruleset`, which only root may see.
    pub ruleset: Option<String>,
}

/// Where state is kept.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The directory.
    pub path: PathBuf,
    /// What may still be written.
    pub free_bytes: u64,
    /// It is not mounted to be read only.
    pub writable: bool,
}

/// Judges a machine; packets to these ports are to come in.
pub fn judge(machine: &Machine, ports: &[(&'static str, u16)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = machine.cards.as_ref().map(group).into_iter().collect();
    findings.extend(machine.limits.iter().flat_map(limits));
    findings.extend(governor(&machine.governors));
    findings.extend(machine.throttled.map(power));
    match &machine.nic {
        Some(nic) => findings.extend(network(nic)),
        None => findings.push(Finding::problem(
            "network",
            "there is no network interface that leads out of this machine",
            "plug in a cable, or join a Wi-Fi network: sudo nmtui",
        )),
    }
    findings.extend(machine.igmp_version.map(igmp));
    findings.push(firewall(&machine.firewall, ports));
    findings.extend(machine.disk.as_ref().map(disk));
    findings
}

fn group(MayOpen { user, allowed }: &MayOpen) -> Finding {
    match allowed {
        true => Finding::ok("group", format!("the user {user} may open sound cards")),
        false => Finding::problem(
            "group",
            format!("the user {user} is not in the group \"audio\" and may not open sound cards"),
            format!("sudo usermod -aG audio {user}, then start the service again, or log in again if this is you"),
        ),
    }
}

fn limits(limits: &Limits) -> [Finding; 2] {
    let whose = &limits.whose;
    let priority = if limits.rtprio >= PRIORITY {
        Finding::ok("priority", format!("real-time priority {} is allowed ({whose})", limits.rtprio))
    } else {
        Finding::problem(
            "priority",
            format!("real-time priority is allowed up to {}, {PRIORITY} is needed ({whose})", limits.rtprio),
            "run it as the service that the package brings, or add \"@audio - rtprio 60\" to /etc/security/limits.conf",
        )
    };
    let memory = if limits.memlock >= LOCKED_BYTES {
        Finding::ok("memory", format!("memory may be locked ({whose})"))
    } else {
        Finding::note(
            "memory",
            format!("only {} kB of memory may be locked ({whose}): a busy disk can be heard", limits.memlock / 1_024),
            "run it as the service that the package brings, or add \"@audio - memlock unlimited\" to \
             /etc/security/limits.conf",
        )
    };
    [priority, memory]
}

fn governor(governors: &[String]) -> Option<Finding> {
    let worst = governors.iter().max_by_key(|governor| match governor.as_str() {
        "powersave" => 2,
        "performance" | "schedutil" => 0,
        _ => 1,
    })?;
    let fix = "sudo apt install linux-cpupower; sudo cpupower frequency-set -g performance";
    Some(match worst.as_str() {
        "performance" | "schedutil" => Finding::ok("governor", format!("processors run by \"{worst}\"")),
        "powersave" => Finding::problem("governor", "processors are held at their lowest frequency", fix),
        _ => Finding::note("governor", format!("\"{worst}\" raises the frequency late; seldom heard"), fix),
    })
}

/// Bits of `get_throttled`: under-voltage, frequency capped, throttled, soft temperature limit.
fn power(throttled: u32) -> Finding {
    let (now, since) = (throttled & 0xf, throttled >> 16 & 0xf);
    let words = |bits: u32| {
        let names = ["the voltage is too low", "the frequency is capped", "it is throttled", "it is too hot"];
        let set: Vec<&str> =
            names.into_iter().enumerate().filter(|(i, _)| bits >> i & 1 != 0).map(|(_, n)| n).collect();
        set.join(", ")
    };
    let fix = "use the power supply made for this Pi (5.1 V; 3 A, a Pi 5 5 A) and a short cable; keep it cool";
    match (now, since) {
        (0, 0) => Finding::ok("power", "voltage and temperature are as they should be"),
        (0, since) => Finding::note("power", format!("at some time since the start: {}", words(since)), fix),
        (now, _) => Finding::problem("power", format!("now: {}", words(now)), fix),
    }
}

fn network(nic: &Nic) -> Vec<Finding> {
    let name = &nic.name;
    let mut findings = vec![match nic.address {
        true => Finding::ok("network", format!("{name} is up")),
        false => Finding::problem(
            "network",
            format!("{name} has no IPv4 address"),
            format!("is the cable in, is DHCP there? ip address show dev {name}"),
        ),
    }];
    if nic.wireless {
        findings.push(match nic.power_save {
            Some(true) => Finding::problem(
                "wifi",
                format!("{name} sleeps between beacons: packets come in lumps, and multicast gets lost"),
                format!("sudo iw dev {name} set power_save off; for good: sudo nmcli connection modify NAME wifi.powersave 2"),
            ),
            Some(false) => Finding::ok("wifi", "power save is off"),
            None => Finding::unseen("wifi", "whether power save is on could not be seen: iw dev tells"),
        });
    }
    match nic.eee {
        Some(true) => findings.push(Finding::note(
            "eee",
            format!("Energy-Efficient Ethernet on {name} wakes late: the clock is known some microseconds worse"),
            format!("sudo ethtool --set-eee {name} eee off"),
        )),
        Some(false) => findings.push(Finding::ok("eee", "the wire does not sleep")),
        None => {}
    }
    findings.extend(nic.mtu.map(|mtu| match mtu {
        PACKET_BYTES.. => Finding::ok("mtu", format!("packets of {mtu} bytes pass")),
        _ => Finding::problem(
            "mtu",
            format!("{name} takes packets of {mtu} bytes, ours have up to {PACKET_BYTES}"),
            format!("sudo ip link set dev {name} mtu 1500"),
        ),
    }));
    findings.extend(nic.stamps.map(|(sent, received)| match (sent, received) {
        (true, true) => Finding::ok("stamps", "the kernel stamps packets both ways"),
        _ => Finding::note(
            "stamps",
            format!(
                "the kernel does not stamp packets that {name} {}: the clock is known worse",
                match sent {
                    true => "receives",
                    false => "sends",
                }
            ),
            "a newer kernel or another network adapter; it works without",
        ),
    }));
    findings
}

fn igmp(version: u8) -> Finding {
    match version {
        2.. => Finding::ok("igmp", format!("groups are joined by IGMPv{version}")),
        _ => Finding::note(
            "igmp",
            "a device in this network speaks IGMPv1, and so does this machine: groups are not left",
            "find the old device, or sudo sysctl net.ipv4.conf.all.force_igmp_version=2",
        ),
    }
}

fn firewall(firewall: &Firewall, ports: &[(&'static str, u16)]) -> Finding {
    let dropped = firewall.ruleset.as_deref().map(|rules| nft_drops(rules, ports));
    let list = |ports: &[(&str, u16)]| {
        ports.iter().map(|(protocol, port)| format!("{protocol} {port}")).collect::<Vec<_>>().join(", ")
    };
    let commands = |ports: &[(&str, u16)]| {
        let ufw = |(protocol, port): &(&str, u16)| format!("sudo ufw allow {port}/{}", protocol.to_lowercase());
        let firewalld = |(protocol, port): &(&str, u16)| {
            format!("sudo firewall-cmd --permanent --add-port={port}/{}", protocol.to_lowercase())
        };
        let lines: Vec<String> = match (firewall.ufw, firewall.firewalld) {
            (true, _) => ports.iter().map(ufw).collect(),
            (_, true) => ports.iter().map(firewalld).chain(["sudo firewall-cmd --reload".into()]).collect(),
            _ => vec![format!("let {} in", list(ports))],
        };
        lines.join("\n")
    };
    match dropped {
        Some(dropped) if !dropped.is_empty() => {
            Finding::problem("firewall", format!("{} seems to be kept out", list(&dropped)), commands(&dropped))
        }
        Some(_) => Finding::ok("firewall", format!("{} is let in", list(ports))),
        None if firewall.ufw || firewall.firewalld => Finding::note(
            "firewall",
            format!("there is one; whether it lets {} in only root can see", list(ports)),
            commands(ports),
        ),
        None => Finding::ok("firewall", "there is none that could be seen"),
    }
}

/// Of `ports` those that a rule set keeps out: it drops what comes in by default, and names them nowhere. A rule that lets
/// in by other means than ports is not understood.
pub fn nft_drops(ruleset: &str, ports: &[(&'static str, u16)]) -> Vec<(&'static str, u16)> {
    let drops = |line: &str| line.contains("hook input") && line.contains("policy drop");
    if !ruleset.lines().any(drops) {
        return Vec::new();
    }
    let named = |port: u16| ruleset.split(|c: char| !c.is_ascii_digit()).any(|number| number == port.to_string());
    ports.iter().copied().filter(|(_, port)| !named(*port)).collect()
}

fn disk(disk: &Disk) -> Finding {
    let path = disk.path.display();
    match disk {
        Disk { writable: false, .. } => Finding::problem(
            "disk",
            format!("{path} can't be written: what the hub orders is forgotten at the next start"),
            "is the file system read only, or the card worn out? dmesg tells; state_dir names another place",
        ),
        Disk { free_bytes: ..FREE_BYTES, .. } => Finding::problem(
            "disk",
            format!("{} MB are free at {path}", disk.free_bytes >> 20),
            "make room: sudo apt clean; sudo journalctl --vacuum-size=50M",
        ),
        _ => Finding::ok("disk", format!("{} MB are free at {path}", disk.free_bytes >> 20)),
    }
}
