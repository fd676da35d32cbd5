//! PipeWire, both ways.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use unisono_tests::house::House;
use unisono_tests::instruments::Environment;
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

use crate::common::end;
use crate::{peers, sound, table};

/// Which PipeWire. Its session manager and its clients are Debian's in any case.
#[derive(Clone, Copy)]
pub(crate) enum Release {
    /// Debian 12's, 0.3: its RTP modules announce, and hear announcements, by themselves.
    Debian,
    /// 1.4 of Debian's backports, which ./test unpacks without installing it: announcements are another module's.
    Backports,
}

impl Release {
    /// The daemon.
    pub(crate) fn program(self) -> PathBuf {
        match self {
            Release::Debian => "pipewire".into(),
            Release::Backports => unpacked().join("bin/pipewire"),
        }
    }

    /// What the daemon finds its own parts by.
    fn environment(self) -> Environment {
        // Named after the architecture; systemd's units may lie beside it.
        let mut entries = std::fs::read_dir(unpacked().join("lib")).into_iter().flatten().flatten();
        let libraries = entries.find_map(|entry| Some(entry.path()).filter(|path| path.join("pipewire-0.3").exists()));
        let (Release::Backports, Some(libraries)) = (self, libraries) else { return vec![] };
        let places = [("LD_LIBRARY_PATH", ""), ("PIPEWIRE_MODULE_DIR", "pipewire-0.3"), ("SPA_PLUGIN_DIR", "spa-0.2")];
        places.map(|(name, place)| (name.to_owned(), libraries.join(place).display().to_string())).to_vec()
    }

    pub(crate) fn version(self) -> String {
        let mut command = Command::new(self.program());
        let said = command.arg("--version").envs(self.environment()).output().unwrap().stdout;
        String::from_utf8_lossy(&said).split_whitespace().last().unwrap_or("").to_owned()
    }

    /// Plays what is announced to the sink `quiet`.
    fn plays(self) -> &'static str {
        match self {
            Release::Debian => {
                "{ name = libpipewire-module-rtp-source args = { sap.ip = 224.0.0.56 local.ifname = eth0 \
                   sess.latency.msec = 100 stream.props = { target.object = quiet } } }"
            }
            Release::Backports => {
                "{ name = libpipewire-module-rtp-sap args = { sap.ip = 224.0.0.56 local.ifname = eth0 stream.rules = [ { \
                   matches = [ { rtp.session = \"~.*\" } ] \
                   actions = { create-stream = { sess.latency.msec = 100 target.object = quiet } } } ] } }"
            }
        }
    }

    /// The sink `desktop`, which is sent and announced. Without rules of its own the module that announces would also play
    /// all that others announce: our own streams would come back, mixed into what is sent.
    pub(crate) fn sends(self) -> &'static str {
        match self {
            Release::Debian => {
                "{ name = libpipewire-module-rtp-sink args = { sap.ip = 224.0.0.56 local.ifname = eth0 \
                   destination.ip = 239.77.0.8 destination.port = 5004 sess.name = Desktop \
                   stream.props = { node.name = desktop media.class = Audio/Sink } } }"
            }
            Release::Backports => {
                "{ name = libpipewire-module-rtp-sap args = { sap.ip = 224.0.0.56 local.ifname = eth0 stream.rules = [ { \
                   matches = [ { sess.sap.announce = true } ] actions = { announce-stream = { } } } ] } } \
                 { name = libpipewire-module-rtp-sink args = { local.ifname = eth0 \
                   destination.ip = 239.77.0.8 destination.port = 5004 sess.name = Desktop stream.props = { \
                   node.name = desktop media.class = Audio/Sink sess.sap.announce = true } } }"
            }
        }
    }
}

/// Where ./test unpacks what is not installed.
fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/pipewire-1.4/usr")
}

/// A daemon of its own with its session manager; ports and links are the latter's business.
pub(crate) struct Daemon {
    pipewire: Process,
    bus: Process,
    manager: Process,
}

