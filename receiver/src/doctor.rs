//! `unisono-receiver doctor`: looks at this machine, its card, its network and the house, and says what is wrong.
//!
//! It listens as a room does, with sockets of its own, so a room that plays meanwhile is not disturbed.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use unisono_common::clock::StampSource;
use unisono_common::config::receiver::{HubConfig, ReceiverConfig};
use unisono_common::doctor::{Finding, Report, machine};
use unisono_common::sap;
use unisono_common::sdp::{ReferenceClock, Session};
use unisono_host::facts::{self, Root};
use unisono_host::interface::Interface;
use unisono_host::multicast::MulticastReceiver;
use unisono_host::{clock, probe, state};

use crate::discover::Discovery;
use crate::{hub, timeclient};

mod card;
mod overlay;

/// What the package brings; without it a room needs none.
const FILE: &str = "/etc/unisono/receiver.toml";

/// Announcements are up to five seconds apart.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(6);

/// How long packets are counted.
const COUNTED_NS: i64 = 1_000_000_000;

/// How long an answer of the hub or of the clock may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How well a clock should be known after that time, in microseconds.
const CLOCK_US: f64 = 500.0;

/// RTP port of a stream that is not known yet.
const RTP_PORT: u16 = 5004;

/// UDP port of mDNS.
const MDNS_PORT: u16 = 5353;

/// Looks, and says what was found; `file` is the configuration, else the one of the package if it is there.
pub fn examine(file: Option<&Path>) -> Report {
    let mut report = Report::default();
    let (config, configuration) = configuration(file);
    report.findings.push(configuration);
    let interface = match &config.interface {
        Some(name) => Interface::by_name(name),
        None => Interface::pick(),
    };
    let interface = interface.ok();
    let root = Root::default();
    report.findings.extend(card::examine(&root, &config));
    let machine = facts::machine(
        &root,
        "unisono-receiver",
        interface.as_ref().filter(|interface| !interface.loopback || config.interface.is_some()),
        &state::directory(config.state_dir.as_deref()),
    );
    let ports = [("UDP", RTP_PORT), ("UDP", sap::PORT), ("UDP", MDNS_PORT)];
    report.findings.extend(machine::judge(&machine, &ports));
    if let Some(interface) = interface {
        report.findings.push(listening(&interface));
        report.findings.extend(house(&config, &interface));
    }
    report
}

/// The configuration, or that of a newcomer where it is wrong.
fn configuration(file: Option<&Path>) -> (ReceiverConfig, Finding) {
    let file = file.map(Path::to_owned).or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.exists()));
    let Some(file) = file else {
        return (ReceiverConfig::default(), Finding::ok("settings", "no file: everything as by default"));
    };
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()));
    match text.and_then(|text| ReceiverConfig::parse(&file, &text).map_err(|error| error.to_string())) {
        Ok(config) => (config, Finding::ok("settings", format!("{} is right", file.display()))),
        Err(wrong) => {
            let fix = format!("mend {}, then: sudo systemctl restart unisono-receiver", file.display());
            (ReceiverConfig::default(), Finding::problem("settings", wrong.replace('\n', "; "), fix))
        }
    }
}

/// The ports that a room hears at, which whoever else has them must share.
fn listening(interface: &Interface) -> Finding {
    // The groups that everybody is in: nothing changes for the network.
    let groups = [SocketAddr::from((sap::GROUP_PULSE, RTP_PORT)), SocketAddr::from((sap::GROUP_PULSE, sap::PORT))];
    match groups.into_iter().find_map(|group| Some((group, MulticastReceiver::join(group, interface).err()?))) {
        None => Finding::ok("ports", format!("UDP {RTP_PORT} and {} can be listened at", sap::PORT)),
        Some((group, error)) => {
            Finding::problem("ports", error.to_string(), format!("sudo ss -lunp 'sport = :{}' names it", group.port()))
        }
    }
}

