//! Chapters of the boot test that change nothing for those after them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use unisono_tests::guide::{COMMANDS, Runs};
use unisono_tests::truth;

use super::{House, PATIENCE, PROGRAMS, Transcript, apt, name, repository, token};

/// What both doctors say: nothing is wrong, but what the host of the test forbids.
pub(crate) fn doctor(seen: &mut Transcript, house: &House) {
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
pub(crate) fn limits_can_be_raised() -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mine = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(mine.trim(), 16).unwrap() & CAP_SYS_RESOURCE != 0
}

/// Commands of docs/install.md, as they stand there.
pub(crate) fn guide(seen: &mut Transcript, house: &House) {
    seen.chapter("Commands of the installation guide");
    // Who has MPD has its user.
    house.server.run("useradd --system mpd").unwrap();
    for (command, runs) in COMMANDS {
        let (machine, host) = match runs {
            Runs::Server => (&house.server, "server"),
            Runs::Room => (&house.room, "kitchen"),
            Runs::Chapter | Runs::Not(_) => continue,
        };
        let said = seen.run(machine, host, &command.replace("sudo ", ""), true);
        if let Some(token) = token(&said) {
            let kept = house.server.run(&format!("journalctl | grep -c {token}")).unwrap().1;
            assert_eq!(kept.trim(), "0", "the journal holds the sign-in link");
        }
    }
    let kept = house.server.run("journalctl -u unisono-sender | grep -c token=").unwrap().1;
    assert_eq!(kept.trim(), "0", "the journal holds a sign-in link");
    // Its card is not there: it is waited for, and that is said once, as a warning, and in the status.
    assert!(House::is_active(&house.room, "unisono-receiver@terrace").is_some());
    let waits = "journalctl -o cat -p warning -u unisono-receiver@terrace | grep waited";
    let waits = seen.run(&house.room, "kitchen", waits, true);
    assert!(waits.lines().count() == 1 && !waits.contains("WARN"), "{waits}");
    let status = seen.run(&house.room, "kitchen", "systemctl show -P StatusText unisono-receiver@terrace", true);
    assert!(status.contains("hw:CARD=D10"), "{status}");
    house.room.run("systemctl disable --now unisono-receiver@terrace").unwrap();
    seen.note(&format!("Heard again after {:.1} s.", house.waits_until_heard()));
}

/// What `systemd-analyze security` calls OK begins below 5; ours are to stay below this.
const EXPOSURE: f64 = 2.5;

/// The judgement of systemd on both services.
pub(crate) fn tight(seen: &mut Transcript, house: &House) {
    seen.chapter("How tight the services are");
    for (machine, host, unit) in [(&house.server, "server", PROGRAMS[0]), (&house.room, "kitchen", PROGRAMS[1])] {
        let said = seen.run(machine, host, &format!("systemd-analyze security --no-pager {unit} | tail -1"), true);
        let exposure = said.split_whitespace().find_map(|word| word.parse::<f64>().ok());
        assert!(said.contains("OK") && exposure.is_some_and(|exposure| exposure < EXPOSURE), "{said}");
    }
}

/// What the packages of all architectures that were built weigh.
pub(crate) fn sizes(seen: &mut Transcript, version: &str) {
    seen.chapter("What the packages weigh");
    seen.0 += "| package | packed | unpacked | the program alone |\n|---|---|---|---|\n";
    for arch in ["amd64", "arm64", "armhf"] {
        for program in PROGRAMS {
            let package = repository().join(format!("target/debian/{program}_{version}_{arch}.deb"));
            let Ok(packed) = fs::metadata(&package) else { continue };
            let field = Command::new("dpkg-deb").arg("-f").arg(&package).arg("Installed-Size").output().unwrap();
            let unpacked = String::from_utf8_lossy(&field.stdout).trim().to_owned();
            let count = format!("dpkg-deb --fsys-tarfile {} | tar -xO ./usr/bin/{program} | wc -c", package.display());
            let alone = Command::new("sh").args(["-c", &count]).output().unwrap();
            let alone: u64 = String::from_utf8_lossy(&alone.stdout).trim().parse().unwrap();
            let packed = packed.len() / 1024;
            writeln!(seen.0, "| {program} {arch} | {packed} kB | {unpacked} kB | {} kB |", alone / 1024).unwrap();
        }
    }
    writeln!(seen.0).unwrap();
}

/// A room whose file nobody has touched, on a machine without a sound card: it serves, waits, and finds its hub.
pub(crate) fn as_it_comes(seen: &mut Transcript, house: &House, package: &Path) {
    seen.chapter("A room as it comes");
    let machine = &house.room;
    seen.run(machine, "kitchen", &apt(&format!("install ./{}", name(package))), true);
    assert!(truth::wait_for(PATIENCE, || House::is_active(machine, PROGRAMS[1])).is_some(), "it does not serve");
    let waits = || {
        let (_, status) = machine.run("systemctl show -P StatusText unisono-receiver").ok()?;
        status.contains("sound card \"the best one\" is not there").then_some(())
    };
    assert!(truth::wait_for(PATIENCE, waits).is_some(), "it does not say what it waits for");
    seen.run(machine, "kitchen", "systemctl status --lines=0 unisono-receiver", true);
    let said = seen.run(machine, "kitchen", "unisono-receiver doctor", false);
    for line in ["WRONG card", "ok    settings", "ok    hub", "ok    probe", "ok    announced", "ok    multicast"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    seen.run(machine, "kitchen", &apt("purge unisono-receiver"), true);
    seen.run(machine, "kitchen", "deluser unisono", true);
}

/// Memory and processor time of both services while they play.
pub(crate) fn weigh(seen: &mut Transcript, house: &House) {
    const SECONDS: u64 = 20;
    seen.chapter("What it costs");
    let patch = |stream: &str| {
        let command = format!("unisono-sender ctl patch Kitchen {stream}");
        let (status, said) = house.server.run(&command).unwrap();
        assert!(status.success(), "{command}: {said}");
        // What begins or ends takes more than what goes on, which is measured.
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
