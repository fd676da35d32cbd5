//! Reading descriptions, tolerantly: LF or CRLF, attributes and `c=` at either level, static payload types, unknown
//! lines. sdp-types knows the lines; what they mean for a PCM stream is found here.

use std::net::{IpAddr, SocketAddr};

use sdp_types::Media;

use super::{DelayChange, Fec, MAX_LEN, Origin, PtpClock, ReferenceClock, Repair, Session};
use crate::clock::ptp;
use crate::fec::Matrix;
use crate::format::{Depth, Format};
use crate::identity::{STREAM_ID, is_stream_id};
use crate::playout_delay::{LEAST_MS, MOST_MS};
use crate::time::MediaTime;

/// Why a description is none of a stream that we could play.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`MAX_LEN`].
    #[error("SDP: {0} bytes are more than {MAX_LEN}")]
    TooLong(usize),
    /// Not SDP.
    #[error("SDP: {0}")]
    Syntax(String),
    /// No `o=` line, which names the session.
    #[error("SDP: no origin")]
    NoOrigin,
    /// No `m=` at all: it was cut off, or describes nothing.
    #[error("SDP: no media")]
    NoMedia,
    /// No `m=audio PORT RTP/AVP`.
    #[error("SDP: no audio over RTP")]
    NoAudio,
    /// No address to listen at.
    #[error("SDP: no usable connection address")]
    NoAddress,
    /// An encoding, rate or channel count that we do not play.
    #[error("SDP: {0} is not played; L16 and L24 of 1 to 8 channels are")]
    Encoding(String),
    /// Our own id of a stream, which is none.
    #[error("SDP: \"{0}\" is no stream id; use {STREAM_ID}")]
    StreamId(String),
    /// Our own playout delay, or what it was before, which none of our streams can have.
    #[error("SDP: {0} is no playout delay; use {LEAST_MS} to {MOST_MS} ms")]
    Delay(String),
}

impl Session {
    /// Reads a description.
    pub fn parse(bytes: &[u8]) -> Result<Session, SdpError> {
        if bytes.len() > MAX_LEN {
            return Err(SdpError::TooLong(bytes.len()));
        }
        // Names in Latin-1 are seen in the field; they come out with replacement characters instead of not at all.
        let text = String::from_utf8_lossy(bytes);
        let sdp = sdp_types::Session::parse(text.as_bytes()).map_err(|error| SdpError::Syntax(error.to_string()))?;
        if sdp.medias.is_empty() {
            return Err(SdpError::NoMedia);
        }
        let media = sdp.medias.iter().find(|media| is_rtp_audio(media)).ok_or(SdpError::NoAudio)?;
        let attributes = Attributes { media, session: &sdp };
        let (payload_type, format) = encoding(media, &attributes)?;
        let connection = media.connections.last().or(sdp.connection.as_ref()).ok_or(SdpError::NoAddress)?;
        let connection = connection.try_address().map_err(|_| SdpError::NoAddress)?;
        let stream_id = attributes.first("x-unisono-id").map(stream_id).transpose()?;
        let playout_delay_ms = attributes.first("x-unisono-delay").map(delay_ms).transpose()?;
        let change =
            attributes.first("x-unisono-delay-change").and_then(|value| of_version(value, DelayChange::VERSION));
        let delay_change = change.map(delay_change).transpose()?.flatten();
        Ok(Session {
            origin: origin(bytes).ok_or(SdpError::NoOrigin)?,
            name: sdp.session_name.trim().to_owned(),
            address: connection.ip,
            ttl: connection.ttl,
            port: media.port,
            payload_type,
            format,
            packet_frames: packet_frames(&attributes, format.rate),
            reference_clock: reference_clock(&attributes),
            direct_offset: attributes.first("mediaclk").and_then(direct_offset),
            source: attributes.first("source-filter").and_then(source_filter),
            stream_id,
            playout_delay_ms,
            delay_change,
            repair: attributes.first("x-unisono-repair").and_then(repair),
            fec: attributes.first("x-unisono-fec").and_then(fec),
        })
    }
}

