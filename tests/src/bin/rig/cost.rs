//! What a stream from the library costs its sender: beside the bare decoder of the same file, which it can't do without, and
//! beside snapserver, which encodes the same sound as FLAC for ten clients.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use unisono_common::rtp;
use unisono_host::interface::Interface;
use unisono_host::multicast::{IPV4, MulticastSender, SendOptions};
use unisono_host::{clock, realtime};
use unisono_tests::feeder::make_fifo;
use unisono_tests::house::{Room, Stream};
use unisono_tests::processes::{Launch, Process, Usage};
use unisono_tests::stalls::Watch;
use unisono_tests::threads::{self, Share, Snapshot};
use unisono_tests::{machine, namespaces, signals, snapcast, truth};

use crate::attempts::{DISTURBED_MS, wait_for_rooms};
use crate::run::{Bench, Stage, stop};
use crate::{beside, scenes};

/// Frames of the file, which is played round after round: 44 s.
const PERIOD: usize = 1 << 21;
const RATE: u32 = 48_000;

/// The bare decoder decodes it so often; the least counts, which others have disturbed least.
const TIMES: usize = 5;

/// Clients of snapserver, and as many rooms.
const CLIENTS: usize = 10;

/// A packet of the default stream, and how far apart they are.
const PACKET: usize = rtp::HEADER_LEN + 960;
const PACKET_NS: i64 = 5_000_000;

/// How long rooms may take to sound, and how long all is then left alone: a library is read for the first time.
const PATIENCE: Duration = Duration::from_secs(40);
const SETTLED: Duration = Duration::from_secs(10);

/// What something takes, of a core and in memory.
#[derive(Debug, Serialize)]
struct Cost {
    what: String,
    usage: Usage,
    threads: Vec<Share>,
}

/// Measures each for the bench's duration, and prints the table.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    let music = tempfile::tempdir()?;
    let file = encode(music.path())?;
    println!("{}; {} s each\n", machine::describe(), bench.duration.as_secs());
    println!("| | % of a core | of the decoder | of decoder and pacing | memory |\n|---|---|---|---|---|");
    let decoding = bare_percent(&file)?;
    println!("| symphonia alone decodes the file, once a second of it | {decoding:.3} % | 1 | | |");
    let pacing = pacing_percent(bench)?;
    println!("| a loop that sends a packet every 5 ms, and does nothing else | {pacing:.3} % | | | |");
    let least = Least { decoding, pacing };
    let library = format!("{{ type = \"library\", path = {:?} }}", music.path());
    let runs = [
        ("sender, a tone, no room", "{ type = \"tone\" }", 0),
        ("sender, the file from its library, no room", library.as_str(), 0),
        ("the same with 10 rooms", library.as_str(), CLIENTS),
    ];
    let mut costs = vec![];
    for (i, (what, source, rooms)) in runs.into_iter().enumerate() {
        let stage = bench.stage(&format!("cost-sender-{i}"), rooms.max(1))?;
        costs.push(sender(bench, stage, what, source, rooms)?);
        row(costs.last(), least);
    }
    let stage = bench.stage("cost-snapserver", CLIENTS)?;
    costs.push(snapserver(bench, stage, &file)?);
    row(costs.last(), least);
    for Cost { what, threads, .. } in costs.iter().filter(|cost| !cost.threads.is_empty()) {
        beside::threads(what, threads);
    }
    std::fs::write(bench.out().join("cost.json"), serde_json::to_string_pretty(&(least, costs))?)?;
    println!("\nFigures: {}", bench.out().display());
    Ok(())
}

/// What no sender of this file does without, in percent of a core.
#[derive(Clone, Copy, Debug, Serialize)]
struct Least {
    decoding: f64,
    pacing: f64,
}

fn row(cost: Option<&Cost>, least: Least) {
    let Some(Cost { what, usage, .. }) = cost else { return };
    let (percent, memory) = (usage.cpu_percent, usage.rss_kb as f64 / 1024.0);
    let Least { decoding, pacing } = least;
    println!(
        "| {what} | {percent:.3} % | {:.2} | {:.2} | {memory:.1} MiB |",
        percent / decoding,
        percent / (decoding + pacing)
    );
}

/// Two channels of unlike noise, which is as hard to decode as music that is never silent.
fn encode(dir: &Path) -> Result<PathBuf> {
    let channels = [scenes::SEED, scenes::SEED + 1].map(|seed| signals::noise(RATE, PERIOD, seed).samples);
    let frames = channels[0].iter().zip(&channels[1]).flat_map(|(left, right)| [*left, *right]);
    let pcm: Vec<u8> = frames.flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes()).collect();
    let file = dir.join("noise.flac");
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "s16le", "-ac", "2", "-ar", &RATE.to_string(), "-i", "pipe:0", "-c:a", "flac"])
        .arg(&file)
        .stdin(Stdio::piped())
        .spawn()
        .context("ffmpeg (Debian: apt install ffmpeg)")?;
    // The pipe is closed at the end of the statement.
    child.stdin.take().context("a pipe to ffmpeg")?.write_all(&pcm)?;
    let status = child.wait()?;
    ensure!(status.success(), "ffmpeg makes no FLAC: {status}");
    Ok(file)
}

