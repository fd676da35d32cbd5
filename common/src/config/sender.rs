//! `sender.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::section::{self, Section, flag, integer, label, number, parsed, path, read_file, suggestion, text};
use super::{ConfigError, DEFAULT_CLOCK_PORT, DEFAULT_HTTP_PORT};
use crate::format::{Depth, Format};

/// Default RTP port (RFC 3551 section 8).
pub const DEFAULT_RTP_PORT: u16 = 5004;

/// A sender's configuration, complete and valid.
#[derive(Clone, Debug, PartialEq)]
pub struct SenderConfig {
    /// Network interface to send on; nothing means that of the default route, or loopback when there is none.
    pub interface: Option<String>,
    /// From a frame's timestamp to the instant at which it sounds, in milliseconds.
    pub playout_delay_ms: u32,
    /// State directory as configured; see [`super::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// UDP port of the clock server; 0 means any that is free.
    pub clock_port: u16,
    /// Time to live of audio and reports; how many routers multicast may pass.
    pub ttl: u8,
    /// Where the web page and the API listen.
    pub http_listen: SocketAddr,
    /// Whether anybody on the network may look; changing always needs a sign-in.
    pub http_reading_open: bool,
    /// Names of this host in the network's DNS, for pages opened by them.
    pub http_names: Vec<String>,
    /// Names the hub for people; nothing means the host's name.
    pub hub_name: Option<String>,
    /// Which new rooms are let in without anybody's word.
    pub auto_approve: AutoApprove,
    /// The streams, at least one, ids and groups all different.
    pub streams: Vec<StreamConfig>,
}

/// Which new rooms a hub lets in without anybody's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoApprove {
    /// None.
    Never,
    /// Those on the hub's own host.
    #[default]
    SameHost,
    /// All.
    Always,
}

/// One stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// Names the stream for machines: 1 to 32 of a-z, 0-9, `-` and `_`.
    pub id: String,
    /// Names the stream for people.
    pub name: String,
    /// What is on the wire: 16 or 24 bits.
    pub format: Format,
    /// Multicast group; nothing means one derived from the id.
    pub group: Option<Ipv4Addr>,
    /// RTP port, even; RTCP is on the next one.
    pub port: u16,
    /// Whether the stream is sent at all.
    pub enabled: bool,
    /// Where its audio comes from.
    pub source: SourceConfig,
}

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
        format: Format,
    },
    /// A piece that the program makes itself.
    Demo,
    /// A sine.
    Tone {
        /// Frequency in Hz.
        frequency: f64,
        /// Level of its peak below full scale, in dB.
        level_db: f64,
    },
}

impl SourceConfig {
    /// The library source on `path`, everything else as by default.
    pub fn library(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        SourceConfig::Library { path, shuffle: false, repeat: true, replay_gain: ReplayGain::Off, crossfade_s: 0.0 }
    }
}

impl StreamConfig {
    /// A stream of the given id and source, everything else as by default.
    pub fn new(id: &str, source: SourceConfig) -> Self {
        StreamConfig {
            id: id.to_owned(),
            name: capitalised(id),
            format: Format::DEFAULT,
            group: None,
            port: DEFAULT_RTP_PORT,
            enabled: true,
            source,
        }
    }
}

impl Default for SenderConfig {
    fn default() -> Self {
        SenderConfig {
            interface: None,
            playout_delay_ms: 250,
            state_dir: None,
            clock_port: DEFAULT_CLOCK_PORT,
            ttl: 16,
            http_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_HTTP_PORT),
            http_reading_open: true,
            http_names: Vec::new(),
            hub_name: None,
            auto_approve: AutoApprove::default(),
            streams: vec![StreamConfig::new("music", SourceConfig::Demo)],
        }
    }
}

impl SenderConfig {
    /// Reads `text`, the content of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        read_file(file, text, read_sender)
    }
}

