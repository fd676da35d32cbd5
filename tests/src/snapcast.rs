//! Snapcast in the same house, to compare with: Debian's `snapserver` and `snapclient`, as they come.

use std::path::Path;

use crate::house::{House, Room};
use crate::namespaces::SERVER_ADDRESS;
use crate::processes::{Launch, PLAYER_PRIORITY, Process};

/// How the server is to be; by default as it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// From reading to sound; nothing means a second.
    pub buffer_ms: Option<u32>,
    /// What clients get: `pcm`, `opus` or, where nothing is said, `flac`.
    pub codec: Option<&'a str>,
}

/// Starts the server on `srv`; it reads 48 kHz, 16 bit, stereo from `fifo` and sends it as FLAC. From reading to sound it takes
/// `buffer_ms`, or a second by default.
pub fn start_server(house: &House, fifo: &Path, dir: &Path, buffer_ms: Option<u32>) -> anyhow::Result<Process> {
    start_server_with(house, fifo, dir, Settings { buffer_ms, codec: None })
}

/// The same in any way.
pub fn start_server_with(house: &House, fifo: &Path, dir: &Path, settings: Settings<'_>) -> anyhow::Result<Process> {
    let file = dir.join("snapserver.conf");
    let codec = settings.codec.map(|codec| format!("&codec={codec}")).unwrap_or_default();
    let source = format!("pipe://{}?name=lab&sampleformat=48000:16:2&mode=read{codec}", fifo.display());
    let data = dir.join("snapserver-data");
    std::fs::create_dir_all(&data)?;
    let buffer = settings.buffer_ms.map(|ms| format!("buffer = {ms}\n")).unwrap_or_default();
    std::fs::write(&file, format!("[server]\ndatadir = {}\n[stream]\nsource = {source}\n{buffer}", data.display()))?;
    let arguments = vec!["--config".into(), file.display().to_string()];
    launch(house, "snapserver", "snapserver", "srv", arguments, vec![("LC_ALL".into(), "C".into())], dir)
}

/// Starts the client of room `number`, whose card records into NAME.pcm and NAME.seg.
pub fn start_client(house: &House, number: usize, room: &Room, name: &str, dir: &Path) -> anyhow::Result<Process> {
    let host = format!("r{number}");
    let arguments =
        ["-h", SERVER_ADDRESS, "--hostID", &host, "--player", "alsa", "-s", "simcard", "--logsink", "stderr"];
    let environment = house.environment(room, name)?;
    launch(house, "snapclient", name, &host, arguments.map(String::from).to_vec(), environment, dir)
}

fn launch(
    house: &House,
    program: &str,
    name: &str,
    host: &str,
    arguments: Vec<String>,
    environment: crate::instruments::Environment,
    logs: &Path,
) -> anyhow::Result<Process> {
    let program = Path::new("/usr/bin").join(program);
    anyhow::ensure!(program.exists(), "{} isn't there (Debian: apt install snapserver snapclient)", program.display());
    let priority = Some(PLAYER_PRIORITY);
    house.launch(Launch { name, program: &program, arguments, environment, namespace: None, priority, logs }, host)
}
