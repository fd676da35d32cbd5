//! Session descriptions (SDP, RFC 8866) of one PCM stream: the one that we send, and those that we accept.
//!
//! What we send is one fixed text, found by trying: it is what PulseAudio, PipeWire, GStreamer, VLC and ffmpeg all
//! take. Lines end in LF (PulseAudio 16 refuses CRLF), attributes stand at media level (GStreamer 1.22 reads only
//! those), there is no empty line, no empty `s=`, one `m=`, and never an `a=ssrc` (PipeWire 1.4 refuses the whole
//! text). What we read may differ in all of that.
//!
//! An AES67 stream's differs only in what its profile asks for, and names a PTP grandmaster where others name our clock.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::clock::ptp::ClockIdentity;
use crate::fec::Matrix;
use crate::format::Format;
use crate::playout_delay::PlayoutDelay;
use crate::time::MediaTime;

mod parse;

pub use parse::{SdpError, origin};

/// The longest description that is read.
pub const MAX_LEN: usize = 4096;

/// One announced stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who announces it, and which version this is.
    pub origin: Origin,
    /// Its name for people.
    pub name: String,
    /// Where its packets are sent; a multicast group, as a rule.
    pub address: IpAddr,
    /// Time to live of its packets, when the description tells.
    pub ttl: Option<u8>,
    /// RTP port; RTCP is on the next one.
    pub port: u16,
    /// RTP payload type.
    pub payload_type: u8,
    /// Rate, depth and channels.
    pub format: Format,
    /// Frames in a packet; nothing when the description does not tell, and some senders' packets vary.
    pub packet_frames: Option<u32>,
    /// The clock that the timestamps are readings of.
    pub reference_clock: Option<ReferenceClock>,
    /// RTP timestamp at the epoch of the reference clock (`a=mediaclk:direct=`).
    pub direct_offset: Option<u32>,
    /// The only source of the packets (RFC 4570), for a source-specific join.
    pub source: Option<IpAddr>,
    /// Our id of the stream, when a Unisono sender announces it.
    pub stream_id: Option<String>,
    /// From a frame's timestamp to its sound, in milliseconds, when a Unisono sender announces it.
    pub playout_delay_ms: Option<u32>,
    /// How it became that, when it has changed while the stream was sent.
    pub delay_change: Option<DelayChange>,
    /// Where lost packets are asked for, when a Unisono sender announces it.
    pub repair: Option<Repair>,
    /// Where parity of its packets is sent, when a Unisono sender announces it.
    pub fec: Option<Fec>,
}

/// A change of the playout delay that all rooms make together (`a=x-unisono-delay-change`, of the same form as
/// `a=x-unisono-repair`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelayChange {
    /// What it was before, in milliseconds.
    pub from_ms: u32,
    /// When it begins to change.
    pub begins: MediaTime,
}

impl DelayChange {
    /// Version of the attribute.
    pub const VERSION: u32 = 1;
}

/// Where a stream's parity is found (`a=x-unisono-fec`, of the same form as `a=x-unisono-repair`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fec {
    /// Parity packets of columns (SMPTE 2022-1): never the stream's own group and port.
    pub group: SocketAddr,
    /// Shape of the matrix.
    pub matrix: Matrix,
}

impl Fec {
    /// Version of the attribute.
    pub const VERSION: u32 = 1;
}

/// Where a sender takes requests for lost packets and where it answers them (`a=x-unisono-repair`).
///
/// In the attribute stand a version and then `key=value` pairs, of which unknown ones are passed over. The version
/// rises when those who know only the older one must leave the whole attribute alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Takes generic NACKs (RFC 4585), and answers to where they came from.
    pub requests: SocketAddr,
    /// Where packets are sent again (RFC 4588) that several rooms miss: never the stream's own group and port.
    pub group: SocketAddr,
    /// RTP payload type of packets that are sent again.
    pub payload_type: u8,
    /// SSRC of the stream: who has not heard it yet asks for it by this.
    pub ssrc: u32,
}

impl Repair {
    /// Version of the attribute.
    pub const VERSION: u32 = 1;
}

/// The `o=` line: who announces a session. Peers take the whole of it as the session's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// User name, `-` for none.
    pub username: String,
    /// Session id: digits, any number of them.
    pub session_id: String,
    /// Version of the description.
    pub version: u64,
    /// Address of the announcing host, or its name.
    pub address: String,
}

/// What stays of an [`Origin`] when the description changes: the key of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    username: String,
    session_id: String,
    address: String,
}

/// A clock named by `a=ts-refclk` (RFC 7273 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceClock {
    /// An NTP server.
    Ntp(SocketAddr),
    /// The time of a PTP domain, IEEE 1588-2008 or later.
    Ptp(PtpClock),
    /// Any other.
    Other(String),
}

/// A PTP clock, `ptp=IEEE1588-2008:GRANDMASTER:DOMAIN` (RFC 7273 section 4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtpClock {
    /// Whose time it is; nothing means anybody's whose time is traceable, and they all tell the same.
    pub grandmaster: Option<ClockIdentity>,
    /// The domain in which it is heard.
    pub domain: u8,
}

impl Origin {
    /// What stays the same when the description changes.
    pub fn key(&self) -> SessionKey {
        SessionKey {
            username: self.username.clone(),
            session_id: self.session_id.clone(),
            address: self.address.clone(),
        }
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.username, self.session_id, self.address)
    }
}

impl fmt::Display for ReferenceClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReferenceClock::Ntp(address) => write!(f, "ntp={address}"),
            ReferenceClock::Ptp(clock) => write!(f, "ptp={clock}"),
            ReferenceClock::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for PtpClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.grandmaster {
            Some(grandmaster) => write!(f, "IEEE1588-2008:{grandmaster}:{}", self.domain),
            None => write!(f, "IEEE1588-2008:traceable"),
        }
    }
}

