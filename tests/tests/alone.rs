//! A machine without any network: its loopback is enough. Needs root, to make such a machine; skipped, loudly, without.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{PATIENCE, end, file, skipped};
use tempfile::TempDir;
use unisono_tests::house::binaries;
use unisono_tests::namespaces::{self, Network, NetworkError};
use unisono_tests::processes::{Launch, Process};
use unisono_tests::records::Record;
use unisono_tests::{AUDIBLE, truth};

/// A machine that has nothing but its loopback, and what is written there.
struct Machine {
    network: Network,
    dir: TempDir,
}

impl Machine {
    fn namespace(&self) -> PathBuf {
        self.network.host("srv").unwrap()
    }

    /// Starts a program with this configuration, and a state directory of its own.
    fn start(&self, program: &str, name: &str, text: &str) -> Process {
        let text = format!("state_dir = {:?}\n{text}", self.state(name));
        let config = file(&self.dir, &format!("{name}.toml"), &text);
        let launch = Launch {
            name,
            program: &binaries().unwrap().join(program),
            arguments: vec!["--config".into(), config.display().to_string()],
            environment: vec![],
            namespace: Some(self.namespace()),
            priority: None,
            logs: self.dir.path(),
        };
        Process::start(launch).unwrap()
    }

    fn start_room(&self, name: &str, hub: &str) -> Process {
        let record = self.dir.path().join(name);
        let text = format!("room = \"{name}\"\n{hub}\n[output]\ndevice = \"sim:record={}\"\n", record.display());
        self.start("unisono-receiver", name, &text)
    }

    fn state(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("state-{name}"))
    }

    fn sounds(&self, name: &str) -> Option<i64> {
        Record::open(&self.dir.path().join(name)).ok()?.first_sound(0, AUDIBLE)
    }

    /// What the sender's program prints on this machine.
    fn asks(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binaries().unwrap().join("unisono-sender"));
        let output = namespaces::inside(&self.namespace(), || command.args(arguments).output());
        let output = output.unwrap().unwrap();
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat()
    }
}

#[test]
fn a_machine_without_a_network_plays() {
    let network = match Network::alone() {
        Ok(network) => network,
        Err(NetworkError::NotRoot) => return skipped("network namespaces need root").unwrap_or_default(),
        Err(error) => panic!("{error}"),
    };
    let machine = Machine { network, dir: tempfile::tempdir().unwrap() };
    let mut sender =
        machine.start("unisono-sender", "sender", "[[streams]]\nid = \"music\"\nsource = { type = \"tone\" }\n");
    // Nobody has told the one anything.
    let mut one = machine.start_room("Kitchen", "");
    let mut two = machine.start_room("Study", "hub = \"http://127.0.0.1:7680\"");
    let logs = || [&sender, &one, &two].map(Process::log).join("\n");
    for name in ["Kitchen", "Study"] {
        let heard = truth::wait_for(2 * PATIENCE, || machine.sounds(name));
        assert!(heard.is_some(), "{name} is silent:\n{}", logs());
    }
    let state = machine.state("sender").display().to_string();
    let shown = |arguments: &[&str]| {
        let told = truth::wait_for(PATIENCE, || Some(machine.asks(arguments)).filter(|said| said.contains("Study")));
        assert!(told.is_some(), "{arguments:?}: {}\n{}", machine.asks(arguments), logs());
    };
    shown(&["ctl", "--state-dir", &state, "rooms"]);
    shown(&["watch", "--once", "--hub", "http://127.0.0.1:7680"]);
    end(&mut [&mut one, &mut two, &mut sender]);
}
