//! `unisono-sender doctor`: looks at this machine, its network and what is to be played, and says what is wrong.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alsa::{Direction, PCM};
use unisono_common::config::DEFAULT_REPAIR_PORT;
use unisono_common::config::sender::{SenderConfig, SourceConfig, StreamConfig};
use unisono_common::doctor::{Finding, Report, machine};
use unisono_common::sap;
use unisono_host::facts::{self, Root};
use unisono_host::interface::Interface;
use unisono_host::multicast::MulticastReceiver;
use unisono_host::{clock, state};

pub(crate) mod probe;

/// What the package brings; without it a sender needs none.
const FILE: &str = "/etc/unisono/sender.toml";

/// Announcements are up to five seconds apart.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(6);

/// UDP port of mDNS.
const MDNS_PORT: u16 = 5353;

/// Looks, and says what was found; `file` is the configuration, else the one of the package if it is there.
pub fn examine(file: Option<&Path>) -> Report {
    let (config, configuration) = configuration(file);
    let mut report = Report { findings: vec![configuration] };
    let interface = match &config.interface {
        Some(name) => Interface::by_name(name),
        None => Interface::pick(),
    };
    let interface = interface.ok().filter(|interface| !interface.loopback || config.interface.is_some());
    let state = state::directory(config.state_dir.as_deref());
    let mut machine = facts::machine(&Root::default(), "unisono-sender", interface.as_ref(), &state);
    // A sender needs no sound card, but for sources that listen to one.
    if !config.streams.iter().any(|stream| matches!(stream.source, SourceConfig::Capture { .. })) {
        machine.cards = None;
    }
    let ports = [
        ("UDP", config.clock_port),
        ("UDP", config.repair_port.unwrap_or(DEFAULT_REPAIR_PORT)),
        ("TCP", config.http_listen.port()),
        ("UDP", MDNS_PORT),
    ];
    report.findings.extend(machine::judge(&machine, &ports));
    report.findings.extend(config.streams.iter().filter_map(source));
    let running = machine.limits.is_some_and(|limits| limits.whose.contains("running"));
    if running {
        report.findings.push(Finding::ok("service", "a sender runs on this host"));
        if let Some(interface) = interface {
            report.findings.push(reached(&config, &interface));
            report.findings.push(announced(&interface));
        }
    } else {
        report.findings.push(Finding::note("service", "no sender runs", "sudo systemctl start unisono-sender"));
        report.findings.extend(taken(&config));
    }
    report
}

/// The configuration, or that of a newcomer where it is wrong.
fn configuration(file: Option<&Path>) -> (SenderConfig, Finding) {
    let file = file.map(Path::to_owned).or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.exists()));
    let Some(file) = file else {
        return (SenderConfig::default(), Finding::ok("settings", "no file: everything as by default"));
    };
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()));
    match text.and_then(|text| SenderConfig::parse(&file, &text).map_err(|error| error.to_string())) {
        Ok(config) => (config, Finding::ok("settings", format!("{} is right", file.display()))),
        Err(wrong) => {
            let fix = format!("mend {}, then: sudo systemctl restart unisono-sender", file.display());
            (SenderConfig::default(), Finding::problem("settings", wrong.replace('\n', "; "), fix))
        }
    }
}

/// Whether what a stream is to play is there.
fn source(stream: &StreamConfig) -> Option<Finding> {
    let id = &stream.id;
    match &stream.source {
        SourceConfig::Library { path, .. } => Some(match std::fs::metadata(path).and_then(|_| readable(path)) {
            Ok(()) => Finding::ok("music", format!("\"{id}\" plays {}", path.display())),
            Err(error) => Finding::problem(
                "music",
                format!("\"{id}\" can't play {}: {error}", path.display()),
                "the user unisono must be able to read it: sudo chmod -R o+rX on it, and o+x on the folders above",
            ),
        }),
        SourceConfig::Pipe { path, .. } => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            Some(match folder.is_dir() {
                true => Finding::ok("pipe", format!("\"{id}\" listens at {}", path.display())),
                false => Finding::problem(
                    "pipe",
                    format!("\"{id}\": there is no folder {}", folder.display()),
                    "use /run/unisono, which the package makes at each start",
                ),
            })
        }
        SourceConfig::Capture { device, .. } => Some(capture(id, device)),
        _ => None,
    }
}

