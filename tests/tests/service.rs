//! The services as systemd sees them: units that it accepts and finds tight, users and folders that it makes, and programs
//! that tell it how they are.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::disallowed_methods, reason = "it times what runs")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, skipped};
use serde_json::Value;
use tempfile::TempDir;
use unisono_tests::house::{House, Stream, binaries};
use unisono_tests::namespaces::{self, Network, NetworkError};
use unisono_tests::processes::{Launch, Process};
use unisono_tests::records::Record;
use unisono_tests::stalls::undisturbed;
use unisono_tests::station::Station;
use unisono_tests::{AUDIBLE, truth};

const UNITS: [&str; 3] = ["unisono-sender.service", "unisono-receiver.service", "unisono-receiver@.service"];

/// What `systemd-analyze security` calls OK begins below 5; ours are to stay below this.
const EXPOSURE: f64 = 2.5;

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("systemd").join(name)
}

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => skipped(&format!("{program}: {error}")),
    }
}

/// All that a program wrote.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// The units with the programs that were just built, where systemd finds them.
fn installed() -> (TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let bin = format!("{}/unisono-", binaries().unwrap().display());
    let units = UNITS.map(|name| {
        let path = dir.path().join(name);
        fs::write(&path, fs::read_to_string(unit(name)).unwrap().replace("/usr/bin/unisono-", &bin)).unwrap();
        path
    });
    (dir, units.into())
}

#[test]
fn units_are_what_systemd_understands() {
    let (_dir, units) = installed();
    let paths: Vec<&str> = units.iter().map(|path| path.to_str().unwrap()).collect();
    let Some(output) = run("systemd-analyze", &[&["verify", "--man=no"][..], &paths[..]].concat()) else { return };
    // It tells of the machine's other units too.
    let ours: Vec<_> = said(&output).lines().filter(|line| line.contains("unisono")).map(str::to_owned).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
fn units_keep_their_services_alive_for_years() {
    let all = [
        "Type=notify",
        "Restart=always",
        "RestartPreventExitStatus=2",
        "StartLimitIntervalSec=0",
        "User=unisono",
        "LimitRTPRIO=80",
        "LimitMEMLOCK=infinity",
        "RuntimeDirectory=unisono",
    ];
    for name in UNITS {
        let text = fs::read_to_string(unit(name)).unwrap();
        for line in all {
            assert!(text.lines().any(|known| known == line), "{name}: {line}");
        }
        for key in ["WatchdogSec=", "StateDirectory=", "ExecReload="] {
            assert!(text.lines().any(|known| known.starts_with(key)), "{name}: {key}");
        }
        assert!(!text.contains("network-online"), "{name}: it need not wait for a network");
    }
}

#[test]
fn units_are_tight() {
    for name in UNITS {
        let path = unit(name);
        let arguments = ["security", "--offline=true", "--no-pager", path.to_str().unwrap()];
        let Some(output) = run("systemd-analyze", &arguments) else { return };
        let said = said(&output);
        let overall =
            said.lines().find_map(|line| line.split_once("Overall exposure level for ")).map(|(_, rest)| rest);
        let exposure = overall.and_then(|rest| rest.split_whitespace().nth(1)).and_then(|figure| figure.parse().ok());
        let exposure: f64 = exposure.unwrap_or_else(|| panic!("{name}: {said}"));
        println!("{name}: {exposure}");
        assert!(exposure < EXPOSURE, "{name}: {exposure}\n{said}");
    }
}

#[test]
fn a_room_of_many_is_kept_like_the_only_one() {
    let [one, many] = [UNITS[1], UNITS[2]].map(|name| fs::read_to_string(unit(name)).unwrap());
    let told = many
        .replace("the room %i", "a room")
        .replace("/etc/unisono/rooms/%i.toml", "/etc/unisono/receiver.toml")
        .replace("unisono/rooms/%i", "unisono/room");
    assert_eq!(one, told);
}

#[test]
fn the_user_and_the_folder_of_pipes_are_made() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return skipped("systemd-sysusers needs root").unwrap_or_default();
    }
    let root = tempfile::tempdir().unwrap();
    for folder in ["etc", "run"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    let at = format!("--root={}", root.path().display());
    for (program, arguments) in [("systemd-sysusers", "sysusers.conf"), ("systemd-tmpfiles", "tmpfiles.conf")] {
        let file = unit(arguments).display().to_string();
        let create = ["--create"].into_iter().filter(|_| program == "systemd-tmpfiles");
        let arguments: Vec<&str> = create.chain([at.as_str(), &file]).collect();
        let Some(output) = run(program, &arguments) else { return };
        assert!(output.status.success(), "{program}: {}", said(&output));
    }
    let group = fs::read_to_string(root.path().join("etc/group")).unwrap();
    for name in ["audio", "gpio"] {
        assert!(group.lines().any(|line| line.starts_with(name) && line.ends_with(":unisono")), "{name}: {group}");
    }
    assert!(fs::read_to_string(root.path().join("etc/passwd")).unwrap().contains("unisono:"));
    let pipes = fs::metadata(root.path().join("run/unisono")).unwrap();
    assert_eq!(pipes.permissions().mode() & 0o7777, 0o2770);
}