fn read_sender(top: &mut Section<'_>) -> Option<SenderConfig> {
    let default = SenderConfig::default();
    let interface = top.get("interface", label(15));
    let playout_delay_ms = top.get("playout_delay_ms", integer(20..=5_000));
    let state_dir = top.get("state_dir", path);
    let clock_port = top.get("clock_port", integer(0..=65_535));
    let ttl = top.get("ttl", integer(1..=255));
    let http = top.section("http", "[http]", |http| {
        (http.get("listen", listen_address), http.get("reading", reading), http.get("names", names))
    });
    let (http_listen, reading_open, http_names) = http.unwrap_or_default();
    let hub = top.section("hub", "[hub]", |hub| (hub.get("name", label(64)), hub.get("auto_approve", auto_approve)));
    let (hub_name, auto_approve) = hub.unwrap_or_default();
    let mut number = 0;
    let streams = top.sections("streams", "[[streams]]", |section| {
        number += 1;
        read_stream(section, number)
    });
    let streams = match streams {
        Some(streams) => streams.into_iter().collect::<Option<Vec<_>>>()?,
        None => default.streams,
    };
    check_unique(top, &streams);
    Some(SenderConfig {
        interface,
        playout_delay_ms: playout_delay_ms.unwrap_or(default.playout_delay_ms),
        state_dir,
        clock_port: clock_port.unwrap_or(default.clock_port),
        ttl: ttl.unwrap_or(default.ttl),
        http_listen: http_listen.unwrap_or(default.http_listen),
        http_reading_open: reading_open.unwrap_or(default.http_reading_open),
        http_names: http_names.unwrap_or_default(),
        hub_name,
        auto_approve: auto_approve.unwrap_or_default(),
        streams,
    })
}

fn read_stream(section: &mut Section<'_>, number: usize) -> Option<StreamConfig> {
    let name = section.get("name", label(64));
    let derived = || match name.as_deref().map(slug) {
        Some(slug) if !slug.is_empty() => slug,
        _ if number == 1 => "music".to_owned(),
        _ => format!("stream-{number}"),
    };
    let id = section.get("id", stream_id).unwrap_or_else(derived);
    let format = section.get("format", wire_format).unwrap_or(Format::DEFAULT);
    let group = section.get("group", group_address);
    let port = section.get("port", rtp_port).unwrap_or(DEFAULT_RTP_PORT);
    let enabled = section.get("enabled", flag).unwrap_or(true);
    let source = section.section("source", "source", |source| read_source(source, format));
    Some(StreamConfig {
        name: name.unwrap_or_else(|| capitalised(&id)),
        id,
        format,
        group,
        port,
        enabled,
        source: source.unwrap_or(Some(SourceConfig::Demo))?,
    })
}

/// `reading = "open"` or `"closed"`.
fn reading(value: &section::Value<'_>) -> Result<bool, String> {
    match text(value)?.as_str() {
        "open" => Ok(true),
        "closed" => Ok(false),
        typed => Err(format!("\"{typed}\" is neither \"open\" nor \"closed\"")),
    }
}

fn auto_approve(value: &section::Value<'_>) -> Result<AutoApprove, String> {
    match text(value)?.as_str() {
        "never" => Ok(AutoApprove::Never),
        "same-host" => Ok(AutoApprove::SameHost),
        "always" => Ok(AutoApprove::Always),
        typed => Err(format!("unknown \"{typed}\"; {}", suggestion(typed, &["never", "same-host", "always"]))),
    }
}

fn replay_gain(value: &section::Value<'_>) -> Result<ReplayGain, String> {
    match text(value)?.as_str() {
        "off" => Ok(ReplayGain::Off),
        "track" => Ok(ReplayGain::Track),
        "album" => Ok(ReplayGain::Album),
        "auto" => Ok(ReplayGain::Auto),
        typed => Err(format!("unknown \"{typed}\"; {}", suggestion(typed, &["off", "track", "album", "auto"]))),
    }
}

