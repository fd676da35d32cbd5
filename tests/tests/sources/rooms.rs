//! Rooms with simulated cards that belong to a station's hub.

use std::path::Path;

use unisono_tests::house::binaries;
use unisono_tests::processes::{Launch, Process};
use unisono_tests::records::Record;
use unisono_tests::station::Station;

/// Starts a room that plays `stream`; `more` is added to its configuration.
pub(crate) fn room(station: &Station, dir: &Path, name: &str, stream: &str, more: &str) -> Process {
    let text = format!(
        "room = \"{name}\"\ninterface = \"lo\"\nstate_dir = {:?}\nhub = \"{}\"\nstream = \"{}\"\n[output]\ndevice = \
         \"sim:record={}\"\n{more}",
        dir.join(format!("state-{name}")),
        station.url().unwrap(),
        station.id(stream),
        dir.join(name).display()
    );
    let file = dir.join(format!("{name}.toml"));
    std::fs::write(&file, text).unwrap();
    let program = binaries().unwrap().join("unisono-receiver");
    let arguments = vec!["--config".to_owned(), file.display().to_string()];
    let (environment, namespace, priority) = (vec![], None, None);
    Process::start(Launch { name, program: &program, arguments, environment, namespace, priority, logs: dir }).unwrap()
}

/// Peak of 50 ms of a record from a true time on, as a part of full scale.
pub(crate) fn level(record: &Record, at_ns: i64) -> f64 {
    let heard = record.heard(at_ns, 2_400, 48_000.0).unwrap_or_default();
    heard.iter().fold(0.0, |peak, sample| f64::max(peak, sample.abs()))
}
