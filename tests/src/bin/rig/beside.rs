//! Unisono, Snapcast and PulseAudio's RTP in the same house, one after the other: what each takes, how late and how far apart
//! its rooms play. One table.
//!
//! All read the same signal from a pipe that is written as a sound card's input would do it, and play it to the same simulated
//! cards on hosts whose clocks are off. Each is as it comes, but for Snapcast, which is told to send PCM as Unisono does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use unisono_tests::analysis::{Finder, Fix, Quantiles};
use unisono_tests::feeder::{Feeder, Written, make_fifo};
use unisono_tests::house::{Room, Stream};
use unisono_tests::processes::{Process, Usage};
use unisono_tests::records::Record;
use unisono_tests::signals::{self, Signal};
use unisono_tests::stalls::{Stalls, Watch};
use unisono_tests::threads::{Share, Snapshot};
use unisono_tests::{machine, namespaces, pulseaudio, snapcast, truth};

use crate::attempts::{self, DISTURBED_MS, NOT_BEGUN, NotBegun, Row, wait_for_rooms};
use crate::run::{Bench, Stage, logs, stop};
use crate::scenes;

/// Frames of the noise: short enough to be searched through whenever a room is lost.
const PERIOD: usize = 1 << 20;

/// What is placed at a time, in frames, and how often: short enough for a room whose rate is off by half a percent.
const STRETCH: usize = 4_800;
const STEP_NS: i64 = 250_000_000;

/// How long a system may take until all rooms sound, and how long it is then left alone.
const PATIENCE: Duration = Duration::from_secs(30);
const SETTLED: Duration = Duration::from_secs(8);

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Player {
    Unisono,
    Snapcast,
    Pulseaudio,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    player: Player,
    seconds: f64,
    server: Usage,
    rooms: Vec<Usage>,
    /// What passes the interface of the server and of room 1, both ways, in kbit/s.
    server_kbps: f64,
    room_kbps: f64,
    /// From the writing of a frame to its sound, in milliseconds.
    latency_ms: Quantiles,
    spread_us: Quantiles,
    /// Over all rooms: stretches without recognisable sound, of so many; damaged blocks of 2.5 ms; underruns.
    lost: usize,
    of: usize,
    damaged: u32,
    xruns: usize,
    /// Of Unisono: the sender's, and room 1's.
    sender_threads: Vec<Share>,
    room_threads: Vec<Share>,
    stalls: Stalls,
    unclean: Vec<String>,
}

/// Plays each for the bench's duration, and prints the table.
pub(crate) fn measure(bench: &Bench, rooms: usize, only: &[Player]) -> Result<()> {
    let signal = Arc::new(signals::noise(48_000, PERIOD, scenes::SEED));
    let rooms = scenes::off(rooms, scenes::CARDS_PPM);
    println!("{}; {} rooms, {} s each\n", machine::describe(), rooms.len(), bench.duration.as_secs());
    heading();
    let mut rows = vec![];
    for &player in Player::value_variants().iter().filter(|player| only.is_empty() || only.contains(player)) {
        let peer = player != Player::Unisono;
        let stalled_ms = |outcome: &Outcome| outcome.stalls.worst_ms;
        let play = || play(bench, player, &rooms, &signal);
        let played = match attempts::undisturbed(name(player), peer, stalled_ms, play) {
            // What another program does not do here leaves the others' figures what they are.
            Err(error) if peer && !truth::interrupted() => {
                eprintln!("{error:#}");
                None
            }
            played => played?,
        };
        match &played {
            Some(outcome) => row(outcome),
            None => println!("| {} | {NOT_BEGUN} | | | | | | | | |", name(player)),
        }
        rows.push(Row::of(name(player), played));
        std::fs::write(bench.out().join("beside.json"), serde_json::to_string_pretty(&rows)?)?;
    }
    for outcome in rows.iter().filter_map(Row::played).filter(|outcome| outcome.player == Player::Unisono) {
        threads("sender", &outcome.sender_threads);
        threads("room 1", &outcome.room_threads);
    }
    println!("\nFigures and logs: {}", bench.out().display());
    Ok(())
}

/// What each thread of a program took, as a table.
pub(crate) fn threads(of: &str, shares: &[Share]) {
    println!("\n| thread of the {of} | % of a core | wake-ups a second |\n|---|---|---|");
    for Share { name, cpu_percent, wakes_per_s } in shares {
        println!("| `{name}` | {cpu_percent:.3} | {wakes_per_s:.1} |");
    }
}

