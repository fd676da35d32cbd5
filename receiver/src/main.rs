//! `unisono-receiver`: reads the command line, starts the room, and waits for a signal to end it.
//!
//! Exit codes: 0 ended as asked, 1 failed while running, 2 wrong command line, configuration or surroundings.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use unisono_common::config::receiver::ReceiverConfig;
use unisono_host::interface::{Interface, InterfaceError};
use unisono_host::state::StateDir;
use unisono_host::supervisor::{self, Watchdog};
use unisono_host::{clock, log, realtime};
use unisono_receiver::audio::Audio;
use unisono_receiver::cli::{self, CliError, Command, Run};
use unisono_receiver::discover::Discovery;
use unisono_receiver::doctor;
use unisono_receiver::hub::{self, HubSettings};
use unisono_receiver::idle::Hooks;
use unisono_receiver::room::{Event, Room};
use unisono_receiver::status::Status;

const WRONG: u8 = 2;

/// How often a line about the room goes to the service manager, and after how many of them to the log.
const STATUS_EVERY: Duration = Duration::from_secs(10);
const LOG_ROUNDS: u32 = 6;

fn main() -> ExitCode {
    let options = match cli::command(std::env::args_os()) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Doctor(doctor)) => return examine(&doctor),
        Ok(Command::Done) => return ExitCode::SUCCESS,
        Err(CliError::Shown(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return wrong(&error),
    };
    log::to_stderr("info,statime=off");
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("unisono-receiver: {error:#}");
            supervisor::status(&format!("{error:#}"));
            ExitCode::FAILURE
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

fn run(Run { config, file, report, wait }: &Run) -> anyhow::Result<ExitCode> {
    let (events, incoming) = mpsc::channel();
    // First of all, so that a signal during the start ends the program in order too.
    heed_signals(file.clone(), events.clone())?;
    if let Err(error) = realtime::lock_memory() {
        tracing::info!("{error}");
    }
    let state = match StateDir::open(config.state_dir.as_deref(), "receiver") {
        Ok(state) => state,
        Err(error) => return Ok(wrong(&error)),
    };
    let interface = match interface(config.interface.as_deref(), *wait, &incoming) {
        Ok(Some(interface)) => interface,
        Ok(None) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Ok(wrong(&error)),
    };
    let sink = events.clone();
    let audio = match Audio::spawn(&config.output, *wait, move |event| drop(sink.send(Event::Audio(event)))) {
        Ok(audio) => audio,
        Err(error) => return Ok(wrong(&error)),
    };
    let sink = events.clone();
    let announced = move |sessions| drop(sink.send(Event::Sessions(sessions)));
    let discovery = match Discovery::spawn(&interface, config.stream.clone(), announced) {
        Ok(discovery) => discovery,
        Err(error) => return Ok(wrong(&error)),
    };
    let hooks = Hooks::new(&config.idle, &room_name(config)).context("hooks")?;
    let status = Arc::new(Mutex::new(Status::new(discovery.bogus())));
    follow_hub(config, &interface, state.path(), &status, events)?;
    tell(&status, *report)?;
    supervisor::ready("looking for something to play");
    Room::new(config, interface, audio, hooks, status, state).run(&incoming);
    supervisor::stopping();
    drop(discovery);
    Ok(ExitCode::SUCCESS)
}

/// The configured interface, or the one to use: a machine that starts before its network waits for it, and does not
/// settle on loopback. `None`: it was told to end first.
fn interface(name: Option<&str>, wait: bool, events: &Receiver<Event>) -> Result<Option<Interface>, InterfaceError> {
    let mut told = false;
    let mut watchdog = Watchdog::of_this_process(clock::now());
    loop {
        match Interface::leading_out(name) {
            Ok(Some(interface)) => return Ok(Some(interface)),
            Ok(None) if !told => tracing::info!("waiting for a network; interface = \"lo\" would stay on this machine"),
            Err(error) if !wait => return Err(error),
            Err(error) if !told => tracing::warn!("{error}; waiting for it"),
            Ok(None) | Err(_) => {}
        }
        if !std::mem::replace(&mut told, true) {
            supervisor::ready("waiting for a network");
        }
        watchdog.tick(true, clock::now());
        if let Ok(Event::Quit) = events.recv_timeout(Duration::from_millis(500)) {
            return Ok(None);
        }
    }
}

/// SIGHUP reads the configuration again; one that is wrong changes nothing. The others end the room.
fn heed_signals(file: Option<PathBuf>, events: Sender<Event>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals")?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let event = match (signal, &file) {
                (SIGHUP, None) => continue,
                (SIGHUP, Some(file)) => match cli::read(file) {
                    Ok(config) => Event::Reload(Box::new(config)),
                    Err(error) => {
                        tracing::warn!("nothing is changed: {error}");
                        continue;
                    }
                },
                _ => Event::Quit,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// The room's name where no hub has given it another.
fn room_name(config: &ReceiverConfig) -> String {
    config.room.clone().unwrap_or_else(hub::identity::host_name)
}

fn follow_hub(
    config: &ReceiverConfig,
    interface: &Interface,
    state_dir: &Path,
    status: &Arc<Mutex<Status>>,
    events: Sender<Event>,
) -> anyhow::Result<()> {
    let settings = HubSettings {
        hub: config.hub.clone(),
        interface: Some(interface.name.clone()),
        state_dir: state_dir.to_owned(),
        room: room_name(config),
        output: config.output.device.as_ref().map_or("the best card".into(), ToString::to_string),
        stream: config.stream.clone(),
        volume_db: config.volume_db.unwrap_or(0.0) as f32,
        trim_us: i64::from(config.trim_us),
    };
    let status = Arc::clone(status);
    let health = move || status.lock().unwrap_or_else(PoisonError::into_inner).health();
    let hub = hub::spawn(settings, Arc::new(health));
    thread::Builder::new().name("orders".into()).spawn(move || {
        // The link lives as long as this thread: until the room is gone, or the link itself.
        while let Ok(event) = hub.events().recv() {
            if events.send(Event::Hub(event)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Tells how the room is: in the log now and then, and as JSON on standard output if asked to.
fn tell(status: &Arc<Mutex<Status>>, report: Option<u32>) -> anyhow::Result<()> {
    let status = Arc::clone(status);
    let every = report.map_or(STATUS_EVERY, |seconds| Duration::from_secs(seconds.into()));
    thread::Builder::new().name("report".into()).spawn(move || {
        for round in 1_u32.. {
            thread::sleep(every);
            let status = status.lock().unwrap_or_else(PoisonError::into_inner);
            supervisor::status(&status.to_string());
            if report.is_none() {
                if round.is_multiple_of(LOG_ROUNDS) {
                    tracing::info!("{}", *status);
                }
                continue;
            }
            let line = serde_json::to_string(&status.health()).unwrap_or_default();
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

fn wrong(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("unisono-receiver: {error}");
    // What `systemctl status` shows of a service that has ended.
    supervisor::status(&error.to_string());
    ExitCode::from(WRONG)
}
