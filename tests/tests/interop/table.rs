//! The table's rows of these tests.

use std::process::Command;

use unisono_tests::interop;

use crate::peers;

/// Tells a row of a peer that a Debian package brought.
pub(crate) fn tell(direction: &str, peer: &str, package: &str, seen: &str) {
    tell_of(direction, peer, &version(package), seen);
}

/// The same of a peer whose version is known.
pub(crate) fn tell_of(direction: &str, peer: &str, version: &str, seen: &str) {
    interop::tell(direction, peer, version, seen).unwrap();
}

/// The package's version; of one that is only unpacked, what its program says.
fn version(package: &str) -> String {
    let installed = if package.is_empty() { String::new() } else { interop::debian_version(package) };
    if package.is_empty() || !installed.is_empty() {
        return installed;
    }
    let output = peers::find(&format!("{package}d")).map(|program| Command::new(program).arg("--version").output());
    let said = output.and_then(Result::ok).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.unwrap_or_default().split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or("").into()
}
