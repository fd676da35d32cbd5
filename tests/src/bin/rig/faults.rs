//! The soak: rooms play while one fault after the other is done to them, drawn from a seed. After each of them every counter
//! of every room is looked at: what moved must be what this fault moves in the room that it was done to. At the end the
//! sound is looked at in the same way, no memory or descriptor may have been gained, and all rooms must be in step.

mod counters;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use unisono_common::control::State;
use unisono_tests::analysis::{Survey, survey};
use unisono_tests::feeder::Feeder;
use unisono_tests::house::{Room, Stream};
use unisono_tests::processes::Process;
use unisono_tests::records::Record;
use unisono_tests::signals::{self, NOISE_PERIOD};
use unisono_tests::simulation::random::Random;
use unisono_tests::stalls::{Stall, Watch};
use unisono_tests::switch::impair::{Impairment, Loss};
use unisono_tests::truth;

use self::counters::{Counters, report};
use crate::run::{Bench, Stage, stop};
use crate::scenes;

/// Between faults, how long one lasts, and how long everything is left alone at the end.
const QUIET: Duration = Duration::from_secs(6);
const FAULT: Duration = Duration::from_secs(4);
const SETTLE: Duration = Duration::from_secs(20);

/// So long after a fault, beside the playout delay, it may be heard.
const AFTER_NS: i64 = 3_000_000_000;

/// Windows of a survey are a quarter of a second, known by their middle.
const HALF_WINDOW_NS: i64 = 125_000_000;

/// Resident memory that a process may gain, in kilobytes: logs and counters have their buffers.
const MOST_GROWTH_KB: u64 = 4_096;

/// Rooms in step at the end, in microseconds.
const IN_STEP_US: f64 = 50.0;

const ROOMS: usize = 3;

/// What is done to one room, or to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Loses,
    LosesBursts,
    Late,
    NoMulticast,
    Twice,
    CutOff,
    SenderKilled,
    Killed,
}

const FAULTS: [(Fault, &str); 8] = [
    (Fault::Loses, "loses 10 %"),
    (Fault::LosesBursts, "loses 50 ms every 2 s"),
    (Fault::Late, "gets everything 0 to 60 ms late"),
    (Fault::NoMulticast, "hears no multicast"),
    (Fault::Twice, "gets everything twice"),
    (Fault::CutOff, "is cut off"),
    (Fault::SenderKilled, "(the sender is killed)"),
    (Fault::Killed, "is killed"),
];

/// A fault that was done to a room, counted from 0.
#[derive(Clone, Copy, Debug)]
struct Done {
    fault: Fault,
    room: usize,
    begun_ns: i64,
    ended_ns: i64,
}

impl Done {
    fn reaches(&self, room: usize) -> bool {
        self.fault == Fault::SenderKilled || self.room == room
    }
}

/// Plays for the bench's duration.
pub(crate) fn measure(bench: &Bench, seed: u64) -> Result<()> {
    let signal = Arc::new(signals::noise(48_000, NOISE_PERIOD, scenes::SEED));
    let stage = bench.impaired("faults", ROOMS, seed)?;
    let fifo = stage.dir.join("in.fifo");
    let feeder = Feeder::start(&fifo, signal.clone(), 2)?;
    let source = format!("{{ type = \"pipe\", path = {fifo:?}, format = \"48000:16:2\" }}");
    let stream = Stream { format: "48000:16:2", source, playout_delay_ms: bench.delay_ms };
    let mut soak = Soak::start(&stage, stream, &bench.extra)?;
    let mut random = Random::new(seed, 1);
    let end_ns = truth::now_ns() + bench.duration.as_nanos() as i64;
    while truth::now_ns() < end_ns && !truth::interrupted() {
        let (fault, name) = FAULTS[(random.unit() * FAULTS.len() as f64) as usize];
        let room = (random.unit() * ROOMS as f64) as usize;
        println!("{:>5}: room {}: {name}", soak.done.len(), room + 1);
        soak.round(fault, room)?;
    }
    ensure!(!truth::interrupted(), "ended early, after {} faults", soak.done.len());
    soak.settle()?;
    let settled_ns = truth::now_ns() - 8_000_000_000;
    let Soak { mut receivers, sender, lives, done, mut unexplained, watch, disturbed, .. } = soak;
    let (_, stalls) = watch.finish_with_each();
    receivers.push(sender);
    let unclean = stop(&mut receivers);
    drop(feeder);
    let records = (0..ROOMS).map(|room| Record::open(&stage.dir.join(name(room, lives[room]))));
    let survey = survey(&signal, &records.collect::<Result<Vec<_>, _>>()?);
    for room in 0..ROOMS {
        let delay_ns = i64::from(bench.delay_ms) * 1_000_000;
        let heard = damage(&survey, room, &done, &stalls, delay_ns);
        unexplained.extend(heard.iter().map(|s| format!("room {}: damage at {s:.2} s of its last life", room + 1)));
    }
    let verdict = survey.verdict((settled_ns - survey.start_ns) as f64 / 1e9);
    println!(
        "{} faults, {disturbed} of them beside a stall of the machine; spread at the end: p99 {:.1} us in {} windows",
        done.len(),
        verdict.spread_us.p99,
        verdict.windows
    );
    ensure!(unclean.is_empty(), "{}", unclean.join("\n"));
    ensure!(unexplained.is_empty(), "what no fault explains:\n{}", unexplained.join("\n"));
    ensure!(verdict.windows > 10 && verdict.spread_us.p99 < IN_STEP_US, "the rooms are not in step at the end");
    bench.put_away(&stage, &signal)
}