/// Whether a card can be listened to.
fn capture(id: &str, device: &str) -> Finding {
    // What ALSA's library would print is said here.
    let _ = alsa::Output::local_error_handler();
    match PCM::new(device, Direction::Capture, true) {
        Ok(_) => Finding::ok("card", format!("\"{id}\" listens to {device}")),
        // By the sender itself, as a rule.
        Err(error) if error.errno() == libc::EBUSY => {
            Finding::ok("card", format!("\"{id}\": {device} is in use (fuser -v /dev/snd/*)"))
        }
        Err(error) => Finding::problem(
            "card",
            format!("\"{id}\" can't listen to {device}: {error}"),
            "arecord -l lists the cards that can capture; set device",
        ),
    }
}

fn readable(path: &Path) -> std::io::Result<()> {
    match path.is_dir() {
        true => std::fs::read_dir(path).map(drop),
        false => std::fs::File::open(path).map(drop),
    }
}

/// Ports that another program has.
fn taken(config: &SenderConfig) -> Vec<Finding> {
    let clock = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.clock_port))).map(drop);
    let page = TcpListener::bind(config.http_listen).map(drop);
    let finding = |what: &str, port: u16, key: &str, result: std::io::Result<()>| match result {
        Ok(()) => Finding::ok("ports", format!("{what} {port} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::problem(
            "ports",
            format!("{what} {port} is used by another program"),
            format!("sudo ss -lnp 'sport = :{port}' names it; stop it, or set {key}"),
        ),
        Err(error) => Finding::problem("ports", format!("{what} {port}: {error}"), format!("set {key}")),
    };
    vec![
        finding("UDP", config.clock_port, "clock_port", clock),
        finding("TCP", config.http_listen.port(), "listen under [http]", page),
    ]
}

/// Whether the hub answers, and groups are sent on the interface that rooms listen on.
fn reached(config: &SenderConfig, interface: &Interface) -> Finding {
    let listen = config.http_listen;
    if listen.ip().is_loopback() && !interface.loopback {
        let fix = "set listen under [http] to 0.0.0.0:7680, or leave it out";
        return Finding::note("probe", "the page listens on this machine alone: no other room finds this hub", fix);
    }
    let address = match interface.ipv4 {
        Some(address) if listen.ip().is_unspecified() => SocketAddr::from((address, listen.port())),
        _ => listen,
    };
    unisono_host::probe::through(&address.to_string(), interface)
}

/// Whether this host hears its own announcements, as a room would.
fn announced(interface: &Interface) -> Finding {
    let group = SocketAddr::new(sap::GROUP_PULSE.into(), sap::PORT);
    let fix = "the sender's log tells why: journalctl -u unisono-sender";
    let mut socket = match MulticastReceiver::join(group, interface) {
        Ok(socket) => socket,
        Err(error) => return Finding::problem("announced", error.to_string(), fix),
    };
    let until = clock::now() + ANNOUNCED_WITHIN.as_nanos() as i64;
    let mut buffer = [0; 2_048];
    while clock::now() < until {
        let _ = socket.wait(until, None);
        while let Ok(Some(received)) = socket.receive(&mut buffer) {
            if Some(received.from.ip()) == interface.ipv4.map(Into::into) {
                return Finding::ok("announced", format!("streams are announced on {}", interface.name));
            }
        }
    }
    Finding::problem("announced", format!("no announcement of this host was seen on {} in 6 s", interface.name), fix)
}
