//! What `doctor` says of a machine: findings in plain words, each with what would mend it. Facts come in as values
//! ([`machine`]); nothing here looks at anything by itself.

use std::fmt;

use serde::Serialize;

pub mod machine;

/// How a thing that was looked at is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and could be better; or could not be seen.
    Note,
    /// Music suffers, or is not heard.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word.
    pub check: &'static str,
    /// How it is.
    pub level: Level,
    /// What was seen.
    pub what: String,
    /// What would mend it: a command, or what to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Finding { check, level: Level::Ok, what: what.into(), fix: None }
    }

    /// Could be better.
    pub fn note(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { check, level: Level::Note, what: what.into(), fix: Some(fix.into()) }
    }

    /// Could not be seen, or does not matter.
    pub fn unseen(check: &'static str, what: impl Into<String>) -> Self {
        Finding { check, level: Level::Note, what: what.into(), fix: None }
    }

    /// Music suffers.
    pub fn problem(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { check, level: Level::Problem, what: what.into(), fix: Some(fix.into()) }
    }
}

/// All findings, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether music suffers from any of it.
    pub fn has_problems(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Problem)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, level, what, fix } in &self.findings {
            let mark = match level {
                Level::Ok => "ok",
                Level::Note => "note",
                Level::Problem => "WRONG",
            };
            writeln!(f, "{mark:<6}{check:<12}{what}")?;
            for line in fix.iter().flat_map(|fix| fix.lines()) {
                writeln!(f, "{:<18}-> {line}", "")?;
            }
        }
        let problems = self.findings.iter().filter(|finding| finding.level == Level::Problem).count();
        match problems {
            0 => writeln!(f, "nothing is wrong"),
            1 => writeln!(f, "one thing is wrong"),
            more => writeln!(f, "{more} things are wrong"),
        }
    }
}

#[cfg(test)]
mod tests;
