//! The command line.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use unisono_common::config::ConfigError;
use unisono_common::config::receiver::{Quality, ReceiverConfig};

/// Plays what a Unisono sender sends, in step with every other room.
///
/// With no FILE it plays the first stream it finds through the best sound card there is.
#[derive(Debug, Parser)]
#[command(name = "unisono-receiver", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print how the room is as a line of JSON every so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    report: Option<u32>,
    /// Wait for a sound card or a network interface that isn't there yet, as a service does, and don't give up.
    #[arg(long)]
    wait: bool,
    /// How the rate is fitted to the card's, whatever the file says.
    #[arg(long, value_enum)]
    quality: Option<QualityName>,
    #[command(subcommand)]
    command: Option<Other>,
}

/// [`Quality`] by the names that the configuration file has for it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum QualityName {
    /// A windowed sinc of 32 taps: cheap, for a Pi Zero.
    Low,
    /// A sinc of 128 taps.
    Normal,
    /// A sinc of 256 taps.
    High,
    /// No resampler: bits are left alone, but at a frame that is dropped or doubled now and then.
    Slip,
}

impl From<QualityName> for Quality {
    fn from(name: QualityName) -> Self {
        match name {
            QualityName::Low => Quality::Low,
            QualityName::Normal => Quality::Normal,
            QualityName::High => Quality::High,
            QualityName::Slip => Quality::Slip,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Says what is wrong with a configuration file, or nothing.
    CheckConfig {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Looks at this machine, its card, its network and the house, and says what is wrong and what mends it.
    Doctor(Doctor),
    /// Prints what a shell needs to complete this program's commands.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes this program's manual pages.
    #[command(hide = true)]
    Man {
        /// The directory that they are written to.
        directory: PathBuf,
    },
}

/// What is to be looked at.
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {
    /// Configuration file of the room; without it /etc/unisono/receiver.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Play.
    Run(Box<Run>),
    /// Look for what is wrong.
    Doctor(Doctor),
    /// Nothing more: it has been done.
    Done,
}

/// How to play.
#[derive(Debug)]
pub struct Run {
    /// As the file says.
    pub config: ReceiverConfig,
    /// The file, to be read again when that is asked for.
    pub file: Option<PathBuf>,
    /// Report every so many seconds.
    pub report: Option<u32>,
    /// A card or an interface that is not there at the start is waited for.
    pub wait: bool,
}

/// Why it can't be done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Help or the version was asked for: to be printed, and no error.
    #[error("{0}")]
    Shown(String),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The file can't be read, or the directory not be written to.
    #[error("{file}: {error}", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Reads the command line, program name included, and the file that it names.
///
/// # Errors
/// as [`CliError`] says.
pub fn command(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Command, CliError> {
    let arguments = Arguments::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => CliError::Shown(error.render().to_string()),
        _ => CliError::Usage(sentence(&error.render().to_string())),
    })?;
    match arguments.command {
        Some(Other::CheckConfig { file }) => return read(&file).map(|_| Command::Done),
        Some(Other::Doctor(doctor)) => return Ok(Command::Doctor(doctor)),
        Some(Other::Completions { shell }) => return Err(CliError::Shown(completions(shell))),
        Some(Other::Man { directory }) => {
            let done = clap_mangen::generate_to(Arguments::command(), &directory);
            return done.map(|()| Command::Done).map_err(|error| CliError::Unreadable { file: directory, error });
        }
        None => {}
    }
    let mut config = arguments.config.as_deref().map_or_else(|| Ok(ReceiverConfig::default()), read)?;
    if let Some(quality) = arguments.quality {
        config.quality = quality.into();
    }
    Ok(Command::Run(Box::new(Run { config, file: arguments.config, report: arguments.report, wait: arguments.wait })))
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "unisono-receiver", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads a configuration file.
///
/// # Errors
/// as [`CliError`] says.
pub fn read(file: &Path) -> Result<ReceiverConfig, CliError> {
    let text = fs::read_to_string(file).map_err(|error| CliError::Unreadable { file: file.to_owned(), error })?;
    Ok(ReceiverConfig::parse(file, &text)?)
}

/// The first paragraph of clap's message and its tip, as one sentence; the usage behind it is left to --help.
fn sentence(message: &str) -> String {
    let paragraph: Vec<&str> = message.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let tip = message.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    format!("{}; {}", paragraph.join(" ").trim_start_matches("error: "), tip.unwrap_or("see --help"))
}

#[cfg(test)]
mod tests;
