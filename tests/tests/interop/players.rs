//! Players that take an SDP: ffmpeg, VLC, GStreamer.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use unisono_tests::analysis::{Finder, Quantiles};
use unisono_tests::feeder::make_fifo;
use unisono_tests::house::Room;
use unisono_tests::processes::{PLAYER_PRIORITY, real_time};
use unisono_tests::records::Record;
use unisono_tests::signals::Signal;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

use crate::common::end;
use crate::{peers, sound, table};

#[test]
fn ffmpeg_plays_our_stream_bit_for_bit() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["ffmpeg"], 1) else { return };
        let mut sender = playing.start_sender();
        assert!(sender.wait_for_log("sender starts", peers::PATIENCE), "{}", sender.log());
        let (url, recording) = (peers::sdp_url(&playing.house), playing.house.record("ffmpeg.raw"));
        let arguments = ["-v", "error", "-nostdin", "-protocol_whitelist", "http,tcp,udp,rtp", "-i", &url];
        let arguments = [&arguments[..], &["-t", "4", "-f", "s16le", recording.to_str().unwrap()]].concat();
        peers::run(&playing.house, "r1", "ffmpeg", "ffmpeg", &arguments);
        end(&mut [&mut sender]);
        let frames = sound::exact(&playing.signal, &recording);
        table::tell("ours to them", "ffmpeg", "ffmpeg", &format!("from our URL; {frames} frames, bit for bit"));
    });
}

/// For browsers: out of step with the rooms, and said to be.
#[test]
fn a_stream_is_a_file_without_end_over_http() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["ffmpeg"], 1) else { return };
        let mut sender = playing.start_sender();
        assert!(sender.wait_for_log("sender starts", peers::PATIENCE), "{}", sender.log());
        let frames = ["flac", "wav"].map(|suffix| {
            let url = peers::sdp_url(&playing.house).replace(".sdp", &format!(".{suffix}"));
            let recording = playing.house.record(&format!("{suffix}.raw"));
            let arguments = ["-v", "error", "-nostdin", "-i", &url, "-t", "3", "-f", "s16le"];
            let arguments = [&arguments[..], &[recording.to_str().unwrap()]].concat();
            peers::run(&playing.house, "r1", suffix, "ffmpeg", &arguments);
            sound::exact(&playing.signal, &recording)
        });
        end(&mut [&mut sender]);
        let [flac, wav] = frames;
        let seen = format!("`/streams/ID.flac` and `.wav`; {flac} and {wav} frames, bit for bit, not in step");
        table::tell("ours to them", "HTTP (read by ffmpeg)", "ffmpeg", &seen);
    });
}

#[test]
fn vlc_plays_our_stream_bit_for_bit() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["cvlc", "setpriv"], 1) else { return };
        let mut sender = playing.start_sender();
        assert!(sender.wait_for_log("sender starts", peers::PATIENCE), "{}", sender.log());
        // It refuses to be root.
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        };
        let home = playing.house.record("vlc");
        std::fs::create_dir(&home).unwrap();
        open(playing.dir.path());
        open(&home);
        let recording = home.join("out.wav");
        let file = format!("--audiofile-file={}", recording.display());
        let url = peers::sdp_url(&playing.house);
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let vlc = ["cvlc", "-q", "--aout=afile", &file, "--audiofile-format=s16", "--demux=avformat", &url];
        let home = format!("HOME={}", home.display());
        let arguments = [&nobody[..], &["env", &home], &vlc[..]].concat();
        let mut vlc = peers::start(&playing.house, "r1", "vlc", "setpriv", &arguments);
        let recorded = || std::fs::metadata(&recording).ok().filter(|file| file.len() > 4 * 192_000);
        assert!(truth::wait_for(peers::PATIENCE, recorded).is_some(), "{}", vlc.log());
        vlc.signal(libc::SIGINT);
        let _ = vlc.wait(peers::PATIENCE);
        end(&mut [&mut sender]);
        let frames = sound::exact(&playing.signal, &recording);
        let seen = format!("from our URL with `--demux=avformat`; {frames} frames, bit for bit");
        table::tell("ours to them", "VLC", "vlc-bin", &seen);
    });
}

/// GStreamer's jitter buffer holds 230 ms and every sink has a deadline of 20 ms: together our playout delay.
const DEPAY: &str =
    "sdpdemux latency=230 rtpbin0::rfc7273-sync=true ! rtpL16depay ! audioconvert ! audio/x-raw,format=S16LE";

/// What it must agree with our rooms in, in microseconds.
const AGREES_US: f64 = 1_000.0;

/// Stretches that are compared: their length in frames and how far they are apart.
const STRETCH: usize = 4_800;
const STEP_NS: i64 = 250_000_000;

/// It takes some seconds until GStreamer knows our clock; before that it plays as it comes.
const SETTLED_NS: i64 = 6_000_000_000;

