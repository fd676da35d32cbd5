//! The configuration files of both daemons: TOML text in, plain validated values or all problems out.
//!
//! A file is read key by key ([`section`]) and not through serde, so that one run tells every problem, each with its
//! line, and an unknown key with the known one nearest to it. What was typed never leaves this module: the types of
//! [`sender`] and [`receiver`] hold valid values only. What only the host can tell (does the interface exist, is the
//! port free) is for the shells to check.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

mod appliance;
pub mod receiver;
mod section;
pub mod sender;
mod source;

/// TCP port of the sender's web page and API.
pub const DEFAULT_HTTP_PORT: u16 = 7680;

/// UDP port of the sender's clock.
pub const DEFAULT_CLOCK_PORT: u16 = 7680;

/// UDP port at which a sender takes requests for lost packets.
pub const DEFAULT_REPAIR_PORT: u16 = 7681;

/// All that is wrong with a configuration file; displays as one `FILE:LINE: text` a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    problems: Vec<Problem>,
}

/// One thing that is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, counted from 1.
    pub line: usize,
    /// What is wrong there and what would be right.
    pub text: String,
}

/// What [`state_dir`] needs to know of the process's surroundings.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$STATE_DIRECTORY`, which systemd sets for `StateDirectory=`.
    pub state_directory: Option<OsString>,
    /// Whether [`SYSTEM_STATE_DIR`] is there, or can be made, and can be written.
    pub system_writable: bool,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
}

/// Where a daemon with rights keeps its state.
pub const SYSTEM_STATE_DIR: &str = "/var/lib/unisono";

/// Where state is kept: as configured, else where systemd says, else the system's directory when that can be
/// written, else the user's (XDG base directory specification).
pub fn state_dir(configured: Option<&Path>, environment: &Environment) -> PathBuf {
    let set = |value: &Option<OsString>| value.as_ref().filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(configured) = configured {
        return configured.to_owned();
    }
    // systemd separates several directories by colons; ours asks for one.
    let from_systemd = set(&environment.state_directory)
        .and_then(|dirs| dirs.to_str().and_then(|dirs| dirs.split(':').next()).map(PathBuf::from));
    if let Some(dir) = from_systemd {
        return dir;
    }
    let users = set(&environment.xdg_state_home).or_else(|| set(&environment.home).map(|h| h.join(".local/state")));
    match users {
        Some(dir) if !environment.system_writable => dir.join("unisono"),
        _ => PathBuf::from(SYSTEM_STATE_DIR),
    }
}

impl ConfigError {
    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every problem found, in the order of the lines; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}: {}", self.file, problem.line, problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
