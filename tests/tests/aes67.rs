//! AES67: our sender and our rooms follow a PTP grandmaster, which is linuxptp's `ptp4l` on a host of its own, with
//! software stamps. Needs root and linuxptp; skipped, loudly, where they can't be had.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use common::{AUDIBLE_NS, Playing, assert_undamaged, end, skipped};
use unisono_common::clock::ptp::Lock;
use unisono_common::rtp::{self, Header};
use unisono_common::sap::{self, GROUP_LOCAL, Kind};
use unisono_common::time::{MediaTime, rtp_timestamp};
use unisono_host::clock;
use unisono_tests::aes67;
use unisono_tests::analysis::{Quantiles, Survey};
use unisono_tests::capture::{Capture, Datagram};
use unisono_tests::house::{Room, binaries, reports};
use unisono_tests::instruments::{Card, HostClock};
use unisono_tests::interop;
use unisono_tests::namespaces::{self, SERVER_ADDRESS};
use unisono_tests::processes::{Launch, PLAYER_PRIORITY, Process};
use unisono_tests::signals::Signal;
use unisono_tests::stalls::{Stall, Watch, undisturbed};
use unisono_tests::truth;

/// Finding a grandmaster takes two announcements, 2 s apart; learning its time some round trips, a second apart.
const PATIENCE: Duration = Duration::from_secs(60);
const DOMAIN: u8 = 3;

fn room(host_ppm: f64, realtime_ms: f64, card_ppm: f64) -> Room {
    Room {
        clock: HostClock { ppm: host_ppm, realtime_ms, uptime_s: 1000.0 + host_ppm, ..Default::default() },
        card: Card { ppm: card_ppm, ..Default::default() },
    }
}

/// A house with so many hosts, of which the last are for grandmasters.
fn house(hosts: usize) -> Option<Playing> {
    if !Path::new(PTP4L).exists() {
        return skipped("no ptp4l; ./test installs linuxptp where it can");
    }
    Playing::in_namespaces(hosts)
}

const PTP4L: &str = "/usr/sbin/ptp4l";

/// A grandmaster on a host of the house, as AES67's media profile has it (Annex A). It serves this machine's time of day,
/// as `ptp4l` does without a clock in the network card, and never touches it.
fn grandmaster(playing: &Playing, host: &str, priority: u8) -> Process {
    let (name, socket) = (format!("ptp4l-{host}"), playing.house.record(&format!("ptp4l-{host}.socket")));
    let text = format!(
        "[global]\ntime_stamping software\nnetwork_transport UDPv4\ndelay_mechanism E2E\nfree_running 1\n\
         domainNumber {DOMAIN}\npriority1 {priority}\nlogAnnounceInterval 1\nlogSyncInterval -3\n\
         logMinDelayReqInterval 0\nuse_syslog 0\nverbose 1\nuds_address {}\n",
        socket.display()
    );
    let config = common::file(&playing.dir, &format!("{name}.conf"), &text);
    let arguments = ["-i", "eth0", "-f", config.to_str().unwrap()].map(str::to_owned).to_vec();
    let logs = playing.house.record("");
    let program = Path::new(PTP4L);
    let (environment, priority) = (vec![], Some(PLAYER_PRIORITY));
    let launch = Launch { name: &name, program, arguments, environment, namespace: None, priority, logs: &logs };
    let mut process = playing.house.launch(launch, host).unwrap();
    assert!(process.wait_for_log("LISTENING", PATIENCE), "{}", process.log());
    process
}

/// Our sender, on a host whose clocks are off, with one stream of the profile.
fn sender(playing: &Playing) -> Process {
    let text =
        playing.house.sender_configuration(&unisono_tests::house::Stream { format: "48000:24:2", ..playing.stream() });
    let text = format!("{text}profile = \"aes67\"\nptp_domain = {DOMAIN}\n");
    beside(playing, ("unisono-sender", "sender"), &text, &[], 0.0)
}

/// A room on the sender's own host, as on one Raspberry Pi.
fn room_beside_the_sender(playing: &Playing, name: &str, card_ppm: f64) -> Process {
    let (id, state) = (playing.house.stream(), playing.house.record(&format!("state-{name}")));
    let text = format!(
        "room = \"{name}\"\nstream = \"{id}\"\nstate_dir = {state:?}\ninterface = \"eth0\"\nhub = \"none\"\n\
         [output]\ndevice = \"simcard\"\n"
    );
    beside(playing, ("unisono-receiver", name), &text, &["--report", "1"], card_ppm)
}

