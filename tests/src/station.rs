//! A sender of any number of streams on loopback, as its users see it: its configuration, its API and its packets.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use unisono_common::identity::multicast_group;
use unisono_common::pcm;
use unisono_common::rtp::Packet;
use unisono_common::{format::Depth, time::LocalTime};
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::MulticastReceiver;
use unisono_sender::client::Target;

use crate::instruments::Environment;
use crate::processes::{Launch, Process};
use crate::stalls::Watch;
use crate::{house, truth};

/// A running sender. Stream ids are made its own, so that stations side by side don't hear each other.
#[derive(Debug)]
pub struct Station {
    /// The program.
    pub process: Process,
    dir: PathBuf,
    tag: String,
    /// Sees when the machine itself stands still.
    watch: Watch,
}

impl Station {
    /// Starts a sender with these `[[streams]]`; everything that is written goes to `dir`. In `streams`, `@` at the end
    /// of an id stands for what makes it this station's own. What is before the first stream holds for all.
    pub fn start(dir: &Path, streams: &str) -> anyhow::Result<Station> {
        Self::start_in(dir, streams, vec![])
    }

    /// The same, in an environment that makes it believe in cards.
    pub fn start_in(dir: &Path, streams: &str, environment: Environment) -> anyhow::Result<Station> {
        let tag = format!("-{:x}", unisono_host::random::number() >> 40);
        write_configuration(dir, &tag, streams)?;
        let launch = Launch {
            name: "station",
            program: &house::binaries()?.join("unisono-sender"),
            // As a service does.
            arguments: vec!["--wait".into(), "--config".into(), dir.join("station.toml").display().to_string()],
            environment,
            namespace: None,
            priority: None,
            logs: dir,
        };
        let process = Process::start(launch)?;
        let station = Station { process, dir: dir.into(), tag, watch: Watch::start() };
        let up = truth::wait_for(Duration::from_secs(20), || station.target().get("/api/v1/health").ok());
        anyhow::ensure!(up.is_some(), "the sender does not start:\n{}", station.process.log());
        Ok(station)
    }

    /// The id of a stream that was written as `NAME@`.
    pub fn id(&self, name: &str) -> String {
        format!("{name}{}", self.tag)
    }

    /// Its multicast group.
    pub fn group(&self, name: &str) -> SocketAddr {
        (multicast_group(&self.id(name), &[]), 5004).into()
    }

    /// Its API, through the socket that only this user can open.
    pub fn target(&self) -> Target {
        Target::Socket(self.dir.join("state-station").join("hub.sock"))
    }

    /// What a stream plays now, as the API tells it.
    pub fn playback(&self, name: &str) -> Value {
        let path = format!("/api/v1/streams/{}/playback", self.id(name));
        self.target().get(&path).unwrap_or(Value::Null)
    }

    /// Asks a stream's source for something.
    pub fn act(&self, name: &str, action: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/streams/{}/playback", self.id(name));
        self.target().ask("POST", &path, Some(&serde_json::json!({ "action": action })))?;
        Ok(())
    }

    /// Where its rooms find it.
    pub fn url(&self) -> anyhow::Result<String> {
        let log = self.process.log();
        let found = log.lines().find_map(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()));
        found.map(|at| format!("http://{at}")).ok_or_else(|| anyhow::anyhow!("it says no address:\n{log}"))
    }

    /// Has a sound file announced in rooms, by their ids.
    pub fn announce(&self, file: &[u8], rooms: &[String]) -> anyhow::Result<Value> {
        let mut socket = std::os::unix::net::UnixStream::connect(self.dir.join("state-station").join("hub.sock"))?;
        let head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        write!(socket, "POST /api/v1/announce?duck_db=-60&rooms={} {head}", rooms.join(","))?;
        write!(socket, "Content-Length: {}\r\n\r\n", file.len())?;
        socket.write_all(file)?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        anyhow::ensure!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        Ok(serde_json::from_str(body)?)
    }

    /// For how long the machine's processors stood still, in milliseconds: what is missing beyond that is our fault.
    pub fn lost_ms(&self) -> f64 {
        self.watch.lost_ms()
    }

    /// Asserts that no packet is missing but those for whose time the machine itself stood still.
    pub fn assert_unbroken(&self, tap: &Tap) {
        let (missing_ms, lost_ms) = (tap.missing_frames() as f64 / 48.0, self.lost_ms());
        assert!(missing_ms <= lost_ms, "{missing_ms} ms are missing, of {lost_ms}\n{}", self.process.log());
    }

    /// Writes other streams into its file and has it read anew; what that did.
    pub fn reconfigure(&self, streams: &str) -> anyhow::Result<Value> {
        write_configuration(&self.dir, &self.tag, streams)?;
        Ok(self.target().ask("POST", "/api/v1/reload", None)?)
    }

    /// Waits until what a stream plays is as wanted.
    pub fn wait_for(&self, name: &str, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        truth::wait_for(patience, || Some(self.playback(name)).filter(&wanted))
    }
}

