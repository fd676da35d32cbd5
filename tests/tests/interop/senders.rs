//! Programs that send: our rooms find their streams, are patched to them and play them in step, though there is no clock
//! that could be followed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use unisono_tests::house::{House, Room};
use unisono_tests::instruments::{Card, HostClock};
use unisono_tests::namespaces::SERVER_ADDRESS;
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::{signals::Signal, truth};

use crate::common::{Playing, end};
use crate::pipewire::{self, Release};
use crate::{peers, table};

/// Our rooms may be so far apart on another's stream.
const IN_STEP_US: f64 = 100.0;

/// Long enough for any of these tests.
const WAV_S: usize = 60;

/// The signal as a file that every program reads.
fn wav(playing: &Playing) -> PathBuf {
    let Signal { rate, .. } = *playing.signal;
    let data = playing.signal.stereo_pcm(0, WAV_S * rate as usize, 2);
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(data.len() as u32 + 36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&(rate * 4).to_le_bytes());
    file.extend_from_slice(b"\x04\0\x10\0data");
    file.extend_from_slice(&(data.len() as u32).to_le_bytes());
    file.extend_from_slice(&data);
    let path = playing.house.record("noise.wav");
    std::fs::write(&path, file).unwrap();
    path
}

/// What each of these programs calls its stream.
const NAME: &str = "Desktop";

/// How rooms come to a stream that is announced.
const FOUND: &str = "found by SAP, listed, patched";

/// Plays what `begin` sends from room 3's host in rooms 1 and 2, whose clocks and cards are off, and says how far apart
/// they are; `streams` are of our sender, beside its own one.
fn plays_in_step(playing: Playing, streams: &str, begin: impl FnOnce(&House, &Path) -> Vec<Process>) -> String {
    let configuration = playing.house.sender_configuration(&playing.stream()) + streams;
    let mut sender = playing.house.start_sender_as(&configuration, vec![]).unwrap();
    let start = |number: usize, host_ppm: f64, card_ppm: f64| {
        let clock = HostClock { ppm: host_ppm, uptime_s: 100.0 * number as f64, ..Default::default() };
        let room = Room { clock, card: Card { ppm: card_ppm, ..Default::default() } };
        let name = format!("u{number}");
        let environment = playing.house.environment(&room, &name).unwrap();
        let extra = format!("interface = \"eth0\"\nhub = \"http://{SERVER_ADDRESS}:7680\"");
        playing.house.start_receiver_with(number, "simcard", &name, &extra, environment).unwrap()
    };
    let (mut one, mut two) = (start(1, 20.0, 40.0), start(2, -15.0, -30.0));
    for room in ["r1", "r2"] {
        let admitted = truth::wait_for(peers::PATIENCE, || playing.house.ctl(&["admit", room]).ok());
        assert!(admitted.is_some(), "{:?}\n{}", playing.house.ctl(&["rooms"]), sender.log());
        playing.house.ctl(&["patch", room, "none"]).unwrap();
    }
    let mut theirs = begin(&playing.house, &wav(&playing));
    let logs = |theirs: &[Process]| theirs.iter().map(Process::log).collect::<Vec<_>>().join("\n");
    let listed = truth::wait_for(peers::PATIENCE, || playing.house.ctl(&["streams"]).ok().filter(|l| l.contains(NAME)));
    let listed = listed.unwrap_or_else(|| panic!("{:?}\n{}", playing.house.ctl(&["streams"]), logs(&theirs)));
    let patched_ns = truth::now_ns();
    for room in ["r1", "r2"] {
        playing.house.ctl(&["patch", room, NAME]).unwrap_or_else(|error| panic!("{error}\n{listed}"));
    }
    for room in ["u1", "u2"] {
        let heard = playing.wait_for_sound(room, patched_ns);
        assert!(heard.is_some(), "{room} is silent:\n{}{}{}{}", sender.log(), one.log(), two.log(), logs(&theirs));
    }
    truth::pause(Duration::from_secs(12));
    let said = logs(&theirs);
    for process in &mut theirs {
        let _ = process.stop();
    }
    end(&mut [&mut one, &mut two, &mut sender]);
    let (survey, stalls) = playing.survey(&["u1", "u2"]);
    let verdict = survey.verdict((patched_ns - survey.start_ns) as f64 * 1e-9 + 5.0);
    println!("{verdict:?}");
    assert!(verdict.windows >= 16, "{verdict:?}; {stalls:?}\n{said}");
    assert!(verdict.spread_us.p95 < IN_STEP_US, "{verdict:?}; {stalls:?}\n{said}");
    // In step, and the signal too: not in shreds, and not with something else mixed into it.
    let lost = verdict.rooms.iter().map(|room| room.lost_windows).max().unwrap_or(0);
    assert!(lost * 10 <= verdict.windows, "{lost} windows lost: {verdict:?}; {stalls:?}\n{said}");
    let spread = verdict.spread_us;
    format!("two rooms {:.1} us apart (median; 95 % {:.1} us)", spread.median, spread.p95)
}