/// One of our programs on the sender's host, whose clocks all that runs there shares, with a card of its own.
fn beside(playing: &Playing, (program, name): (&str, &str), text: &str, more: &[&str], card_ppm: f64) -> Process {
    let config = common::file(&playing.dir, &format!("{name}.toml"), text).display().to_string();
    let environment = playing.house.environment(&room(-30.0, 7_000.0, card_ppm), name).unwrap();
    let program = binaries().unwrap().join(program);
    let mut arguments = vec!["--config".to_owned(), config];
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let (logs, priority) = (playing.house.record(""), Some(PLAYER_PRIORITY));
    let launch = Launch { name, program: &program, arguments, environment, namespace: None, priority, logs: &logs };
    playing.house.launch(launch, "srv").unwrap()
}

/// An ear on a host of the house.
fn ear(playing: &Playing, host: &str) -> Capture {
    let namespace = playing.house.network().unwrap().host(host).unwrap();
    namespaces::inside(&namespace, Capture::open).unwrap().unwrap()
}

/// The next announcement or deletion of a description that `fits`, and the groups that it is sent to until then.
fn heard(ear: &Capture, kind: Kind, fits: impl Fn(&str) -> bool) -> String {
    let next = || {
        while let Some(datagram) = ear.next() {
            if let Some((_, text)) = announcement(&datagram).filter(|(this, text)| *this == kind && fits(text)) {
                assert_eq!(*datagram.to.ip(), GROUP_LOCAL, "announced where nobody listens for AES67: {text}");
                return Some(text);
            }
        }
        None
    };
    truth::wait_for(PATIENCE, next).unwrap_or_else(|| panic!("no such {kind:?}"))
}

fn announcement(datagram: &Datagram) -> Option<(Kind, String)> {
    let ours = datagram.from.ip().to_string() == SERVER_ADDRESS && datagram.to.port() == sap::PORT;
    let packet = sap::Packet::parse(&datagram.payload).ok().filter(|_| ours)?;
    Some((packet.kind, String::from_utf8_lossy(packet.sdp).into_owned()))
}

fn session_id(sdp: &str) -> u64 {
    sdp.lines().find_map(|line| line.strip_prefix("o=- ")?.split(' ').next()?.parse().ok()).unwrap()
}

/// What is on the wire of a stream that is described so: every packet as AES67 wants it, at the grandmaster's time.
fn check_packets(ear: &Capture, sdp: &str) {
    let group =
        sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")?.split('/').next()?.parse::<Ipv4Addr>().ok());
    let group = SocketAddrV4::new(group.unwrap(), 5004);
    assert_eq!(group.ip().octets()[..2], [239, 69]);
    while ear.next().is_some() {}
    let (mut all, end_ns) = (Vec::<Datagram>::new(), truth::now_ns() + 3_000_000_000);
    while truth::now_ns() < end_ns {
        all.extend(std::iter::from_fn(|| ear.next()));
        std::thread::sleep(Duration::from_millis(2));
    }
    let media: Vec<&Datagram> = all.iter().filter(|datagram| datagram.to == group).collect();
    assert!((2_500..3_500).contains(&media.len()), "{} packets in 3 s", media.len());
    let headers: Vec<Header> = media.iter().map(|it| rtp::Packet::parse(&it.payload).unwrap().header).collect();
    for (datagram, header) in media.iter().zip(&headers) {
        assert_eq!((datagram.payload.len(), datagram.dscp, header.payload_type), (rtp::HEADER_LEN + 48 * 6, 34, 98));
        // Its grandmaster's clock is this machine's: a packet leaves when its last frame has passed.
        let now = rtp_timestamp(MediaTime::from_ns(datagram.seen_ns).to_frame(48_000));
        let age_ms = f64::from(now.wrapping_sub(header.timestamp).cast_signed()) / 48.0;
        assert!((0.9..200.0).contains(&age_ms), "a packet {age_ms} ms old");
    }
    let follows = |pair: &[Header]| {
        (pair[1].sequence.wrapping_sub(pair[0].sequence), pair[1].timestamp.wrapping_sub(pair[0].timestamp)) == (1, 48)
    };
    assert!(headers.windows(2).filter(|pair| !follows(pair)).count() <= 2, "the timeline is broken");
    let requests =
        all.iter().filter(|datagram| datagram.to.to_string() == "224.0.1.129:319" && datagram.payload[0] == 1);
    let requests: Vec<&Datagram> = requests.collect();
    assert!(!requests.is_empty() && requests.iter().all(|request| request.dscp == 46), "{requests:?}");
}

