//! The soak: rooms play while one fault after the other is done to them, drawn from a seed; at the end nothing may be left
//! of it: every room in step, no memory or descriptor gained, every loss accounted for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use unisono_common::control::{Health, State};
use unisono_tests::analysis::survey;
use unisono_tests::feeder::Feeder;
use unisono_tests::house::Stream;
use unisono_tests::processes::Process;
use unisono_tests::records::Record;
use unisono_tests::signals::{self, NOISE_PERIOD};
use unisono_tests::simulation::random::Random;
use unisono_tests::switch::impair::{Impairment, Loss};
use unisono_tests::truth;

use crate::run::{Bench, Stage, stop};
use crate::scenes;

/// Between faults, how long one lasts, and how long everything is left alone at the end.
const QUIET: Duration = Duration::from_secs(6);
const FAULT: Duration = Duration::from_secs(4);
const SETTLE: Duration = Duration::from_secs(20);

/// Resident memory that a process may gain, in kilobytes: logs and counters have their buffers.
const MOST_GROWTH_KB: u64 = 4_096;

/// Rooms in step at the end, in microseconds.
const IN_STEP_US: f64 = 50.0;

/// Plays for the bench's duration.
pub(crate) fn measure(bench: &Bench, seed: u64) -> Result<()> {
    let signal = Arc::new(signals::noise(48_000, NOISE_PERIOD, scenes::SEED));
    let rooms = scenes::off(3, scenes::CARDS_PPM);
    let stage = bench.impaired("faults", 3, seed)?;
    let fifo = stage.dir.join("in.fifo");
    let feeder = Feeder::start(&fifo, signal.clone(), 2)?;
    let source = format!("{{ type = \"pipe\", path = {fifo:?}, format = \"48000:16:2\" }}");
    let stream = Stream { format: "48000:16:2", source, playout_delay_ms: bench.delay_ms };
    let mut sender = stage.house.start_sender(&stream)?;
    let start = |room: usize, life: usize| {
        stage.house.start_receiver(room, &rooms[room - 1], &format!("u{room}-{life}"), &bench.extra)
    };
    let mut receivers = (1..=3).map(|room| start(room, 0)).collect::<Result<Vec<_>>>()?;
    let mut lives = [0; 3];
    truth::pause(SETTLE);
    let before: Vec<Held> = receivers.iter().chain([&sender]).map(Held::of).collect();
    let mut random = Random::new(seed, 1);
    let end_ns = truth::now_ns() + bench.duration.as_nanos() as i64;
    let mut faults = 0;
    while truth::now_ns() < end_ns && !truth::interrupted() {
        let (what, room) = ((random.unit() * 8.0) as u32, 1 + (random.unit() * 3.0) as usize);
        println!("{:>5}: room {room}: {}", faults, NAMES[what as usize]);
        faults += 1;
        match what {
            6 => {
                sender.signal(libc::SIGKILL);
                sender.wait(FAULT);
                sender = stage.house.start_sender(&stream)?;
            }
            7 => {
                receivers[room - 1].signal(libc::SIGKILL);
                receivers[room - 1].wait(FAULT);
                lives[room - 1] += 1;
                receivers[room - 1] = start(room, lives[room - 1])?;
            }
            _ => disturb(&stage, what, room)?,
        }
        truth::pause(QUIET);
    }
    truth::pause(SETTLE);
    ensure!(!truth::interrupted(), "ended early, after {faults} faults");
    let settled_ns = truth::now_ns() - 8_000_000_000;
    let after: Vec<Held> = receivers.iter().chain([&sender]).map(Held::of).collect();
    println!("{faults} faults; held before {before:?}, after {after:?}");
    for receiver in &receivers {
        check_health(receiver)?;
    }
    let mut programs = receivers;
    programs.push(sender);
    let unclean = stop(&mut programs);
    ensure!(unclean.is_empty(), "{}", unclean.join("\n"));
    drop(feeder);
    let records = (1..=3).map(|room| Record::open(&stage.dir.join(format!("u{room}-{}", lives[room - 1]))));
    let survey = survey(&signal, &records.collect::<Result<Vec<_>, _>>()?);
    let verdict = survey.verdict((settled_ns - survey.start_ns) as f64 / 1e9);
    println!("spread at the end: p99 {:.1} us in {} windows", verdict.spread_us.p99, verdict.windows);
    ensure!(verdict.windows > 10 && verdict.spread_us.p99 < IN_STEP_US, "the rooms are not in step at the end");
    // A process that was killed on the way began anew: it can only hold less.
    let grown = before.iter().zip(&after).find(|(b, a)| a.kb > b.kb + MOST_GROWTH_KB || a.descriptors > b.descriptors);
    ensure!(grown.is_none(), "a process holds more than before: {grown:?}");
    bench.put_away(&stage, &signal)
}

const NAMES: [&str; 8] = [
    "loses 10 %",
    "loses 50 ms every 2 s",
    "gets everything 0 to 60 ms late",
    "hears no multicast",
    "gets everything twice",
    "is cut off",
    "(the sender is killed)",
    "is killed",
];

fn disturb(stage: &Stage, what: u32, room: usize) -> Result<()> {
    let network = stage.house.network().context("a house of namespaces has a network")?;
    let switch = network.switch().context("an impaired house has a switch")?;
    let none = Impairment::default();
    let impairment = match what {
        0 => Impairment::losing(0.1),
        1 => Impairment { loss: Loss::Bursts { every_ms: 2_000, length_ms: 50 }, ..none },
        2 => Impairment { jitter_ms: 60.0, reorders: true, ..none },
        3 => Impairment { multicast_loss: 1.0, ..none },
        4 => Impairment { duplicated: 1.0, ..none },
        _ => none,
    };
    switch.to_host(room, impairment);
    if what == 5 {
        network.plug(room, false)?;
    }
    truth::pause(FAULT);
    if what == 5 {
        network.plug(room, true)?;
    }
    switch.to_host(room, none);
    Ok(())
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    kb: u64,
    descriptors: usize,
}

impl Held {
    fn of(process: &Process) -> Held {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.id())).map_or(0, Iterator::count);
        Held { kb: process.usage().rss_kb, descriptors }
    }
}

/// A room plays, and what was lost was repaired or concealed: nothing else is left to explain.
fn check_health(receiver: &Process) -> Result<()> {
    let log = receiver.log();
    let health: Health =
        log.lines().rev().find_map(|l| serde_json::from_str(l).ok()).context("no report in the log")?;
    ensure!(health.state == State::Playing, "a room is {:?} at the end: {:?}", health.state, health.trouble);
    ensure!(health.loss_ratio < 0.5 && health.trouble.is_none(), "{health:?}");
    Ok(())
}
