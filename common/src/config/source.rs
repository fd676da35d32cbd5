//! `source` of a stream in `sender.toml`: where its audio comes from.

use std::path::PathBuf;

use super::section::{Section, Value, flag, integer, label, number, parsed, path, suggestion, text};
use crate::format::{Format, RawFormat};

/// Which gain brings the pieces of a library to one loudness.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayGain {
    /// None: every sample as it is in the file.
    #[default]
    Off,
    /// Every piece is as loud as any other.
    Track,
    /// Every album is as loud as any other; within it, loud and soft stay as they are.
    Album,
    /// `album` in order, `track` when shuffled.
    Auto,
}

/// Where a stream's audio comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceConfig {
    /// Every music file below a directory.
    Library {
        /// The directory.
        path: PathBuf,
        /// In random order.
        shuffle: bool,
        /// From the start again after the last file.
        repeat: bool,
        /// Which gain brings pieces to one loudness.
        replay_gain: ReplayGain,
        /// How long one piece fades into the next, in seconds; 0 is without.
        crossfade_s: f64,
    },
    /// A FIFO of raw little-endian PCM, as MPD writes it.
    Pipe {
        /// The FIFO; it is made when it is not there.
        path: PathBuf,
        /// What is written into it; the stream's format when it is not given.
        format: RawFormat,
        /// Sound that waits between the pipe and the stream when it begins, in milliseconds; the first packet takes 5 of them.
        latency_ms: u32,
        /// The group that may write into it; nothing means that of the sender.
        group: Option<String>,
        /// The MPD that writes into it, to be shown and driven: `HOST:PORT` or the path of its socket.
        mpd: Option<String>,
        /// Its password.
        mpd_password: Option<String>,
    },
    /// Standard output of a program: raw little-endian PCM.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// What it writes.
        format: RawFormat,
    },
    /// A radio station, a podcast, a playlist of them, by URL.
    Http {
        /// Begins with `http://` or `https://`.
        url: String,
    },
    /// A sound card's input.
    Capture {
        /// An ALSA PCM.
        device: String,
        /// What it is opened with, or what it has that is nearest.
        format: RawFormat,
        /// Sound that waits between the card and the stream, in milliseconds.
        latency_ms: u32,
    },
    /// Another sender's stream.
    Rtp {
        /// Which one.
        from: RtpFrom,
        /// Sound that waits for late packets, in milliseconds.
        latency_ms: u32,
    },
    /// Other streams of this sender, the first in line that sounds.
    Mix {
        /// Ids of the streams.
        streams: Vec<String>,
        /// Level of those behind the one that sounds, in dB; -60 is silence.
        duck_db: f64,
        /// How long after its last sound a stream keeps its place, in milliseconds.
        hold_ms: u32,
    },
    /// A piece that the program makes itself.
    Demo,
    /// A test signal.
    Tone {
        /// Which one.
        signal: Signal,
        /// Frequency in Hz, of those that have one.
        frequency: f64,
        /// Level of its peak below full scale, in dB.
        level_db: f64,
    },
}

/// Which stream an `rtp` source takes.
#[derive(Clone, Debug, PartialEq)]
pub enum RtpFrom {
    /// The one announced by SAP under this name, or this Unisono id.
    Announced(String),
    /// This one, whose announcement was heard; the program's own, and not to be written in a file.
    Known(std::sync::Arc<crate::sdp::Session>),
    /// The one that an SDP file describes.
    File(PathBuf),
    /// What is sent to an address.
    Address {
        /// Group, or this host's address, and port.
        address: std::net::SocketAddr,
        /// What the packets hold.
        format: Format,
    },
}

/// A test signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signal {
    /// One frequency.
    #[default]
    Sine,
    /// From 20 Hz to 20 kHz in ten seconds, as long in every octave.
    Sweep,
    /// As loud in every octave.
    Pink,
    /// A click every second.
    Click,
    /// The sine on the left, then on the right, then on both.
    Sides,
}

/// Their names, as written.
const SIGNALS: [(&str, Signal); 5] = [
    ("sine", Signal::Sine),
    ("sweep", Signal::Sweep),
    ("pink", Signal::Pink),
    ("click", Signal::Click),
    ("sides", Signal::Sides),
];

/// What a stream is called whose source is another's stream, taken up because a room plays it.
pub const RELAY: &str = "relay";

const TYPES: [&str; 9] = ["library", "pipe", "command", "http", "capture", "rtp", "mix", "tone", "demo"];

/// Room for a command line.
const MOST_ARGUMENTS: usize = 256;
/// Streams in a mix.
const MOST_MIXED: usize = 16;

