//! Programs that are not ours, on hosts of a house.

use std::path::{Path, PathBuf};
use std::time::Duration;

use unisono_tests::house::House;
use unisono_tests::instruments::Environment;
use unisono_tests::namespaces::SERVER_ADDRESS;
use unisono_tests::processes::{Launch, Process};

use crate::common::{Playing, skipped};

/// How long a foreign program may take for anything, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where a program is; also what is kept from ordinary users' paths, and what ./test has unpacked without installing it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/usr/sbin");
    let places = std::env::split_paths(&paths).chain([PathBuf::from("/usr/sbin"), unpacked]);
    places.map(|place| place.join(program)).find(|path| path.exists())
}

/// A house with `rooms` rooms that plays noise, if it can be had and these programs are there; says loudly when not.
pub(crate) fn house_with(programs: &[&str], rooms: usize) -> Option<Playing> {
    let missing: Vec<&&str> = programs.iter().filter(|program| find(program).is_none()).collect();
    if !missing.is_empty() {
        return skipped(&format!("{missing:?} not installed; ./test installs them where it can"));
    }
    Playing::in_namespaces(rooms)
}

/// Starts a program on a host of the house, with a home of its own.
pub(crate) fn start(house: &House, host: &str, name: &str, program: &str, arguments: &[&str]) -> Process {
    start_with(house, host, name, program, arguments, vec![])
}

/// The same with more environment.
pub(crate) fn start_with(
    house: &House,
    host: &str,
    name: &str,
    program: &str,
    arguments: &[&str],
    more: Environment,
) -> Process {
    let home = home(house, host);
    let mut environment: Environment = ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"]
        .map(|variable| (variable.to_owned(), home.display().to_string()))
        .to_vec();
    environment.extend(more);
    let launch = Launch {
        name,
        program: &find(program).unwrap(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment,
        namespace: None,
        // None of them asks for it by itself here, and one that spins would starve ours.
        priority: None,
        logs: &house.record(""),
    };
    house.launch(launch, host).unwrap()
}

/// Runs a program to its end; what it wrote.
pub(crate) fn run(house: &House, host: &str, name: &str, program: &str, arguments: &[&str]) -> String {
    let mut process = start(house, host, name, program, arguments);
    let status = process.wait(PATIENCE);
    assert!(status.is_some_and(|status| status.success()), "{program} {arguments:?}: {status:?}\n{}", process.log());
    process.log()
}

/// A directory for a host's daemons and their sockets, private as they want it.
pub(crate) fn home(house: &House, host: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let home = house.record(&format!("home-{host}"));
    std::fs::create_dir_all(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    home
}

/// Where the house's stream is described.
pub(crate) fn sdp_url(house: &House) -> String {
    format!("http://{SERVER_ADDRESS}:7680/streams/{}.sdp", house.stream())
}
