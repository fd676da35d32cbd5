//! The packages on machines that boot: a server and a room, each a Debian under its own systemd, on one switch.
//!
//! Minutes long, and a Debian root is fetched the first time, so it is run by `./test --all`, after `systemd/package`.
//! With UNISONO_WRITE_BOOT=1 what was seen is kept in docs/boot.md.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::disallowed_methods, reason = "it times what runs")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::skipped;
use unisono_tests::container::{self, Container};
use unisono_tests::namespaces::Network;
use unisono_tests::records::Record;
use unisono_tests::{AUDIBLE, truth};

/// How long a service may take to be as it should, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The room's card writes down what it plays.
const ROOM: &str = "# Kept by every upgrade.\nroom = \"Kitchen\"\n[output]\ndevice = \"sim:ppm=40,record=/var/lib/unisono/room/heard\"\n";
const SERVER: &str = "playout_delay_ms = 300\n";

/// More than that playout delay.
const ON_ITS_WAY_NS: i64 = 400_000_000;

/// Both programs, and what is kept of each.
const PROGRAMS: [&str; 2] = ["unisono-sender", "unisono-receiver"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What was done and seen, as Markdown.
#[derive(Default)]
struct Transcript(String);

impl Transcript {
    fn chapter(&mut self, title: &str) {
        println!("== {title}");
        writeln!(self.0, "\n## {title}\n").unwrap();
    }

    /// Runs a command and writes it down; it must succeed if it is to.
    fn run(&mut self, machine: &Container, name: &str, command: &str, succeeds: bool) -> String {
        let (status, said) = machine.run(command).unwrap();
        writeln!(self.0, "    {name}# {command}").unwrap();
        let shown = token(&said).map_or_else(|| said.clone(), |token| said.replace(token, "..."));
        for line in shown.lines().filter(|line| !line.trim().is_empty()).take(24) {
            writeln!(self.0, "    {}", line.trim_end()).unwrap();
        }
        writeln!(self.0).unwrap();
        assert_eq!(status.success(), succeeds, "{name}: {command}: {status}\n{said}");
        said
    }

    fn note(&mut self, text: &str) {
        println!("   {text}");
        writeln!(self.0, "{text}\n").unwrap();
    }
}

/// The secret of a sign-in link.
fn token(said: &str) -> Option<&str> {
    said.split_once("token=").map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default())
}

/// Two machines on a switch.
struct House {
    server: Container,
    room: Container,
    _network: Network,
}

impl House {
    fn is_active(machine: &Container, unit: &str) -> Option<()> {
        (machine.run(&format!("systemctl is-active {unit}")).ok()?.1.trim() == "active").then_some(())
    }

    /// Waits until both services are active; seconds that took.
    fn waits_until_active(&self) -> f64 {
        let begun = Instant::now();
        for (machine, unit) in [(&self.server, PROGRAMS[0]), (&self.room, PROGRAMS[1])] {
            let active = truth::wait_for(PATIENCE, || Self::is_active(machine, unit));
            let status = || machine.run(&format!("systemctl status {unit}; journalctl -n 30 -u {unit}")).unwrap().1;
            assert!(active.is_some(), "{unit} is not active: {}", status());
        }
        begun.elapsed().as_secs_f64()
    }

    /// Waits until the room's card plays sound that can't have been on its way before; seconds that took.
    fn waits_until_heard(&self) -> f64 {
        let begun = Instant::now();
        let from_ns = truth::now_ns() + ON_ITS_WAY_NS;
        let heard = self.room.root.join("var/lib/unisono/room/heard");
        let sound = truth::wait_for(PATIENCE, || Record::open(&heard).ok()?.first_sound(from_ns, AUDIBLE));
        let log = || self.room.run("journalctl -n 40 -u unisono-receiver").unwrap().1;
        assert!(sound.is_some(), "the room is silent: {}", log());
        begun.elapsed().as_secs_f64()
    }
}

/// The packages of this version that were built last for this machine.
fn packages(version: &str) -> Vec<PathBuf> {
    let arch = container::finished(Command::new("dpkg").arg("--print-architecture")).unwrap();
    let path = |program| repository().join(format!("target/debian/{program}_{version}_{}.deb", arch.trim()));
    PROGRAMS.map(path).into()
}