/// Two rooms may be so far apart by PTP, in microseconds.
const IN_STEP_US: f64 = 20.0;
/// Rooms learn for so long before they are judged, in seconds after the last one's first sound.
const LEARNING_S: f64 = 10.0;
/// So long after a stall of the machine, the playout delay included, its traces may be heard.
const AFTER_STALL_MS: f64 = 2_250.0;
/// Windows are a quarter of a second, known by their middle.
const HALF_WINDOW_MS: f64 = 125.0;
/// Three seconds' worth of windows is the least to judge by.
const LEAST_WINDOWS: usize = 12;

/// The rooms are in step in each window but those that a stall of the machine explains.
fn assert_in_step(survey: &Survey, stalls: &[Stall]) {
    let disturbed = |i: usize| {
        let at_ns = survey.start_ns + ((survey.times[i] - survey.times[0]) * 1e9) as i64;
        stalls.iter().any(|stall| {
            let since_ms = (at_ns - stall.end_ns) as f64 * 1e-6;
            (-stall.ms - HALF_WINDOW_MS..AFTER_STALL_MS).contains(&since_ms)
        })
    };
    let begin_s = survey.all_sound_s() + LEARNING_S;
    let judged = (0..survey.times.len()).filter(|&i| survey.times[i] >= begin_s && !disturbed(i));
    let spreads: Vec<f64> = judged.filter_map(|i| survey.spread_us(i)).collect();
    let worst_us = spreads.iter().copied().fold(0.0, f64::max);
    println!("at most {worst_us:.1} us apart in {} windows beside no stall; {} stalls", spreads.len(), stalls.len());
    assert!(spreads.len() >= LEAST_WINDOWS, "only {} windows beside no stall; {stalls:?}", spreads.len());
    assert!(worst_us < IN_STEP_US, "{worst_us} us apart; {spreads:.1?}; {stalls:?}");
}

fn shown(spread: Quantiles) -> String {
    format!("{:.1} us apart (median; 95 % {:.1} us, most {:.1} us)", spread.median, spread.p95, spread.max)
}

fn tell(direction: &str, peer: &str, seen: &str) {
    interop::tell(direction, peer, &interop::debian_version("linuxptp"), seen).unwrap();
}

#[test]
fn a_sender_and_rooms_that_follow_a_grandmaster_are_in_step() {
    undisturbed(|| {
        let Some(playing) = house(3) else { return };
        let ear = ear(&playing, "r3");
        let mut sender = sender(&playing);
        assert!(sender.wait_for_log("sender starts", PATIENCE), "{}", sender.log());
        let mut one = playing.house.start_receiver(1, &room(20.0, 3_000.0, 40.0), "u1", "").unwrap();
        let mut two = playing.house.start_receiver(2, &room(-15.0, -500.0, -250.0), "u2", "").unwrap();
        // With a clock it would be announced at once.
        truth::pause(Duration::from_secs(2));
        let told: Vec<_> = std::iter::from_fn(|| ear.next()).filter_map(|datagram| announcement(&datagram)).collect();
        assert!(told.is_empty(), "announced without a clock: {told:?}");
        let mut ptp4l = grandmaster(&playing, "r3", 100);
        let sdp = heard(&ear, Kind::Announcement, |_| true);
        assert_eq!(aes67::violations(&sdp), Vec::<String>::new(), "{sdp}");
        assert_eq!(aes67::grandmaster(&sdp).unwrap().1, DOMAIN);
        let logs = || format!("{}\n{}\n{}\n{}", sender.log(), one.log(), two.log(), ptp4l.log());
        for name in ["u1", "u2"] {
            let sounds = || playing.wait_for_sound(name, 0);
            assert!((0..6).any(|_| sounds().is_some()), "{name} is silent: {}", logs());
        }
        let watch = Watch::start();
        check_packets(&ear, &sdp);
        truth::pause(Duration::from_secs(20));
        let last = [&one, &two].map(|room| reports(room).pop().unwrap_or_default());
        assert!(last.iter().all(|health| health.ptp == Some(Lock::Locked)), "{last:?}");
        let clocks = last.map(|health| health.clock_sigma_us);
        end(&mut [&mut one, &mut two, &mut sender]);
        ptp4l.stop();
        let (_, each_stall) = watch.finish_with_each();
        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict(survey.all_sound_s() + LEARNING_S);
        let spread = verdict.spread_us;
        println!("the rooms' clocks are known to {clocks:.1?} us");
        let seen = format!("the grandmaster of our sender and rooms; two rooms {}", shown(spread));
        tell("ours to them", "AES67 (by linuxptp's `ptp4l`)", &seen);
        assert!(verdict.windows >= 30, "{verdict:?}");
        assert_in_step(&survey, &each_stall);
        assert_undamaged(&survey, survey.all_sound_s() + LEARNING_S, stalls);
    });
}