impl SourceConfig {
    /// What a pipe's `latency_ms` is unless it is given: enough for writers that are woken late.
    pub const PIPE_LATENCY_MS: u32 = 60;

    /// The library source on `path`, everything else as by default.
    pub fn library(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        SourceConfig::Library { path, shuffle: false, repeat: true, replay_gain: ReplayGain::Off, crossfade_s: 0.0 }
    }

    /// The pipe source on `path`, into which `format` is written, everything else as by default.
    pub fn pipe(path: impl Into<PathBuf>, format: RawFormat) -> Self {
        let (path, latency_ms) = (path.into(), Self::PIPE_LATENCY_MS);
        SourceConfig::Pipe { path, format, latency_ms, group: None, mpd: None, mpd_password: None }
    }

    /// Its `type`, as written.
    pub fn kind(&self) -> &'static str {
        match self {
            SourceConfig::Library { .. } => "library",
            SourceConfig::Pipe { .. } => "pipe",
            SourceConfig::Command { .. } => "command",
            SourceConfig::Http { .. } => "http",
            SourceConfig::Capture { .. } => "capture",
            SourceConfig::Rtp { from: RtpFrom::Known(_), .. } => RELAY,
            SourceConfig::Rtp { .. } => "rtp",
            SourceConfig::Mix { .. } => "mix",
            SourceConfig::Demo => "demo",
            SourceConfig::Tone { .. } => "tone",
        }
    }
}

/// Reads the table; `stream` is the format of the stream.
pub(super) fn read(section: &mut Section<'_>, stream: Format) -> Option<SourceConfig> {
    let known = TYPES.join(", ");
    let kind = section.require("type", &format!("one of {known}"), |value| {
        let typed = text(value)?;
        match TYPES.iter().find(|known| **known == typed) {
            Some(kind) => Ok(*kind),
            None => Err(format!("unknown source \"{typed}\"; {}", suggestion(&typed, &TYPES))),
        }
    });
    let Some(kind) = kind else {
        section.ignore_rest();
        return None;
    };
    match kind {
        "library" => {
            let shuffle = section.get("shuffle", flag).unwrap_or(false);
            let repeat = section.get("repeat", flag).unwrap_or(true);
            let replay_gain = section.get("replay_gain", replay_gain).unwrap_or_default();
            let crossfade_s = section.get("crossfade_s", number(0.0..=12.0)).unwrap_or(0.0);
            let path = section.require("path", "the directory with the music", path)?;
            Some(SourceConfig::Library { path, shuffle, repeat, replay_gain, crossfade_s })
        }
        "pipe" => read_pipe(section, stream),
        "command" => {
            let format = section.get("format", parsed).unwrap_or(RawFormat::from(stream));
            let command = section.require("command", "the program and its arguments", command_line)?;
            Some(SourceConfig::Command { command, format })
        }
        "http" => Some(SourceConfig::Http { url: section.require("url", "where the sound is", url)? }),
        "capture" => {
            let default = RawFormat::from(Format { rate: stream.rate, ..Format::DEFAULT });
            let format = section.get("format", parsed).unwrap_or(default);
            let latency_ms = section.get("latency_ms", integer(5..=500)).unwrap_or(25);
            let device = section.require("device", "an ALSA PCM such as \"hw:CARD=CODEC\"", label(128))?;
            Some(SourceConfig::Capture { device, format, latency_ms })
        }
        "rtp" => read_rtp(section, stream),
        "mix" => {
            let duck_db = section.get("duck_db", number(-60.0..=0.0)).unwrap_or(-20.0);
            let hold_ms = section.get("hold_ms", integer(0..=60_000)).unwrap_or(1_000);
            let streams = section.require("streams", "ids of streams, the first in line first", stream_ids)?;
            Some(SourceConfig::Mix { streams, duck_db, hold_ms })
        }
        "tone" => Some(SourceConfig::Tone {
            signal: section.get("signal", signal).unwrap_or_default(),
            frequency: section.get("frequency", number(1.0..=96_000.0)).unwrap_or(997.0),
            level_db: section.get("level_db", number(-120.0..=0.0)).unwrap_or(-20.0),
        }),
        _ => Some(SourceConfig::Demo),
    }
}

fn read_pipe(section: &mut Section<'_>, stream: Format) -> Option<SourceConfig> {
    let format = section.get("format", parsed).unwrap_or(RawFormat::from(stream));
    let latency_ms = section.get("latency_ms", integer(6..=500)).unwrap_or(SourceConfig::PIPE_LATENCY_MS);
    let group = section.get("group", label(32));
    let mpd = section.get("mpd", mpd_address);
    let mpd_password = section.get("mpd_password", label(256));
    let path = section.require("path", "the FIFO to read", path)?;
    Some(SourceConfig::Pipe { path, format, latency_ms, group, mpd, mpd_password })
}

