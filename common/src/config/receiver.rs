//! `receiver.toml`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::ConfigError;
use super::appliance::read_amplifier;
pub use super::appliance::{AmplifierConfig, MacAddress, MacError};
use super::section::{
    self, Section, flag, integer, label, number, number_in, parsed, path, read_file, suggestion, text,
};

/// A receiver's configuration, complete and valid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReceiverConfig {
    /// Names the room for people; nothing means the host's name.
    pub room: Option<String>,
    /// Network interface to listen on; nothing means that of the default route, or loopback when there is none.
    pub interface: Option<String>,
    /// State directory as configured; see [`super::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// Who gives the orders.
    pub hub: HubConfig,
    /// Id of the stream to play until the hub says otherwise; nothing means the first one found.
    pub stream: Option<String>,
    /// Volume until the hub says otherwise, in dB, 0 is full.
    pub volume_db: Option<f64>,
    /// Moves what sounds, in microseconds; positive is later.
    pub trim_us: i32,
    /// How the rate is fitted to the DAC's.
    pub quality: Quality,
    /// How packets come.
    pub delivery: Delivery,
    /// Share of multicast that is lost above which packets are had by unicast, 0 to 1.
    pub unicast_above_loss: Option<f64>,
    /// Where the sound goes.
    pub output: OutputConfig,
    /// What happens when there is nothing to play.
    pub idle: IdleConfig,
    /// What switches the amplifier.
    pub amplifier: Option<AmplifierConfig>,
    /// The machine to wake when a stream that is asked for is not there.
    pub wake: Option<MacAddress>,
}

/// What a room does when there is nothing to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleConfig {
    /// Silence for so many seconds makes the room idle.
    pub after_s: u32,
    /// Whether other programs may have the card then.
    pub release_card: bool,
    /// Run by a shell when there is something to play.
    pub on_play: Option<String>,
    /// Run by a shell when the room becomes idle.
    pub on_idle: Option<String>,
}

impl Default for IdleConfig {
    fn default() -> Self {
        IdleConfig { after_s: 60, release_card: false, on_play: None, on_idle: None }
    }
}

/// Who gives a receiver its orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HubConfig {
    /// A hub found by mDNS.
    #[default]
    Auto,
    /// Nobody.
    None,
    /// The hub at this base URL, `http://HOST:PORT` with no slash at its end.
    Url(String),
}

/// How a stream's packets come to a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// By multicast, and by unicast while that does not work.
    #[default]
    Auto,
    /// By multicast alone.
    Multicast,
    /// By unicast, whatever is heard by multicast.
    Unicast,
}

/// How a receiver fits the stream's rate to its DAC's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// A windowed sinc over 32 frames: cheap, and transparent but for the highest frequencies; for a Pi Zero.
    Low,
    /// The sinc resampler.
    #[default]
    Normal,
    /// A sinc resampler twice as long.
    High,
    /// No resampler: a frame is dropped or doubled when needed.
    Slip,
}

/// Where a receiver's sound goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputConfig {
    /// The device; nothing means the best sound card there is, or a simulated one when there is none.
    pub device: Option<OutputDevice>,
    /// How far the device's ring is filled, in milliseconds; nothing means 36 % of the playout delay.
    pub buffer_ms: Option<u32>,
    /// From the DAC's pointer to the analog output in microseconds; overrides the table of known devices.
    pub latency_us: Option<u32>,
    /// Element of the card's mixer that turns the volume; nothing means in software.
    pub mixer: Option<String>,
    /// Volume that is never exceeded, in dB.
    pub max_volume_db: Option<f64>,
    /// Whether silence is dithered, so that a DAC or an amplifier does not mute itself.
    pub keep_awake: bool,
}

/// An output device, as written in `device`.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputDevice {
    /// An ALSA PCM by its name: any text that does not begin with `cpal:` or `sim`.
    Alsa(String),
    /// `cpal:NAME`: a device as cpal names it; `default` is the host's default.
    Cpal(String),
    /// `sim:KEY=VALUE,...`: a simulated sound card.
    Sim(SimDevice),
}

/// A simulated sound card.
#[derive(Clone, Debug, PartialEq)]
pub struct SimDevice {
    /// How much faster than true its sample clock runs, in ppm.
    pub ppm: f64,
    /// Step of its position, in frames.
    pub grain: u32,
    /// Path prefix of the record of what it plays.
    pub record: Option<PathBuf>,
}

impl Default for SimDevice {
    fn default() -> Self {
        SimDevice { ppm: 0.0, grain: 8, record: None }
    }
}

/// Why a text names no output device; says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceError(String);

impl FromStr for OutputDevice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if let Some(name) = text.strip_prefix("cpal:") {
            return match name {
                "" => Err(DeviceError("write cpal:default or cpal:NAME".into())),
                name => Ok(OutputDevice::Cpal(name.to_owned())),
            };
        }
        match text.strip_prefix("sim") {
            Some("") => Ok(OutputDevice::Sim(SimDevice::default())),
            Some(rest) if rest.starts_with(':') => parse_sim(&rest[1..]).map(OutputDevice::Sim).map_err(DeviceError),
            _ if text.is_empty() || text.chars().any(char::is_control) => {
                Err(DeviceError("write the name of an ALSA PCM, cpal:NAME or sim".into()))
            }
            _ => Ok(OutputDevice::Alsa(text.to_owned())),
        }
    }
}