/// The same packages with a lower version, to be upgraded from.
fn earlier(packages: &[PathBuf], dir: &Path) -> Vec<PathBuf> {
    let repack = |package: &PathBuf| {
        let tree = dir.join(package.file_stem().unwrap());
        container::finished(Command::new("dpkg-deb").arg("-R").arg(package).arg(&tree)).unwrap();
        let control = tree.join("DEBIAN/control");
        let text = fs::read_to_string(&control).unwrap();
        let line = |line: &str| if line.starts_with("Version:") { "Version: 0.0.9-1".into() } else { line.to_owned() };
        fs::write(&control, text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n").unwrap();
        let out = tree.with_extension("earlier.deb");
        container::finished(Command::new("dpkg-deb").args(["-Znone", "-b"]).arg(&tree).arg(&out)).unwrap();
        out
    };
    packages.iter().map(repack).collect()
}

fn put(machine: &Container, packages: &[PathBuf]) {
    for package in packages {
        fs::copy(package, machine.root.join("root").join(package.file_name().unwrap())).unwrap();
    }
}

fn name(package: &Path) -> &str {
    package.file_name().unwrap().to_str().unwrap()
}

#[test]
#[ignore = "boots machines, for minutes, from packages that must have been built: ./test --all"]
fn packages_on_machines_that_boot() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return skipped("machines need root").unwrap_or_default();
    }
    let version = format!("{}-1", env!("CARGO_PKG_VERSION"));
    let now = packages(&version);
    for package in &now {
        assert!(package.exists(), "{} is not there: run systemd/package", package.display());
    }
    let base = repository().join("target/boot/debian.tar");
    fs::create_dir_all(base.parent().unwrap()).unwrap();
    container::debian(&base).unwrap();
    let dir = tempfile::tempdir_in(base.parent().unwrap()).unwrap();
    let before = earlier(&now, dir.path());
    let network = Network::new(1).unwrap();
    let machine = |name: &str, host: &str| {
        let machine = Container::new(&base, &dir.path().join(name), name, &network.host(host).unwrap()).unwrap();
        put(&machine, &before);
        put(&machine, &now);
        machine
    };
    let (server, room) = (machine("server", "srv"), machine("kitchen", "r1"));
    let mut house = House { server, room, _network: network };
    let mut seen = Transcript::default();

    seen.chapter("Installing, on machines that have never run it");
    for (machine, host, package, file, text) in [
        (&house.server, "server", &before[0], "sender.toml", SERVER),
        (&house.room, "kitchen", &before[1], "receiver.toml", ROOM),
    ] {
        let command = format!("dpkg -i /root/{}", name(package));
        machine.prepare(&command).unwrap();
        seen.note(&format!("`{host}# {command}`, then /etc/unisono/{file} is changed."));
        fs::write(machine.root.join("etc/unisono").join(file), text).unwrap();
    }

    seen.chapter("The first boot");
    house.server.boot().unwrap();
    house.room.boot().unwrap();
    let took = house.waits_until_active();
    seen.note(&format!("Both services are active {took:.1} s after both machines are up."));
    seen.run(&house.server, "server", "systemctl status --lines=0 unisono-sender", true);
    seen.run(&house.room, "kitchen", "systemctl status --lines=0 unisono-receiver", true);
    let took = house.waits_until_heard();
    seen.note(&format!("The stream of one machine is heard in the other after {took:.1} s."));
    seen.run(&house.room, "kitchen", "id unisono; ls -ld /run/unisono /var/lib/unisono/room", true);
    let threads = "ps -L -o cls,rtprio,comm -p $(systemctl show -P MainPID unisono-receiver)";
    let threads = seen.run(&house.room, "kitchen", threads, true);
    assert!(
        !limits_can_be_raised()
            || threads.lines().any(|line| line.contains("FF") && line.contains("60") && line.contains("audio")),
        "{threads}"
    );
    seen.chapter("The room is let in");
    let admitted = || house.server.run("unisono-sender ctl admit Kitchen").ok().filter(|(status, _)| status.success());
    let knocks = || house.room.run("journalctl -o cat -n 30 -u unisono-receiver").unwrap().1;
    assert!(truth::wait_for(PATIENCE, admitted).is_some(), "the room does not find the hub: {}", knocks());
    seen.note("`server# unisono-sender ctl admit Kitchen`: it has found the hub by mDNS, and waited at its door.");
    let rooms = seen.run(&house.server, "server", "unisono-sender ctl rooms", true);
    assert!(rooms.contains("Kitchen"), "{rooms}");
    doctor(&mut seen, &house);
    guide(&mut seen, &house);
    weigh(&mut seen, &house);

    seen.chapter("A restart");
    seen.run(&house.room, "kitchen", "systemctl restart unisono-receiver", true);
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));
    seen.run(&house.server, "server", "systemctl restart unisono-sender", true);
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));

    seen.chapter("kill -9");
    for (machine, host, unit) in [(&house.room, "kitchen", PROGRAMS[1]), (&house.server, "server", PROGRAMS[0])] {
        seen.run(machine, host, &format!("systemctl kill -s KILL {unit}"), true);
        let restarted = || {
            let (_, count) = machine.run(&format!("systemctl show -P NRestarts {unit}")).ok()?;
            (count.trim() == "1").then_some(()).and_then(|()| House::is_active(machine, unit))
        };
        assert!(truth::wait_for(PATIENCE, restarted).is_some(), "{unit} is not started anew");
        seen.note(&format!("Started anew by systemd; heard again after {:.1} s.", house.waits_until_heard()));
    }

    seen.chapter("A room that hangs");
    seen.run(&house.room, "kitchen", "kill -STOP $(systemctl show -P MainPID unisono-receiver)", true);
    let begun = Instant::now();
    let bitten = || {
        let (_, result) =
            house.room.run("journalctl -u unisono-receiver -b -o cat | grep -i 'watchdog timeout'").ok()?;
        (!result.trim().is_empty()).then_some(result)
    };
    let said = truth::wait_for(PATIENCE, bitten).expect("the watchdog does not bite");
    seen.note(&format!("The watchdog bites after {:.0} s: `{}`", begun.elapsed().as_secs_f64(), said.trim()));
    house.waits_until_active();
    seen.note(&format!("Heard again after {:.0} s.", house.waits_until_heard()));

    reload(&mut seen, &house);
    wrong_configuration(&mut seen, &house);

    seen.chapter("A reboot");
    house.room.reboot().unwrap();
    seen.note(&format!("The room: active {:.1} s after it is up.", house.waits_until_active()));
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));
    house.server.reboot().unwrap();
    house.waits_until_active();
    seen.note(&format!("The server too; heard again after {:.1} s.", house.waits_until_heard()));

    seen.chapter("An upgrade from the package before");
    for (machine, host, unit, package) in
        [(&house.server, "server", PROGRAMS[0], &now[0]), (&house.room, "kitchen", PROGRAMS[1], &now[1])]
    {
        seen.run(machine, host, &format!("dpkg -i /root/{}", name(package)), true);
        let version = seen.run(machine, host, &format!("dpkg-query -W {unit}"), true);
        assert!(version.contains("0.1.0-1"), "{version}");
    }
    house.waits_until_active();
    let kept = seen.run(&house.room, "kitchen", "head -2 /etc/unisono/receiver.toml", true);
    assert!(kept.contains("Kept by every upgrade"), "{kept}");
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));

    seen.chapter("Back to the package before");
    seen.run(&house.room, "kitchen", &format!("dpkg -i /root/{}", name(&before[1])), true);
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));

    seen.chapter("Removing");
    seen.run(&house.room, "kitchen", "dpkg -r unisono-receiver", true);
    seen.run(&house.room, "kitchen", "systemctl is-active unisono-receiver", false);
    seen.run(&house.room, "kitchen", "ls /etc/unisono/receiver.toml /var/lib/unisono/room/room.json", true);
    seen.run(&house.room, "kitchen", "dpkg -P unisono-receiver", true);
    seen.run(&house.room, "kitchen", "ls -d /etc/unisono /var/lib/unisono", false);
    seen.run(&house.server, "server", "dpkg -P unisono-sender", true);
    seen.run(&house.server, "server", "ls -d /etc/unisono /var/lib/unisono", false);
    if std::env::var_os("UNISONO_WRITE_BOOT").is_some() {
        let head = "# Two machines that boot\n\n\
                    Written by `./test --all`: a server and a room, each a Debian 12 under its own systemd (systemd-nspawn),\n\
                    on one switch, with the packages that `systemd/package` made. The room's sound card is simulated and\n\
                    writes down what it plays; it counts as heard 0.4 s after each event at the earliest, so that sound that\n\
                    was on its way before is not taken for it.\n";
        fs::write(
            repository().join("docs/boot.md"),
            format!("{head}{}\n", seen.0.replace("\n\n\n", "\n\n").trim_end()),
        )
        .unwrap();
    }
}

