//! PulseAudio, both ways.

use std::path::PathBuf;
use std::time::Duration;

use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

use crate::common::{Playing, end};
use crate::{peers, sound, table};

/// A daemon that plays what it hears of by SAP, and a recorder of what it plays.
struct Daemon {
    daemon: Process,
    recorder: Process,
    recording: PathBuf,
}

/// Its receiver aborts the whole daemon when it was held up for a third of a second, and sometimes when it was not (both in
/// rtp-gstreamer.c, as of 17.0). That is no failing of ours: it is started again, so often.
const ABORTS: u32 = 5;

/// It has aborted by itself.
#[derive(Debug)]
struct Aborted;

impl Daemon {
    fn start(playing: &Playing) -> Daemon {
        let arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=4"];
        let modules = [
            "module-native-protocol-unix auth-anonymous=1",
            "module-null-sink sink_name=null rate=48000",
            "module-rtp-recv sink=null latency_msec=200",
        ];
        let modules = modules.iter().flat_map(|module| ["-L", module]);
        let arguments: Vec<&str> = arguments.into_iter().chain(modules).collect();
        let mut daemon = peers::start(&playing.house, "r1", "pulseaudio", "pulseaudio", &arguments);
        let socket = peers::home(&playing.house, "r1").join("pulse/native");
        let ready = truth::wait_for(peers::PATIENCE, || (socket.exists() || !daemon.is_running()).then_some(()));
        assert!(ready.is_some() && daemon.is_running(), "{}", daemon.log());
        let recording = playing.house.record("pulseaudio.raw");
        let _ = std::fs::remove_file(&recording);
        let arguments = ["-d", "null.monitor", "--format=s16le", "--rate=48000", "--channels=2", "--latency-msec=20"];
        let arguments = [&arguments[..], &[recording.to_str().unwrap()]].concat();
        let recorder = peers::start(&playing.house, "r1", "parec", "parec", &arguments);
        Daemon { daemon, recorder, recording }
    }

    /// Waits for something.
    fn wait(&mut self, what: &str, mut ready: impl FnMut(&Daemon) -> bool) -> Result<(), Aborted> {
        let come = truth::wait_for(peers::PATIENCE, || match self.alive() {
            Ok(()) => ready(self).then_some(Ok(())),
            Err(aborted) => Some(Err(aborted)),
        });
        come.unwrap_or_else(|| panic!("{what}: {}", self.daemon.log()))
    }

    /// Lets it play on.
    fn play(&mut self, seconds: u64) -> Result<(), Aborted> {
        truth::pause(Duration::from_secs(seconds));
        self.alive()
    }

    fn alive(&mut self) -> Result<(), Aborted> {
        if self.daemon.is_running() {
            return Ok(());
        }
        assert!(self.daemon.log().contains("rtp-gstreamer.c: Assertion") || self.daemon.log().contains("memblock.c"));
        Err(Aborted)
    }

    fn sounds(&self) -> bool {
        sound::sounds(&self.recording)
    }

    /// Streams that it has heard of so far, and those that have ended.
    fn sessions(&self) -> [usize; 2] {
        let log = self.daemon.log();
        ["New session", "Freeing session"].map(|event| log.matches(event).count())
    }
}

fn since_s(ns: i64) -> f64 {
    (truth::now_ns() - ns) as f64 * 1e-9
}

#[test]
fn pulseaudio_plays_our_stream() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["pulseaudio", "parec"], 1) else { return };
        let seen = (0..ABORTS).find_map(|_| plays(&playing).ok());
        let seen = seen.unwrap_or_else(|| panic!("it aborted {ABORTS} times by itself"));
        table::tell("ours to them", "PulseAudio `module-rtp-recv`", "pulseaudio", &seen);
    });
}

fn plays(playing: &Playing) -> Result<String, Aborted> {
    let mut pulse = Daemon::start(playing);
    let [_, before] = pulse.sessions();
    let mut sender = playing.start_sender();
    pulse.wait("silent from the start", Daemon::sounds)?;
    pulse.play(5)?;

    // Ended and started again, as an update does it: it says goodbye and comes back the same.
    end(&mut [&mut sender]);
    pulse.wait("it plays what was deleted", |pulse| pulse.sessions()[1] == before + 1)?;
    pulse.wait("it sounds without a stream", |pulse| !pulse.sounds())?;
    let restarted_ns = truth::now_ns();
    sender = playing.start_sender();
    pulse.wait("silent after a restart of the sender", Daemon::sounds)?;
    let back_s = since_s(restarted_ns);
    pulse.play(3)?;

    // Killed: nobody is told, and it is to go on with the session that it has.
    sender.signal(libc::SIGKILL);
    let _ = sender.wait(peers::PATIENCE);
    pulse.wait("it sounds without a sender", |pulse| !pulse.sounds())?;
    let killed_ns = truth::now_ns();
    let mut sender = playing.start_sender();
    pulse.wait("silent after the sender was killed", Daemon::sounds)?;
    let alive_s = since_s(killed_ns);
    pulse.play(3)?;
    assert_eq!(pulse.sessions()[1], before + 1, "{}", pulse.daemon.log());

    end(&mut [&mut sender]);
    pulse.wait("it plays what was deleted", |pulse| pulse.sessions()[1] == before + 2)?;
    pulse.recorder.stop();
    pulse.daemon.stop();
    let found = sound::find(&playing.signal, &pulse.recording);
    assert!(found.seconds() > 8.0, "{found:?}");
    Ok(format!(
        "found by SAP; {:.0} s of its monitor are our signal; heard again {back_s:.1} s after a restart of our sender, \
         {alive_s:.1} s after it was killed; gone on deletion",
        found.seconds()
    ))
}