/// Both listen and ask at ports 319 and 320 of one host, each for itself.
#[test]
fn a_sender_and_a_room_on_one_host_follow_a_grandmaster_side_by_side() {
    undisturbed(|| {
        let Some(playing) = house(2) else { return };
        let mut ptp4l = grandmaster(&playing, "r2", 100);
        let mut sender = sender(&playing);
        let mut one = room_beside_the_sender(&playing, "u1", 40.0);
        let mut two = playing.house.start_receiver(1, &room(20.0, 3_000.0, -250.0), "u2", "").unwrap();
        for name in ["u1", "u2"] {
            let logs = || format!("{}\n{}\n{}\n{}", sender.log(), one.log(), two.log(), ptp4l.log());
            assert!((0..6).any(|_| playing.wait_for_sound(name, 0).is_some()), "{name} is silent: {}", logs());
        }
        let watch = Watch::start();
        truth::pause(Duration::from_secs(15));
        let last = [&one, &two].map(|room| reports(room).pop().unwrap_or_default());
        assert!(last.iter().all(|health| health.ptp == Some(Lock::Locked)), "{last:?}");
        end(&mut [&mut one, &mut two, &mut sender]);
        ptp4l.stop();
        let (_, each_stall) = watch.finish_with_each();
        let (survey, _) = playing.survey(&["u1", "u2"]);
        assert_in_step(&survey, &each_stall);
    });
}

#[test]
fn another_grandmaster_is_another_session() {
    undisturbed(|| {
        let Some(playing) = house(3) else { return };
        let ear = ear(&playing, "r1");
        let mut first = grandmaster(&playing, "r2", 100);
        let mut sender = sender(&playing);
        let mut one = playing.house.start_receiver(1, &room(20.0, 3_000.0, 40.0), "u1", "").unwrap();
        let before = heard(&ear, Kind::Announcement, |_| true);
        assert!((0..6).any(|_| playing.wait_for_sound("u1", 0).is_some()), "{}\n{}", sender.log(), one.log());
        let mut second = grandmaster(&playing, "r3", 120);
        first.stop();
        let (name, _) = aes67::grandmaster(&before).unwrap();
        let after = heard(&ear, Kind::Announcement, |sdp| !sdp.contains(&name));
        assert_eq!(aes67::violations(&after), Vec::<String>::new(), "{after}");
        assert!(session_id(&after) > session_id(&before), "{before}\n{after}");
        let now_ns = truth::now_ns();
        let plays = |from_ns| (0..6).any(|_| playing.wait_for_sound("u1", from_ns).is_some());
        assert!(plays(now_ns + AUDIBLE_NS), "silent by another grandmaster: {}\n{}", sender.log(), one.log());
        check_packets(&ear, &after);
        // Once both are gone the stream is held for a while, and the log says so.
        second.stop();
        assert!(sender.wait_for_log("its time is held", PATIENCE), "{}", sender.log());
        end(&mut [&mut one, &mut sender]);
        heard(&ear, Kind::Deletion, |sdp| sdp == after);
        assert!(sender.log().contains("PTP: locked"), "{}", sender.log());
    });
}

/// A sender that is not ours: the description is one that aes67-linux-daemon writes, but for its names.
struct Foreign {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const FOREIGN_GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 0, 7);

