//! `sender.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::section::{self, Section, flag, integer, label, path, read_file, suggestion, text};
pub use super::source::{RELAY, ReplayGain, RtpFrom, Signal, SourceConfig};
use super::{ConfigError, DEFAULT_CLOCK_PORT, DEFAULT_HTTP_PORT, source};
use crate::clock::ptp::LAST_DOMAIN;
use crate::fec::Matrix;
use crate::format::{Depth, Format};
use crate::identity::{STREAM_ID, is_stream_id};
use crate::playout_delay::{LEAST_MS, MOST_MS};

/// Default RTP port (RFC 3551 section 8).
pub const DEFAULT_RTP_PORT: u16 = 5004;

/// A stream is idle after this.
const DEFAULT_IDLE_S: u32 = 30;

/// Below this a stream is silent: above the noise of a good input, below any music.
const DEFAULT_SILENCE_DB: f64 = -70.0;

/// A sender's configuration, complete and valid.
#[derive(Clone, Debug, PartialEq)]
pub struct SenderConfig {
    /// Network interface to send on; nothing means that of the default route, or loopback when there is none.
    pub interface: Option<String>,
    /// The address of that interface to send from and to announce; nothing means its first one.
    pub address: Option<Ipv4Addr>,
    /// From this text follow the identities of all streams, so that another sender with the same text can stand in;
    /// nothing means identities of this sender's own, kept in its state directory.
    pub identity: Option<String>,
    /// From a frame's timestamp to the instant at which it sounds, in milliseconds.
    pub playout_delay_ms: u32,
    /// State directory as configured; see [`super::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// UDP port of the clock server; 0 means any that is free.
    pub clock_port: u16,
    /// UDP port at which rooms ask for lost packets, 0 means any that is free; nothing means the default one, or any
    /// other when it is taken.
    pub repair_port: Option<u16>,
    /// How many rooms that do not hear multicast are served by unicast, at most.
    pub unicast_rooms: u32,
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
    /// Whose rules its packets, its clock and its announcements follow.
    pub profile: Profile,
    /// What is on the wire: 16 or 24 bits.
    pub format: Format,
    /// Multicast group; nothing means one derived from the id.
    pub group: Option<IpAddr>,
    /// RTP port, even; RTCP is on the next one.
    pub port: u16,
    /// Whether the stream is sent at all.
    pub enabled: bool,
    /// A stream that has been silent for so many seconds is idle.
    pub idle_after_s: u32,
    /// Level up to which sound is silence, in dB of full scale.
    pub silence_db: f64,
    /// Parity that is sent beside it, if any.
    pub fec: Option<Matrix>,
    /// Where its audio comes from.
    pub source: SourceConfig,
}

/// Whose rules a stream follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Our own: what most players take, by this sender's clock.
    #[default]
    Unisono,
    /// AES67-2018: packets of 1 ms of 24 bits at 48 kHz, by the PTP clock of a domain.
    Aes67 {
        /// The PTP domain.
        domain: u8,
    },
}

impl Profile {
    /// The PTP domain whose clock its streams follow, if they do.
    pub fn ptp_domain(self) -> Option<u8> {
        match self {
            Profile::Unisono => None,
            Profile::Aes67 { domain } => Some(domain),
        }
    }
}

impl StreamConfig {
    /// Frames in each of its packets.
    pub fn packet_frames(&self) -> u32 {
        match self.profile {
            Profile::Unisono => self.format.packet_frames(),
            Profile::Aes67 { .. } => self.format.rate / 1_000,
        }
    }

    /// A stream of the given id and source, everything else as by default.
    pub fn new(id: &str, source: SourceConfig) -> Self {
        StreamConfig {
            id: id.to_owned(),
            name: capitalised(id),
            profile: Profile::Unisono,
            format: Format::DEFAULT,
            group: None,
            port: DEFAULT_RTP_PORT,
            enabled: true,
            idle_after_s: DEFAULT_IDLE_S,
            silence_db: DEFAULT_SILENCE_DB,
            fec: None,
            source,
        }
    }
}