fn doctor(seen: &mut Transcript, house: &House) {
    seen.chapter("What the doctor says");
    for (machine, host, program) in [(&house.room, "kitchen", PROGRAMS[1]), (&house.server, "server", PROGRAMS[0])] {
        let said = seen.run(machine, host, &format!("{program} doctor"), limits_can_be_raised());
        let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with("WRONG")).collect();
        assert!(wrong.iter().all(|line| line.contains("priority") && !limits_can_be_raised()), "{said}");
    }
    if !limits_can_be_raised() {
        seen.note("On the host of this run nobody may raise resource limits (no CAP_SYS_RESOURCE), systemd included.");
    }
}

/// Whether systemd may give services more than it has itself; some virtual machines forbid that to everybody.
fn limits_can_be_raised() -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mine = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(mine.trim(), 16).unwrap() & CAP_SYS_RESOURCE != 0
}

/// Commands of docs/install.md, as they stand there.
fn guide(seen: &mut Transcript, house: &House) {
    const COMMANDS: [(bool, &str); 9] = [
        (true, "sudo unisono-sender ctl link"),
        (true, "sudo unisono-sender check-config /etc/unisono/sender.toml"),
        (true, "sudo systemctl reload unisono-sender"),
        (true, "sudo systemctl stop unisono-sender"),
        (true, "sudo tar -C /var/lib -czf unisono-state.tar.gz unisono"),
        (true, "sudo systemctl start unisono-sender"),
        (false, "sudo mkdir -p /etc/unisono/rooms"),
        (
            false,
            "printf 'room = \"Terrace\"\\n[output]\\ndevice = \"hw:CARD=D10\"\\n' | sudo tee /etc/unisono/rooms/terrace.toml",
        ),
        (false, "sudo systemctl enable --now unisono-receiver@terrace"),
    ];
    seen.chapter("Commands of the installation guide");
    let text = fs::read_to_string(repository().join("docs/install.md")).unwrap();
    for (on_server, command) in COMMANDS {
        assert!(text.lines().any(|line| line.trim() == command), "docs/install.md no longer says: {command}");
        let (machine, host) = if on_server { (&house.server, "server") } else { (&house.room, "kitchen") };
        let said = seen.run(machine, host, &command.replace("sudo ", ""), true);
        if let Some(token) = token(&said) {
            let kept = house.server.run(&format!("journalctl | grep -c {token}")).unwrap().1;
            assert_eq!(kept.trim(), "0", "the journal holds the sign-in link");
        }
    }
    let kept = house.server.run("journalctl -u unisono-sender | grep -c token=").unwrap().1;
    assert_eq!(kept.trim(), "0", "the journal holds a sign-in link");
    // Its card is not there: it is waited for, and that is said once.
    assert!(House::is_active(&house.room, "unisono-receiver@terrace").is_some());
    let waits = seen.run(&house.room, "kitchen", "journalctl -o cat -u unisono-receiver@terrace | grep waited", true);
    assert_eq!(waits.lines().count(), 1, "{waits}");
    house.room.run("systemctl disable --now unisono-receiver@terrace").unwrap();
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));
}