impl Foreign {
    /// Plays `signal` by this machine's time of day, which its grandmaster serves too.
    fn start(playing: &Playing, name: &str, grandmaster: &str) -> Foreign {
        let sdp = format!(
            "v=0\r\no=- 7 0 IN IP4 {SERVER_ADDRESS}\r\ns={name}\r\nt=0 0\r\nm=audio 5004 RTP/AVP 98\r\n\
             c=IN IP4 {FOREIGN_GROUP}/15\r\na=rtpmap:98 L24/48000/2\r\na=sync-time:0\r\na=framecount:48\r\na=ptime:1\r\n\
             a=mediaclk:direct=0\r\na=ts-refclk:ptp=IEEE1588-2008:{grandmaster}:{DOMAIN}\r\na=recvonly\r\n"
        );
        let namespace = playing.house.network().unwrap().host("srv").unwrap();
        let socket = namespaces::inside(&namespace, || UdpSocket::bind((SERVER_ADDRESS, 0))).unwrap().unwrap();
        let (stop, signal) = (Arc::new(AtomicBool::new(false)), playing.signal.clone());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || send(&socket, &sdp, &signal, &stopped));
        Foreign { stop, thread: Some(thread) }
    }
}

fn send(socket: &UdpSocket, sdp: &str, signal: &Signal, stopped: &AtomicBool) {
    let _ = unisono_tests::processes::real_time(PLAYER_PRIORITY);
    let announce = sap::packet(Kind::Announcement, SERVER_ADDRESS.parse().unwrap(), sdp);
    let frame_now = || MediaTime::from_ns(clock::time_of_day_ns()).to_frame(48_000);
    let mut frame = frame_now() / 48 * 48;
    while !stopped.load(Ordering::Relaxed) {
        if frame % 48_000 < 48 {
            socket.send_to(&announce, SocketAddr::from((GROUP_LOCAL, sap::PORT))).unwrap();
        }
        while frame_now() < frame + 48 {
            std::thread::sleep(Duration::from_micros(300));
        }
        let mut packet = vec![0; rtp::HEADER_LEN];
        let (sequence, timestamp) = ((frame / 48) as u16, rtp_timestamp(frame));
        Header { payload_type: 98, sequence, timestamp, ssrc: 7 }.write(&mut packet).unwrap();
        for i in frame..frame + 48 {
            let sample = ((signal.at(i) * 8_388_608.0) as i32).to_be_bytes();
            packet.extend_from_slice(&sample[1..]);
            packet.extend_from_slice(&sample[1..]);
        }
        socket.send_to(&packet, (FOREIGN_GROUP, 5004)).unwrap();
        frame += 48;
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn rooms_play_the_streams_of_others_by_ptp_in_step() {
    undisturbed(|| {
        let Some(playing) = house(3) else { return };
        let ear = ear(&playing, "r1");
        let mut ptp4l = grandmaster(&playing, "r3", 100);
        // Its name is in whatever it announces.
        let announced =
            || std::iter::from_fn(|| ear.next()).find(|it| it.to.port() == 320 && it.payload[0] & 0xf == 0xb);
        let announced = truth::wait_for(PATIENCE, announced).unwrap_or_else(|| panic!("{}", ptp4l.log()));
        let name: Vec<String> = announced.payload[53..61].iter().map(|byte| format!("{byte:02X}")).collect();
        let foreign = Foreign::start(&playing, playing.house.stream(), &name.join("-"));
        let mut one = playing.house.start_receiver(1, &room(20.0, 3_000.0, 40.0), "u1", "").unwrap();
        let mut two = playing.house.start_receiver(2, &room(-15.0, -500.0, -30.0), "u2", "").unwrap();
        for name in ["u1", "u2"] {
            assert!((0..6).any(|_| playing.wait_for_sound(name, 0).is_some()), "{}\n{}", one.log(), two.log());
        }
        let watch = Watch::start();
        truth::pause(Duration::from_secs(20));
        end(&mut [&mut one, &mut two]);
        drop(foreign);
        ptp4l.stop();
        let (_, each_stall) = watch.finish_with_each();
        let (survey, _) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict(survey.all_sound_s() + LEARNING_S);
        let seen = format!("as aes67-linux-daemon describes it, found by SAP; two rooms {}", shown(verdict.spread_us));
        tell("theirs to ours", "AES67 (by linuxptp's `ptp4l`)", &seen);
        assert!(verdict.windows >= 30, "{verdict:?}\n{}", one.log());
        assert_in_step(&survey, &each_stall);
    });
}
