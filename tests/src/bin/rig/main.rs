//! The measuring rig: a house in one machine, with host clocks and sound cards that are off, and a true ear.
//!
//! `rig accuracy` fills in the table of docs/accuracy.md; `rig --help` tells the rest. Needs root (namespaces), a C
//! compiler with ALSA's headers, and iproute2; touches no network but its own.

mod attempts;
mod beside;
mod calls;
mod cost;
mod crowd;
mod faults;
mod offset;
mod report;
mod resilience;
mod run;
mod scale;
mod scenes;
mod soak;
mod start;
mod tone;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use unisono_tests::namespaces::NetworkError;
use unisono_tests::signals::{self, NOISE_PERIOD};
use unisono_tests::{house, player, truth};

use run::{Bench, Outcome, System};
use scenes::Scene;

/// Measures how far apart rooms play, at the analog outputs of simulated sound cards.
#[derive(Debug, Parser)]
#[command(name = "rig", arg_required_else_help = true)]
struct Options {
    /// Lists the scenes and ends.
    #[arg(long)]
    list: bool,
    /// Rooms in the house.
    #[arg(long, default_value_t = 3, global = true, value_parser = clap::value_parser!(u8).range(2..=30))]
    rooms: u8,
    /// Seconds that each scene is played for.
    #[arg(long, default_value_t = 60, global = true)]
    seconds: u64,
    /// Playout delay, in milliseconds.
    #[arg(long, default_value_t = 250, global = true)]
    delay: u32,
    /// Added to each receiver's configuration, such as 'quality = "high"'.
    #[arg(long, default_value = "", global = true)]
    extra: String,
    /// Where tables, plots and logs go.
    #[arg(long, default_value = "target/rig", global = true)]
    out: PathBuf,
    /// Keeps the cards' records there too.
    #[arg(long, global = true)]
    keep: bool,
    /// Directory of unisono-sender and unisono-receiver; without it they are built first.
    #[arg(long, global = true)]
    binaries: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The accuracy table: spread between rooms in each scene.
    Accuracy {
        /// Only this scene; may be given again.
        #[arg(long)]
        only: Vec<String>,
        /// Snapcast beside it, in the same house.
        #[arg(long)]
        snapcast: bool,
    },
    /// The resilience table: gaps and spread on bad networks, and what repair costs. Scenes run for 120 s unless `--seconds`
    /// says otherwise.
    Resilience {
        /// Only this scene; may be given again.
        #[arg(long)]
        only: Vec<String>,
        /// Playout delays in milliseconds, one run each.
        #[arg(long, value_delimiter = ',', default_values_t = [250, 150])]
        delays: Vec<u32>,
        /// Snapcast beside it, with the same buffer.
        #[arg(long)]
        snapcast: bool,
    },
    /// What the rig itself can resolve: a bare player that knows the true time.
    Floor,
    /// A sine: distortion, sidebands, steadiness of pitch.
    Tone,
    /// One long run with host clocks and cards that are off; fails at damage that no stall of the machine explains.
    Soak,
    /// The same with every CPU loaded and a writer that is never ahead of time: how late is what is heard, and does it hold?
    /// With `--delay 20 --seconds 600` it is the low-latency profile's proof.
    Latency,
    /// Unisono, Snapcast (PCM) and PulseAudio's RTP side by side: CPU, memory, bandwidth, latency, spread.
    Beside {
        /// Only this one; may be given again.
        #[arg(long, value_enum)]
        only: Vec<beside::Player>,
    },
    /// What a stream from the library costs its sender, beside the bare decoder of the same file and beside snapserver's FLAC.
    Cost,
    /// What packets cost one by one, and many in one system call.
    Calls,
    /// Receivers that start while the stream plays: how soon do they sound, and how far off?
    Start {
        /// How many times.
        #[arg(long, default_value_t = 10)]
        times: usize,
    },
    /// How far apart two real rooms are: a recording with one room's output in the left channel, the other's in the right.
    Offset {
        /// WAV, FLAC, ...
        recording: PathBuf,
    },
    /// The soak: random faults, one after the other, for so many `--seconds` (1800 make half an hour); fails if anything is
    /// left of them at the end.
    Faults {
        /// Draws the faults.
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// What 5, 50 and 500 rooms cost the sender.
    Scale,
    /// The many rooms of `scale`.
    #[command(hide = true)]
    Members {
        /// How many.
        #[arg(long)]
        count: usize,
        /// Where they keep their keys.
        #[arg(long)]
        state: PathBuf,
    },
    /// The many rooms of the resilience scene `crowd`.
    #[command(hide = true)]
    Crowd {
        /// How many.
        #[arg(long)]
        count: usize,
    },
    /// The bare player that `floor` runs in each room.
    #[command(hide = true)]
    Player {
        /// True time of the signal's frame 0, in nanoseconds.
        #[arg(long)]
        zero: i64,
        /// The card's pointer grain, in frames.
        #[arg(long)]
        grain: u32,
    },
}

fn main() -> Result<()> {
    let options = Options::parse();
    truth::catch_signals()?;
    if options.list {
        scenes::all(usize::from(options.rooms)).iter().for_each(|s| println!("{:<10} {}", s.name, s.title));
        println!("\nresilience:");
        resilience::all().iter().for_each(|s| println!("{:<10} {}", s.name, s.title));
        return Ok(());
    }
    if let Some(Task::Offset { recording }) = &options.command {
        return offset::measure(recording);
    }
    if let Some(Task::Player { zero, grain }) = options.command {
        return player::play("simcard", &signals::noise(48_000, NOISE_PERIOD, scenes::SEED), zero, grain);
    }
    if let Some(Task::Crowd { count }) = options.command {
        return crowd::run(count);
    }
    if let Some(Task::Members { count, state }) = &options.command {
        return scale::live(*count, state);
    }
    let binaries = match (&options.binaries, &options.command) {
        (Some(dir), _) => dir.canonicalize().with_context(|| format!("--binaries {}", dir.display()))?,
        (None, Some(Task::Floor)) => PathBuf::new(),
        (None, _) => build()?,
    };
    std::fs::create_dir_all(&options.out).with_context(|| format!("--out {}", options.out.display()))?;
    let bench = Bench::new(&options.out.canonicalize()?, &binaries, options.keep)?.playing(
        Duration::from_secs(options.seconds),
        options.delay,
        &options.extra,
    );
    match options.command {
        Some(Task::Accuracy { only, snapcast }) => {
            let mut systems = vec![System::Unisono];
            systems.extend(snapcast.then_some(System::Snapcast));
            accuracy(&bench, &choose(usize::from(options.rooms), &only)?, &systems)
        }
        Some(Task::Floor) => accuracy(&bench, &scenes::grains(usize::from(options.rooms))[..2], &[System::Bare]),
        Some(Task::Soak) => soak::measure(&bench, &choose(usize::from(options.rooms), &["drift".into()])?[0]),
        Some(Task::Latency) => soak::measure(&bench.live(), &choose(usize::from(options.rooms), &["load".into()])?[0]),
        Some(Task::Beside { only }) => beside::measure(&bench, usize::from(options.rooms), &only),
        Some(Task::Cost) => cost::measure(&bench),
        Some(Task::Calls) => calls::measure(&bench),
        Some(Task::Tone) => tone::measure(&bench),
        Some(Task::Start { times }) => start::measure(&bench, times),
        Some(Task::Resilience { only, delays, snapcast }) => {
            let mut systems = vec![System::Unisono];
            systems.extend(snapcast.then_some(System::Snapcast));
            resilience::measure(&bench, &only, &delays, &systems)
        }
        Some(Task::Faults { seed }) => faults::measure(&bench, seed),
        Some(Task::Scale) => scale::measure(&bench),
        Some(Task::Offset { .. } | Task::Player { .. } | Task::Crowd { .. } | Task::Members { .. }) | None => Ok(()),
    }
}

fn accuracy(bench: &Bench, scenes: &[Scene], systems: &[System]) -> Result<()> {
    let signal = Arc::new(signals::noise(48_000, NOISE_PERIOD, scenes::SEED));
    let mut table = report::Table::begin();
    for scene in scenes {
        for &system in systems {
            let what = format!("{} {system:?}", scene.name).to_lowercase();
            let stalled_ms = |outcome: &Outcome| outcome.stalls.worst_ms;
            let play = || bench.run(system, scene, &signal);
            match attempts::undisturbed(&what, system == System::Snapcast, stalled_ms, play) {
                // A kernel without netem, say: the other scenes can be played for all that.
                Err(error) if error.is::<NetworkError>() && scene.target_us.is_none() => {
                    println!("{:<10} can't be played here: {error}", scene.name);
                }
                played => table.add(scene, system, played?),
            }
            table.save(bench.out())?;
        }
        report::plot(bench.out(), scene, table.of(scene))?;
    }
    println!("\nTable and plots: {}", bench.out().display());
    Ok(())
}

fn choose(rooms: usize, only: &[String]) -> Result<Vec<Scene>> {
    let all = scenes::all(rooms);
    let known = all.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    for name in only {
        anyhow::ensure!(all.iter().any(|s| s.name == name), "there is no scene \"{name}\"; there are {known}");
    }
    let wanted =
        |s: &Scene| if only.is_empty() { s.target_us.is_some() } else { only.iter().any(|name| name == s.name) };
    Ok(all.into_iter().filter(wanted).collect())
}

/// Builds the programs as this one was built: cargo builds no other package's programs beside it.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "unisono-sender", "-p", "unisono-receiver"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    anyhow::ensure!(command.status().context("cargo build")?.success(), "unisono doesn't build");
    house::binaries()
}
