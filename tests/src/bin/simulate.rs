//! Simulations in virtual time, printed as tables: `simulate clock`.

use std::io::Write;

use clap::{Parser, Subcommand, ValueEnum};
use unisono_tests::simulation::clock::report;

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
}

#[derive(Clone, Copy, ValueEnum)]
enum Seeds {
    Fixed,
    Random,
}

/// First of the seeds that docs/clock.md was written with.
const FIRST: u64 = 9000;

fn main() {
    let What::Clock { seeds, runs } = Arguments::parse().what;
    let first = match seeds {
        Seeds::Fixed => FIRST,
        Seeds::Random => unisono_host::random::number() >> 16,
    };
    println!("seeds {first} to {}\n", first + runs.max(1) - 1);
    let seeds: Vec<u64> = (first..first + runs.max(1)).collect();
    let mut out = std::io::stdout().lock();
    report::table(&seeds, |line| {
        // Whoever closed the pipe has seen enough.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    });
}