/// What decoding the file as fast as it plays would take of a core, in percent.
fn bare_percent(file: &Path) -> Result<f64> {
    let mut least = f64::MAX;
    for _ in 0..TIMES {
        let begun_ns = threads::own_cpu_ns();
        let frames = decode(file)?;
        let cpu_s = (threads::own_cpu_ns() - begun_ns) as f64 * 1e-9;
        least = least.min(cpu_s / (frames as f64 / f64::from(RATE)) * 100.0);
    }
    Ok(least)
}

/// What it takes of a core to send each packet of the default stream when it is due, in the sender's place and at its priority.
fn pacing_percent(bench: &Bench) -> Result<f64> {
    let stage = bench.stage("cost-pacing", 1)?;
    let host = stage.house.network().and_then(|network| network.host("srv")).context("a house has a server")?;
    let paced = || {
        realtime::raise(60)?;
        let options = SendOptions { source_port: 0, ttl: 1, dscp: 34 };
        let sender = MulticastSender::open(&Interface::by_name("eth0")?, IPV4, options)?;
        let (packet, group) = ([0_u8; PACKET], SocketAddr::from((Ipv4Addr::new(239, 77, 1, 1), 5004)));
        let (begun, begun_cpu_ns) = (clock::now(), threads::own_cpu_ns());
        let packets = bench.duration.as_nanos() as i64 / PACKET_NS;
        for number in 1..=packets {
            clock::sleep_until(begun + number * PACKET_NS);
            sender.send_to(&packet, group)?;
        }
        anyhow::Ok((threads::own_cpu_ns() - begun_cpu_ns) as f64 / (clock::now() - begun) as f64 * 100.0)
    };
    let percent = namespaces::inside(&host, paced)??;
    std::fs::remove_dir_all(&stage.dir)?;
    Ok(percent)
}

/// Decodes all of the file by symphonia and nothing else; how many frames that were.
fn decode(file: &Path) -> Result<usize> {
    let source = MediaSourceStream::new(Box::new(File::open(file)?), Default::default());
    let mut hint = Hint::new();
    hint.with_extension("flac");
    let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let mut reader = symphonia::default::get_probe().probe(&hint, source, format, metadata)?;
    let track = reader.default_track(TrackType::Audio).context("the file has no sound")?.clone();
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else { bail!("the file has no codec") };
    let options = AudioDecoderOptions::default();
    let mut decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options)?;
    let mut frames = 0;
    while let Some(packet) = reader.next_packet()? {
        frames += std::hint::black_box(decoder.decode(&packet)?).frames();
    }
    ensure!(frames > 0, "nothing was decoded");
    Ok(frames)
}

/// The sender with one stream; rooms play it where there are any.
fn sender(bench: &Bench, stage: Stage, what: &str, source: &str, rooms: usize) -> Result<Cost> {
    let stream = Stream { format: "48000:16:2", source: source.into(), playout_delay_ms: bench.delay_ms };
    let mut programs = vec![stage.house.start_sender(&stream)?];
    for number in 1..=rooms {
        let (name, room) = (format!("u{number}"), Room::default());
        let environment = stage.house.environment(&room, &name)?;
        // They find the hub, and report to it.
        let extra = format!("interface = \"eth0\"\n{}", bench.extra);
        programs.push(stage.house.start_receiver_with(number, "simcard", &name, &extra, environment)?);
    }
    taken(bench, &stage, what, programs, rooms)
}

/// Snapserver, whose pipe ffmpeg fills with the file, and its clients.
fn snapserver(bench: &Bench, stage: Stage, file: &Path) -> Result<Cost> {
    let Stage { house, dir } = &stage;
    let fifo = dir.join("in.fifo");
    make_fifo(&fifo)?;
    let settings = snapcast::Settings { codec: Some("flac"), ..Default::default() };
    let mut programs = vec![snapcast::start_server_with(house, &fifo, dir, settings)?];
    truth::pause(Duration::from_secs(1));
    let paths = [file, &fifo].map(|path| path.display().to_string());
    let [from, to] = &paths;
    let arguments = ["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", from, "-f", "s16le", "-y", to];
    let launch = Launch {
        name: "ffmpeg",
        program: Path::new("/usr/bin/ffmpeg"),
        arguments: arguments.map(String::from).to_vec(),
        environment: vec![],
        namespace: None,
        priority: None,
        logs: dir,
    };
    let _player = house.launch(launch, "srv")?;
    for number in 1..=CLIENTS {
        programs.push(snapcast::start_client(house, number, &Room::default(), &format!("u{number}"), dir)?);
    }
    taken(bench, &stage, "snapserver, the same sound as FLAC, 10 clients", programs, CLIENTS)
}

/// What the first of the programs takes while the others, rooms, play.
fn taken(bench: &Bench, stage: &Stage, what: &str, mut programs: Vec<Process>, rooms: usize) -> Result<Cost> {
    wait_for_rooms(&stage.dir, rooms, PATIENCE, &programs).with_context(|| what.to_owned())?;
    truth::pause(SETTLED);
    programs[0].reset_usage();
    let (before, watch) = (Snapshot::of(programs[0].id()), Watch::start());
    truth::pause(bench.duration);
    let (usage, threads, stalls) = (programs[0].usage(), Snapshot::of(programs[0].id()).since(&before), watch.finish());
    ensure!(!truth::interrupted(), "ended before the end of: {what}");
    if stalls.worst_ms > DISTURBED_MS {
        eprintln!("{what}: the machine stood still for {:.0} ms meanwhile", stalls.worst_ms);
    }
    stop(&mut programs);
    std::fs::remove_dir_all(&stage.dir)?;
    Ok(Cost { what: what.into(), usage, threads })
}
