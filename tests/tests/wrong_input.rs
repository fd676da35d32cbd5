//! Whatever is wrong in what a user gives: one sentence that says what, exit code 2, nothing half-started.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::file;
use tempfile::TempDir;
use unisono_tests::{house, truth};

/// Runs a program that must end by itself, soon.
fn run(program: &str, arguments: &[&str], dir: &TempDir) -> Output {
    let mut child = Command::new(house::binaries().unwrap().join(program))
        .args(arguments)
        .env("XDG_STATE_HOME", dir.path())
        .env("STATE_DIRECTORY", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if truth::wait_for(Duration::from_secs(10), || child.try_wait().unwrap()).is_none() {
        child.kill().unwrap();
        panic!("{program} {arguments:?} runs on: {:?}", child.wait_with_output());
    }
    child.wait_with_output().unwrap()
}

fn assert_refused(program: &str, arguments: &[&str], dir: &TempDir, words: &[&str]) {
    let output = run(program, arguments, dir);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{program} {arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{program} {arguments:?} wrote {:?}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.lines().count(), 1, "{program} {arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{program} {arguments:?} doesn't mention {word}: {said}");
    }
}

fn with_config(program: &str, text: &str, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "given.toml", text);
    assert_refused(program, &["--config", path.to_str().unwrap()], &dir, words);
}

#[test]
fn command_lines() {
    let dir = tempfile::tempdir().unwrap();
    for program in ["unisono-sender", "unisono-receiver"] {
        assert_refused(program, &["--confg", "x"], &dir, &["--confg", "--config"]);
        assert_refused(program, &["--config", "/nowhere/x.toml"], &dir, &["/nowhere/x.toml"]);
        let version = run(program, &["--version"], &dir);
        assert!(version.status.success() && version.stderr.is_empty());
    }
}

#[test]
fn receiver_configurations() {
    let receiver = |text: &str, words: &[&str]| with_config("unisono-receiver", text, words);
    receiver("romm = \"x\"\n", &["given.toml:1", "romm", "room"]);
    receiver("room = 5\n", &["given.toml:1", "room"]);
    receiver("interface = \"lo\"\n[output]\ndevise = \"sim\"\n", &["given.toml:3", "devise", "device"]);
    receiver("interface = \"lo\"\n[output]\ndevice = \"sim:pmm=4\"\n", &["given.toml:3", "pmm", "ppm"]);
    receiver("interface = \"nonesuch0\"\n[output]\ndevice = \"sim\"\n", &["nonesuch0", "lo"]);
    receiver("interface = \"lo\"\nhub = \"htp://x\"\n", &["given.toml:2", "hub"]);
    receiver("room = \"unclosed\n", &["given.toml:"]);
}

#[test]
fn devices_that_are_not_there() {
    for device in ["nonesuch", "hw:CARD=NoSuchCard", "hw:9,9", "default:CARD=NoSuchCard", "cpal:no such device"] {
        let text = format!("interface = \"lo\"\n[output]\ndevice = \"{device}\"\n");
        with_config("unisono-receiver", &text, &[device]);
    }
}

#[test]
fn sender_configurations() {
    let sender = |text: &str, words: &[&str]| with_config("unisono-sender", text, words);
    let stream = |rest: &str| format!("interface = \"lo\"\n[[streams]]\nid = \"x\"\n{rest}\n");
    sender("playout_delay = 5\n", &["given.toml:1", "playout_delay", "playout_delay_ms"]);
    sender("interface = \"nonesuch0\"\n", &["nonesuch0", "lo"]);
    sender(&stream("format = \"48000:20:2\""), &["given.toml:4", "48000:20:2", "48000:16:2"]);
    sender(&stream("group = \"10.0.0.1\""), &["given.toml:4", "10.0.0.1"]);
    sender(&stream("source = { type = \"pip\", path = \"/x\" }"), &["given.toml:4", "pip", "pipe"]);
    sender(&stream("source = { type = \"library\", path = \"/nowhere/music\" }"), &["/nowhere/music"]);
}

#[test]
fn ports_in_use() {
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = http.local_addr().unwrap().port();
    let free = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    with_config(
        "unisono-sender",
        &format!("interface = \"lo\"\nclock_port = {free}\n[http]\nlisten = \"127.0.0.1:{port}\"\n"),
        &[&port.to_string()],
    );
    let taken = clock.local_addr().unwrap().port();
    with_config(
        "unisono-sender",
        &format!("interface = \"lo\"\nclock_port = {taken}\n[http]\nlisten = \"127.0.0.1:0\"\n"),
        &[&taken.to_string()],
    );
}

#[test]
fn check_config_agrees_with_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let good = file(&dir, "good.toml", "room = \"Kitchen\"\ninterface = \"eth0\"\n");
    let output = run("unisono-receiver", &["check-config", good.to_str().unwrap()], &dir);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let bad = file(&dir, "bad.toml", "streams = 3\n");
    for program in ["unisono-sender", "unisono-receiver"] {
        let output = run(program, &["check-config", bad.to_str().unwrap()], &dir);
        assert!(String::from_utf8_lossy(&output.stderr).contains("bad.toml:1"), "{output:?}");
        assert_eq!(output.status.code(), Some(2));
    }
}
