//! PulseAudio's RTP modules in the same house, to compare with: a daemon that sends what it reads from a pipe, and one in each
//! room that finds it by SAP and plays it to the room's card.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::house::{House, Room};
use crate::instruments::Environment;
use crate::namespaces::SERVER_ADDRESS;
use crate::processes::{Launch, PLAYER_PRIORITY, Process};

/// Its receiver aborts the whole daemon at its own default of half a second, sooner or later; not for long at this.
const LATENCY_MS: u32 = 200;

/// Starts the sending daemon on `srv`; it makes `fifo` itself, which must not be there yet, and reads 48 kHz, 16 bit, stereo
/// from it as it is written.
pub fn start_server(house: &House, fifo: &Path, dir: &Path) -> anyhow::Result<Process> {
    let source =
        format!("module-pipe-source source_name=lab file={} format=s16le rate=48000 channels=2", fifo.display());
    let send = format!("module-rtp-send source=lab source_ip={SERVER_ADDRESS} port=5004");
    launch(house, "pulseserver", "srv", &[&source, &send], vec![], dir)
}

/// Starts the daemon of room `number`, whose card records into NAME.pcm and NAME.seg.
pub fn start_room(house: &House, number: usize, room: &Room, name: &str, dir: &Path) -> anyhow::Result<Process> {
    let card = "module-alsa-sink sink_name=card device=simcard tsched=0 rate=48000";
    let receive = format!("module-rtp-recv sink=card latency_msec={LATENCY_MS}");
    launch(house, name, &format!("r{number}"), &[card, &receive], house.environment(room, name)?, dir)
}

fn launch(
    house: &House,
    name: &str,
    host: &str,
    modules: &[&str],
    mut environment: Environment,
    logs: &Path,
) -> anyhow::Result<Process> {
    let program = Path::new("/usr/bin/pulseaudio");
    anyhow::ensure!(program.exists(), "{} isn't there (Debian: apt install pulseaudio)", program.display());
    // Private, as it wants it.
    let home = logs.join(format!("home-{host}"));
    std::fs::create_dir_all(&home)?;
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700))?;
    for variable in ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        environment.push((variable.to_owned(), home.display().to_string()));
    }
    let fixed = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--resample-method=speex-float-1"];
    let all = ["module-native-protocol-unix auth-anonymous=1"].into_iter().chain(modules.iter().copied());
    let modules = all.flat_map(|module| ["-L", module]);
    let arguments = fixed.into_iter().chain(modules).map(String::from).collect();
    let priority = Some(PLAYER_PRIORITY);
    house.launch(Launch { name, program, arguments, environment, namespace: None, priority, logs }, host)
}
