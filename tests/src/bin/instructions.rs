//! Counts the instructions of every hot part under callgrind, and compares them with what they were.
//!
//! `instructions` prints a table and ends with 1 if a part costs over 5 % more than tests/benches/instructions.toml says
//! for these circumstances: architecture, build, compiler, the C library, and the vector instructions that valgrind has
//! of the processor's. Under others it says loudly that nothing is compared, and ends with 0. `--write` puts today's
//! figures there. Needs Debian's valgrind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use anyhow::{Context, Result};
use clap::Parser;
use unisono_tests::hot::{self, Case};

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
    /// Tells which ways through the code the machine makes this process take.
    #[arg(long, hide = true)]
    machine: bool,
}

/// Instructions by part, by circumstances.
type Baseline = BTreeMap<String, BTreeMap<String, u64>>;

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if options.machine {
        println!("{} {}", vectors(), c_library());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some([part, times]) = options.run.as_deref() {
        let case = hot::cases().into_iter().find(|case| case.name == part);
        let mut run = (case.with_context(|| format!("there is no part \"{part}\""))?.make)();
        (0..times.parse::<u64>()?).for_each(|_| run());
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
        let cost = total(case.name, WARM + COUNTED)?.saturating_sub(total(case.name, WARM)?) / COUNTED;
        worse |= row(&case, cost, known.get(case.name).copied());
        counted.insert(case.name.to_owned(), cost);
    }
    if options.write {
        baseline.insert(circumstances, counted);
        std::fs::write(&file, toml::to_string(&baseline)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    tell_what_is_not_compared(&baseline, &circumstances, &counted);
    Ok(if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints what a part costs, and what it was; true if it is worse.
fn row(case: &Case, cost: u64, was: Option<u64>) -> bool {
    let change = was.map(|was| cost as f64 / was.max(1) as f64 - 1.0);
    let worse = change.is_some_and(|change| change > TOLERANCE);
    let was = was.map_or("-".into(), |was| was.to_string());
    let change = change.map_or("-".into(), |change| format!("{:+.1} %", change * 100.0));
    let mark = if worse { "  WORSE" } else { "" };
    println!("{:<20} {cost:>12} {was:>12} {change:>8}  {}{mark}", case.name, case.unit);
    worse
}

/// A run that compares nothing passes: nobody shall take that for a comparison.
fn tell_what_is_not_compared(baseline: &Baseline, circumstances: &str, counted: &BTreeMap<String, u64>) {
    const MEND: &str = "on this machine `--write` makes today's figures the baseline; commit it if they are right";
    let Some(known) = baseline.get(circumstances) else {
        let others = baseline.keys().map(String::as_str).collect::<Vec<_>>().join("\n    ");
        eprintln!("NOT COMPARED: there are no figures of\n    {circumstances}\nonly of\n    {others}\n{MEND}");
        return;
    };
    let new: Vec<&str> = counted.keys().filter(|part| !known.contains_key(*part)).map(String::as_str).collect();
    if !new.is_empty() {
        eprintln!("NOT COMPARED: there are no figures of {}; {MEND}", new.join(", "));
    }
}

/// What figures can be compared under.
fn circumstances() -> Result<String> {
    let version = Command::new("rustc").arg("--version").output().context("rustc --version")?;
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    let built = if cfg!(debug_assertions) { "dev" } else { "release" };
    let machine = valgrind(&["--tool=none", "--quiet"], &["--machine"])?;
    let machine = String::from_utf8_lossy(&machine.stdout);
    Ok(format!("{} {built} rustc {version} {}", std::env::consts::ARCH, machine.trim()))
}

/// The vector instructions that the resamplers and the C library choose their loops by.
#[cfg(target_arch = "x86_64")]
fn vectors() -> &'static str {
    let wide = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    match (wide, std::arch::is_x86_feature_detected!("avx")) {
        (true, _) => "avx2",
        (_, true) => "avx",
        _ => "sse",
    }
}

/// Elsewhere there is no choice.
#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> &'static str {
    "plain"
}

/// What allocates, copies and compares.
#[cfg(target_env = "gnu")]
fn c_library() -> String {
    // SAFETY: it takes nothing, and the string that it returns stays.
    let version = unsafe { libc::gnu_get_libc_version() };
    // SAFETY: a C string, as said.
    let version = unsafe { std::ffi::CStr::from_ptr(version) };
    format!("glibc {}", version.to_string_lossy())
}

/// Of another one no version is known.
#[cfg(not(target_env = "gnu"))]
fn c_library() -> String {
    "another C library".to_owned()
}

/// Instructions of a process that runs `part` so many times.
fn total(part: &str, times: u64) -> Result<u64> {
    let out: PathBuf = std::env::temp_dir().join(format!("unisono-callgrind.{}", std::process::id()));
    let to = format!("--callgrind-out-file={}", out.display());
    let output = valgrind(&["--tool=callgrind", &to], &["--run", part, &times.to_string()]);
    let _ = std::fs::remove_file(&out);
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.with_context(|| format!("callgrind on {part} told no count: {said}"))?;
    Ok(count.trim().parse()?)
}

/// This program under valgrind.
fn valgrind(options: &[&str], arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("valgrind");
    command.args(options).arg(std::env::current_exe()?).args(arguments);
    let output = command.output().context("valgrind (Debian: apt install valgrind)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "valgrind on {arguments:?}: {said}");
    Ok(output)
}
