//! `unisono-sender`: reads the command line, starts the [`Service`], and waits for a signal to end it.
//!
//! Exit codes: 0 ended as asked, 1 failed while running, 2 wrong command line, configuration or surroundings.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use unisono_common::config::sender::SenderConfig;
use unisono_host::realtime;
use unisono_sender::cli::{self, CliError, Command};
use unisono_sender::client::ClientError;
use unisono_sender::service::{self, Service};
use unisono_sender::{ctl, hub, watch};

const WRONG: u8 = 2;

fn main() -> ExitCode {
    let (config, file) = match cli::command(std::env::args_os()) {
        Ok(Command::Run(config, file)) => (config, file),
        Ok(Command::Checked) => return ExitCode::SUCCESS,
        Ok(Command::Watch(watch)) => return done(watch::run(&watch)),
        Ok(Command::Ctl(hub, request)) => return done(ctl::run(&hub, &request).map(|text| print!("{text}"))),
        Err(CliError::Shown(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return wrong(&error),
    };
    log_to_stderr();
    match run(&config, file) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("unisono-sender: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &SenderConfig, file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    // First of all, so that a signal during the start ends the program in order too.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals")?;
    if let Err(error) = realtime::lock_memory() {
        info!("{error}");
    }
    let (http, service) =
        match service::listen_http(config.http_listen).and_then(|http| Ok((http, Service::start(config, file)?))) {
            Ok(started) => started,
            Err(error) => return Ok(wrong(&error)),
        };
    let hub = match hub::run::start(config, &service, http) {
        Ok(hub) => hub,
        Err(error) => {
            drop(service);
            return Ok(wrong(&error));
        }
    };
    notify(NotifyState::Ready);
    for signal in signals.forever() {
        if signal != SIGHUP {
            info!(signal, "sender ends");
            break;
        }
        notify(NotifyState::Reloading);
        if let Err(error) = service.live.reload() {
            warn!("nothing is changed: {error}");
        }
        notify(NotifyState::Ready);
    }
    notify(NotifyState::Stopping);
    drop(hub);
    drop(service);
    Ok(ExitCode::SUCCESS)
}

/// Outside of systemd there is nobody to notify.
fn notify(state: NotifyState<'_>) {
    let _ = sd_notify::notify(&[state]);
}

/// What the hub says to a request.
fn done(result: Result<(), ClientError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unisono-sender: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wrong(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("unisono-sender: {error}");
    ExitCode::from(WRONG)
}

/// `RUST_LOG` says what is logged; the journal stamps its lines by itself. What symphonia thinks of a file is not news: we
/// say ourselves which file is not played and why.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,symphonia=off"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() { log.without_time().init() } else { log.init() }
}