impl Daemon {
    /// With some RTP modules, and the sink `quiet` that plays to nobody.
    pub(crate) fn start(house: &House, host: &str, release: Release, modules: &str) -> Daemon {
        let configuration = house.record(&format!("pipewire-{host}.conf"));
        std::fs::write(&configuration, CONFIGURATION.replace("MODULES", modules)).unwrap();
        let arguments = ["-c", configuration.to_str().unwrap()];
        let program = release.program();
        let program = program.to_str().unwrap();
        let mut pipewire = peers::start_with(house, host, "pipewire", program, &arguments, release.environment());
        let socket = peers::home(house, host).join("pipewire-0");
        let ready = truth::wait_for(peers::PATIENCE, || (socket.exists() || !pipewire.is_running()).then_some(()));
        assert!(ready.is_some() && pipewire.is_running(), "{}", pipewire.log());
        // Not by dbus-run-session, which leaves its bus behind when it is asked to end.
        let bus = format!("unix:path={}", peers::home(house, host).join("bus").display());
        let address = format!("DBUS_SESSION_BUS_ADDRESS={bus}");
        let arguments = ["--session", "--nofork", "--address", &bus];
        let bus = peers::start(house, host, "dbus", "dbus-daemon", &arguments);
        let listens = peers::home(house, host).join("bus");
        assert!(truth::wait_for(peers::PATIENCE, || listens.exists().then_some(())).is_some(), "{}", bus.log());
        let manager = peers::start(house, host, "wireplumber", "env", &[&address, "wireplumber"]);
        // It gives sinks their ports; a stream that comes before is refused for good.
        let ports = || peers::run(house, host, "pw-link", "pw-link", &["-i"]).contains("quiet:playback").then_some(());
        assert!(truth::wait_for(peers::PATIENCE, ports).is_some(), "{}{}", pipewire.log(), manager.log());
        Daemon { pipewire, bus, manager }
    }

    fn logs(&self) -> String {
        self.pipewire.log() + &self.manager.log()
    }

    /// Its parts, in the order in which they end.
    pub(crate) fn processes(self) -> Vec<Process> {
        vec![self.manager, self.bus, self.pipewire]
    }
}

const CONFIGURATION: &str = r#"
context.properties = { core.daemon = true core.name = pipewire-0 default.clock.rate = 48000 }
context.spa-libs = { audio.convert.* = audioconvert/libspa-audioconvert support.* = support/libspa-support }
context.modules = [
  { name = libpipewire-module-protocol-native }
  { name = libpipewire-module-metadata }
  { name = libpipewire-module-spa-node-factory }
  { name = libpipewire-module-client-node }
  { name = libpipewire-module-access args = {} }
  { name = libpipewire-module-adapter }
  { name = libpipewire-module-link-factory }
  { name = libpipewire-module-session-manager }
  MODULES
]
context.objects = [
  { factory = spa-node-factory
    args = { factory.name = support.node.driver node.name = driver node.group = pipewire.dummy priority.driver = 20000 } }
  { factory = adapter
    args = { factory.name = support.null-audio-sink node.name = quiet media.class = Audio/Sink object.linger = true
             audio.position = [ FL FR ] } }
]
"#;

#[test]
fn pipewire_plays_our_stream() {
    plays_our_stream(Release::Debian, "PipeWire `module-rtp-source`");
}

#[test]
fn pipewire_of_the_backports_plays_our_stream() {
    plays_our_stream(Release::Backports, "PipeWire `module-rtp-sap`");
}

fn plays_our_stream(release: Release, peer: &str) {
    undisturbed(|| {
        let daemon = release.program();
        let programs = [daemon.to_str().unwrap(), "wireplumber", "dbus-daemon", "pw-link", "pw-record"];
        let Some(playing) = peers::house_with(&programs, 1) else { return };
        let pipewire = Daemon::start(&playing.house, "r1", release, release.plays());
        let mut sender = playing.start_sender();
        let recording = playing.house.record("pipewire.wav");
        let mut recorder = record(&playing.house, &recording);
        let sounds = || sound::sounds(&recording).then_some(());
        assert!(truth::wait_for(peers::PATIENCE, sounds).is_some(), "silent: {}{}", pipewire.logs(), recorder.log());
        truth::pause(Duration::from_secs(6));
        recorder.signal(libc::SIGINT);
        let _ = recorder.wait(peers::PATIENCE);
        end(&mut [&mut sender]);
        for mut process in pipewire.processes() {
            let _ = process.stop();
        }
        let found = sound::find(&playing.signal, &recording);
        assert!(found.seconds() > 4.0 && found.share() > 0.9, "{found:?}");
        let seen = format!("found by SAP; {:.1} s of its null sink are our signal", found.seconds());
        table::tell_of("ours to them", peer, &release.version(), &seen);
    });
}

/// Records the sink `quiet`.
fn record(house: &House, recording: &Path) -> Process {
    let arguments = ["-P", "{ stream.capture.sink = true }", "--target", "quiet", "--rate", "48000", "--channels", "2"];
    let file: PathBuf = recording.into();
    let arguments = [&arguments[..], &["--format", "s16", file.to_str().unwrap()]].concat();
    peers::start(house, "r1", "pw-record", "pw-record", &arguments)
}
