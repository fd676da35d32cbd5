//! The table in docs/interop.md: each test tells its row, with the version of the peer and what was seen.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static FILE: Mutex<()> = Mutex::new(());

/// Prints a row and, with UNISONO_WRITE_INTEROP in the environment, puts it in the place of the one that begins the same.
///
/// # Errors
/// The table can't be read or written, or has no such row.
pub fn tell(direction: &str, peer: &str, version: &str, seen: &str) -> io::Result<()> {
    let row = format!("| {direction} | {peer} | {version} | {seen} |");
    // Past the harness, which keeps what passing tests print to itself.
    let _ = writeln!(io::stderr(), "{row}");
    if std::env::var_os("UNISONO_WRITE_INTEROP").is_none() {
        return Ok(());
    }
    let _one_at_a_time = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interop.md");
    let text = std::fs::read_to_string(&file)?;
    let begin = format!("| {direction} | {peer} |");
    if !text.lines().any(|line| line.starts_with(&begin)) {
        return Err(io::Error::other(format!("docs/interop.md has no row \"{begin}\"")));
    }
    let lines = text.lines().map(|line| if line.starts_with(&begin) { row.as_str() } else { line });
    std::fs::write(&file, lines.map(|line| format!("{line}\n")).collect::<String>())
}

/// The version of a Debian package, without what Debian adds; empty where it is not installed.
pub fn debian_version(package: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    let installed = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let upstream = installed.rsplit_once(':').map_or(installed.as_str(), |(_, rest)| rest);
    upstream.split(['-', '+']).next().unwrap_or_default().to_owned()
}