fn play(bench: &Bench, player: Player, rooms: &[Room], signal: &Arc<Signal>) -> Result<Outcome> {
    let stage = bench.stage(&format!("beside-{player:?}").to_lowercase(), rooms.len())?;
    let (mut programs, feeder) = start(bench, player, &stage, rooms, signal)?;
    programs.iter_mut().for_each(Process::reset_usage);
    let snapshots = || [&programs[0], &programs[1]].map(|program| Snapshot::of(program.id()));
    let wires = || anyhow::Ok([wire(&stage, "srv")?, wire(&stage, "r1")?]);
    let (before, wired, begun_ns, watch) = (snapshots(), wires()?, truth::now_ns(), Watch::start());
    truth::pause(bench.duration);
    let (stalls, ended_ns) = (watch.finish(), truth::now_ns());
    ensure!(!truth::interrupted(), "ended before {} was over", name(player));
    let kbps = |at: usize, now: u64| (now - wired[at]) as f64 * 8e6 / (ended_ns - begun_ns) as f64;
    let [server_kbps, room_kbps] = {
        let now = wires()?;
        [kbps(0, now[0]), kbps(1, now[1])]
    };
    let [sender, room] = snapshots();
    let (sender_threads, room_threads) = (sender.since(&before[0]), room.since(&before[1]));
    let mut usage: Vec<Usage> = programs.iter().map(Process::usage).collect();
    let server = usage.remove(0);
    let written = feeder.written();
    let unclean = stop(&mut programs);
    drop(feeder);
    let records = (1..=rooms.len()).map(|i| Record::open(&stage.dir.join(format!("u{i}"))));
    let records = records.collect::<Result<Vec<_>, _>>().with_context(|| logs(&programs))?;
    let heard = Heard::of(signal, &records, &written, begun_ns, ended_ns);
    bench.put_away(&stage, signal)?;
    Ok(Outcome {
        player,
        seconds: bench.duration.as_secs_f64(),
        server,
        rooms: usage,
        server_kbps,
        room_kbps,
        latency_ms: Quantiles::of(heard.latencies_ms),
        spread_us: Quantiles::of(heard.spreads_us),
        lost: heard.lost,
        of: heard.of,
        damaged: heard.damaged,
        xruns: records.iter().map(Record::xruns).sum(),
        sender_threads,
        room_threads,
        stalls,
        unclean,
    })
}

/// Starts a system and waits until all its rooms play: the server first, then a room each.
fn start(
    bench: &Bench,
    player: Player,
    stage: &Stage,
    rooms: &[Room],
    signal: &Arc<Signal>,
) -> Result<(Vec<Process>, Feeder)> {
    let Stage { house, dir } = stage;
    let fifo = dir.join("in.fifo");
    // PulseAudio wants to make its pipe itself.
    if player != Player::Pulseaudio {
        make_fifo(&fifo)?;
    }
    let source = format!("{{ type = \"pipe\", path = {fifo:?}, format = \"48000:16:2\" }}");
    let stream = Stream { format: "48000:16:2", source, playout_delay_ms: bench.delay_ms };
    let pcm = snapcast::Settings { codec: Some("pcm"), ..Default::default() };
    let mut programs = vec![match player {
        Player::Unisono => house.start_sender(&stream)?,
        Player::Snapcast => snapcast::start_server_with(house, &fifo, dir, pcm)?,
        Player::Pulseaudio => pulseaudio::start_server(house, &fifo, dir)?,
    }];
    let there = truth::wait_for(PATIENCE, || fifo.exists().then_some(()));
    there.ok_or_else(|| NotBegun::of(&programs))?;
    // Rooms that ask before their server listens may wait for seconds.
    truth::pause(Duration::from_secs(1));
    let feeder = Feeder::start_live(&fifo, Arc::clone(signal), 2)?;
    for (i, room) in rooms.iter().enumerate() {
        let (number, name) = (i + 1, format!("u{}", i + 1));
        programs.push(match player {
            Player::Unisono => house.start_receiver(number, room, &name, &bench.extra)?,
            Player::Snapcast => snapcast::start_client(house, number, room, &name, dir)?,
            Player::Pulseaudio => pulseaudio::start_room(house, number, room, &name, dir)?,
        });
    }
    wait_for_rooms(dir, rooms.len(), PATIENCE, &programs)?;
    truth::pause(SETTLED);
    Ok((programs, feeder))
}

/// Bytes that have passed the interface of a host, both ways.
fn wire(stage: &Stage, host: &str) -> Result<u64> {
    let namespace = stage.house.network().and_then(|network| network.host(host)).context("a house has hosts")?;
    // That of a thread is of the namespace that it is in.
    let text = namespaces::inside(&namespace, || std::fs::read_to_string("/proc/thread-self/net/dev"))??;
    let counts = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).context("a host has eth0")?;
    let counts: Vec<u64> = counts.split_whitespace().filter_map(|count| count.parse().ok()).collect();
    // Eight counts of what was received, bytes first, then as many of what was sent.
    counts.first().zip(counts.get(8)).map(|(received, sent)| received + sent).context("eth0 has no counts")
}

