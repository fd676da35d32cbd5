//! Simulations in virtual time, printed as tables: `simulate clock`, `simulate room`,
//! `simulate resampler`.

use std::io::Write as _;

use clap::{Parser, Subcommand, ValueEnum};
use unisono_tests::simulation::{clock, resampler, room};

/// Runs parts of Unisono in virtual time and prints what they reach.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The clock: exchange and filter over simulated networks, as a Markdown table.
    Clock {
        /// The seeds of docs/clock.md, or such that nobody has seen.
        #[arg(long, value_enum, default_value = "fixed")]
        seeds: Seeds,
        /// Runs of each row.
        #[arg(long, default_value_t = 32)]
        runs: u64,
    },
    /// Whole rooms: clock, card, servo and resampler together, as a Markdown table.
    Room {
        /// The seeds of docs/accuracy.md, or such that nobody has seen.
        #[arg(long, value_enum, default_value = "fixed")]
        seeds: Seeds,
        /// Runs of each row.
        #[arg(long, default_value_t = 4)]
        runs: u64,
        /// Minutes of each run.
        #[arg(long, default_value_t = 60)]
        minutes: u32,
    },
    /// What the resampler's qualities cost: CPU time for a second of stereo sound, as a Markdown table.
    Resampler,
}

#[derive(Clone, Copy, ValueEnum)]
enum Seeds {
    Fixed,
    Random,
}

/// First of the seeds that the documents were written with.
const FIRST: u64 = 9000;

fn main() {
    match Arguments::parse().what {
        What::Clock { seeds, runs } => clock::report::table(&choose(seeds, runs), print),
        What::Room { seeds, runs, minutes } => room::table(&choose(seeds, runs), f64::from(minutes) * 60.0, print),
        What::Resampler => resampler::table(print),
    }
}

fn choose(seeds: Seeds, runs: u64) -> Vec<u64> {
    let first = match seeds {
        Seeds::Fixed => FIRST,
        Seeds::Random => unisono_host::random::number() >> 16,
    };
    println!("seeds {first} to {}\n", first + runs.max(1) - 1);
    (first..first + runs.max(1)).collect()
}

fn print(line: String) {
    let mut out = std::io::stdout().lock();
    // Whoever closed the pipe has seen enough.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
