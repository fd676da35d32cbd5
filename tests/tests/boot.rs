//! The packages on machines that boot: a server and a room, each a Debian under its own systemd, on one switch.
//!
//! Minutes long, and a Debian root is fetched the first time, so it is run by `./test --all`, after `systemd/package`.
//! With UNISONO_WRITE_BOOT=1 what was seen is kept in docs/boot.md.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::disallowed_methods, reason = "it times what runs")]

#[path = "boot/chapters.rs"]
mod chapters;
mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chapters::{as_it_comes, doctor, guide, limits_can_be_raised, sizes, tight, weigh};
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
        for line in shown.lines().filter(|line| !line.trim().is_empty()).take(40) {
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

/// What apt does, as a person would have it do, but that nobody is asked.
fn apt(arguments: &str) -> String {
    format!("cd /root && DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Use-Pty=0 {arguments}")
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
    tight(&mut seen, &house);
    weigh(&mut seen, &house);
    sizes(&mut seen, &version);

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
        seen.run(machine, host, &apt(&format!("install ./{}", name(package))), true);
        let version = seen.run(machine, host, &format!("dpkg-query -W {unit}"), true);
        assert!(version.contains("0.1.0-1"), "{version}");
    }
    house.waits_until_active();
    let kept = seen.run(&house.room, "kitchen", "head -2 /etc/unisono/receiver.toml", true);
    assert!(kept.contains("Kept by every upgrade"), "{kept}");
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));

    seen.chapter("Back to the package before");
    let back = apt(&format!("install --allow-downgrades ./{}", name(&before[1])));
    seen.run(&house.room, "kitchen", &back, true);
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));

    seen.chapter("Removing");
    seen.run(&house.room, "kitchen", &apt("remove unisono-receiver"), true);
    seen.run(&house.room, "kitchen", "systemctl is-active unisono-receiver", false);
    seen.run(&house.room, "kitchen", "ls /etc/unisono/receiver.toml /var/lib/unisono/room/room.json", true);
    seen.run(&house.room, "kitchen", &apt("purge unisono-receiver"), true);
    seen.run(&house.room, "kitchen", "ls -d /etc/unisono /var/lib/unisono", false);
    as_it_comes(&mut seen, &house, &now[1]);
    seen.run(&house.server, "server", &apt("purge unisono-sender"), true);
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

/// A file that is read anew while the room plays is not heard: the demo is music without a hole.
fn reload(seen: &mut Transcript, house: &House) {
    seen.chapter("A file that is read anew");
    fs::write(house.room.root.join("etc/unisono/receiver.toml"), format!("quality = \"low\"\n{ROOM}")).unwrap();
    let room = softest_around(house, || {
        seen.run(&house.room, "kitchen", "systemctl reload unisono-receiver", true);
    });
    seen.run(&house.room, "kitchen", "journalctl -o cat -n 20 -u unisono-receiver | grep 'read anew'", true);
    seen.note(&format!("No tenth of a second around it is softer than {:.0} dB.", 20.0 * room.log10()));
    let second = "[[streams]]\nid = \"music\"\n[[streams]]\nid = \"tone\"\nsource = { type = \"tone\" }\n";
    fs::write(house.server.root.join("etc/unisono/sender.toml"), format!("{SERVER}{second}")).unwrap();
    let server = softest_around(house, || {
        seen.run(&house.server, "server", "systemctl reload unisono-sender", true);
    });
    let streams = seen.run(&house.server, "server", "unisono-sender ctl streams", true);
    assert!(streams.contains("tone"), "{streams}");
    seen.note(&format!("A second stream has come; the softest tenth of a second: {:.0} dB.", 20.0 * server.log10()));
}

/// The softest tenth of a second that the room plays around something that is done, as a part of full scale: no silence.
fn softest_around(house: &House, act: impl FnOnce()) -> f64 {
    const RATE: usize = 48_000;
    let heard = house.room.root.join("var/lib/unisono/room/heard");
    let played = || {
        let record = Record::open(&heard).unwrap();
        let last = record.segments.last().unwrap();
        (record.segments.len(), last.end_ns())
    };
    // The second before is looked at too: it has been sounding for so long.
    let sounding = || {
        let record = Record::open(&heard).ok()?;
        (truth::now_ns() - record.segments.last()?.start_ns > 3_000_000_000).then_some(())
    };
    truth::wait_for(PATIENCE, sounding).expect("the card plays");
    let (segments, _) = played();
    let begun_ns = truth::now_ns();
    act();
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
    softest
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
