//! The real binary on loopback: what it puts on the wire, and what a restart keeps.
#![allow(clippy::unwrap_used)] // all of this is a test

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;
use unisono_common::identity::{StreamIdentity, multicast_group};
use unisono_common::rtcp::{self, Item};
use unisono_common::rtp::Packet;
use unisono_common::sap::{self, Kind};
use unisono_common::sdp::Session;
use unisono_common::time::{MediaTime, direct_offset_ntp, rtp_timestamp};
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::MulticastReceiver;

const PATIENCE_NS: i64 = 20_000_000_000;

/// A sender in a directory of its own, ended when dropped.
struct Sender {
    directory: TempDir,
    id: String,
    process: Option<Child>,
}

impl Sender {
    /// With a stream id of its own, so that tests side by side do not hear each other.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Sender { directory, id: format!("t{:x}", unisono_host::random::number() >> 8), process: None }
    }

    fn write_config(&self, more: &str) -> PathBuf {
        let file = self.directory.path().join("sender.toml");
        let text = format!(
            "interface = \"lo\"\nclock_port = 0\nstate_dir = \"{}\"\n{more}\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [[streams]]\nid = \"{}\"\nsource = {{ type = \"tone\" }}\n",
            self.directory.path().join("state").display(),
            self.id
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    fn start(&mut self) {
        let file = self.write_config("");
        self.process = Some(binary(&["--config", file.to_str().unwrap()]).spawn().unwrap());
    }

    fn end(&mut self) -> ExitStatus {
        let mut process = self.process.take().unwrap();
        let pid = process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        process.wait().unwrap()
    }

    fn group(&self, port: u16) -> SocketAddr {
        (multicast_group(&self.id, &[]), port).into()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unisono-sender"));
    command.args(arguments).stderr(Stdio::piped());
    command
}

fn join(group: SocketAddr) -> MulticastReceiver {
    MulticastReceiver::join(group, &Interface::by_name("lo").unwrap()).unwrap()
}

/// What `read` makes of the first packet that it makes anything of.
fn receive<T>(receiver: &mut MulticastReceiver, mut read: impl FnMut(&[u8], SocketAddr) -> Option<T>) -> T {
    let until = clock::now() + PATIENCE_NS;
    let mut buffer = [0; 2048];
    while clock::now() < until {
        receiver.wait(until, None).unwrap();
        while let Some(received) = receiver.receive(&mut buffer).unwrap() {
            if let Some(found) = read(&buffer[..received.len], received.from) {
                return found;
            }
        }
    }
    panic!("nothing came for {} s", PATIENCE_NS / 1_000_000_000);
}

/// Sequence number, timestamp, source and source port of so many packets.
fn packets(receiver: &mut MulticastReceiver, count: usize) -> Vec<(u16, u32, u32, u16)> {
    let mut seen = Vec::new();
    receive(receiver, |bytes, from| {
        let packet = Packet::parse(bytes).unwrap();
        assert_eq!((packet.header.payload_type, packet.marker, packet.payload.len()), (127, false, 960));
        seen.push((packet.header.sequence, packet.header.timestamp, packet.header.ssrc, from.port()));
        (seen.len() == count).then(|| seen.clone())
    })
}

#[test]
fn a_stream_is_sent_announced_reported_and_taken_back() {
    let mut sender = Sender::new();
    let mut audio = join(sender.group(5004));
    let mut reports = join(sender.group(5005));
    let mut announcements = join((sap::GROUP_LOCAL, sap::PORT).into());
    let mut pulse = join((sap::GROUP_PULSE, sap::PORT).into());
    sender.start();

    let id = sender.id.clone();
    let announced = |kind: Kind| {
        let id = id.clone();
        move |bytes: &[u8], _: SocketAddr| {
            let packet = sap::Packet::parse(bytes).ok().filter(|packet| packet.kind == kind)?;
            Session::parse(packet.sdp).ok().filter(|session| session.stream_id.as_ref() == Some(&id))
        }
    };
    let session = receive(&mut announcements, announced(Kind::Announcement));
    assert_eq!(receive(&mut pulse, announced(Kind::Announcement)), session);
    assert_eq!(SocketAddr::from((session.address, session.port)), sender.group(5004));
    assert_eq!(session.direct_offset, Some(direct_offset_ntp(48_000)));

    let seen = packets(&mut audio, 200);
    for pair in seen.windows(2) {
        // A machine that stops for longer than packets are of use leaves some out, never the timeline.
        let steps = pair[1].0.wrapping_sub(pair[0].0);
        assert!((1..1_000).contains(&steps), "from {:?} to {:?}", pair[0], pair[1]);
        assert_eq!(pair[1].1, pair[0].1.wrapping_add(240 * u32::from(steps)));
        assert_eq!((pair[1].2, pair[1].3), (pair[0].2, 5004));
    }

    let report = receive(&mut reports, |bytes, _| match rtcp::parse(bytes).unwrap()[..] {
        [Item::SenderReport(report), Item::Cname { .. }] => Some(report),
        _ => None,
    });
    assert_eq!(report.ssrc, seen[0].2);
    let instant = MediaTime::from_ntp(report.ntp, MediaTime::from_ns(clock::time_of_day_ns()));
    let apart = report.rtp_timestamp.wrapping_sub(rtp_timestamp(instant.to_frame(48_000))) as i32;
    assert!(apart.abs() <= 1, "NTP and RTP time of the report are {apart} frames apart");

    assert!(sender.end().success());
    let ended = clock::now();
    for group in [&mut announcements, &mut pulse] {
        let (deleted, mut deletions) = (announced(Kind::Deletion), Vec::new());
        let taken_back = receive(group, |bytes, from| {
            let session = deleted(bytes, from)?;
            deletions.push(bytes.to_vec());
            (deletions.len() == 3).then_some(session)
        });
        // A lost packet must not keep it alive, and who waits for the end has waited for all three.
        assert_eq!(taken_back, session);
        assert!(deletions.iter().all(|packet| *packet == deletions[0]), "{deletions:?}");
    }
    assert!(clock::now() - ended < 2_000_000_000, "deletions came {} ns after the end", clock::now() - ended);
    receive(&mut reports, |bytes, _| {
        rtcp::parse(bytes).unwrap().contains(&Item::Bye { ssrc: report.ssrc }).then_some(())
    });
}

#[test]
fn a_restart_goes_on_where_it_would_have_been() {
    let mut sender = Sender::new();
    let mut audio = join(sender.group(5004));
    sender.start();
    let before = packets(&mut audio, 20);
    assert!(sender.end().success());
    let state = sender.directory.path().join("state/streams").join(format!("{}.toml", sender.id));
    let identity = StreamIdentity::decode(&std::fs::read_to_string(&state).unwrap()).unwrap();

    let mut audio = join(sender.group(5004));
    sender.start();
    let after = packets(&mut audio, 20);
    assert!(sender.end().success());
    let (last, first) = (before[0], after[0]);
    assert_eq!((first.2, first.3), (last.2, last.3), "the same source from the same port");
    // Timestamps and sequence numbers are still in step.
    let packets_between = first.0.wrapping_sub(last.0);
    assert_eq!(first.1.wrapping_sub(last.1) / 240 % 65_536, u32::from(packets_between));
    assert_eq!(first.2, identity.ssrc);
}

#[test]
fn two_senders_of_one_id_are_told() {
    let mut first = Sender::new();
    let mut second = Sender::new();
    second.id = first.id.clone();
    first.start();
    second.start();
    let mut log = second.process.as_mut().unwrap().stderr.take().unwrap();
    let mut text = String::new();
    let mut chunk = [0; 1024];
    while !text.contains("another sender at 127.0.0.1") {
        let len = log.read(&mut chunk).unwrap();
        assert!(len > 0, "it ended: {text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..len]));
    }
    assert!(first.end().success() && second.end().success());
}

/// Exit code and standard error of a run that must end by itself.
fn refusal(arguments: &[&str]) -> (Option<i32>, String) {
    let output = binary(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn refusal_of(file: &Path) -> String {
    let (code, text) = refusal(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{text}");
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn what_is_wrong_is_told_in_one_sentence_with_exit_code_2() {
    let sender = Sender::new();
    let (code, text) = refusal(&["--wrong"]);
    assert_eq!((code, text.lines().count()), (Some(2), 1), "{text}");
    let misspelt = refusal_of(&sender.write_config("tll = 3"));
    assert!(misspelt.ends_with("unknown key \"tll\"; did you mean \"ttl\"?"), "{misspelt}");
    let file = sender.write_config("");
    let with = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace(from, to)).unwrap();
        let told = refusal_of(&file);
        std::fs::write(&file, text).unwrap();
        told
    };
    assert!(with("\"lo\"", "\"lu\"").contains("no network interface \"lu\""));
    assert!(with("\"tone\"", "\"library\", path = \"/no/such\"").contains("/no/such"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("127.0.0.1:{}", taken.local_addr().unwrap().port());
    assert!(with("127.0.0.1:0", &port).contains(&port));
    let (code, text) = refusal(&["check-config", file.to_str().unwrap()]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

#[test]
fn a_state_directory_belongs_to_one_sender() {
    let mut sender = Sender::new();
    let mut audio = join(sender.group(5004));
    sender.start();
    packets(&mut audio, 1);
    let told = refusal_of(&sender.directory.path().join("sender.toml"));
    assert!(told.contains("in use by another sender"), "{told}");
    assert!(sender.end().success());
}
