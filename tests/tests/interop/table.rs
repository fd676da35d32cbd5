//! The table in docs/interop.md: each test tells its row, with the version of the peer and what was seen.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::peers;

static FILE: Mutex<()> = Mutex::new(());

/// Prints a row and, with UNISONO_WRITE_INTEROP in the environment, puts it in the place of the one that begins the same.
pub(crate) fn tell(direction: &str, peer: &str, package: &str, seen: &str) {
    let row = format!("| {direction} | {peer} | {} | {seen} |", version(package));
    let _ = writeln!(std::io::stderr(), "{row}");
    if std::env::var_os("UNISONO_WRITE_INTEROP").is_none() {
        return;
    }
    let _one_at_a_time = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interop.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let begin = format!("| {direction} | {peer} |");
    assert!(text.lines().any(|line| line.starts_with(&begin)), "docs/interop.md has no row \"{begin}\"");
    let lines = text.lines().map(|line| if line.starts_with(&begin) { row.as_str() } else { line });
    std::fs::write(&file, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

/// The version of a Debian package, without what Debian adds; of one that is only unpacked, what its program says.
fn version(package: &str) -> String {
    if package.is_empty() {
        return String::new();
    }
    let output = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let installed = output(Path::new("dpkg-query"), &["-W", "-f", "${Version}", package]);
    let upstream = installed.rsplit_once(':').map_or(installed.as_str(), |(_, rest)| rest);
    match upstream.split(['-', '+']).next() {
        Some(version) if !version.is_empty() => version.to_owned(),
        _ => {
            let said = peers::find(&format!("{package}d")).map(|program| output(&program, &["--version"]));
            said.unwrap_or_default()
                .split_whitespace()
                .skip_while(|word| *word != "version")
                .nth(1)
                .unwrap_or("")
                .into()
        }
    }
}
