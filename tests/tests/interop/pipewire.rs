//! PipeWire, both ways.

use std::path::{Path, PathBuf};
use std::time::Duration;

use unisono_tests::house::House;
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

use crate::common::end;
use crate::{peers, sound, table};

/// A daemon of its own with its session manager; ports and links are the latter's business.
pub(crate) struct Daemon {
    pipewire: Process,
    bus: Process,
    manager: Process,
}

impl Daemon {
    /// With one RTP module, and the sink `quiet` that plays to nobody.
    pub(crate) fn start(house: &House, host: &str, module: &str) -> Daemon {
        let configuration = house.record(&format!("pipewire-{host}.conf"));
        std::fs::write(&configuration, CONFIGURATION.replace("MODULE", module)).unwrap();
        let arguments = ["-c", configuration.to_str().unwrap()];
        let mut pipewire = peers::start(house, host, "pipewire", "pipewire", &arguments);
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
  MODULE
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
    undisturbed(|| {
        let programs = ["pipewire", "wireplumber", "dbus-daemon", "pw-link", "pw-record"];
        let Some(playing) = peers::house_with(&programs, 1) else { return };
        let module = "{ name = libpipewire-module-rtp-source args = { sap.ip = 224.0.0.56 local.ifname = eth0 \
                      sess.latency.msec = 100 stream.props = { target.object = quiet } } }";
        let pipewire = Daemon::start(&playing.house, "r1", module);
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
        table::tell("ours to them", "PipeWire `module-rtp-source`", "pipewire", &seen);
    });
}

/// Records the sink `quiet`.
fn record(house: &House, recording: &Path) -> Process {
    let arguments = ["-P", "{ stream.capture.sink = true }", "--target", "quiet", "--rate", "48000", "--channels", "2"];
    let file: PathBuf = recording.into();
    let arguments = [&arguments[..], &["--format", "s16", file.to_str().unwrap()]].concat();
    peers::start(house, "r1", "pw-record", "pw-record", &arguments)
}