/// What a room's receiver is called: it begins a new life each time that it was killed.
fn name(room: usize, life: usize) -> String {
    format!("u{}-{life}", room + 1)
}

/// The house while faults are done to it.
struct Soak<'a> {
    stage: &'a Stage,
    stream: Stream<'a>,
    extra: &'a str,
    rooms: Vec<Room>,
    sender: Process,
    receivers: Vec<Process>,
    lives: [usize; ROOMS],
    /// What each process held when it had played for a while: the rooms', then the sender.
    held: Vec<Held>,
    done: Vec<Done>,
    unexplained: Vec<String>,
    watch: Watch,
    /// Faults that a stall of the machine may have had a part in.
    disturbed: usize,
}

impl<'a> Soak<'a> {
    fn start(stage: &'a Stage, stream: Stream<'a>, extra: &'a str) -> Result<Self> {
        let rooms = scenes::off(ROOMS, scenes::CARDS_PPM);
        let sender = stage.house.start_sender(&stream)?;
        let start = |room: usize| stage.house.start_receiver(room + 1, &rooms[room], &name(room, 0), extra);
        let receivers = (0..ROOMS).map(start).collect::<Result<Vec<_>>>()?;
        truth::pause(SETTLE);
        let held = receivers.iter().chain([&sender]).map(Held::of).collect();
        Ok(Soak {
            stage,
            stream,
            extra,
            rooms,
            sender,
            receivers,
            lives: [0; ROOMS],
            held,
            done: vec![],
            unexplained: vec![],
            watch: Watch::start(),
            disturbed: 0,
        })
    }

    /// Does a fault, leaves everything alone for a while, and looks what it has left behind.
    fn round(&mut self, fault: Fault, room: usize) -> Result<()> {
        let (before, stalled_ms, begun_ns) = (self.counters()?, self.watch.lost_ms(), truth::now_ns());
        self.make(fault, room)?;
        let done = Done { fault, room, begun_ns, ended_ns: truth::now_ns() };
        self.done.push(done);
        truth::pause(QUIET);
        match fault {
            Fault::SenderKilled => self.held[ROOMS] = Held::of(&self.sender),
            Fault::Killed => self.held[room] = Held::of(&self.receivers[room]),
            _ => {}
        }
        self.judge(&before, Some(done), stalled_ms)
    }

    /// Leaves everything alone: now nothing may count any more, nor be held that was not.
    fn settle(&mut self) -> Result<()> {
        truth::pause(QUIET);
        let (before, stalled_ms) = (self.counters()?, self.watch.lost_ms());
        truth::pause(SETTLE);
        self.judge(&before, None, stalled_ms)?;
        for (process, before) in self.receivers.iter().chain([&self.sender]).zip(&self.held) {
            let now = Held::of(process);
            println!("held {before:?}, now {now:?}");
            if now.kb > before.kb + MOST_GROWTH_KB || now.descriptors > before.descriptors {
                self.unexplained.push(format!("a process that held {before:?} holds {now:?}"));
            }
        }
        for receiver in &self.receivers {
            let health = report(receiver)?;
            ensure!(health.state == State::Playing, "a room is {:?} at the end: {:?}", health.state, health.trouble);
            ensure!(health.trouble.is_none(), "{health:?}");
        }
        Ok(())
    }