impl fmt::Display for OutputDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputDevice::Alsa(name) => f.write_str(name),
            OutputDevice::Cpal(name) => write!(f, "cpal:{name}"),
            OutputDevice::Sim(sim) => {
                write!(f, "sim:ppm={},grain={}", sim.ppm, sim.grain)?;
                sim.record.as_ref().map_or(Ok(()), |path| write!(f, ",record={}", path.display()))
            }
        }
    }
}

impl ReceiverConfig {
    /// Reads `text`, the content of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        read_file(file, text, read_receiver)
    }
}

fn read_receiver(top: &mut Section<'_>) -> Option<ReceiverConfig> {
    Some(ReceiverConfig {
        room: top.get("room", label(64)),
        interface: top.get("interface", label(15)),
        state_dir: top.get("state_dir", path),
        hub: top.get("hub", hub).unwrap_or_default(),
        stream: top.get("stream", label(32)),
        volume_db: top.get("volume_db", number(-100.0..=0.0)),
        trim_us: top.get("trim_us", integer(-1_000_000..=1_000_000)).unwrap_or(0),
        quality: top.get("quality", quality).unwrap_or_default(),
        delivery: top.get("delivery", delivery).unwrap_or_default(),
        unicast_above_loss: top.get("unicast_above_loss", number(0.0..=1.0)),
        output: top.section("output", "[output]", read_output).unwrap_or_default(),
        idle: top.section("idle", "[idle]", read_idle).unwrap_or_default(),
        amplifier: top.section("amplifier", "[amplifier]", read_amplifier).flatten(),
        wake: top.get("wake", parsed),
    })
}

fn read_output(section: &mut Section<'_>) -> OutputConfig {
    OutputConfig {
        device: section.get("device", parsed),
        buffer_ms: section.get("buffer_ms", integer(5..=2_000)),
        latency_us: section.get("latency_us", integer(0..=2_000_000)),
        mixer: section.get("mixer", label(44)),
        max_volume_db: section.get("max_volume_db", number(-100.0..=0.0)),
        keep_awake: section.get("keep_awake", flag).unwrap_or(false),
    }
}

fn read_idle(section: &mut Section<'_>) -> IdleConfig {
    let default = IdleConfig::default();
    IdleConfig {
        after_s: section.get("after_s", integer(1..=86_400)).unwrap_or(default.after_s),
        release_card: section.get("release_card", flag).unwrap_or(default.release_card),
        on_play: section.get("on_play", label(1_000)),
        on_idle: section.get("on_idle", label(1_000)),
    }
}

fn hub(value: &section::Value<'_>) -> Result<HubConfig, String> {
    let typed = text(value)?;
    match typed.as_str() {
        "auto" => return Ok(HubConfig::Auto),
        "none" => return Ok(HubConfig::None),
        _ => {}
    }
    let authority = typed.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let valid = |a: &&str| !a.is_empty() && !a.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
    match authority.filter(valid) {
        Some(authority) => Ok(HubConfig::Url(format!("http://{authority}"))),
        None => Err(format!("\"{typed}\" is no hub; write \"auto\", \"none\" or \"http://HOST:PORT\"")),
    }
}

fn delivery(value: &section::Value<'_>) -> Result<Delivery, String> {
    let typed = text(value)?;
    Ok(match typed.as_str() {
        "auto" => Delivery::Auto,
        "multicast" => Delivery::Multicast,
        "unicast" => Delivery::Unicast,
        _ => return Err(format!("unknown \"{typed}\"; {}", suggestion(&typed, &["auto", "multicast", "unicast"]))),
    })
}

fn quality(value: &section::Value<'_>) -> Result<Quality, String> {
    let typed = text(value)?;
    Ok(match typed.as_str() {
        "low" => Quality::Low,
        "normal" => Quality::Normal,
        "high" => Quality::High,
        "slip" => Quality::Slip,
        _ => return Err(format!("unknown \"{typed}\"; {}", suggestion(&typed, &["low", "normal", "high", "slip"]))),
    })
}

fn parse_sim(options: &str) -> Result<SimDevice, String> {
    let mut sim = SimDevice::default();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "ppm" => sim.ppm = number_in(value, -1_000.0..=1_000.0).map_err(|reason| format!("ppm: {reason}"))?,
            "grain" => {
                let grain = value.parse().ok().filter(|grain| (1..=4_096).contains(grain));
                sim.grain = grain.ok_or_else(|| format!("grain: {value} is not 1 to 4096 frames"))?;
            }
            "record" if value.is_empty() => return Err("record: write the prefix of a path".into()),
            "record" => sim.record = Some(PathBuf::from(value)),
            _ => return Err(format!("sim: unknown \"{key}\"; {}", suggestion(key, &["ppm", "grain", "record"]))),
        }
    }
    Ok(sim)
}

#[cfg(test)]
mod tests;