fn write_configuration(dir: &Path, tag: &str, streams: &str) -> std::io::Result<()> {
    let state = dir.join("state-station");
    let streams = streams.replace('@', tag);
    let (all, streams) = streams.split_at(streams.find("[[streams]]").unwrap_or(0));
    let text = format!(
        "interface = \"lo\"\nclock_port = 0\nstate_dir = {state:?}\n{all}\n[http]\nlisten = \"127.0.0.1:0\"\n{streams}\n"
    );
    std::fs::write(dir.join("station.toml"), text)
}

/// One packet of a stream.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it came.
    pub at: LocalTime,
    /// Timestamp of its first frame, continued beyond 32 bits.
    pub frame: i64,
    /// Interleaved samples.
    pub samples: Vec<i32>,
}

/// Records the packets of a stereo 16-bit stream at 48 kHz.
#[derive(Debug)]
pub struct Tap {
    packets: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    /// Listens to a group on loopback.
    pub fn open(group: SocketAddr) -> anyhow::Result<Tap> {
        let receiver = MulticastReceiver::join(group, &Interface::by_name("lo")?)?;
        let (packets, stop) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::new(AtomicBool::new(false)));
        let (kept, stopped) = (packets.clone(), stop.clone());
        let thread = std::thread::spawn(move || listen(receiver, &kept, &stopped));
        Ok(Tap { packets, stop, thread: Some(thread) })
    }

    /// Everything that came so far, in order.
    pub fn packets(&self) -> Vec<Heard> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the first packet at or after `from` came that has a sample beyond `level`.
    pub fn sound_after(&self, from: LocalTime, level: i32) -> Option<LocalTime> {
        let packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        let loud = |heard: &&Heard| heard.at - from >= 0 && heard.samples.iter().any(|s| s.abs() > level);
        packets.iter().find(loud).map(|heard| heard.at)
    }

    /// When, at or after `from`, packets have been silent for `lasting` on end: the beginning of that.
    pub fn silence_after(&self, from: LocalTime, lasting: Duration, level: i32) -> Option<LocalTime> {
        let packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut since = None;
        for heard in packets.iter().filter(|heard| heard.at - from >= 0) {
            if heard.samples.iter().any(|s| s.abs() > level) {
                since = None;
                continue;
            }
            let begun = *since.get_or_insert(heard.at);
            if heard.at - begun >= lasting.as_nanos() as i64 {
                return Some(begun);
            }
        }
        None
    }

    /// Waits for [`sound_after`](Self::sound_after).
    pub fn wait_for_sound(&self, from: LocalTime, patience: Duration) -> Option<LocalTime> {
        truth::wait_for(patience, || self.sound_after(from, 100))
    }

    /// Waits for a second of [`silence_after`](Self::silence_after).
    pub fn wait_for_silence(&self, from: LocalTime, patience: Duration) -> Option<LocalTime> {
        truth::wait_for(patience, || self.silence_after(from, Duration::from_secs(1), 100))
    }

    /// Frames that are missing between the first packet and the last: packets that never came.
    pub fn missing_frames(&self) -> i64 {
        let packets = self.packets();
        let gap = |pair: &[Heard]| pair[1].frame - pair[0].frame - (pair[0].samples.len() / 2) as i64;
        packets.windows(2).map(gap).sum()
    }

    /// All samples from the first sound on, of one channel.
    pub fn sound(&self, channel: usize) -> Vec<i32> {
        let packets = self.packets();
        let samples = packets.iter().flat_map(|heard| heard.samples.iter().skip(channel).step_by(2).copied());
        samples.skip_while(|sample| *sample == 0).collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(mut receiver: MulticastReceiver, kept: &Mutex<Vec<Heard>>, stop: &AtomicBool) {
    let mut buffer = [0; 2048];
    let mut last = None::<i64>;
    while !stop.load(Ordering::Relaxed) {
        let _ = receiver.wait(clock::now() + 50_000_000, None);
        while let Ok(Some(received)) = receiver.receive(&mut buffer) {
            let Ok(packet) = Packet::parse(&buffer[..received.len]) else { continue };
            let timestamp = packet.header.timestamp;
            let frame =
                last.map_or(i64::from(timestamp), |near| unisono_common::time::unwrap_timestamp(timestamp, near));
            last = Some(frame);
            let mut samples = vec![0; packet.payload.len() / 2];
            pcm::decode_be(Depth::S16, packet.payload, &mut samples);
            let heard = Heard { at: clock::now(), frame, samples };
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        }
    }
}

/// A port that is free just now.
pub fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Whether a program is installed.
pub fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
        || Path::new("/usr/sbin").join(program).exists()
}
