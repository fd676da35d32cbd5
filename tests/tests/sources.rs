//! Sources with the real programs that feed them, on loopback: what they do on the wire, how soon, and what happens when
//! they fail. `cargo test -p unisono-tests --test sources -- --nocapture` prints the figures of docs/sources.md.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "sources/beside.rs"]
mod beside;
mod common;
#[path = "sources/idle.rs"]
mod idle;
#[path = "sources/inputs.rs"]
mod inputs;
#[path = "sources/mpd.rs"]
mod mpd;
#[path = "sources/paging.rs"]
mod paging;
#[path = "sources/programs.rs"]
mod programs;
#[path = "sources/radio.rs"]
mod radio;
#[path = "sources/raw.rs"]
mod raw;
#[path = "sources/rooms.rs"]
mod rooms;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use unisono_tests::processes::{Launch, Process};
use unisono_tests::station::is_installed;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds between two instants, for people.
pub(crate) fn ms(from: unisono_common::time::LocalTime, to: unisono_common::time::LocalTime) -> f64 {
    (to - from) as f64 / 1e6
}

/// Whether all of these are installed; says loudly when not.
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing: Vec<&&str> = programs.iter().filter(|program| !is_installed(program)).collect();
    let all = missing.is_empty();
    if !all {
        common::skipped::<()>(&format!("{missing:?} not installed; ./test installs them"));
    }
    all
}

/// Starts a program with its own log in `dir`.
pub(crate) fn start(dir: &Path, name: &str, program: &str, arguments: &[&str]) -> Process {
    let paths = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let paths = paths.into_iter().flatten().chain([PathBuf::from("/usr/sbin")]);
    let program = paths.map(|path| path.join(program)).find(|path| path.exists()).unwrap();
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let (environment, namespace, priority) = (vec![], None, None);
    Process::start(Launch { name, program: &program, arguments, environment, namespace, priority, logs: dir }).unwrap()
}

/// Runs a program that ends by itself.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a file of a tone by ffmpeg, with tags.
pub(crate) fn tone(path: &Path, hertz: u32, seconds: u32, title: &str) {
    let source = format!("sine=frequency={hertz}:duration={seconds}:sample_rate=44100");
    let title = format!("title={title}");
    let arguments = ["-v", "error", "-y", "-f", "lavfi", "-i", &source, "-ac", "2", "-metadata", &title, "-metadata"];
    let path = path.to_str().unwrap();
    run("ffmpeg", &[&arguments[..], &["artist=The Oscillators", path]].concat());
}