#[test]
fn configuration_that_is_shipped_sets_nothing_and_every_key_in_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["sender", "receiver"] {
        let shipped = fs::read_to_string(unit(&format!("{name}.toml"))).unwrap();
        assert!(shipped.lines().all(|line| line.is_empty() || line.starts_with('#')), "{name}.toml");
        let keys: Vec<&str> = shipped.lines().filter_map(|line| line.strip_prefix('#')).collect();
        let keys: Vec<&str> = keys.into_iter().filter(|line| !line.starts_with(' ')).collect();
        let file = common::file(&dir, &format!("{name}.toml"), &keys.join("\n"));
        let program = binaries().unwrap().join(format!("unisono-{name}"));
        let output = Command::new(program).arg("check-config").arg(file).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn what_packages_hold_comes_from_the_programs() {
    for name in ["unisono-sender", "unisono-receiver"] {
        let (dir, program) = (tempfile::tempdir().unwrap(), binaries().unwrap().join(name));
        let output = Command::new(&program).arg("man").arg(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let page = fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains("doctor") && page.contains("\\-\\-config"), "{page}");
        assert!(dir.path().join(format!("{name}-doctor.1")).exists());
        for shell in ["bash", "zsh", "fish"] {
            let output = Command::new(&program).args(["completions", shell]).output().unwrap();
            assert!(output.status.success() && said(&output).contains("check-config"), "{shell}: {}", said(&output));
        }
    }
}

#[test]
fn maintainer_scripts_are_scripts() {
    for script in ["sender/postinst", "sender/postrm", "receiver/postinst", "receiver/prerm", "receiver/postrm"] {
        let path = unit(&format!("deb/{script}"));
        assert!(fs::read_to_string(&path).unwrap().contains("\n#DEBHELPER#\n"), "{script}");
        let Some(output) = run("sh", &["-n", path.to_str().unwrap()]) else { return };
        assert!(output.status.success(), "{script}: {}", said(&output));
    }
}

/// A service manager: what it is told, and the service.
struct Manager {
    socket: UnixDatagram,
    told: String,
    service: Child,
}

impl Manager {
    /// Starts a program as systemd would, its watchdog to be fed every half second at least.
    fn start(dir: &TempDir, program: &str, arguments: &[&str], config: &str) -> Self {
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let service = Command::new(binaries().unwrap().join(program))
            .args(arguments)
            .args(["--config", common::file(dir, "given.toml", config).to_str().unwrap()])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "500000")
            .env("STATE_DIRECTORY", dir.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Manager { socket, told: String::new(), service }
    }

    /// Waits until it is told `text`.
    fn hears(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        while !self.told.contains(text) {
            if let Ok(length) = self.socket.recv(&mut buffer) {
                self.told += &format!("{}\n", String::from_utf8_lossy(&buffer[..length]));
            }
            assert!(Instant::now() < until, "\"{text}\" is not told: {}", self.told);
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

#[test]
fn a_room_tells_that_it_serves_that_its_card_plays_and_that_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let config = "interface = \"lo\"\nhub = \"none\"\n[output]\ndevice = \"sim\"\n";
    let mut manager = Manager::start(&dir, "unisono-receiver", &[], config);
    manager.hears("READY=1");
    // Fed by the audio thread's telemetry, again and again.
    for _ in 0..3 {
        manager.told.clear();
        manager.hears("WATCHDOG=1");
    }
    let id = manager.service.id() as libc::pid_t;
    // SAFETY: a process of this test's own.
    unsafe { libc::kill(id, libc::SIGTERM) };
    manager.hears("STOPPING=1");
    let status = truth::wait_for(PATIENCE, || manager.service.try_wait().unwrap());
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

#[test]
fn what_is_wrong_is_the_status_of_a_service_that_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut manager = Manager::start(&dir, "unisono-receiver", &[], "interface = \"nonesuch0\"\n");
    manager.hears("STATUS=there is no network interface \"nonesuch0\"");
    let status = truth::wait_for(PATIENCE, || manager.service.try_wait().unwrap());
    assert_eq!(status.and_then(|status| status.code()), Some(2));
}

#[test]
fn a_card_that_is_missing_is_the_status_of_a_service_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let config = "interface = \"lo\"\nhub = \"none\"\n[output]\ndevice = \"hw:CARD=NoSuchCard\"\n";
    let mut manager = Manager::start(&dir, "unisono-receiver", &["--wait"], config);
    manager.hears("READY=1");
    manager.hears("STATUS=sound card \"hw:CARD=NoSuchCard\" is not there");
    // It serves: it waits.
    manager.hears("WATCHDOG=1");
    assert!(manager.service.try_wait().unwrap().is_none());
}

/// Starts a room; its files are in `dir`, and called `name`.
fn start_room(dir: &TempDir, name: &str, arguments: &[&str], config: &str, namespace: Option<PathBuf>) -> Process {
    let text = format!("state_dir = {:?}\nhub = \"none\"\n{config}", dir.path().join(format!("{name}-state")));
    let file = common::file(dir, &format!("{name}.toml"), &text).display().to_string();
    let launch = Launch {
        name,
        program: &binaries().unwrap().join("unisono-receiver"),
        arguments: arguments.iter().map(|argument| argument.to_string()).chain(["--config".into(), file]).collect(),
        environment: vec![],
        namespace,
        priority: None,
        logs: dir.path(),
    };
    Process::start(launch).unwrap()
}

#[test]
fn a_card_that_is_missing_is_logged_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = "interface = \"lo\"\n[output]\ndevice = \"hw:CARD=NoSuchCard\"\n";
    let mut room = start_room(&dir, "den", &["--wait"], config, None);
    assert!(room.wait_for_log("it is waited for", PATIENCE), "{}", room.log());
    // It is looked for twice a second.
    truth::pause(Duration::from_secs(4));
    let log = room.log();
    assert_eq!(log.lines().filter(|line| line.contains("NoSuchCard")).count(), 1, "{log}");
    common::end(&mut [&mut room]);
}

#[test]
fn a_room_that_is_stopped_ends_without_a_click() {
    undisturbed(|| {
        let dir = tempfile::tempdir().unwrap();
        let id = format!("stopped-{:x}", unisono_host::random::number() >> 40);
        let house = House::on_loopback(&id, dir.path(), &binaries().unwrap()).unwrap();
        let source = "{ type = \"tone\", frequency = 997.0, level_db = -6.0 }".to_owned();
        let mut sender = house.start_sender(&Stream { format: "48000:16:2", source, playout_delay_ms: 250 }).unwrap();
        let device = format!("sim:record={}", house.record("u1").display());
        let mut room = house.start_receiver_on(1, &device, "u1", "", vec![]).unwrap();
        let sound = truth::wait_for(PATIENCE, || Record::open(&house.record("u1")).ok()?.first_sound(0, AUDIBLE));
        assert!(sound.is_some(), "silence: {}\n{}", sender.log(), room.log());
        truth::pause(Duration::from_secs(2));
        common::end(&mut [&mut room, &mut sender]);
        let record = Record::open(&house.record("u1")).unwrap();
        let last = record.segments.last().unwrap();
        let end = record.samples((last.first + last.frames) as i64 - 24_000, 24_000);
        let peak = |samples: &[f64]| samples.iter().fold(0.0, |peak, sample| f64::max(peak, sample.abs()));
        assert!(peak(&end[..2_400]) > 0.45, "it does not play: {}", peak(&end[..2_400]));
        assert!(peak(&end[24_000 - 240..]) < 1e-3, "it is cut off: {}", peak(&end[24_000 - 240..]));
        // A sine of 997 Hz at half of full scale moves by 0.066 from one sample to the next.
        let step = end.windows(2).fold(0.0, |step, pair| f64::max(step, (pair[1] - pair[0]).abs()));
        assert!(step < 0.08, "a click: {step}");
    });
}

#[test]
fn a_room_wakes_the_server_of_the_stream_that_it_wants() {
    let network = match Network::new(1) {
        Ok(network) => network,
        Err(NetworkError::NotRoot) => return skipped("network namespaces need root").unwrap_or_default(),
        Err(error) => panic!("{error}"),
    };
    let server = network.host("srv").unwrap();
    let asleep = namespaces::inside(&server, || UdpSocket::bind("0.0.0.0:9")).unwrap().unwrap();
    asleep.set_read_timeout(Some(3 * PATIENCE)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config =
        "interface = \"eth0\"\nstream = \"asleep\"\nwake = \"00:11:22:aa:bb:cc\"\n[output]\ndevice = \"sim\"\n";
    let mut room = start_room(&dir, "den", &[], config, network.host("r1"));
    let mut packet = [0; 256];
    let heard = asleep.recv_from(&mut packet);
    let (length, _) = heard.unwrap_or_else(|error| panic!("nothing came: {error}\n{}", room.log()));
    assert_eq!(length, 102);
    assert!(packet[..6].iter().all(|byte| *byte == 0xff));
    assert!(packet[6..102].chunks(6).all(|part| part == [0x00, 0x11, 0x22, 0xaa, 0xbb, 0xcc]));
    common::end(&mut [&mut room]);
}

/// What a doctor finds: level by check. Its exit code must say whether anything is wrong, and what is must have a fix.
fn examined(program: &str, config: &Path) -> BTreeMap<String, String> {
    let program = binaries().unwrap().join(program);
    let output = Command::new(program).args(["doctor", "--json", "--config"]).arg(config).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let findings = report["findings"].as_array().unwrap();
    for finding in findings {
        println!("{finding}");
        assert!(finding["level"] != "problem" || finding["fix"].is_string(), "{finding}");
    }
    let wrong = findings.iter().any(|finding| finding["level"] == "problem");
    assert_eq!(output.status.code(), Some(i32::from(wrong)), "{report:#}");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(finding, "check"), text(finding, "level"))).collect()
}