/// Hub, announcements, packets and clock, as this room would find them.
fn house(config: &ReceiverConfig, interface: &Interface) -> Vec<Finding> {
    let (finding, hub) = hub_of(&config.hub, interface);
    let mut findings = vec![finding];
    findings.extend(hub.map(|hub| probe::through(&hub, interface)));
    let session = match announced(config, interface) {
        Ok(session) => session,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    findings.push(Finding::ok("announced", format!("\"{}\", {}, is announced", session.name, session.format)));
    findings.push(packets(&session, interface));
    findings.extend(follow(&session, interface));
    findings
}

/// How the hub is, and where, if it can be reached.
fn hub_of(config: &HubConfig, interface: &Interface) -> (Finding, Option<String>) {
    let address = match config {
        HubConfig::None => return (Finding::ok("hub", "none is wanted"), None),
        HubConfig::Url(url) => url.trim_start_matches("http://").to_owned(),
        HubConfig::Auto => match hub::find(&interface.name) {
            Some(address) => address.to_string(),
            None => {
                let fix =
                    "does a sender run, on the same network? Where mDNS does not pass: hub = \"http://HOST:7680\"";
                return (Finding::problem("hub", "no hub answers by mDNS", fix), None);
            }
        },
    };
    let addresses = address.to_socket_addrs().into_iter().flatten();
    match addresses.map(|at| TcpStream::connect_timeout(&at, ANSWERED_WITHIN)).find(Result::is_ok) {
        Some(_) => (Finding::ok("hub", format!("the hub at {address} answers")), Some(address)),
        None => {
            let fix =
                format!("does the sender's firewall let TCP {} in?", address.rsplit(':').next().unwrap_or("7680"));
            (Finding::problem("hub", format!("the hub at {address} can't be reached"), fix), None)
        }
    }
}

/// A stream that can be followed, the wanted one if it is there.
fn announced(config: &ReceiverConfig, interface: &Interface) -> Result<Arc<Session>, Finding> {
    let (sender, receiver) = mpsc::channel();
    let discovery = Discovery::spawn(interface, config.stream.clone(), move |sessions| drop(sender.send(sessions)));
    let _discovery = discovery.map_err(|error| {
        Finding::problem("announced", error.to_string(), format!("ip maddress show dev {}", interface.name))
    })?;
    let (mut best, until) = (None, clock::now() + ANNOUNCED_WITHIN.as_nanos() as i64);
    while let Ok(left) = u64::try_from(until - clock::now()) {
        let Ok(sessions) = receiver.recv_timeout(Duration::from_nanos(left)) else { break };
        let wanted = |session: &&Arc<Session>| match &config.stream {
            Some(stream) => session.stream_id.as_ref() == Some(stream) || session.name == *stream,
            None => session.stream_id.is_some(),
        };
        if let Some(session) = sessions.iter().find(wanted) {
            return Ok(Arc::clone(session));
        }
        best = sessions.into_iter().next().or(best);
    }
    let multicast = "multicast does not come through: switch IGMP snooping on together with a querier, or both off; on an \
                     access point look for \"multicast enhancement\" or \"multicast to unicast\"";
    Err(match (best, &config.stream) {
        (Some(other), Some(stream)) => Finding::problem(
            "announced",
            format!("\"{stream}\" is not announced, but \"{}\" is", other.name),
            "unisono-sender ctl streams, on the sender's host, lists them; set stream, or leave it out",
        ),
        (Some(other), None) => Finding::note(
            "announced",
            format!("only a stranger's stream, \"{}\"", other.name),
            "start a Unisono sender",
        ),
        (None, _) => Finding::problem("announced", "no announcement was heard in 6 s", multicast),
    })
}

/// Counts the stream's packets.
fn packets(session: &Session, interface: &Interface) -> Finding {
    let group = SocketAddr::new(session.address, session.port);
    let mut socket = match MulticastReceiver::join(group, interface) {
        Ok(socket) => socket,
        Err(error) => return Finding::problem("multicast", error.to_string(), "is the interface up?"),
    };
    let (mut count, until) = (0, clock::now() + COUNTED_NS);
    let mut buffer = [0; 2_048];
    while clock::now() < until {
        let _ = socket.wait(until, None);
        while let Ok(Some(_)) = socket.receive(&mut buffer) {
            count += 1;
        }
    }
    match count {
        0 => Finding::problem(
            "multicast",
            format!("the stream is announced, but no packet came to {group} in a second"),
            "IGMP: the switch or access point does not pass this group; see \"Multicast does not arrive\" in \
             troubleshooting.md",
        ),
        count => Finding::ok("multicast", format!("{count} packets came to {group} in a second")),
    }
}

/// Asks the stream's clock for the time.
fn follow(session: &Session, interface: &Interface) -> Option<Finding> {
    let Some(ReferenceClock::Ntp(server)) = session.reference_clock else {
        return Some(Finding::unseen("clock", "the stream names no clock that is asked by NTP"));
    };
    let config = timeclient::TimeClientConfig { server, interface: Some(interface.clone()), priority: 1 };
    let client = timeclient::spawn(config).ok()?;
    let until = clock::now() + ANSWERED_WITHIN.as_nanos() as i64;
    let mut status = client.status();
    while clock::now() < until && !(status.locked && status.sigma_us < CLOCK_US / 10.0) {
        clock::sleep_until(clock::now() + 50_000_000);
        status = client.status();
    }
    let stamps =
        |source: Option<StampSource>| source.map_or("none".into(), |source| format!("{source:?}").to_lowercase());
    let seen = format!(
        "known to {:.0} us, round trip {:.0} us, stamps {} and {}",
        status.sigma_us,
        status.round_trip_us,
        stamps(status.sent_stamps),
        stamps(status.arrival_stamps)
    );
    Some(match (status.replies, status.locked && status.sigma_us < CLOCK_US) {
        (0, _) => Finding::problem(
            "clock",
            format!("the clock at {server} does not answer"),
            format!("does the sender's firewall let UDP {} in?", server.port()),
        ),
        (_, true) => Finding::ok("clock", seen),
        (_, false) => {
            Finding::note("clock", seen, "a wire, or a better access point; see clock.md for what can be reached")
        }
    })
}