fn read_rtp(section: &mut Section<'_>, stream: Format) -> Option<SourceConfig> {
    let latency_ms = section.get("latency_ms", integer(10..=2_000)).unwrap_or(60);
    let announced = section.get("session", label(64)).map(RtpFrom::Announced);
    let file = section.get("sdp", path).map(RtpFrom::File);
    let format = section.get("format", wire_format).unwrap_or(stream);
    let address = section.get("address", parsed).map(|address| RtpFrom::Address { address, format });
    let mut named = [announced, file, address].into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(from), None) => Some(SourceConfig::Rtp { from, latency_ms }),
        _ => {
            section.problem(
                "source: needs one of the keys \"session\" (its name as announced), \"sdp\" (a file) and \"address\" \
                 (group:port, with \"format\")"
                    .to_owned(),
            );
            None
        }
    }
}

/// A format that RTP carries.
pub(super) fn wire_format(value: &Value<'_>) -> Result<Format, String> {
    parsed(value).map_err(|error| match parsed::<RawFormat>(value) {
        Ok(raw) => format!("{raw} can't go by RTP, which carries 16 or 24 bits, as {}", raw.nearest()),
        Err(_) => error,
    })
}

fn replay_gain(value: &Value<'_>) -> Result<ReplayGain, String> {
    match text(value)?.as_str() {
        "off" => Ok(ReplayGain::Off),
        "track" => Ok(ReplayGain::Track),
        "album" => Ok(ReplayGain::Album),
        "auto" => Ok(ReplayGain::Auto),
        typed => Err(format!("unknown \"{typed}\"; {}", suggestion(typed, &["off", "track", "album", "auto"]))),
    }
}

fn signal(value: &Value<'_>) -> Result<Signal, String> {
    let typed = text(value)?;
    let names: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
    let known = SIGNALS.iter().find(|(name, _)| *name == typed);
    known
        .map(|(_, signal)| *signal)
        .ok_or_else(|| format!("unknown signal \"{typed}\"; {}", suggestion(&typed, &names)))
}

/// A list of texts, or one text, which a shell then reads.
fn command_line(value: &Value<'_>) -> Result<Vec<String>, String> {
    let wrong = || "write a list such as [\"ffmpeg\", \"-i\", ...], or a text for the shell".to_owned();
    let sound = |text: &str| !text.is_empty() && !text.contains('\0');
    if let Some(line) = value.as_str() {
        let shell = ["sh", "-c", line].map(str::to_owned).to_vec();
        return if sound(line.trim()) { Ok(shell) } else { Err(wrong()) };
    }
    let list = value.as_array().ok_or_else(wrong)?;
    let words: Option<Vec<String>> = list.iter().map(|word| word.get_ref().as_str().map(str::to_owned)).collect();
    let fits = |words: &Vec<String>| {
        (1..=MOST_ARGUMENTS).contains(&words.len()) && sound(&words[0]) && words.iter().all(|word| !word.contains('\0'))
    };
    words.filter(fits).ok_or_else(wrong)
}

fn url(value: &Value<'_>) -> Result<String, String> {
    let typed = text(value)?;
    let rest = typed.strip_prefix("http://").or_else(|| typed.strip_prefix("https://"));
    let sound = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if sound && !typed.chars().any(|c| c.is_control() || c == ' ') {
        return Ok(typed);
    }
    Err(format!("\"{typed}\" is no URL of a station; it begins with http:// or https://"))
}

/// `HOST:PORT`, `HOST`, or the path of a socket.
fn mpd_address(value: &Value<'_>) -> Result<String, String> {
    let typed = label(256)(value)?;
    if typed.starts_with('/') {
        return Ok(typed);
    }
    let address = if typed.contains(':') { typed.clone() } else { format!("{typed}:6600") };
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(1..)) => Ok(address),
        _ => Err(format!("\"{typed}\" is no address of an MPD; write HOST:PORT, or the path of its socket")),
    }
}

fn stream_ids(value: &Value<'_>) -> Result<Vec<String>, String> {
    let wrong = || format!("write a list of 1 to {MOST_MIXED} different stream ids, such as [\"doorbell\", \"radio\"]");
    let list = value.as_array().filter(|list| (1..=MOST_MIXED).contains(&list.len())).ok_or_else(wrong)?;
    let ids: Option<Vec<String>> = list.iter().map(|id| id.get_ref().as_str().map(str::to_owned)).collect();
    let ids = ids.ok_or_else(wrong)?;
    let twice = ids.iter().enumerate().any(|(n, id)| ids[..n].contains(id));
    if twice { Err(wrong()) } else { Ok(ids) }
}
