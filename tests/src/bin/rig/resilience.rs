//! Bad networks: what is heard when packets are lost, late, doubled or out of order, and what that costs.
//!
//! Three rooms on a switch of our own (see [`unisono_tests::switch`]). A gap is counted at the analog outputs: a stretch
//! of blocks of 2.5 ms that are not what was played.

mod table;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use unisono_common::control::Health;
use unisono_tests::analysis::survey::WINDOW_S;
use unisono_tests::analysis::{Fix, Quantiles, Survey, Verdict, survey};
use unisono_tests::feeder::Feeder;
use unisono_tests::house::{Room, Stream};
use unisono_tests::namespaces::Network;
use unisono_tests::processes::{Launch, Process, Usage};
use unisono_tests::records::Record;
use unisono_tests::signals::{self, NOISE_PERIOD, Signal};
use unisono_tests::stalls::{Stalls, Watch};
use unisono_tests::switch::impair::{Impairment, Loss};
use unisono_tests::switch::{Flow, Switch};
use unisono_tests::{snapcast, truth};

use crate::attempts::{self, Row, wait_for_rooms};
use crate::run::{Bench, Stage, System, logs, stop};
use crate::scenes;

/// How long a system may take until all its rooms sound.
const PATIENCE: Duration = Duration::from_secs(20);

/// The links begin to misbehave when all rooms have played for so long.
const SETTLED: Duration = Duration::from_secs(4);

/// UDP ports of the stream and of its repair, as configured by default.
const MEDIA_PORT: u16 = 5004;
const REPAIR_PORT: u16 = 7681;

/// Rooms of the crowd, beside the three that are measured.
const CROWD: usize = 197;

/// Rooms may take so long to sound again when an outage is over, in seconds; what is heard meanwhile belongs to it.
const MAY_TAKE_S: f64 = 1.0;

/// Answers take longer than packets can wait for at the usual delay.
const FAR_MS: f64 = 80.0;

/// A network and what is expected in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// On the way from the server into the switch, to each room, and from each room.
    from_server: Impairment,
    to_rooms: Impairment,
    from_rooms: Impairment,
    /// The server's link is down from second .. for .. seconds.
    outage_s: Option<(u64, u64)>,
    crowd: usize,
    /// Parity of the stream, as it is configured.
    parity: Option<&'static str>,
    /// Gaps in the worst room, and the 99th percentile of the spread in microseconds.
    target: Option<(u32, f64)>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    scene: Scene,
    system: System,
    delay_ms: u32,
    verdict: Verdict,
    /// Of the worst room: gaps, and frames that it knows to have concealed.
    gaps: u32,
    concealed: Option<u64>,
    repaired: Option<u64>,
    /// Share of the stream's bytes.
    repair_percent: f64,
    /// All that left the server, in kilobits a second.
    sent_kbps: f64,
    /// From frames that are written to their sound, in milliseconds.
    latency_ms: Option<f64>,
    /// After an outage: from the link's return to sound in the last room, in seconds.
    back_s: Option<f64>,
    /// Losses that the crowd could not have repaired in time.
    crowd_lost: Option<u64>,
    server: Usage,
    rooms: Vec<Usage>,
    stalls: Stalls,
    unclean: Vec<String>,
}