impl Session {
    /// The playout delay over time, where `default_ms` holds if none is announced.
    pub fn playout_delay(&self, default_ms: u32) -> PlayoutDelay {
        let ns = |ms: u32| i64::from(ms) * 1_000_000;
        let to_ns = ns(self.playout_delay_ms.unwrap_or(default_ms));
        match self.delay_change {
            Some(DelayChange { from_ms, begins }) => PlayoutDelay::gliding(ns(from_ms), to_ns, begins),
            None => PlayoutDelay::fixed(to_ns),
        }
    }

    /// The clock that its timestamps are plain readings of, when that is one that can be followed. Nothing without
    /// `a=mediaclk:direct=` too: then they begin anywhere, and nobody knows when a frame is due.
    pub fn media_clock(&self) -> Option<&ReferenceClock> {
        let begins = self.direct_offset.is_some();
        self.reference_clock.as_ref().filter(|clock| begins && !matches!(clock, ReferenceClock::Other(_)))
    }

    /// Whether `other` describes the same packets, whatever else it says of them.
    pub fn is_same_sound(&self, other: &Session) -> bool {
        let shape =
            |session: &Session| (session.address, session.port, session.source, session.payload_type, session.format);
        shape(self) == shape(other)
    }

    /// Whether `other` is the same session, but perhaps for its playout delay.
    pub fn is_but_for_delay(&self, other: &Session) -> bool {
        let &Session { playout_delay_ms, delay_change, .. } = self;
        *self == Session { playout_delay_ms, delay_change, ..other.clone() }
    }
}

impl fmt::Display for DelayChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DelayChange { from_ms, begins } = self;
        write!(f, "{} from={from_ms} begins={}", Self::VERSION, begins.as_ns())
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repair { requests, group, payload_type, ssrc } = self;
        write!(f, "{} nack={requests} rtx={group} pt={payload_type} ssrc={ssrc}", Self::VERSION)
    }
}

impl fmt::Display for Fec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fec { group, matrix: Matrix { columns, rows } } = self;
        write!(f, "{} group={group} columns={columns} rows={rows}", Self::VERSION)
    }
}

/// The description as we send it.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { username, session_id, version, address } = &self.origin;
        let format = &self.format;
        writeln!(f, "v=0")?;
        writeln!(f, "o={username} {session_id} {version} IN {} {address}", family(address.contains(':')))?;
        writeln!(f, "s={}", OneLine(&self.name))?;
        write!(f, "c=IN {} {}", family(self.address.is_ipv6()), self.address)?;
        match self.ttl.filter(|_| self.address.is_ipv4()) {
            Some(ttl) => writeln!(f, "/{ttl}")?,
            None => writeln!(f)?,
        }
        writeln!(f, "t=0 0")?;
        writeln!(f, "m=audio {} RTP/AVP {}", self.port, self.payload_type)?;
        match format.channels {
            1 => writeln!(f, "i=1 channels: Mono")?,
            2 => writeln!(f, "i=2 channels: Left, Right")?,
            _ => {}
        }
        writeln!(f, "a=recvonly")?;
        let Format { rate, depth, channels } = format;
        writeln!(f, "a=rtpmap:{} L{}/{rate}/{channels}", self.payload_type, depth.bits())?;
        if let Some(source) = self.source {
            writeln!(f, "a=source-filter: incl IN {} {} {source}", family(source.is_ipv6()), self.address)?;
        }
        if let Some(frames) = self.packet_frames {
            let ptime = Milliseconds { frames, rate: *rate };
            writeln!(f, "a=ptime:{ptime}\na=maxptime:{ptime}\na=framecount:{frames}")?;
        }
        writeln!(f, "a=sync-time:0")?;
        if let Some(ReferenceClock::Ptp(clock)) = &self.reference_clock {
            writeln!(f, "a=clock-domain:PTPv2 {}", clock.domain)?;
        }
        if let Some(clock) = &self.reference_clock {
            writeln!(f, "a=ts-refclk:{clock}")?;
        }
        match self.direct_offset {
            Some(offset) => writeln!(f, "a=mediaclk:direct={offset}")?,
            None => writeln!(f, "a=mediaclk:sender")?,
        }
        writeln!(f, "a=tool:unisono {}", env!("CARGO_PKG_VERSION"))?;
        if let Some(id) = &self.stream_id {
            writeln!(f, "a=x-unisono-id:{}", OneLine(id))?;
        }
        if let Some(delay) = self.playout_delay_ms {
            writeln!(f, "a=x-unisono-delay:{delay}")?;
        }
        if let Some(change) = &self.delay_change {
            writeln!(f, "a=x-unisono-delay-change:{change}")?;
        }
        if let Some(repair) = &self.repair {
            writeln!(f, "a=x-unisono-repair:{repair}")?;
        }
        if let Some(fec) = &self.fec {
            writeln!(f, "a=x-unisono-fec:{fec}")?;
        }
        Ok(())
    }
}

fn family(v6: bool) -> &'static str {
    if v6 { "IP6" } else { "IP4" }
}

/// A text as one line that is not empty: PulseAudio refuses a description with an empty `s=`.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.0.chars().filter(|c| !c.is_control()).collect();
        f.write_str(if text.trim().is_empty() { "-" } else { text.trim() })
    }
}

/// A packet time in milliseconds with at most three decimals: well within the half sample that AES67 asks for.
struct Milliseconds {
    frames: u32,
    rate: u32,
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", f64::from(self.frames) * 1e3 / f64::from(self.rate));
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests;
