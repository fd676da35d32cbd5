//! `unisono-sender watch`: how the house is, live in the terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::client::{ClientError, Target};
use crate::ctl::{Where, shown};

/// Between two pictures.
const EVERY: Duration = Duration::from_millis(500);
/// Between looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// What a picture is made of.
const HOUSE: &str = "/api/v1/house";

/// What to watch, and how.
#[derive(Clone, Debug, Args)]
pub struct Watch {
    #[command(flatten)]
    hub: Where,
    /// Prints one picture and ends.
    #[arg(long)]
    once: bool,
    /// The page's address as it is shown, such as a sign-in link.
    #[arg(long, value_name = "URL")]
    page: Option<String>,
}

/// Draws until it is ended by a signal; a hub that goes away is waited for.
pub fn run(watch: &Watch) -> Result<(), ClientError> {
    let target = watch.hub.target()?;
    let drawn = |house: &Value| picture(house, &target, watch.page.as_deref(), width());
    if watch.once {
        let house = target.get(HOUSE)?;
        let text = if watch.hub.json { format!("{house:#}\n") } else { drawn(&house) };
        return print(&text);
    }
    let problem = |error: io::Error| ClientError::Problem(error.to_string());
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, ended.clone()).map_err(problem)?;
    }
    let terminal = io::stdout().is_terminal();
    let houses = ask(target.clone()).map_err(problem)?;
    while !ended.load(Ordering::Relaxed) {
        let house = match houses.recv_timeout(LOOK) {
            Ok(house) => house,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let text = match &house {
            Ok(house) if watch.hub.json => format!("{house}\n"),
            Ok(house) => drawn(house),
            Err(error) => format!("{error}\n"),
        };
        // Home, each line cleared to its end, then all below: nothing flickers.
        let text = if terminal { format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")) } else { text };
        print(&text)?;
    }
    Ok(())
}

/// Asks for the house over and over, on a thread of its own: a hub that is long in answering, or a name in being resolved,
/// keeps no signal waiting.
fn ask(target: Target) -> io::Result<Receiver<Result<Value, ClientError>>> {
    let (houses, asked) = sync_channel(0);
    thread::Builder::new().name("house".to_owned()).spawn(move || {
        while houses.send(target.get(HOUSE)).is_ok() {
            thread::sleep(EVERY);
        }
    })?;
    Ok(asked)
}

fn print(text: &str) -> Result<(), ClientError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| ClientError::Problem(error.to_string()))
}

/// The house in lines of at most `width` characters, and the address of its page whole.
pub(crate) fn picture(house: &Value, target: &Target, page: Option<&str>, width: usize) -> String {
    let hub = &house["hub"];
    let mut lines = vec![format!("Unisono {}  {}", shown(&hub["version"]), shown(&hub["name"])), String::new()];
    for stream in list(&house["streams"]) {
        lines.extend(stream_lines(stream));
        let rooms: Vec<_> = list(&house["rooms"]).filter(|room| room["stream"] == stream["id"]).collect();
        if rooms.is_empty() {
            lines.push("    no room plays it".to_owned());
        } else {
            lines.push(HEAD.to_owned());
        }
        lines.extend(rooms.into_iter().map(room_line));
        lines.push(String::new());
    }
    let idle: Vec<_> = list(&house["rooms"]).filter(|room| room["stream"].is_null()).collect();
    if !idle.is_empty() {
        lines.push("Silent".to_owned());
        lines.extend(idle.into_iter().map(room_line));
        lines.push(String::new());
    }
    let troubles = list(&house["rooms"]).filter_map(|room| room["trouble"]["text"].as_str());
    lines.extend(troubles.map(|text| format!("! {text}")));
    lines.push(next_step(house));
    let cut = |line: &String| line.chars().take(width).collect::<String>() + "\n";
    let page = match (page, target) {
        (Some(page), _) => format!("The page: {page}\n"),
        (None, Target::Network { host, .. }) => format!("The page: http://{host}/\n"),
        (None, Target::Socket(_)) => String::new(),
    };
    lines.iter().map(cut).collect::<String>() + &page
}

const HEAD: &str =
    "    room              state       offset    clock      card     buffer    lost  late  mended  volume";

fn stream_lines(stream: &Value) -> Vec<String> {
    let playback = &stream["playback"];
    let mut lines = vec![format!(
        "{}  {} {}  {}",
        shown(&stream["name"]),
        shown(&stream["format"]),
        shown(&stream["address"]),
        spread(stream)
    )];
    let words = ["title", "artist", "album"].iter().filter_map(|field| playback[*field].as_str());
    let words: Vec<_> = words.collect();
    let mut now = format!("    {}", shown(&playback["state"]));
    if !words.is_empty() {
        now += &format!(": {}", words.join(" - "));
    }
    if let Some(position) = playback["position_s"].as_f64() {
        now += &format!("  {}", clock(position));
        now += &playback["duration_s"].as_f64().map(|length| format!(" of {}", clock(length))).unwrap_or_default();
    }
    lines.push(now);
    lines
}

fn spread(stream: &Value) -> String {
    match (stream["playing_rooms"].as_u64(), stream["spread_us"].as_f64()) {
        (Some(rooms), Some(spread)) => format!("{rooms} rooms within {:.0} µs", spread.ceil()),
        (Some(1), None) => "one room, on the clock".to_owned(),
        _ => String::new(),
    }
}

fn room_line(room: &Value) -> String {
    let health = &room["health"];
    let state = match room["presence"].as_str() {
        Some("here") => health["state"].as_str().unwrap_or("here").replace('_', " "),
        Some("at_the_door") => format!("waits ({})", shown(&room["code"])),
        _ => "gone".to_owned(),
    };
    let figure = |field: &str, digits: usize, unit: &str| match health[field].as_f64() {
        Some(value) => format!("{value:+.digits$} {unit}"),
        None => "-".to_owned(),
    };
    let plain = |field: &str, unit: &str| match health[field].as_f64() {
        Some(value) => format!("{value:.1} {unit}"),
        None => "-".to_owned(),
    };
    let name: String = shown(&room["name"]).chars().take(16).collect();
    let volume = if room["mute"] == true { "mute".to_owned() } else { format!("{} dB", shown(&room["volume_db"])) };
    format!(
        "    {name:16}  {state:10}  {:>9}  {:>8}  {:>9}  {:>8}  {:>4}  {:>4}  {:>6}  {volume}",
        figure("offset_us", 1, "µs"),
        plain("clock_sigma_us", "µs"),
        figure("card_ppm", 2, "ppm"),
        plain("buffer_ms", "ms"),
        shown(&health["packets_lost"]),
        shown(&health["packets_late"]),
        shown(&health["packets_repaired"]),
    )
}

/// What somebody who sees this would do next.
fn next_step(house: &Value) -> String {
    match list(&house["rooms"]).find(|room| room["presence"] == "at_the_door") {
        Some(room) => format!("A new room waits: unisono-sender ctl admit \"{}\"", shown(&room["name"])),
        None if list(&house["rooms"]).next().is_none() => {
            "No room yet. Start one: unisono-receiver (on this host or any other of this network)".to_owned()
        }
        None => "unisono-sender ctl --help says what can be changed from here. Ctrl-C ends.".to_owned(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Minutes and seconds.
fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Characters in a line of the terminal; plenty where there is none.
fn width() -> usize {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes a winsize, which lives through the call; on what is no terminal it fails.
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    if done == 0 && size.ws_col > 0 { usize::from(size.ws_col) } else { 200 }
}
