//! What the end-to-end tests share.
#![allow(dead_code, reason = "every test uses a part")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use unisono_tests::analysis::{Survey, survey};
use unisono_tests::feeder::Feeder;
use unisono_tests::house::{House, Stream, binaries};
use unisono_tests::instruments::{Environment, Instruments};
use unisono_tests::processes::Process;
use unisono_tests::records::Record;
use unisono_tests::signals::{Signal, noise};
use unisono_tests::stalls::{Stalls, Watch};
use unisono_tests::{AUDIBLE, truth};

/// Rooms this far apart are in step even on a machine that is busy with other tests, in microseconds.
pub(crate) const IN_STEP_US: f64 = 200.0;

/// How long a room may take to sound on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A sender that dies is heard for so long after it: its packets wait for their time.
pub(crate) const AUDIBLE_NS: i64 = 500_000_000;

/// A house that plays noise from a pipe, and what is needed to judge it.
pub(crate) struct Playing {
    pub(crate) house: House,
    pub(crate) dir: TempDir,
    pub(crate) signal: Arc<Signal>,
    feeder: Feeder,
    watch: Watch,
}

impl Playing {
    /// On loopback; `name` must be a test's own.
    pub(crate) fn on_loopback(name: &str) -> Playing {
        let id = format!("{name}-{}", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        let house = House::on_loopback(&id, dir.path(), &binaries().unwrap()).unwrap();
        Playing::begin(house, dir)
    }

    /// In `rooms` namespaces; None, said loudly, where they can't be had.
    pub(crate) fn in_namespaces(rooms: usize) -> Option<Playing> {
        let binaries = binaries().unwrap();
        let dir = tempfile::tempdir().unwrap();
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            return skipped("network namespaces need root");
        }
        let instruments = match Instruments::build(dir.path()) {
            Ok(instruments) => instruments,
            Err(error) => return skipped(&error.to_string()),
        };
        let house = House::new(rooms, dir.path(), &binaries, &instruments).unwrap();
        Some(Playing::begin(house, dir))
    }

    /// In `rooms` namespaces on a switch that does to packets what it is told; rooms report in their logs. None, said
    /// loudly, where they can't be had.
    pub(crate) fn impaired(rooms: usize) -> Option<Playing> {
        let dir = tempfile::tempdir().unwrap();
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            return skipped("network namespaces need root");
        }
        let instruments = match Instruments::build(dir.path()) {
            Ok(instruments) => instruments,
            Err(error) => return skipped(&error.to_string()),
        };
        let house = House::impaired(rooms, 7, dir.path(), &binaries().unwrap(), &instruments).unwrap();
        Some(Playing::begin(house, dir))
    }

    /// What the stream is, fed from the pipe.
    pub(crate) fn stream(&self) -> Stream<'static> {
        let fifo = self.dir.path().join("in.fifo");
        let source = format!("{{ type = \"pipe\", path = {fifo:?}, format = \"48000:16:2\" }}");
        Stream { format: "48000:16:2", source, playout_delay_ms: 250 }
    }

    fn begin(house: House, dir: TempDir) -> Playing {
        let signal = Arc::new(noise(48_000, 1 << 20, 7));
        let feeder = Feeder::start(&dir.path().join("in.fifo"), signal.clone(), 2).unwrap();
        Playing { house, dir, signal, feeder, watch: Watch::start() }
    }

    /// The sender, fed from the pipe.
    pub(crate) fn start_sender(&self) -> Process {
        self.start_sender_in(vec![])
    }

    /// The sender on a host of its own ways.
    pub(crate) fn start_sender_in(&self, environment: Environment) -> Process {
        self.house.start_sender_in(&self.stream(), environment).unwrap()
    }

    /// A receiver with a simulated card of its own.
    pub(crate) fn start_receiver(&self, number: usize, ppm: f64) -> Process {
        let name = format!("u{number}");
        let device = format!("sim:ppm={ppm},grain=8,record={}", self.house.record(&name).display());
        self.house.start_receiver_on(number, &device, &name, "", vec![]).unwrap()
    }

    /// Waits until the room's record holds sound at or after `from_ns` of true time; when.
    pub(crate) fn wait_for_sound(&self, name: &str, from_ns: i64) -> Option<i64> {
        let heard = || Record::open(&self.house.record(name)).ok()?.first_sound(from_ns, AUDIBLE);
        truth::wait_for(PATIENCE, heard)
    }

    /// Waits until all rooms sound.
    pub(crate) fn wait_for_all(&self, names: &[&str], programs: &[&Process]) {
        for name in names {
            let logs = || programs.iter().map(|p| p.log()).collect::<Vec<_>>().join("\n");
            assert!(self.wait_for_sound(name, 0).is_some(), "{name} is silent:\n{}", logs());
        }
    }

    /// Where each room was, and what the machine did meanwhile.
    pub(crate) fn survey(self, names: &[&str]) -> (Survey, Stalls) {
        drop(self.feeder);
        let records: Vec<Record> = names.iter().map(|name| Record::open(&self.house.record(name)).unwrap()).collect();
        (survey(&self.signal, &records), self.watch.finish())
    }
}

/// Ends programs and asserts that they do so cleanly.
pub(crate) fn end(programs: &mut [&mut Process]) {
    for program in programs {
        let status = program.stop();
        assert!(status.is_some_and(|s| s.success()), "{status:?}\n{}", program.log());
    }
}

/// Nothing is damaged.
pub(crate) fn assert_undamaged(survey: &Survey, skip_s: f64, stalls: Stalls) {
    for (i, room) in survey.verdict(skip_s).rooms.iter().enumerate() {
        let damaged = room.damaged_blocks > 0 || room.lost_windows > 0 || room.xruns > 0;
        assert!(!damaged, "room {}: {room:?}; {stalls:?}", i + 1);
    }
}

/// Says so where the test harness doesn't swallow it.
pub(crate) fn skipped<T>(why: &str) -> Option<T> {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    None
}

/// A file in the test's directory.
pub(crate) fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The last report in a receiver's log that was asked for them.
pub(crate) fn health(receiver: &Process) -> Option<unisono_common::control::Health> {
    receiver.log().lines().rev().find_map(|line| serde_json::from_str(line).ok())
}
