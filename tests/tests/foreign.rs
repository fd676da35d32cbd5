//! Receivers for other architectures, under qemu's user emulation: they start, follow a sender that runs natively, and put
//! its sound on a simulated card. Time means nothing there; what is counted is instructions.
//!
//! Run by `./test --all`, after `systemd/package arm64` and `armhf`.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use unisono_tests::house::{House, Stream, binaries};
use unisono_tests::processes::Process;
use unisono_tests::records::Record;
use unisono_tests::{AUDIBLE, container, truth};

/// Emulation takes its time, and so does a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long instructions are counted.
const COUNTED: Duration = Duration::from_secs(10);

/// Killed when dropped.
struct Emulated(Child);

impl Drop for Emulated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The package for `arch`, which may not be there.
fn package(arch: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join(format!("target/debian/unisono-receiver_{}-1_{arch}.deb", env!("CARGO_PKG_VERSION")))
}

/// The program in a package for `arch`.
fn unpacked(arch: &str, dir: &Path) -> PathBuf {
    let package = package(arch);
    assert!(package.exists(), "{} is not there: run systemd/package {arch}", package.display());
    container::finished(Command::new("dpkg-deb").arg("-x").arg(&package).arg(dir.join(arch))).unwrap();
    dir.join(arch).join("usr/bin/unisono-receiver")
}

/// A room of `arch` under `qemu`, which plays `stream` to a simulated card of quality low; its files are in `dir`.
fn start(arch: &str, qemu: &[&str], dir: &TempDir, stream: &str) -> Emulated {
    let config = format!(
        "interface = \"lo\"\nhub = \"none\"\nstream = \"{stream}\"\nquality = \"low\"\n[output]\ndevice = \
         \"sim:record={}\"\n",
        dir.path().join("heard").display()
    );
    let config = common::file(dir, "room.toml", &config);
    let log = std::fs::File::create(dir.path().join("emulated.log")).unwrap();
    let program = unpacked(arch, dir.path());
    let mut room = Command::new(qemu[0]);
    room.args(&qemu[1..]).arg(program).arg("--config").arg(config).env("STATE_DIRECTORY", dir.path().join("state"));
    Emulated(room.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

/// What the room's card plays first.
fn heard(dir: &TempDir) -> Option<i64> {
    Record::open(&dir.path().join("heard")).ok()?.first_sound(0, AUDIBLE)
}

fn log(dir: &TempDir) -> String {
    std::fs::read_to_string(dir.path().join("emulated.log")).unwrap_or_default()
}

/// A sender on loopback that plays the demo, for rooms that take their time.
fn start_sender(id: &str, dir: &TempDir) -> (House, Process) {
    let house = House::on_loopback(id, dir.path(), &binaries().unwrap()).unwrap();
    let stream = Stream { format: "48000:16:2", source: "{ type = \"demo\" }".into(), playout_delay_ms: 1_000 };
    let sender = house.start_sender(&stream).unwrap();
    (house, sender)
}

fn plays(arch: &str, qemu: &str) {
    let dir = tempfile::tempdir().unwrap();
    let id = format!("{arch}-{}", std::process::id());
    let (_house, mut sender) = start_sender(&id, &dir);
    let room = start(arch, &[qemu], &dir, &id);
    let sounds = truth::wait_for(PATIENCE, || heard(&dir));
    assert!(sounds.is_some(), "{arch} is silent:\n{}\n{}", log(&dir), sender.log());
    drop(room);
    common::end(&mut [&mut sender]);
    println!("{arch}: heard under {qemu}\n{}", log(&dir));
}

#[test]
#[ignore = "needs cross-built packages: ./test --all"]
fn arm64_plays() {
    plays("arm64", "qemu-aarch64-static");
}

#[test]
#[ignore = "needs cross-built packages: ./test --all"]
fn armhf_plays() {
    plays("armhf", "qemu-arm-static");
}

/// Millions of instructions a second that a room of `arch` takes, as the plugin counts them, while it plays `stream` or
/// waits for it.
fn cost(arch: &str, qemu: &str, plugin: &Path, stream: &str, plays: bool) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let counts = dir.path().join("counts");
    let plugin = format!("{},counts={}", plugin.display(), counts.display());
    let _room = start(arch, &[qemu, "-plugin", &plugin], &dir, stream);
    let begun = || match plays {
        true => heard(&dir).map(drop),
        false => log(&dir).contains("playing through").then_some(()),
    };
    assert!(truth::wait_for(PATIENCE, begun).is_some(), "{arch} does not begin:\n{}", log(&dir));
    // Clocks settle, and blocks of code are translated once.
    truth::pause(Duration::from_secs(5));
    let total = || -> u64 {
        let bytes = std::fs::read(&counts).unwrap();
        bytes.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().unwrap())).sum()
    };
    let before = total();
    truth::pause(COUNTED);
    (total() - before) as f64 / COUNTED.as_secs_f64() / 1e6
}

/// With UNISONO_WRITE_BOOT=1 the figures are kept in docs/foreign.md.
#[test]
#[ignore = "needs cross-built packages: ./test --all"]
fn a_room_s_instructions_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let source = common::file(&dir, "instructions.c", include_str!("../rig/instructions.c"));
    let plugin = dir.path().join("instructions.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&plugin).arg(source);
    container::finished(&mut compiler).unwrap();
    let id = format!("counted-{}", std::process::id());
    let (_house, mut sender) = start_sender(&id, &dir);
    let mut table = String::new();
    for (arch, qemu) in [("arm64", "qemu-aarch64"), ("armhf", "qemu-arm")] {
        let offers = Command::new(qemu).arg("-h").output().map(|output| output.stdout).unwrap_or_default();
        if !String::from_utf8_lossy(&offers).contains("-plugin") {
            return common::skipped(&format!("{qemu} is not there, or takes no plugins")).unwrap_or_default();
        }
        if !package(arch).exists() {
            // That is a failure of the test that has it play.
            common::skipped::<()>(&format!("no package for {arch}: its instructions are not counted"));
            continue;
        }
        let idle = cost(arch, qemu, &plugin, "nonesuch", false);
        let playing = cost(arch, qemu, &plugin, &id, true);
        println!("{arch}: {idle:.1} million instructions a second idle, {playing:.1} playing");
        assert!(0.0 < idle && idle < playing, "{arch}: {idle} idle, {playing} playing");
        table += &format!("| {arch} | {idle:.1} | {playing:.1} |\n");
    }
    common::end(&mut [&mut sender]);
    assert!(!table.is_empty(), "there are no packages: run systemd/package arm64");
    if std::env::var_os("UNISONO_WRITE_BOOT").is_some() {
        let text = format!(
            "# A room on other machines\n\nWritten by `./test --all`: the packages for arm64 and armhf under qemu's user \
             emulation, where time\nmeans nothing, so instructions are counted \
             ([`instructions.c`](../tests/rig/instructions.c)): millions a second, all\nthreads together, of a room that \
             plays 48 kHz, 16 bits, stereo to a simulated card (quality low), and of one\nwhose stream is not there. What \
             the card's simulation takes is in it.\n\n| architecture | idle | playing |\n|---|---|---|\n{table}"
        );
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs");
        std::fs::write(docs.join("foreign.md"), text).unwrap();
    }
}
