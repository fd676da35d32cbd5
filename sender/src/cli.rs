//! The command line.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use unisono_common::config::ConfigError;
use unisono_common::config::sender::{SenderConfig, SourceConfig, StreamConfig};

use crate::ctl;
use crate::watch::Watch;

/// Sends music to every room, in step.
///
/// With no FILE and no MUSIC_DIR it sends a piece that it makes itself.
#[derive(Debug, Parser)]
#[command(name = "unisono-sender", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Wait for a network or a source that isn't there yet, as a service does, and don't give up.
    #[arg(long)]
    wait: bool,
    /// Directory of music to send as the stream "music".
    #[arg(value_name = "MUSIC_DIR")]
    music_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Other>,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Says what is wrong with a configuration file, or nothing.
    CheckConfig {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Prints the audio_output blocks that let MPD write into the pipes of a configuration file, for its mpd.conf.
    MpdConf {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Shows how the house is, live.
    Watch(Watch),
    /// Asks the hub for something.
    Ctl {
        #[command(flatten)]
        hub: ctl::Where,
        #[command(subcommand)]
        request: ctl::Request,
    },
    /// Looks at this machine, its network and what is to be played, and says what is wrong and what mends it.
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
    /// Configuration file of the sender; without it /etc/unisono/sender.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// How to send.
#[derive(Debug)]
pub struct Run {
    /// As the file says.
    pub config: SenderConfig,
    /// The file, to be read again when that is asked for.
    pub file: Option<PathBuf>,
    /// A network or a source that is not there at the start is waited for.
    pub wait: bool,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Send.
    Run(Box<Run>),
    /// Look for what is wrong.
    Doctor(Doctor),
    /// Nothing more: it has been done.
    Done,
    /// Show how the house is.
    Watch(Watch),
    /// Ask the hub for something.
    Ctl(ctl::Where, ctl::Request),
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
pub fn command(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Command, CliError> {
    let arguments = Arguments::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => CliError::Shown(error.render().to_string()),
        _ => CliError::Usage(sentence(&error.render().to_string())),
    })?;
    match arguments.command {
        Some(Other::CheckConfig { file }) => return read(&file).map(|_| Command::Done),
        Some(Other::MpdConf { file }) => return Err(CliError::Shown(mpd_conf(&file)?)),
        Some(Other::Watch(watch)) => return Ok(Command::Watch(watch)),
        Some(Other::Ctl { hub, request }) => return Ok(Command::Ctl(hub, request)),
        Some(Other::Doctor(doctor)) => return Ok(Command::Doctor(doctor)),
        Some(Other::Completions { shell }) => return Err(CliError::Shown(completions(shell))),
        Some(Other::Man { directory }) => {
            let done = clap_mangen::generate_to(Arguments::command(), &directory);
            return done.map(|()| Command::Done).map_err(|error| CliError::Unreadable { file: directory, error });
        }
        None => {}
    }
    let mut config = arguments.config.as_deref().map_or_else(|| Ok(SenderConfig::default()), read)?;
    if let Some(music_dir) = arguments.music_dir {
        if config.streams != SenderConfig::default().streams {
            let file = arguments.config.clone().unwrap_or_default();
            return Err(CliError::Usage(format!("{} lists streams already: leave MUSIC_DIR out", file.display())));
        }
        config.streams = vec![StreamConfig::new("music", SourceConfig::library(music_dir))];
    }
    Ok(Command::Run(Box::new(Run { config, file: arguments.config, wait: arguments.wait })))
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "unisono-sender", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The blocks for mpd.conf, one for each pipe.
fn mpd_conf(file: &Path) -> Result<String, CliError> {
    let config = read(file)?;
    let pipes = config.streams.iter().filter_map(|stream| match &stream.source {
        SourceConfig::Pipe { path, format, .. } => Some((&stream.name, path, format)),
        _ => None,
    });
    // A path is taken from where the sender runs; MPD runs elsewhere.
    let blocks: Vec<String> = pipes
        .map(|(name, path, format)| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let text = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            format!(
                "audio_output {{\n    type       \"fifo\"\n    name       \"{}\"\n    path       \"{}\"\n    \
                 format     \"{format}\"\n    mixer_type \"none\"\n}}\n",
                text(name),
                text(&path.to_string_lossy()),
            )
        })
        .collect();
    match blocks.is_empty() {
        true => Err(CliError::Usage(format!("{}: no stream has a source of type \"pipe\"", file.display()))),
        false => Ok(blocks.join("\n")),
    }
}

fn read(file: &Path) -> Result<SenderConfig, CliError> {
    let text = fs::read_to_string(file).map_err(|error| CliError::Unreadable { file: file.to_owned(), error })?;
    Ok(SenderConfig::parse(file, &text)?)
}

/// The first paragraph of clap's message and its tip, as one sentence; the usage behind it is left to --help.
fn sentence(message: &str) -> String {
    let paragraph: Vec<&str> = message.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let tip = message.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    format!("{}; {}", paragraph.join(" ").trim_start_matches("error: "), tip.unwrap_or("see --help"))
}

#[cfg(test)]
mod tests;
