//! Receivers for other architectures, under qemu's user emulation: they start, follow a sender that runs natively, and put
//! its sound on a simulated card. Time means nothing there; what is counted is instructions.
//!
//! Run by `./test --all`, after `systemd/package arm64` and `armhf`.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use unisono_tests::house::{House, Stream, binaries};
use unisono_tests::records::Record;
use unisono_tests::{AUDIBLE, container, truth};

/// Emulation takes its time, and so does a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when dropped.
struct Emulated(Child);

impl Drop for Emulated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program in a package for `arch`.
fn unpacked(arch: &str, dir: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let package = root.join(format!("target/debian/unisono-receiver_{}-1_{arch}.deb", env!("CARGO_PKG_VERSION")));
    assert!(package.exists(), "{} is not there: run systemd/package {arch}", package.display());
    container::finished(Command::new("dpkg-deb").arg("-x").arg(&package).arg(dir.join(arch))).unwrap();
    dir.join(arch).join("usr/bin/unisono-receiver")
}

fn plays(arch: &str, qemu: &str) {
    let dir = tempfile::tempdir().unwrap();
    let id = format!("{arch}-{}", std::process::id());
    let house = House::on_loopback(&id, dir.path(), &binaries().unwrap()).unwrap();
    let stream = Stream { format: "48000:16:2", source: "{ type = \"demo\" }".into(), playout_delay_ms: 1_000 };
    let mut sender = house.start_sender(&stream).unwrap();
    let record = dir.path().join("heard");
    let config = format!(
        "interface = \"lo\"\nhub = \"none\"\nstream = \"{id}\"\nquality = \"low\"\n[output]\ndevice = \"sim:record={}\"\n",
        record.display()
    );
    let config = common::file(&dir, "room.toml", &config);
    let log = std::fs::File::create(dir.path().join("emulated.log")).unwrap();
    let program = unpacked(arch, dir.path());
    let mut room = Command::new(qemu);
    room.arg(program).arg("--config").arg(config).env("STATE_DIRECTORY", dir.path().join("state"));
    let room = Emulated(room.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let heard = truth::wait_for(PATIENCE, || Record::open(&record).ok()?.first_sound(0, AUDIBLE));
    let log = std::fs::read_to_string(dir.path().join("emulated.log")).unwrap_or_default();
    assert!(heard.is_some(), "{arch} is silent:\n{log}\n{}", sender.log());
    drop(room);
    common::end(&mut [&mut sender]);
    println!("{arch}: heard under {qemu}\n{log}");
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
