//! The installation guide says what is so: the boot test runs each of its commands, or it is known why not; its pieces of
//! configuration are right; its links lead somewhere.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use unisono_tests::guide::{COMMANDS, commands, configurations};
use unisono_tests::house::binaries;

const GUIDES: [&str; 2] = ["install.md", "troubleshooting.md"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

#[test]
fn every_command_is_run_by_a_machine_or_it_is_known_why_not() {
    let text = fs::read_to_string(docs().join("install.md")).unwrap();
    let known: Vec<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    assert_eq!(commands(&text), known);
}

#[test]
fn every_piece_of_configuration_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for guide in GUIDES {
        for block in configurations(&fs::read_to_string(docs().join(guide)).unwrap()) {
            let file = common::file(&dir, "given.toml", &block);
            let program = binaries().unwrap().join("unisono-receiver");
            let output = Command::new(program).arg("check-config").arg(&file).output().unwrap();
            assert!(output.status.success(), "{guide}:\n{block}\n{}", String::from_utf8_lossy(&output.stderr));
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen}");
}

#[test]
fn links_lead_somewhere() {
    for guide in GUIDES {
        let text = fs::read_to_string(docs().join(guide)).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
            let file = docs().join(link.split('#').next().unwrap());
            assert!(file.exists(), "{guide}: {link}");
        }
    }
}