/// What came through a pipe and when: true times, and how many bytes came before.
type Arrivals = (Vec<(i64, usize)>, Vec<u8>);

/// Reads a pipe until its writer ends.
fn stamp(pipe: &Path) -> Arrivals {
    let _ = real_time(PLAYER_PRIORITY);
    let (mut stamps, mut bytes, mut buffer) = (vec![], vec![], vec![0; 1 << 16]);
    let mut pipe = File::open(pipe).unwrap();
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        stamps.push((truth::now_ns(), bytes.len()));
        bytes.extend_from_slice(&buffer[..length]);
    }
    (stamps, bytes)
}

/// By how much what came at true time later than in the room of `record`, in microseconds, again and again.
fn later_us(signal: &Signal, (stamps, bytes): &Arrivals, record: &Record) -> Vec<f64> {
    let mut finders = [Finder::new(signal, STRETCH), Finder::new(signal, STRETCH)];
    let (mut later, mut due_ns, mut hint) = (vec![], stamps.first().map_or(0, |first| first.0) + SETTLED_NS, None);
    for (at_ns, begin) in stamps {
        let Some(pcm) = bytes.get(*begin..begin + STRETCH * 4).filter(|_| *at_ns >= due_ns) else { continue };
        due_ns = at_ns + STEP_NS;
        let Some(heard) = record.heard(*at_ns, STRETCH, f64::from(signal.rate)) else { continue };
        let theirs = finders[0].locate(&sound::left(pcm), hint);
        let ours = finders[1].locate(&heard, hint.or(theirs.map(|fix| fix.position)));
        if let (Some(theirs), Some(ours)) = (theirs, ours) {
            later.push((ours.position - theirs.position) / f64::from(signal.rate) * 1e6);
            hint = Some(ours.position + STEP_NS as f64 * 1e-9 * f64::from(signal.rate));
        }
    }
    later
}

#[test]
fn gstreamer_plays_by_our_clock() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["gst-launch-1.0"], 2) else { return };
        let mut sender = playing.start_sender();
        let mut ours = playing.house.start_receiver(1, &Room::default(), "u1", "").unwrap();
        assert!(sender.wait_for_log("sender starts", peers::PATIENCE), "{}", sender.log());
        let pipe = playing.house.record("gstreamer.pipe");
        make_fifo(&pipe).unwrap();
        // A sink that lets go of every buffer when it is to be heard, and not the sound card's: what that adds is its own.
        let sink = format!("filesink location={} buffer-mode=unbuffered sync=true", pipe.display());
        let pipeline = format!("souphttpsrc location={} ! {DEPAY} ! {sink}", peers::sdp_url(&playing.house));
        let arguments: Vec<&str> = pipeline.split_whitespace().collect();
        let environment = [("GST_DEBUG", "bin:4"), ("GST_DEBUG_NO_COLOR", "1")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mut gstreamer =
            peers::start_with(&playing.house, "r2", "gstreamer", "gst-launch-1.0", &arguments, environment);
        let reader = std::thread::spawn(move || stamp(&pipe));
        playing.wait_for_all(&["u1"], &[&sender, &ours]);
        truth::pause(Duration::from_secs(16));
        assert!(gstreamer.is_running(), "{}", gstreamer.log());
        gstreamer.signal(libc::SIGINT);
        let _ = gstreamer.wait(Duration::from_secs(5));
        gstreamer.stop();
        let arrivals = reader.join().unwrap();
        end(&mut [&mut ours, &mut sender]);
        // What it says of itself: from a timestamp to the sound.
        let log = gstreamer.log();
        let said =
            log.lines().rev().find_map(|line| line.split_once("configured latency of 0:00:")?.1.parse::<f64>().ok());
        let latency_us = said.unwrap_or_else(|| panic!("no latency: {log}")) * 1e6;
        let record = Record::open(&playing.house.record("u1")).unwrap();
        let off = later_us(&playing.signal, &arrivals, &record);
        let off: Vec<f64> = off.iter().map(|later| later - (latency_us - 250_000.0)).collect();
        println!("{off:.0?}");
        assert!(off.len() >= 16, "{off:?}\n{log}");
        // It wakes up when this machine lets it, which may be later and is never sooner: the earlier half is its own.
        let middle = Quantiles::of(off.clone()).median;
        let own = Quantiles::of(off.iter().copied().filter(|us| *us <= middle).collect());
        assert!(own.median.abs() < AGREES_US, "{} us, {off:?}", own.median);
        let seen = format!(
            "`rfc7273-sync` by our clock: {:+.0} us from our room (median {middle:+.0} us with what a busy machine adds); its \
             own latency of {:.0} ms is accounted for",
            own.median,
            latency_us * 1e-3
        );
        table::tell("ours to them", "GStreamer", "libgstreamer1.0-0", &seen);
    });
}