/// Every scene.
pub(crate) fn all() -> Vec<Scene> {
    let none = Impairment::default();
    let scene = |name, title, to_rooms, target| Scene {
        name,
        title,
        from_server: none,
        to_rooms,
        from_rooms: none,
        outage_s: None,
        crowd: 0,
        parity: None,
        target,
    };
    let bursts = Impairment { loss: Loss::Bursts { every_ms: 2_000, length_ms: 50 }, ..none };
    let jitter = Impairment { jitter_ms: 80.0, reorders: true, ..none };
    let wifi = Impairment { multicast_loss: 0.2, delay_ms: 1.0, jitter_ms: 8.0, ..none };
    let fading = Loss::GilbertElliott { to_bad: 0.01, to_good: 0.15, lost: 0.7 };
    let far = Impairment { delay_ms: FAR_MS, ..none };
    let far = |name, title, parity| Scene {
        from_rooms: far,
        parity,
        ..scene(name, title, Impairment { loss: Loss::Random(0.01), ..far }, None)
    };
    vec![
        scene("clean", "nothing lost", none, Some((0, 20.0))),
        scene("loss-1", "1 % of everything to the rooms lost at random", Impairment::losing(0.01), Some((0, 20.0))),
        scene("loss-10", "10 % of it", Impairment::losing(0.1), Some((0, 50.0))),
        scene("bursts", "50 ms of it lost every 2 s", bursts, Some((0, 50.0))),
        scene("jitter", "0 to 80 ms late on the way to the rooms, out of order", jitter, Some((0, 500.0))),
        Scene {
            from_rooms: Impairment::losing(0.05),
            ..scene("all-5", "5 % of everything lost, both ways", Impairment::losing(0.05), Some((0, 50.0)))
        },
        Scene { outage_s: Some((20, 10)), ..scene("outage", "server's link down for 10 s", none, Some((1, 20.0))) },
        Scene {
            from_server: Impairment { multicast_loss: 0.01, ..none },
            crowd: CROWD,
            ..scene("crowd", "200 rooms that lose the same 1 %", none, Some((0, 20.0)))
        },
        scene("doubled", "20 % of it twice", Impairment { duplicated: 0.2, ..none }, None),
        scene("wifi", "20 % of multicast lost, 1 to 9 ms late", wifi, None),
        scene(
            "fading",
            "Gilbert-Elliott: bad states of 7 packets, 70 % lost in them",
            Impairment { loss: fading, ..none },
            None,
        ),
        scene("slow", "2 Mbit/s", Impairment { rate: Some(2_000_000), ..none }, None),
        far("far", "80 ms each way, 1 % lost to the rooms: too far to ask", None),
        far("parity", "the same, with parity of 2 columns and 4 rows", Some("{ columns = 2, rows = 4 }")),
    ]
}

/// Plays scenes and prints the table.
pub(crate) fn measure(bench: &Bench, only: &[String], delays_ms: &[u32], systems: &[System]) -> Result<()> {
    let known = all().iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    for name in only {
        anyhow::ensure!(all().iter().any(|s| s.name == name), "there is no scene \"{name}\"; there are {known}");
    }
    let chosen = |s: &Scene| if only.is_empty() { s.target.is_some() } else { only.iter().any(|name| name == s.name) };
    let signal = Arc::new(signals::noise(48_000, NOISE_PERIOD, scenes::SEED));
    table::heading();
    let mut rows = vec![];
    for scene in all().into_iter().filter(chosen) {
        for &delay_ms in delays_ms {
            for &system in systems.iter().filter(|system| scene.crowd == 0 || **system == System::Unisono) {
                let what = format!("{} {system:?} {delay_ms}", scene.name).to_lowercase();
                let play = || play(bench, &scene, system, delay_ms, &signal);
                // Stalls of the machine stand in the table: only what never began is played again.
                let played = attempts::undisturbed(&what, system == System::Snapcast, |_| 0.0, play)?;
                match &played {
                    Some(outcome) => table::row(outcome),
                    None => table::not_begun(&scene, system, delay_ms),
                }
                rows.push(Row::of(&what, played));
                std::fs::write(bench.out().join("resilience.json"), serde_json::to_string_pretty(&rows)?)?;
            }
        }
    }
    println!("\nFigures and logs: {}", bench.out().display());
    Ok(())
}