/// The origin in a description that need hold nothing else, as in a SAP deletion.
pub fn origin(bytes: &[u8]) -> Option<Origin> {
    let bytes = bytes.get(..bytes.len().min(MAX_LEN))?;
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find_map(|line| line.strip_prefix("o="))?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [username, session_id, version, "IN", "IP4" | "IP6", address] = fields[..] else { return None };
    Some(Origin {
        username: username.to_owned(),
        session_id: session_id.to_owned(),
        version: version.parse().ok()?,
        address: address.to_owned(),
    })
}

/// Attributes of the media, then of the session.
struct Attributes<'a> {
    media: &'a Media,
    session: &'a sdp_types::Session,
}

impl<'a> Attributes<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        let attributes = self.media.attributes.iter().chain(&self.session.attributes);
        attributes
            .filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name))
            .filter_map(|attribute| attribute.value.as_deref().map(str::trim))
    }

    fn first(&self, name: &'static str) -> Option<&'a str> {
        self.all(name).next()
    }
}

fn is_rtp_audio(media: &Media) -> bool {
    media.media == "audio" && matches!(media.proto.as_str(), "RTP/AVP" | "RTP/AVPF") && media.port != 0
}

/// The first payload type of the media that can be played, and what it means.
fn encoding(media: &Media, attributes: &Attributes<'_>) -> Result<(u8, Format), SdpError> {
    let mut error = SdpError::NoAudio;
    for payload_type in media.fmt.split_whitespace().filter_map(|pt| pt.parse::<u8>().ok()).filter(|pt| *pt < 128) {
        let mapping = attributes.all("rtpmap").find_map(|value| {
            let (number, mapping) = value.split_once(char::is_whitespace)?;
            (number.parse() == Ok(payload_type)).then(|| mapping.trim())
        });
        let mapping = match (mapping, payload_type) {
            (Some(mapping), _) => mapping,
            (None, 10) => "L16/44100/2",
            (None, 11) => "L16/44100/1",
            (None, _) => {
                error = SdpError::Encoding(format!("payload type {payload_type}"));
                continue;
            }
        };
        match pcm_format(mapping) {
            Some(format) => return Ok((payload_type, format)),
            None => error = SdpError::Encoding(mapping.to_owned()),
        }
    }
    Err(error)
}

/// `L16/48000/2`; one channel when none are given.
fn pcm_format(mapping: &str) -> Option<Format> {
    let mut parts = mapping.split('/').map(str::trim);
    let depth = match parts.next()? {
        name if name.eq_ignore_ascii_case("L16") => Depth::S16,
        name if name.eq_ignore_ascii_case("L24") => Depth::S24,
        _ => return None,
    };
    let rate = parts.next()?.parse().ok().filter(|rate| (8_000..=192_000).contains(rate))?;
    let channels = parts.next().unwrap_or("1").parse().ok().filter(|channels| (1..=8).contains(channels))?;
    Some(Format { rate, depth, channels })
}

fn packet_frames(attributes: &Attributes<'_>, rate: u32) -> Option<u32> {
    let told = attributes.first("framecount").and_then(|value| value.parse().ok());
    let from_time = || {
        let milliseconds: f64 = attributes.first("ptime")?.parse().ok()?;
        Some((milliseconds * f64::from(rate) / 1e3).round() as u32)
    };
    told.or_else(from_time).filter(|frames| (1..=rate).contains(frames))
}

/// The first clock that we can follow, NTP before PTP; repeated lines name equivalent clocks.
fn reference_clock(attributes: &Attributes<'_>) -> Option<ReferenceClock> {
    let rank = |clock: &ReferenceClock| match clock {
        ReferenceClock::Ntp(_) => 0,
        ReferenceClock::Ptp(_) => 1,
        ReferenceClock::Other(_) => 2,
    };
    attributes.all("ts-refclk").map(read_clock).min_by_key(rank)
}

fn read_clock(value: &str) -> ReferenceClock {
    let other = || ReferenceClock::Other(value.to_owned());
    match value.split_once('=') {
        Some(("ntp", server)) => ntp_server(server).map_or_else(other, ReferenceClock::Ntp),
        Some(("ptp", clock)) => ptp_clock(clock).map_or_else(other, ReferenceClock::Ptp),
        _ => other(),
    }
}

/// `10.0.0.1`, `10.0.0.1:7680`, `[fd00::1]:7680`, `[fd00::1]` or `fd00::1`; the port is 123 when none is given.
fn ntp_server(text: &str) -> Option<SocketAddr> {
    const NTP_PORT: u16 = 123;
    let host = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().filter(|server: &SocketAddr| server.port() != 0);
    host.parse().map(|ip: IpAddr| SocketAddr::new(ip, NTP_PORT)).ok().or_else(with_port)
}