    fn counters(&self) -> Result<Vec<Counters>> {
        self.receivers.iter().map(Counters::of).collect()
    }

    /// Notes what counted since `before` and is no trace of `done`.
    fn judge(&mut self, before: &[Counters], done: Option<Done>, stalled_ms: f64) -> Result<()> {
        let stalled = self.watch.lost_ms() > stalled_ms;
        self.disturbed += usize::from(stalled && done.is_some());
        for (room, now) in self.counters()?.into_iter().enumerate() {
            let fault = done.filter(|done| done.reaches(room)).map(|done| done.fault);
            // A process that was killed has counted from nothing since.
            let before = if fault == Some(Fault::Killed) { Counters::default() } else { before[room] };
            let left = now.since(&before).beyond(fault);
            if left == Counters::default() {
                continue;
            }
            let line = format!("after {} faults, room {}: {left:?}", self.done.len(), room + 1);
            println!("       {line}{}", if stalled { ", beside a stall of the machine" } else { "" });
            self.unexplained.extend(Some(line).filter(|_| !stalled));
        }
        Ok(())
    }

    fn make(&mut self, fault: Fault, room: usize) -> Result<()> {
        match fault {
            Fault::SenderKilled => {
                self.sender.signal(libc::SIGKILL);
                self.sender.wait(FAULT);
                self.sender = self.stage.house.start_sender(&self.stream)?;
                Ok(())
            }
            Fault::Killed => {
                self.receivers[room].signal(libc::SIGKILL);
                self.receivers[room].wait(FAULT);
                self.lives[room] += 1;
                let name = name(room, self.lives[room]);
                self.receivers[room] =
                    self.stage.house.start_receiver(room + 1, &self.rooms[room], &name, self.extra)?;
                Ok(())
            }
            _ => self.disturb(fault, room + 1),
        }
    }

    /// Makes the link of a port misbehave for a while.
    fn disturb(&self, fault: Fault, port: usize) -> Result<()> {
        let network = self.stage.house.network().context("a house of namespaces has a network")?;
        let switch = network.switch().context("an impaired house has a switch")?;
        let none = Impairment::default();
        switch.to_host(
            port,
            match fault {
                Fault::Loses => Impairment::losing(0.1),
                Fault::LosesBursts => Impairment { loss: Loss::Bursts { every_ms: 2_000, length_ms: 50 }, ..none },
                Fault::Late => Impairment { jitter_ms: 60.0, reorders: true, ..none },
                Fault::NoMulticast => Impairment { multicast_loss: 1.0, ..none },
                Fault::Twice => Impairment { duplicated: 1.0, ..none },
                Fault::CutOff | Fault::SenderKilled | Fault::Killed => none,
            },
        );
        if fault == Fault::CutOff {
            network.plug(port, false)?;
        }
        truth::pause(FAULT);
        if fault == Fault::CutOff {
            network.plug(port, true)?;
        }
        switch.to_host(port, none);
        Ok(())
    }
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

/// When a room's sound was damaged or missing without a fault or a stall of the machine, in seconds after its first window.
fn damage(survey: &Survey, room: usize, done: &[Done], stalls: &[Stall], delay_ns: i64) -> Vec<f64> {
    let windows = &survey.rooms[room];
    let heard = |fix: &Option<_>| fix.is_some();
    // The first window and the last are those of a fade, or of a stop in the middle of a block.
    let (Some(first), Some(last)) = (windows.iter().position(heard), windows.iter().rposition(heard)) else {
        return vec![0.0];
    };
    let explained = |at_ns: i64| {
        let during = |from_ns: i64, to_ns: i64| {
            (from_ns - HALF_WINDOW_NS..to_ns + delay_ns + AFTER_NS + HALF_WINDOW_NS).contains(&at_ns)
        };
        done.iter().any(|done| done.reaches(room) && during(done.begun_ns, done.ended_ns))
            || stalls.iter().any(|stall| during(stall.end_ns - (stall.ms * 1e6) as i64, stall.end_ns))
    };
    let is_damaged = |i: &usize| windows[*i].is_none_or(|fix| fix.damaged > 0);
    let seconds = |i: usize| survey.times[i] - survey.times[0];
    let unexplained = |i: &usize| !explained(survey.start_ns + (seconds(*i) * 1e9) as i64);
    (first + 1..last).filter(is_damaged).filter(unexplained).map(|i| seconds(i) - seconds(first)).collect()
}