fn play(bench: &Bench, scene: &Scene, system: System, delay_ms: u32, signal: &Arc<Signal>) -> Result<Outcome> {
    let rooms = scenes::off(3, scenes::CARDS_PPM);
    let stage = bench.impaired(&format!("{}-{delay_ms}-{system:?}", scene.name).to_lowercase(), 4, scenes::SEED)?;
    let network = stage.house.network().context("a house of namespaces has a network")?;
    let switch = network.switch().context("an impaired house has a switch")?;
    let fifo = stage.dir.join("in.fifo");
    let feeder = Feeder::start(&fifo, signal.clone(), 2)?;
    let mut programs = start(bench, &stage, system, delay_ms, scene, &rooms, &fifo)?;
    let crowd = (scene.crowd > 0).then(|| start_crowd(&stage, scene.crowd)).transpose()?;
    wait_for_rooms(&stage.dir, rooms.len(), PATIENCE, &programs)?;
    truth::pause(SETTLED);
    impair(switch, scene);
    programs.iter_mut().for_each(Process::reset_usage);
    let (begun_ns, before, watch) = (truth::now_ns(), Sent::by(switch), Watch::start());
    let outage_ns = pass(bench, scene, network)?;
    let (stalls, sent, took_ns) = (watch.finish(), Sent::by(switch).since(&before), truth::now_ns() - begun_ns);
    anyhow::ensure!(!truth::interrupted(), "ended before the scene {} was over", scene.name);
    let mut usage: Vec<Usage> = programs.iter().map(Process::usage).collect();
    let server = usage.remove(0);
    let healths: Vec<Option<[Health; 2]>> =
        programs[1..].iter().map(|p| healths(&p.log(), begun_ns - p.started_ns())).collect();
    let unclean = stop(&mut programs);
    let crowd_lost = crowd.map(|mut crowd| {
        crowd.stop();
        crowd.log().lines().rev().find_map(|line| line.strip_prefix("given up: ")?.parse().ok()).unwrap_or(u64::MAX)
    });
    let records = (1..=3).map(|i| Record::open(&stage.dir.join(format!("u{i}"))));
    let records = records.collect::<Result<Vec<_>, _>>().with_context(|| logs(&programs))?;
    let survey = survey(signal, &records);
    let since = |ns: i64| (ns - survey.start_ns) as f64 / 1e9;
    let outage_s = outage_ns.map(|(down_ns, back_ns)| (since(down_ns), since(back_ns)));
    // Of an outage counts what comes after it: spread from 3 s after the link's return on.
    let skip_s = outage_s.map_or(since(begun_ns) + 1.0, |(_, back_s)| back_s + 3.0);
    let verdict = survey.verdict(skip_s);
    let known =
        |of: fn(&Health) -> u64| healths.iter().flatten().map(|[first, last]| of(last).saturating_sub(of(first))).max();
    let outcome = Outcome {
        gaps: gaps(&survey, since(begun_ns) + 1.0, outage_s),
        concealed: known(|h| h.frames_concealed),
        repaired: known(|h| h.packets_repaired),
        repair_percent: 100.0 * sent.repair as f64 / sent.media.max(1) as f64,
        sent_kbps: sent.all as f64 * 8e6 / took_ns as f64,
        latency_ms: latency_ms(&survey, &feeder, signal, skip_s),
        back_s: outage_ns.and_then(|(_, back_ns)| sounds_s(&records, back_ns)),
        crowd_lost,
        scene: scene.clone(),
        system,
        delay_ms,
        verdict,
        server,
        rooms: usage,
        stalls,
        unclean,
    };
    drop(feeder);
    bench.put_away(&stage, signal)?;
    Ok(outcome)
}

/// The server first, then three rooms.
fn start(
    bench: &Bench,
    stage: &Stage,
    system: System,
    delay_ms: u32,
    scene: &Scene,
    rooms: &[Room],
    fifo: &Path,
) -> Result<Vec<Process>> {
    let Stage { house, dir } = stage;
    let mut programs = vec![];
    if system == System::Snapcast {
        programs.push(snapcast::start_server(house, fifo, dir, Some(delay_ms))?);
        truth::pause(Duration::from_secs(1));
    } else {
        let parity = scene.parity.map(|parity| format!("\nfec = {parity}")).unwrap_or_default();
        let source = format!("{{ type = \"pipe\", path = {fifo:?}, format = \"48000:16:2\" }}{parity}");
        programs.push(house.start_sender(&Stream { format: "48000:16:2", source, playout_delay_ms: delay_ms })?);
    }
    for (i, room) in rooms.iter().enumerate() {
        let (number, name) = (i + 1, format!("u{}", i + 1));
        programs.push(match system {
            System::Snapcast => snapcast::start_client(house, number, room, &name, dir)?,
            _ => house.start_receiver(number, room, &name, &bench.extra)?,
        });
    }
    Ok(programs)
}

fn start_crowd(stage: &Stage, rooms: usize) -> Result<Process> {
    let launch = Launch {
        name: "crowd",
        program: &std::env::current_exe()?,
        arguments: ["crowd", "--count", &rooms.to_string()].map(String::from).to_vec(),
        environment: vec![],
        namespace: None,
        priority: None,
        logs: &stage.dir,
    };
    stage.house.launch(launch, "r4")
}

fn impair(switch: &Switch, scene: &Scene) {
    switch.from_host(0, scene.from_server);
    for room in 1..=3 {
        switch.to_host(room, scene.to_rooms);
        switch.from_host(room, scene.from_rooms);
    }
}