/// `IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:0`, the domain 0 when none is given, or `IEEE1588-2008:traceable`. The version
/// of 2019 says the same on the wire; that of 2002 and IEEE 802.1AS do not.
fn ptp_clock(text: &str) -> Option<PtpClock> {
    let mut parts = text.split(':');
    if !matches!(parts.next()?, "IEEE1588-2008" | "IEEE1588-2019") {
        return None;
    }
    let grandmaster = match parts.next()? {
        "traceable" => None,
        name => Some(name.parse().ok()?),
    };
    let domain =
        parts.next().map_or(Some(0), |domain| domain.strip_prefix("domain-nmbr=").unwrap_or(domain).parse().ok());
    Some(PtpClock { grandmaster, domain: domain.filter(|domain| *domain <= ptp::LAST_DOMAIN)? })
}

/// `direct=OFFSET`. With a rate correction behind it the timestamps are no plain readings: as if it were not there.
fn direct_offset(value: &str) -> Option<u32> {
    let offset = value.strip_prefix("direct=")?.trim();
    offset.parse::<i64>().ok().map(|offset| offset as u32)
}

/// `incl IN IP4 GROUP SOURCE`, with one source.
fn source_filter(value: &str) -> Option<IpAddr> {
    let fields: Vec<&str> = value.split_whitespace().collect();
    let ["incl", "IN", _, _, source] = fields[..] else { return None };
    source.parse().ok()
}

/// What stands in our own attributes is held to what our configuration can say: files and buffers are made after it.
fn stream_id(value: &str) -> Result<String, SdpError> {
    if is_stream_id(value) { Ok(value.to_owned()) } else { Err(SdpError::StreamId(brief(value))) }
}

fn delay_ms(value: &str) -> Result<u32, SdpError> {
    let delay_ms = value.parse().ok().filter(|delay_ms| (LEAST_MS..=MOST_MS).contains(delay_ms));
    delay_ms.ok_or_else(|| SdpError::Delay(brief(value)))
}

/// Nothing when it does not say when, or from what.
fn delay_change(pairs: &str) -> Result<Option<DelayChange>, SdpError> {
    let begins = value_of(pairs, "begins").and_then(|begins| begins.parse().ok());
    let (Some(begins), Some(from)) = (begins, value_of(pairs, "from")) else { return Ok(None) };
    Ok(Some(DelayChange { from_ms: delay_ms(from)?, begins: MediaTime::from_ns(begins) }))
}

/// As much of what a stranger says as an error needs.
fn brief(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// Of version 1, with all that it takes to ask; else nothing is asked for.
fn repair(value: &str) -> Option<Repair> {
    let pairs = of_version(value, Repair::VERSION)?;
    let value_of = |key: &str| value_of(pairs, key);
    let group: SocketAddr = value_of("rtx")?.parse().ok()?;
    let requests: SocketAddr = value_of("nack")?.parse().ok()?;
    let payload_type = value_of("pt")?.parse().ok().filter(|payload_type| *payload_type < 128)?;
    let ssrc = value_of("ssrc")?.parse().ok()?;
    let usable = group.ip().is_multicast() && !requests.ip().is_multicast() && requests.port() != 0;
    usable.then_some(Repair { requests, group, payload_type, ssrc })
}

fn fec(value: &str) -> Option<Fec> {
    let pairs = of_version(value, Fec::VERSION)?;
    let group: SocketAddr = value_of(pairs, "group")?.parse().ok()?;
    let matrix = Matrix::new(value_of(pairs, "columns")?.parse().ok()?, value_of(pairs, "rows")?.parse().ok()?)?;
    group.ip().is_multicast().then_some(Fec { group, matrix })
}

/// What stands behind the version of an attribute of ours, if that is the one.
fn of_version(value: &str, expected: u32) -> Option<&str> {
    let (version, pairs) = value.split_once(' ')?;
    (version.parse() == Ok(expected)).then_some(pairs)
}

/// The value of `key` in `key=value key=value ...`.
fn value_of<'a>(pairs: &'a str, key: &str) -> Option<&'a str> {
    pairs.split_whitespace().find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}