impl Default for SenderConfig {
    fn default() -> Self {
        SenderConfig {
            interface: None,
            address: None,
            identity: None,
            playout_delay_ms: 250,
            state_dir: None,
            clock_port: DEFAULT_CLOCK_PORT,
            repair_port: None,
            unicast_rooms: 16,
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
    let address = top.get("address", host_address);
    let identity = top.get("identity", label(64));
    let playout_delay_ms = top.get("playout_delay_ms", integer(LEAST_MS.into()..=MOST_MS.into()));
    let state_dir = top.get("state_dir", path);
    let clock_port = top.get("clock_port", integer(0..=65_535));
    let repair_port = top.get("repair_port", integer(0..=65_535));
    let unicast_rooms = top.get("unicast_rooms", integer(0..=1_000));
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
    check_mixes(top, &streams);
    Some(SenderConfig {
        interface,
        address,
        identity,
        playout_delay_ms: playout_delay_ms.unwrap_or(default.playout_delay_ms),
        state_dir,
        clock_port: clock_port.unwrap_or(default.clock_port),
        repair_port,
        unicast_rooms: unicast_rooms.unwrap_or(default.unicast_rooms),
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
    let profile = read_profile(section);
    let format = match profile {
        Profile::Unisono => section.get("format", source::wire_format).unwrap_or(Format::DEFAULT),
        Profile::Aes67 { .. } => section.get("format", aes67_format).unwrap_or(AES67_FORMAT),
    };
    let group = section.get("group", group_address);
    if let (Profile::Aes67 { .. }, Some(IpAddr::V6(_))) = (profile, group) {
        section.problem_at("group", "AES67 is IPv4: use one of 239.0.0.0 to 239.255.255.255, or leave it out");
    }
    let port = section.get("port", rtp_port).unwrap_or(DEFAULT_RTP_PORT);
    let enabled = section.get("enabled", flag).unwrap_or(true);
    let fec = section.section("fec", "fec", read_fec).flatten();
    let idle_after_s = section.get("idle_after_s", integer(1..=86_400)).unwrap_or(DEFAULT_IDLE_S);
    let silence_db = section.get("silence_db", section::number(-120.0..=-20.0)).unwrap_or(DEFAULT_SILENCE_DB);
    let source = section.section("source", "source", |section| source::read(section, format));
    Some(StreamConfig {
        name: name.unwrap_or_else(|| capitalised(&id)),
        id,
        profile,
        format,
        group,
        port,
        enabled,
        idle_after_s,
        silence_db,
        fec,
        source: source.unwrap_or(Some(SourceConfig::Demo))?,
    })
}

/// `profile = "aes67"`, and `ptp_domain` where that is not 0.
fn read_profile(section: &mut Section<'_>) -> Profile {
    let aes67 = section.get("profile", profile).unwrap_or_default();
    let domain = section.get("ptp_domain", integer(0..=i64::from(LAST_DOMAIN)));
    match (aes67, domain) {
        (true, domain) => Profile::Aes67 { domain: domain.unwrap_or(0) },
        (false, Some(_)) => {
            section.problem_at("ptp_domain", "only a stream with profile = \"aes67\" follows PTP; leave it out");
            Profile::Unisono
        }
        (false, None) => Profile::Unisono,
    }
}

/// Whether it is that of AES67.
fn profile(value: &section::Value<'_>) -> Result<bool, String> {
    match text(value)?.as_str() {
        "unisono" => Ok(false),
        "aes67" => Ok(true),
        typed => Err(format!("unknown \"{typed}\"; {}", suggestion(typed, &["unisono", "aes67"]))),
    }
}

/// What a stream of the AES67 profile sends when it is not told.
const AES67_FORMAT: Format = Format { rate: 48_000, depth: Depth::S24, channels: 2 };

fn aes67_format(value: &section::Value<'_>) -> Result<Format, String> {
    let format = source::wire_format(value)?;
    match (format.rate, format.depth) {
        (48_000, Depth::S24) => Ok(format),
        _ => Err(format!(
            "{format} is not sent with profile = \"aes67\"; write 48000:24:{}, or leave it out",
            format.channels
        )),
    }
}

/// `fec = { columns = 10, rows = 4 }`
fn read_fec(section: &mut Section<'_>) -> Option<Matrix> {
    let columns = section.require("columns", "how long a burst of losses may be, in packets", integer(1..=20))?;
    let rows = section.require("rows", "for how many packets there is one of parity", integer(4..=20))?;
    let matrix = Matrix::new(columns, rows);
    if matrix.is_none() {
        section.problem_at("rows", "columns times rows must be at most 100 (SMPTE 2022-1)");
    }
    matrix
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

/// A list of host names.
fn names(value: &section::Value<'_>) -> Result<Vec<String>, String> {
    let wrong = || "write a list of host names, such as [\"music.example.org\"]".to_owned();
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter().map(|name| name.get_ref().as_str().map(str::to_owned).ok_or_else(wrong)).collect()
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
            } else if let Some(group) = stream.group.filter(|group| other.group == Some(*group)) {
                let ids = format!("\"{}\" and \"{}\"", other.id, stream.id);
                top.problem_at("streams", &format!("the streams {ids} share the group {group}; give each its own"));
            }
        }
    }
}

/// What a mix is made of must be there, in the mix's format, and must not be a mix itself.
fn check_mixes(top: &Section<'_>, streams: &[StreamConfig]) {
    for mix in streams {
        let SourceConfig::Mix { streams: inputs, .. } = &mix.source else { continue };
        for input in inputs {
            let found = streams.iter().find(|stream| stream.id == *input);
            let trouble = match found {
                None => {
                    let ids: Vec<&str> = streams.iter().map(|s| s.id.as_str()).filter(|id| *id != mix.id).collect();
                    format!("is not there; {}", suggestion(input, &ids))
                }
                Some(stream) if matches!(stream.source, SourceConfig::Mix { .. }) => {
                    "is a mix itself; name what that is made of".to_owned()
                }
                Some(stream) if stream.format != mix.format => {
                    format!("has the format {}, the mix {}; give both the same", stream.format, mix.format)
                }
                Some(stream) if stream.profile != mix.profile => {
                    "has another profile or PTP domain; give both the same".to_owned()
                }
                Some(_) => continue,
            };
            top.problem_at("streams", &format!("the mix \"{}\" has the stream \"{input}\", which {trouble}", mix.id));
        }
    }
}

fn listen_address(value: &section::Value<'_>) -> Result<SocketAddr, String> {
    let typed = text(value)?;
    typed.parse().map_err(|_| format!("\"{typed}\" is no address to listen at; write ADDRESS:PORT, as 0.0.0.0:7680"))
}

fn stream_id(value: &section::Value<'_>) -> Result<String, String> {
    let typed = text(value)?;
    match is_stream_id(&typed) {
        true => Ok(typed),
        false => Err(format!("\"{typed}\" is no stream id; use {STREAM_ID}")),
    }
}

fn host_address(value: &section::Value<'_>) -> Result<Ipv4Addr, String> {
    let typed = text(value)?;
    let address: Option<Ipv4Addr> = typed.parse().ok();
    let fit = |address: &Ipv4Addr| !address.is_multicast() && !address.is_unspecified() && !address.is_broadcast();
    address.filter(fit).ok_or_else(|| format!("\"{typed}\" is no IPv4 address of a host; write one as 10.0.0.5"))
}

fn group_address(value: &section::Value<'_>) -> Result<IpAddr, String> {
    let typed = text(value)?;
    let fit = |group: &IpAddr| match group {
        // 224.0.0.0/24 is flooded to every port of every switch: no place for audio.
        IpAddr::V4(group) => group.is_multicast() && group.octets()[..3] != [224, 0, 0],
        // Of link scope or wider, and none of those that every host is in (ff02::1, ff02::fb, ...).
        IpAddr::V6(group) => group.is_multicast() && group.segments()[0] & 0xf >= 2 && group.segments()[1..7] != [0; 6],
    };
    typed.parse().ok().filter(fit).ok_or_else(|| {
        format!(
            "\"{typed}\" is no multicast group for audio; use one of 239.0.0.0 to 239.255.255.255, or as ff15::77:1"
        )
    })
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