/// Lets the scene pass: when the server's link went down and when it came back, if it did.
fn pass(bench: &Bench, scene: &Scene, network: &Network) -> Result<Option<(i64, i64)>> {
    let Some((at_s, for_s)) = scene.outage_s else {
        truth::pause(bench.duration);
        return Ok(None);
    };
    truth::pause(Duration::from_secs(at_s));
    let down_ns = truth::now_ns();
    network.plug(0, false)?;
    truth::pause(Duration::from_secs(for_s));
    network.plug(0, true)?;
    let back_ns = truth::now_ns();
    truth::pause(bench.duration.saturating_sub(Duration::from_secs(at_s + for_s)));
    Ok(Some((down_ns, back_ns)))
}

/// Bytes as they entered the switch.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The stream.
    media: u64,
    /// Its repair, with the requests.
    repair: u64,
    /// All that the server sends.
    all: u64,
}

impl Sent {
    /// So far.
    fn by(switch: &Switch) -> Sent {
        let of = |wanted: fn(&Flow) -> bool| switch.traffic(wanted).bytes;
        Sent {
            media: of(|flow| flow.from == 0 && flow.destination == MEDIA_PORT && flow.source == MEDIA_PORT),
            repair: of(|flow| flow.source == REPAIR_PORT || flow.destination == REPAIR_PORT),
            all: switch.entered(0).bytes,
        }
    }

    fn since(self, before: &Sent) -> Sent {
        Sent { media: self.media - before.media, repair: self.repair - before.repair, all: self.all - before.all }
    }
}

/// The first report of a room that is `after_ns` old or older, and its last.
fn healths(log: &str, after_ns: i64) -> Option<[Health; 2]> {
    let all: Vec<Health> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let first = all.iter().find(|health| health.uptime_s * 1e9 >= after_ns as f64)?;
    Some([first.clone(), all.last()?.clone()])
}

/// Median over windows and rooms.
fn latency_ms(survey: &Survey, feeder: &Feeder, signal: &Signal, skip_s: f64) -> Option<f64> {
    let rate = f64::from(signal.rate);
    let late = |(time, fix): (&f64, &Option<Fix>)| {
        let heard_ns = survey.start_ns + ((time - survey.times[0]) * 1e9) as i64;
        let late_ns = heard_ns - feeder.due_ns((*fix)?.position, rate);
        let period_ns = (signal.samples.len() as f64 / rate * 1e9) as i64;
        (*time >= skip_s).then(|| late_ns.rem_euclid(period_ns) as f64 / 1e6)
    };
    let all: Vec<f64> = survey.rooms.iter().flat_map(|room| survey.times.iter().zip(room).filter_map(late)).collect();
    (!all.is_empty()).then(|| Quantiles::of(all).median)
}

/// From `back_ns` to the first sound of the last room, in seconds.
fn sounds_s(records: &[Record], back_ns: i64) -> Option<f64> {
    let sounds = |record: &Record| record.first_sound(back_ns, unisono_tests::AUDIBLE);
    let firsts = records.iter().map(sounds).collect::<Option<Vec<i64>>>()?;
    firsts.into_iter().max().map(|last_ns| (last_ns - back_ns) as f64 / 1e9)
}

/// Gaps of the worst room from `from_s` on. An outage is one, with all that is heard until [`MAY_TAKE_S`] after it.
fn gaps(survey: &Survey, from_s: f64, outage_s: Option<(f64, f64)>) -> u32 {
    let counts = |i: &usize| {
        let at_s = survey.times[*i] - survey.times[0];
        let after = |back_s: f64| at_s > back_s + MAY_TAKE_S + WINDOW_S / 2.0;
        at_s >= from_s && outage_s.is_none_or(|(down_s, back_s)| at_s < down_s || after(back_s))
    };
    let of_room = |room: &Vec<Option<Fix>>| -> u32 {
        // The last window ends where the player was stopped, in the middle of a fade or a block.
        let last = room.iter().rposition(Option::is_some).unwrap_or(room.len());
        (0..last).filter(|i| counts(i)).map(|i| room[i].map_or(1, |fix| fix.gaps)).sum()
    };
    survey.rooms.iter().map(of_room).max().unwrap_or(0) + u32::from(outage_s.is_some())
}