/// Where the rooms were in the signal.
#[derive(Debug, Default)]
struct Heard {
    latencies_ms: Vec<f64>,
    spreads_us: Vec<f64>,
    lost: usize,
    of: usize,
    damaged: u32,
}

impl Heard {
    fn of(signal: &Signal, records: &[Record], written: &Written, begun_ns: i64, ended_ns: i64) -> Heard {
        let rate = f64::from(signal.rate);
        let middle_ns = (STRETCH as f64 / rate * 0.5e9) as i64;
        let count = (ended_ns - begun_ns - 2 * middle_ns).max(0) / STEP_NS;
        let times: Vec<i64> = (0..count).map(|i| begun_ns + i * STEP_NS).collect();
        let rooms: Vec<Vec<Option<Fix>>> = std::thread::scope(|scope| {
            let times = &times;
            let threads = records.iter().map(|record| scope.spawn(move || walk(signal, record, written, times)));
            let threads: Vec<_> = threads.collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let mut heard = Heard { of: times.len() * rooms.len(), ..Heard::default() };
        for (i, t_ns) in times.iter().enumerate() {
            let fixes: Vec<Fix> = rooms.iter().filter_map(|room| room[i]).collect();
            heard.lost += rooms.len() - fixes.len();
            heard.damaged += fixes.iter().map(|fix| fix.damaged).sum::<u32>();
            heard.latencies_ms.extend(fixes.iter().map(|fix| written.late_ms(fix.position, t_ns + middle_ns)));
            let (low, high) = fixes
                .iter()
                .fold((f64::MAX, f64::MIN), |(low, high), fix| (low.min(fix.position), high.max(fix.position)));
            if fixes.len() == rooms.len() {
                heard.spreads_us.push((high - low) / rate * 1e6);
            }
        }
        heard
    }
}

/// Where a room was at each of these times.
fn walk(signal: &Signal, record: &Record, written: &Written, times: &[i64]) -> Vec<Option<Fix>> {
    let rate = f64::from(signal.rate);
    let mut finder = Finder::new(signal, STRETCH);
    let mut last: Option<(i64, f64)> = None;
    let mut fixes = Vec::with_capacity(times.len());
    for &t_ns in times {
        // The first is looked for near what is being written, so that all rooms count the same periods.
        let hint = match last {
            Some((at_ns, position)) => position + (t_ns - at_ns) as f64 * 1e-9 * rate,
            None => written.due(t_ns),
        };
        let fix = record.heard(t_ns, STRETCH, rate).and_then(|sound| finder.locate(&sound, Some(hint)));
        last = fix.map(|fix| (t_ns, fix.position)).or(last);
        fixes.push(fix);
    }
    fixes
}

fn name(player: Player) -> &'static str {
    match player {
        Player::Unisono => "Unisono",
        Player::Snapcast => "Snapcast, PCM",
        Player::Pulseaudio => "PulseAudio RTP",
    }
}

fn heading() {
    println!(
        "| | server's CPU | memory | on its wire | a room's CPU | memory | on its wire | pipe to DAC, median / p99 | spread, \
         median / p99 | lost, damaged, xruns |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
}

/// Rooms' CPU as mean and most, memory of the one that has most.
fn row(o: &Outcome) {
    let cpu = o.rooms.iter().map(|room| room.cpu_percent);
    let (mean, most) = (cpu.clone().sum::<f64>() / o.rooms.len() as f64, cpu.fold(0.0, f64::max));
    let seconds = |percent: f64| percent / 100.0 * o.seconds;
    println!(
        "| {} | {:.2} % ({:.2} s) | {:.1} MiB | {:.0} kbit/s | {mean:.2} %, most {most:.2} ({:.2} s) | {:.1} MiB | {:.0} kbit/s \
         | {:.1} / {:.1} ms | {:.1} / {:.1} us | {} of {}, {}, {} |",
        name(o.player),
        o.server.cpu_percent,
        seconds(o.server.cpu_percent),
        o.server.rss_kb as f64 / 1024.0,
        o.server_kbps,
        seconds(mean),
        o.rooms.iter().map(|room| room.rss_kb).max().unwrap_or(0) as f64 / 1024.0,
        o.room_kbps,
        o.latency_ms.median,
        o.latency_ms.p99,
        o.spread_us.median,
        o.spread_us.p99,
        o.lost,
        o.of,
        o.damaged,
        o.xruns,
    );
    if o.stalls.worst_ms > DISTURBED_MS {
        eprintln!("the machine stood still for {:.0} ms in the best attempt", o.stalls.worst_ms);
    }
    if o.player == Player::Unisono {
        o.unclean.iter().for_each(|what| eprintln!("{what}"));
    }
}