/// Memory and processor time of both services while they play.
fn weigh(seen: &mut Transcript, house: &House) {
    const SECONDS: u64 = 20;
    seen.chapter("What it costs");
    let patch = |stream: &str| {
        let command = format!("unisono-sender ctl patch Kitchen {stream}");
        let (status, said) = house.server.run(&command).unwrap();
        assert!(status.success(), "{command}: {said}");
        truth::pause(Duration::from_secs(2));
    };
    let plays = [
        (&house.room, "kitchen", PROGRAMS[1], "while it plays"),
        (&house.server, "server", PROGRAMS[0], "while it sends"),
        (&house.room, "kitchen", PROGRAMS[1], "idle"),
    ];
    for (machine, host, unit, doing) in plays {
        patch(if doing == "idle" { "none" } else { "music" });
        // Fields 14 and 15 of proc(5)'s stat: time in this process and in the kernel for it, in hundredths of a second.
        let spent = || -> f64 {
            let stat = format!("cut -d ')' -f 2 /proc/$(systemctl show -P MainPID {unit})/stat");
            let (_, stat) = machine.run(&stat).unwrap();
            stat.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum()
        };
        let before = spent();
        truth::pause(Duration::from_secs(SECONDS));
        let percent = (spent() - before) / SECONDS as f64;
        let rss = format!("grep VmRSS /proc/$(systemctl show -P MainPID {unit})/status");
        let rss = machine.run(&rss).unwrap().1.split_whitespace().nth(1).unwrap_or("?").to_owned();
        seen.note(&format!("{host}: {unit} {doing}: {rss} kB resident, {percent:.1} % of one processor of this host."));
    }
    patch("music");
    house.waits_until_heard();
}

