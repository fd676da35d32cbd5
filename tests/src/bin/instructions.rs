//! Counts the instructions of every hot part under callgrind, and compares them with what they were.
//!
//! `instructions` prints a table and ends with 1 if a part costs over 5 % more than tests/benches/instructions.toml says
//! for this architecture, optimisation and compiler; `--write` puts today's figures there. Needs Debian's valgrind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use unisono_tests::hot;

/// What a part may cost more before it is a regression.
const TOLERANCE: f64 = 0.05;

/// Calls that bring a part into its steady state, and calls counted beyond them.
const WARM: u64 = 200;
const COUNTED: u64 = 400;

/// Counts the instructions of every hot part.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Options {
    /// Writes the figures down as the new baseline.
    #[arg(long)]
    write: bool,
    /// Runs one part so many times, for callgrind to count.
    #[arg(long, hide = true, num_args = 2, value_names = ["PART", "TIMES"])]
    run: Option<Vec<String>>,
}

/// Instructions by part, by circumstances.
type Baseline = BTreeMap<String, BTreeMap<String, u64>>;

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let Some([part, times]) = options.run.as_deref() {
        let case = hot::cases().into_iter().find(|case| case.name == part);
        let mut case = case.with_context(|| format!("there is no part \"{part}\""))?;
        (0..times.parse::<u64>()?).for_each(|_| (case.run)());
        return Ok(ExitCode::SUCCESS);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml");
    let mut baseline: Baseline = match std::fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text).with_context(|| file.display().to_string())?,
        Err(_) => Baseline::new(),
    };
    let circumstances = circumstances()?;
    let known = baseline.get(&circumstances).cloned().unwrap_or_default();
    println!("{circumstances}\n{:<20} {:>12} {:>12} {:>8}  a unit is", "part", "instructions", "baseline", "change");
    let (mut counted, mut worse) = (BTreeMap::new(), false);
    for case in hot::cases() {
        let cost = (total(case.name, WARM + COUNTED)?.saturating_sub(total(case.name, WARM)?)) / COUNTED;
        let change = known.get(case.name).map(|&was| cost as f64 / was.max(1) as f64 - 1.0);
        let over = change.is_some_and(|change| change > TOLERANCE);
        worse |= over;
        let was = known.get(case.name).map_or("-".into(), u64::to_string);
        let change = change.map_or("-".into(), |change| format!("{:+.1} %", change * 100.0));
        println!(
            "{:<20} {cost:>12} {was:>12} {change:>8}  {}{}",
            case.name,
            case.unit,
            if over { "  WORSE" } else { "" }
        );
        counted.insert(case.name.to_owned(), cost);
    }
    if options.write {
        baseline.insert(circumstances, counted);
        std::fs::write(&file, toml::to_string(&baseline)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if known.is_empty() {
        println!("nothing to compare with: no baseline for these circumstances; --write makes one");
    }
    Ok(if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What figures can be compared under.
fn circumstances() -> Result<String> {
    let version = Command::new("rustc").arg("--version").output().context("rustc --version")?;
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    let built = if cfg!(debug_assertions) { "dev" } else { "release" };
    Ok(format!("{} {built} rustc {version}", std::env::consts::ARCH))
}

/// Instructions of a process that runs `part` so many times.
fn total(part: &str, times: u64) -> Result<u64> {
    let out: PathBuf = std::env::temp_dir().join(format!("unisono-callgrind.{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())])
        .arg(std::env::current_exe()?)
        .args(["--run", part, &times.to_string()])
        .output()
        .context("valgrind (Debian: apt install valgrind)")?;
    let _ = std::fs::remove_file(&out);
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "callgrind on {part}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.with_context(|| format!("callgrind on {part} told no count: {said}"))?;
    Ok(count.trim().parse()?)
}
