//! `unisono-sender`: reads the command line, starts the [`Service`], and waits for a signal to end it.
//!
//! Exit codes: 0 ended as asked, 1 failed while running, 2 wrong command line, configuration or surroundings.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};
use unisono_common::config::sender::SenderConfig;
use unisono_host::interface::Interface;
use unisono_host::{log, realtime, supervisor};
use unisono_sender::cli::{self, CliError, Command, Run};
use unisono_sender::client::ClientError;
use unisono_sender::service::{self, Service};
use unisono_sender::{ctl, doctor, hub, live, watch};

const WRONG: u8 = 2;

/// A network that is not there yet is looked for this often.
const NETWORK_LOOK: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let options = match cli::command(std::env::args_os()) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Doctor(doctor)) => return examine(&doctor),
        Ok(Command::Done) => return ExitCode::SUCCESS,
        Ok(Command::Watch(watch)) => return done(watch::run(&watch)),
        Ok(Command::Ctl(hub, request)) => return done(ctl::run(&hub, &request).map(|text| print!("{text}"))),
        Err(CliError::Shown(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return wrong(&error),
    };
    // What symphonia thinks of a file is not news: we say ourselves which file is not played and why.
    log::to_stderr("info,statime=off,symphonia=off");
    match run(*options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("unisono-sender: {error:#}");
            supervisor::status(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(Run { config, file, wait }: Run) -> anyhow::Result<ExitCode> {
    // First of all, so that a signal during the start ends the program in order too.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals")?;
    if let Err(error) = realtime::lock_memory() {
        info!("{error}");
    }
    if wait && !network_is_there(&config, &mut signals) {
        return Ok(ExitCode::SUCCESS);
    }
    let (http, service) = match service::listen_http(config.http_listen)
        .and_then(|http| Ok((http, Service::start(&config, file, wait)?)))
    {
        Ok(started) => started,
        Err(error) => return Ok(wrong(&error)),
    };
    let hub = match hub::run::start(&config, &service, http) {
        Ok(hub) => hub,
        Err(error) => {
            drop(service);
            return Ok(wrong(&error));
        }
    };
    supervisor::ready("sending");
    for signal in signals.forever() {
        if signal != SIGHUP {
            info!(signal, "sender ends");
            break;
        }
        supervisor::reloading();
        if let Err(error) = service.live.reload() {
            warn!("nothing is changed: {error}");
        }
        supervisor::ready("sending");
    }
    supervisor::stopping();
    let programs = service.live.programs();
    drop(hub);
    drop(service);
    live::wait_for_ends(&programs);
    Ok(ExitCode::SUCCESS)
}

/// Waits until the network is there that is to be sent to; `false`: it was told to end first.
fn network_is_there(config: &SenderConfig, signals: &mut Signals) -> bool {
    let mut told = false;
    loop {
        let wrong = match Interface::leading_out(config.interface.as_deref()) {
            Ok(Some(interface)) if interface.ipv4.is_some() => return true,
            Ok(Some(interface)) => format!("{} has no IPv4 address yet", interface.name),
            Ok(None) => "no interface leads out of this machine yet; interface = \"lo\" would stay on it".into(),
            Err(error) => error.to_string(),
        };
        if !std::mem::replace(&mut told, true) {
            info!("waiting for a network: {wrong}");
            supervisor::status(&format!("waiting for a network: {wrong}"));
        }
        std::thread::sleep(NETWORK_LOOK);
        if signals.pending().any(|signal| signal != SIGHUP) {
            return false;
        }
    }
}

/// 0: nothing is wrong; 1: something is.
fn examine(doctor: &cli::Doctor) -> ExitCode {
    let report = doctor::examine(doctor.config.as_deref());
    match doctor.json {
        true => println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default()),
        false => print!("{report}"),
    }
    ExitCode::from(u8::from(report.has_problems()))
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
    // What `systemctl status` shows of a service that has ended.
    supervisor::status(&error.to_string());
    ExitCode::from(WRONG)
}