/// A file that is read anew while the room plays is not heard: the demo is music without a hole.
fn reload(seen: &mut Transcript, house: &House) {
    const RATE: usize = 48_000;
    seen.chapter("A file that is read anew");
    let heard = house.room.root.join("var/lib/unisono/room/heard");
    let played = || {
        let record = Record::open(&heard).unwrap();
        let last = record.segments.last().unwrap();
        (record.segments.len(), last.end_ns())
    };
    let (segments, _) = played();
    fs::write(house.room.root.join("etc/unisono/receiver.toml"), format!("quality = \"low\"\n{ROOM}")).unwrap();
    let begun_ns = truth::now_ns();
    seen.run(&house.room, "kitchen", "systemctl reload unisono-receiver", true);
    let later = || (played().1 > begun_ns + 4_000_000_000).then_some(());
    truth::wait_for(PATIENCE, later).expect("the card plays on");
    assert_eq!(played().0, segments, "the card was closed");
    let record = Record::open(&heard).unwrap();
    let last = record.segments.last().unwrap();
    let from = last.first as i64 + ((begun_ns - last.start_ns) as f64 * 1e-9 * RATE as f64) as i64 - RATE as i64;
    let samples = record.samples(from, 4 * RATE);
    let blocks = samples.chunks_exact(RATE / 10).map(|block| block.iter().map(|x| x * x).sum::<f64>().sqrt() / 69.0);
    let softest = blocks.fold(f64::MAX, f64::min);
    assert!(softest > 1e-3, "a hole: {softest}");
    seen.run(&house.room, "kitchen", "journalctl -o cat -n 20 -u unisono-receiver | grep 'read anew'", true);
    seen.note(&format!("No tenth of a second around it is softer than {:.0} dB.", 20.0 * softest.log10()));
}

/// A file that is wrong is the status of a service that stays down, and is refused by a reload.
fn wrong_configuration(seen: &mut Transcript, house: &House) {
    seen.chapter("A file that is wrong");
    let file = house.room.root.join("etc/unisono/receiver.toml");
    fs::write(&file, "romm = \"Kitchen\"\n").unwrap();
    seen.run(&house.room, "kitchen", "systemctl reload unisono-receiver", false);
    assert!(House::is_active(&house.room, PROGRAMS[1]).is_some(), "a reload that is refused ends nothing");
    house.waits_until_heard();
    seen.note("The room plays on with what it has.");
    // Started at a boot, it fails, and stays down.
    house.room.run("systemctl restart unisono-receiver").unwrap();
    let failed = || {
        let (_, state) = house.room.run("systemctl is-failed unisono-receiver").ok()?;
        (state.trim() == "failed").then_some(())
    };
    assert!(truth::wait_for(PATIENCE, failed).is_some(), "it does not fail");
    let status = seen.run(&house.room, "kitchen", "systemctl status --lines=0 unisono-receiver", false);
    assert!(status.contains("romm") && status.contains("did you mean \"room\"?"), "{status}");
    let (_, restarts) = house.room.run("systemctl show -P NRestarts unisono-receiver").unwrap();
    assert_eq!(restarts.trim(), "0", "a crash loop");
    let (_, said) = house.room.run("unisono-receiver doctor").unwrap();
    assert!(said.contains("WRONG settings"), "{said}");
    fs::write(&file, ROOM).unwrap();
    seen.run(&house.room, "kitchen", "systemctl start unisono-receiver", true);
    seen.note(&format!("Mended: heard again after {:.1} s.", house.waits_until_heard()));
}
