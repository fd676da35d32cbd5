//! Debian's `shairport-sync` behind a command source, heard from an AirPlay sender: the least of one, which sends L16 that
//! nobody has encrypted.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use unisono_host::clock;
use unisono_tests::instruments::Environment;
use unisono_tests::processes::Process;
use unisono_tests::signals::{Signal, sine};
use unisono_tests::station::{Station, Tap, free_port};
use unisono_tests::truth;

use crate::{PATIENCE, common, have, ms, start};

const RATE: i64 = 44_100;
/// Frames of a packet.
const PACKET: i64 = 352;
/// What is sent is to be heard so many frames later: two seconds, less what shairport-sync adds.
const LATENCY: i64 = 77_175;
const SECONDS: i64 = 8;
/// Where every Avahi of a machine is.
const AVAHI: &str = "/run/avahi-daemon/socket";

#[test]
fn an_airplay_sender_is_heard_through_shairport_sync() {
    if !have(&["shairport-sync", "avahi-daemon", "dbus-daemon"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some((environment, mut daemons)) = avahi(dir.path()) else { return };
    let port = free_port().unwrap();
    let command = format!("[\"shairport-sync\", \"--name=Test\", \"--output=stdout\", \"--port={port}\"]");
    let streams = format!(
        "[[streams]]\nid = \"airplay@\"\nsource = {{ type = \"command\", command = {command}, format = \"44100:16:2\" }}\n"
    );
    let mut station = Station::start_in(dir.path(), &streams, environment).unwrap();
    let tap = Tap::open(station.group("airplay")).unwrap();
    let listens = truth::wait_for(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
    assert!(listens.is_some(), "shairport-sync does not listen:\n{}", station.process.log());
    let began = clock::now();
    let sender = std::thread::spawn(move || send_tone(port));
    let heard = truth::wait_for(PATIENCE, || tap.sound_after(began, 1_000));
    let Some(heard) = heard else { panic!("silent:\n{}", station.process.log()) };
    println!("command: an AirPlay sender is heard {:.0} ms after it connects to shairport-sync", ms(began, heard));
    assert!(station.wait_for("airplay", PATIENCE, |now| now["state"] == "playing").is_some());
    sender.join().unwrap();
    // It has the frequency that was sent, in some whole second: a machine that is busy may break the others off.
    let sound = tap.sound(0);
    let rises = |second: &[i32]| second.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    let loud = |second: &[i32]| second.iter().any(|sample| *sample > 12_000);
    let clean = |second: &[i32]| loud(second) && (499..=501).contains(&rises(second));
    assert!(sound.windows(48_000).step_by(4_800).any(clean), "another tone:\n{}", station.process.log());
    // Nobody sends any more, and shairport-sync waits for the next.
    let idle = station.wait_for("airplay", PATIENCE, |now| now["state"] == "idle");
    assert!(idle.is_some(), "{}", station.playback("airplay"));
    station.assert_unbroken(&tap);
    assert!(station.process.stop().is_some_and(|status| status.success()), "{}", station.process.log());
    for daemon in &mut daemons {
        daemon.stop();
    }
}

/// An Avahi, which shairport-sync needs, and what makes programs find it: this machine's, or one on loopback alone.
fn avahi(dir: &Path) -> Option<(Environment, Vec<Process>)> {
    if UnixStream::connect(AVAHI).is_ok() {
        return Some((vec![], vec![]));
    }
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return common::skipped("no Avahi runs here, and to start one takes root");
    }
    let address = format!("unix:path={}", dir.join("bus").display());
    let rules = "<allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/>";
    let bus = format!(
        "<busconfig><listen>{address}</listen><auth>EXTERNAL</auth><policy context=\"default\">{rules}</policy></busconfig>"
    );
    let (bus_conf, avahi_conf) = (dir.join("bus.conf"), dir.join("avahi.conf"));
    std::fs::write(&bus_conf, bus).unwrap();
    std::fs::write(&avahi_conf, "[server]\nuse-ipv6=no\nallow-interfaces=lo\n").unwrap();
    let config = format!("--config-file={}", bus_conf.display());
    let bus = start(dir, "bus", "dbus-daemon", &[&config, "--nofork", "--nopidfile"]);
    assert!(truth::wait_for(PATIENCE, || dir.join("bus").exists().then_some(())).is_some(), "{}", bus.log());
    let environment = vec![("DBUS_SYSTEM_BUS_ADDRESS".to_owned(), address)];
    let variable = format!("{}={}", environment[0].0, environment[0].1);
    let as_we_are = ["--no-drop-root", "--no-chroot", "--no-rlimits", "--no-proc-title"];
    let program = [&*variable, "/usr/sbin/avahi-daemon", "-f", avahi_conf.to_str().unwrap()];
    let avahi = start(dir, "avahi", "env", &[&program[..], &as_we_are[..]].concat());
    let up = truth::wait_for(PATIENCE, || UnixStream::connect(AVAHI).ok());
    assert!(up.is_some(), "{}", avahi.log());
    // The first is ended first: the bus outlives who is on it.
    Some((environment, vec![avahi, bus]))
}

/// Sends a tone at the pace of time, from the first word to the goodbye.
fn send_tone(rtsp_port: u16) {
    let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let (control, timing, audio) = (socket(), socket(), socket());
    let ports = format!("control_port={};timing_port={}", port(&control), port(&timing));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let clock = std::thread::spawn(move || tell_time(&timing, &stopped));

    // One that is asked while it starts may end by a segmentation fault; it is started again.
    let agreed = truth::wait_for(PATIENCE, || agree(rtsp_port, &ports));
    let (mut rtsp, control_port, audio_port) = agreed.unwrap();
    control.connect(("127.0.0.1", control_port)).unwrap();
    audio.connect(("127.0.0.1", audio_port)).unwrap();

    let (signal, begun_ns) = (sine(RATE as u32, 500, 0.5), truth::now_ns());
    for number in 0..SECONDS * RATE / PACKET {
        let frame = number * PACKET;
        // Once a second: which frame is to be heard when.
        if number % 125 == 0 {
            let _ = control.send(&sync(frame));
        }
        let _ = audio.send(&sound(number, &signal));
        let wait_ns = begun_ns + (frame + PACKET) * 1_000_000_000 / RATE - truth::now_ns();
        std::thread::sleep(Duration::from_nanos(wait_ns.max(0) as u64));
    }
    assert!(rtsp.ask("TEARDOWN", "", None).is_some(), "it hangs up");
    stop.store(true, Ordering::Relaxed);
    clock.join().unwrap();
}

/// Comes to terms with it; its ports for control and audio.
fn agree(port: u16, ports: &str) -> Option<(Rtsp, u16, u16)> {
    let mut rtsp = Rtsp { stream: TcpStream::connect(("127.0.0.1", port)).ok()?, asked: 0 };
    let description = "v=0\r\no=test 1 0 IN IP4 127.0.0.1\r\ns=Test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 0 RTP/AVP 96\r\na=rtpmap:96 L16/44100/2\r\n";
    rtsp.ask("ANNOUNCE", "", Some(("application/sdp", description)))?;
    let transport = format!("Transport: RTP/AVP/UDP;unicast;interleaved=0-1;mode=record;{ports}\r\n");
    let answer = rtsp.ask("SETUP", &transport, None)?;
    let theirs = |name: &str| -> u16 {
        let rest = answer.split_once(&format!("{name}=")).unwrap().1;
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    rtsp.ask("RECORD", "Range: npt=0-\r\nRTP-Info: seq=0;rtptime=0\r\n", None)?;
    rtsp.ask("SET_PARAMETER", "", Some(("text/parameters", "volume: 0.000000\r\n")))?;
    Some((rtsp, theirs("control_port"), theirs("server_port")))
}

/// Frame `frame` is to be heard [`LATENCY`] from now.
fn sync(frame: i64) -> Vec<u8> {
    let head: [u8; 4] = [if frame == 0 { 0x90 } else { 0x80 }, 0xd4, 0, 7];
    let (now, next) = ((frame as u32).to_be_bytes(), ((frame + LATENCY) as u32).to_be_bytes());
    [&head[..], &now[..], &ntp().to_be_bytes()[..], &next[..]].concat()
}

/// A packet of the signal.
fn sound(number: i64, signal: &Signal) -> Vec<u8> {
    let frame = number * PACKET;
    let head: [u8; 2] = [0x80, if number == 0 { 0xe0 } else { 0x60 }];
    let little = signal.stereo_pcm(frame, PACKET as usize, 2);
    let big: Vec<u8> = little.chunks_exact(2).flat_map(|sample| [sample[1], sample[0]]).collect();
    let (sequence, timestamp) = ((number as u16).to_be_bytes(), (frame as u32).to_be_bytes());
    [&head[..], &sequence[..], &timestamp[..], &1_u32.to_be_bytes()[..], &big[..]].concat()
}

/// Answers questions for the time until it is stopped.
fn tell_time(socket: &UdpSocket, stop: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut question = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        if length < 32 || question[1] & 0x7f != 0x52 {
            continue;
        }
        let (head, now): ([u8; 8], _) = ([0x80, 0xd3, 0, 7, 0, 0, 0, 0], ntp().to_be_bytes());
        let answer = [&head[..], &question[24..32], &now[..], &now[..]].concat();
        let _ = socket.send_to(&answer, from);
    }
}

/// True time as the network has it: seconds, and 32 bits of their parts. Where it begins is nobody's business.
fn ntp() -> u64 {
    let ns = truth::now_ns() as u64;
    let (seconds, rest) = (ns / 1_000_000_000 + 1_000_000_000, ns % 1_000_000_000);
    (seconds << 32) | ((rest << 32) / 1_000_000_000)
}

/// A connection to a server of RTSP.
struct Rtsp {
    stream: TcpStream,
    asked: u32,
}

impl Rtsp {
    /// Asks for something; the answer, which is that it is done. `None`: it has hung up.
    fn ask(&mut self, method: &str, headers: &str, body: Option<(&str, &str)>) -> Option<String> {
        self.asked += 1;
        let body = body.map_or_else(String::new, |(kind, body)| {
            format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        });
        let end = if body.is_empty() { "\r\n" } else { "" };
        let asked = self.asked;
        write!(self.stream, "{method} rtsp://127.0.0.1/1 RTSP/1.0\r\nCSeq: {asked}\r\n{headers}{body}{end}").ok()?;
        let (mut answer, mut piece) = (Vec::new(), [0; 1_024]);
        while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
            let length = self.stream.read(&mut piece).ok().filter(|length| *length > 0)?;
            answer.extend_from_slice(&piece[..length]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("RTSP/1.0 200"), "{method}: {answer}");
        Some(answer)
    }
}