#[test]
fn rooms_play_what_pulseaudio_sends() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["pulseaudio", "paplay"], 3) else { return };
        let seen = plays_in_step(playing, "", |house, wav| {
            let arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=4"];
            let modules = [
                "module-native-protocol-unix auth-anonymous=1",
                "module-null-sink sink_name=null rate=48000",
                // It announces where it sends: what is to be found stays at its default, 224.0.0.56.
                "module-rtp-send source=null.monitor source_ip=10.77.0.13 port=5004 stream_name=Desktop",
            ];
            let modules = modules.iter().flat_map(|module| ["-L", module]);
            let arguments: Vec<&str> = arguments.into_iter().chain(modules).collect();
            let daemon = peers::start(house, "r3", "pulseaudio", "pulseaudio", &arguments);
            let socket = peers::home(house, "r3").join("pulse/native");
            truth::wait_for(peers::PATIENCE, || socket.exists().then_some(()))
                .unwrap_or_else(|| panic!("{}", daemon.log()));
            vec![peers::start(house, "r3", "paplay", "paplay", &[wav.to_str().unwrap()]), daemon]
        });
        table::tell("theirs to ours", "PulseAudio `module-rtp-send`", "pulseaudio", &format!("{FOUND}; {seen}"));
    });
}

#[test]
fn rooms_play_what_pipewire_sends() {
    play_what_pipewire_sends(Release::Debian, "PipeWire `module-rtp-sink`");
}

#[test]
fn rooms_play_what_pipewire_of_the_backports_sends() {
    play_what_pipewire_sends(Release::Backports, "PipeWire `module-rtp-sink`, `module-rtp-sap`");
}

fn play_what_pipewire_sends(release: Release, peer: &str) {
    undisturbed(|| {
        let daemon = release.program();
        let programs = [daemon.to_str().unwrap(), "wireplumber", "dbus-daemon", "pw-link", "pw-play"];
        let Some(playing) = peers::house_with(&programs, 3) else { return };
        let seen = plays_in_step(playing, "", |house, wav| {
            let daemon = pipewire::Daemon::start(house, "r3", release, release.sends());
            let arguments = ["--target", "desktop", wav.to_str().unwrap()];
            let player = peers::start(house, "r3", "pw-play", "pw-play", &arguments);
            std::iter::once(player).chain(daemon.processes()).collect()
        });
        table::tell_of("theirs to ours", peer, &release.version(), &format!("{FOUND}; {seen}"));
    });
}

#[test]
fn rooms_play_what_ffmpeg_announces() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["ffmpeg"], 3) else { return };
        let seen = plays_in_step(playing, "", |house, wav| {
            let to = "sap://239.77.0.7:5004?announce_addr=239.255.255.255&ttl=4";
            let input = ["-v", "error", "-nostdin", "-re", "-i", wav.to_str().unwrap(), "-metadata", "title=Desktop"];
            let output = ["-c:a", "pcm_s16be", "-f", "sap", to];
            vec![peers::start(house, "r3", "ffmpeg", "ffmpeg", &[&input[..], &output].concat())]
        });
        table::tell("theirs to ours", "ffmpeg (`-f sap`, L16)", "ffmpeg", &format!("{FOUND}; {seen}"));
    });
}

#[test]
fn rooms_play_what_an_sdp_file_of_ffmpeg_describes() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["ffmpeg"], 3) else { return };
        let sdp = playing.house.record("desktop.sdp");
        let stream = format!(
            "\n[[streams]]\nid = \"desktop\"\nname = \"{NAME}\"\nsource = {{ type = \"rtp\", sdp = {sdp:?} }}\n"
        );
        let seen = plays_in_step(playing, &stream, |house, wav| {
            let input = ["-v", "error", "-nostdin", "-re", "-i", wav.to_str().unwrap()];
            let output = ["-c:a", "pcm_s16be", "-f", "rtp", "-sdp_file", sdp.to_str().unwrap()];
            let to = ["rtp://239.77.0.7:5004?ttl=4"];
            vec![peers::start(house, "r3", "ffmpeg", "ffmpeg", &[&input[..], &output, &to].concat())]
        });
        table::tell(
            "theirs to ours",
            "ffmpeg (`-f rtp`, SDP file)",
            "ffmpeg",
            &format!("configured by its file; {seen}"),
        );
    });
}