/// A list of host names.
fn names(value: &section::Value<'_>) -> Result<Vec<String>, String> {
    let wrong = || "write a list of host names, such as [\"music.example.org\"]".to_owned();
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter().map(|name| name.get_ref().as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

const SOURCE_TYPES: [&str; 4] = ["library", "pipe", "demo", "tone"];

fn read_source(section: &mut Section<'_>, stream: Format) -> Option<SourceConfig> {
    let known = SOURCE_TYPES.join(", ");
    let kind = section.require("type", &format!("one of {known}"), |value| {
        let typed = text(value)?;
        match SOURCE_TYPES.iter().find(|known| **known == typed) {
            Some(kind) => Ok(*kind),
            None => Err(format!("unknown source \"{typed}\"; {}", suggestion(&typed, &SOURCE_TYPES))),
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
        "pipe" => {
            let format = section.get("format", parsed).unwrap_or(stream);
            let path = section.require("path", "the FIFO to read", path)?;
            Some(SourceConfig::Pipe { path, format })
        }
        "tone" => Some(SourceConfig::Tone {
            frequency: section.get("frequency", number(1.0..=96_000.0)).unwrap_or(997.0),
            level_db: section.get("level_db", number(-120.0..=0.0)).unwrap_or(-20.0),
        }),
        _ => Some(SourceConfig::Demo),
    }
}

/// Two streams under one id or in one group would talk over each other.
fn check_unique(top: &Section<'_>, streams: &[StreamConfig]) {
    if streams.is_empty() {
        top.problem_at("streams", "the list is empty; leave it out for a demo stream");
    }
    for (i, stream) in streams.iter().enumerate() {
        for other in &streams[..i] {
            if other.id == stream.id {
                top.problem_at("streams", &format!("two streams have the id \"{}\"; give each its own", stream.id));
            } else if stream.group.is_some() && other.group == stream.group {
                let group = stream.group.unwrap_or(Ipv4Addr::UNSPECIFIED);
                let ids = format!("\"{}\" and \"{}\"", other.id, stream.id);
                top.problem_at("streams", &format!("the streams {ids} share the group {group}; give each its own"));
            }
        }
    }
}

fn listen_address(value: &section::Value<'_>) -> Result<SocketAddr, String> {
    let typed = text(value)?;
    typed.parse().map_err(|_| format!("\"{typed}\" is no address to listen at; write ADDRESS:PORT, as 0.0.0.0:7680"))
}

fn stream_id(value: &section::Value<'_>) -> Result<String, String> {
    let typed = text(value)?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match (1..=32).contains(&typed.len()) && typed.chars().all(allowed) {
        true => Ok(typed),
        false => Err(format!("\"{typed}\" is no stream id; use 1 to 32 of a-z, 0-9, - and _")),
    }
}

fn wire_format(value: &section::Value<'_>) -> Result<Format, String> {
    let format: Format = parsed(value)?;
    match format.depth {
        Depth::S32 => {
            Err(format!("{format} can't be sent: RTP carries 16 or 24 bits, as {}:24:{}", format.rate, format.channels))
        }
        _ => Ok(format),
    }
}

fn group_address(value: &section::Value<'_>) -> Result<Ipv4Addr, String> {
    let typed = text(value)?;
    let group: Option<Ipv4Addr> = typed.parse().ok();
    // 224.0.0.0/24 is flooded to every port of every switch: no place for audio.
    let fit = |group: &Ipv4Addr| group.is_multicast() && group.octets()[..3] != [224, 0, 0];
    group
        .filter(fit)
        .ok_or_else(|| format!("\"{typed}\" is no multicast group for audio; use one of 239.0.0.0 to 239.255.255.255"))
}

fn rtp_port(value: &section::Value<'_>) -> Result<u16, String> {
    let port: u16 = integer(1_024..=65_534)(value)?;
    match port % 2 {
        0 => Ok(port),
        _ => Err(format!("{port} is odd; RTP takes an even port, RTCP the one after it")),
    }
}

/// An id made of a name: what is allowed in one, the rest as single dashes.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() || c == '_' {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(32);
    slug.trim_end_matches('-').to_owned()
}

fn capitalised(id: &str) -> String {
    let mut chars = id.chars();
    chars.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests;