#[test]
fn doctors_look_at_everything_and_probe_the_network_through_the_hub() {
    let dir = tempfile::tempdir().unwrap();
    let streams = "[[streams]]\nid = \"radio@\"\nsource = { type = \"tone\" }\n";
    let station = Station::start(dir.path(), streams).unwrap();
    let url = station.url().unwrap();
    let room = format!(
        "interface = \"lo\"\nstate_dir = {:?}\nhub = \"{url}\"\nstream = \"{}\"\n[output]\ndevice = \"sim\"\n",
        dir.path(),
        station.id("radio")
    );
    let found = examined("unisono-receiver", &common::file(&dir, "room.toml", &room));
    let seen = ["group", "priority", "memory", "firewall", "clock", "card"];
    let right = ["settings", "network", "mtu", "stamps", "disk", "ports", "hub", "probe", "announced", "multicast"];
    assert!(seen.iter().all(|check| found.contains_key(*check)), "{found:?}");
    assert!(right.iter().all(|check| found.get(*check).is_some_and(|level| level == "ok")), "{found:?}");

    // The station's own file, with the port that it has found.
    let text = fs::read_to_string(dir.path().join("station.toml")).unwrap();
    let text = text.replace("127.0.0.1:0", url.trim_start_matches("http://"));
    let found = examined("unisono-sender", &common::file(&dir, "sender.toml", &text));
    let right = ["settings", "network", "mtu", "stamps", "disk", "service", "probe", "announced"];
    assert!(["priority", "memory", "firewall"].iter().all(|check| found.contains_key(*check)), "{found:?}");
    assert!(right.iter().all(|check| found.get(*check).is_some_and(|level| level == "ok")), "{found:?}");
}
