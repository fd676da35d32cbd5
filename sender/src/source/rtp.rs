//! The rtp source: another sender's stream, or a third party's, taken onto our timeline.
//!
//! Its packets are put in order and queued; its clock is followed as any writer's is. What rooms then hear is a stream
//! of this sender, with its clock and its delay, whatever the other one's are.

mod reorder;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use unisono_common::config::sender::RtpFrom;
use unisono_common::format::Format;
use unisono_common::pcm;
use unisono_common::rtp::Packet;
use unisono_common::sap::{self, Directory};
use unisono_common::sdp::Session;
use unisono_common::time::LocalTime;
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, MulticastReceiver};

use super::Source;
use super::drift::Drift;
use super::feed::Feed;
use super::lateness::Lateness;
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::status::{State, Track};
use reorder::Reorder;
use unisono_audio::convert::{Layout, Samples, Shape};

/// How long one look at a socket may take.
const LOOK: Duration = Duration::from_millis(20);
/// Between two attempts at what can't be had.
const RETRY: Duration = Duration::from_secs(2);
/// A group in which nothing comes is joined anew after this.
const REJOIN: Duration = Duration::from_secs(3);
/// How often announcements are looked at.
const LISTEN_NS: i64 = 200_000_000;
/// Announcements of one group that are looked at in one go: a flood of them is not to hold up the sound.
const AT_ONCE: usize = 64;
/// After so long without packets another source in the group is taken.
const SOURCE_GONE_NS: i64 = 1_000_000_000;

/// Where a stream comes from and the way from there to the queue.
pub(super) struct Rtp {
    from: RtpFrom,
    interface: Interface,
    stream: Format,
    latency: Duration,
}

/// What is received.
#[derive(PartialEq)]
struct Tuned {
    address: SocketAddr,
    source: Option<std::net::IpAddr>,
    payload_type: Option<u8>,
    format: Format,
    name: String,
}

impl Rtp {
    /// Room for latency and as much again for what comes in bursts.
    pub(super) fn sizes(latency_ms: u32) -> Sizes {
        let latency = Duration::from_millis(latency_ms.into());
        Sizes { capacity: latency * 4 + Duration::from_millis(100), prebuffer: latency }
    }

    pub(super) fn new(from: &RtpFrom, latency_ms: u32, interface: &Interface, stream: Format) -> Self {
        let latency = Duration::from_millis(latency_ms.into());
        Self { from: from.clone(), interface: interface.clone(), stream, latency }
    }

    fn run_once(&self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let mut announced = match &self.from {
            RtpFrom::Announced(wanted) => match Announced::listen(wanted, &self.interface) {
                Ok(announced) => Some(announced),
                Err(error) => return failed(format!("announcements cannot be heard: {error}"), writer),
            },
            _ => None,
        };
        let tuned = match self.find(announced.as_mut(), writer)? {
            Ok(tuned) => tuned,
            Err(reason) => return failed(reason, writer),
        };
        let mut socket = match Listener::open(&tuned, &self.interface) {
            Ok(socket) => socket,
            Err(error) => return failed(format!("{}: {error}", tuned.address), writer),
        };
        tracing::info!(from = %tuned.address, format = %tuned.format, "tuned to \"{}\"", tuned.name);
        writer.begin_track(Some(Track { title: Some(tuned.name.clone()), ..Track::default() }), Duration::ZERO);
        writer.set_state(State::Idle);
        let result = self.receive(&tuned, &mut socket, announced, writer);
        writer.begin_track(None, Duration::ZERO);
        result
    }

    /// What to tune to; waits for an announcement.
    fn find(
        &self,
        announced: Option<&mut Announced>,
        writer: &mut QueueWriter,
    ) -> Result<Result<Tuned, String>, Interrupt> {
        if let Some(announced) = announced {
            return Ok(Ok(announced.wait(writer)?));
        }
        match &self.from {
            &RtpFrom::Address { address, format } => {
                let name = address.to_string();
                Ok(Ok(Tuned { address, source: None, payload_type: None, format, name }))
            }
            RtpFrom::Known(session) => Ok(Ok(Tuned::to(session))),
            RtpFrom::File(path) => Ok(described(path)),
            RtpFrom::Announced(_) => unreachable!("it is waited for above"),
        }
    }

    /// Queues what comes, as long as the source is wanted, and is not announced to be elsewhere by now.
    fn receive(
        &self,
        tuned: &Tuned,
        socket: &mut Listener,
        mut announced: Option<Announced>,
        writer: &mut QueueWriter,
    ) -> Result<(), Interrupt> {
        let layout = Layout::of_count(tuned.format.channels.into());
        let shape = Shape { rate: tuned.format.rate, layout, bits: Some(tuned.format.depth.bits()) };
        let target = self.latency.as_secs_f64() * f64::from(self.stream.rate);
        let drift = Drift::of_clock(self.stream.rate, target);
        let mut feed = Feed::new(shape, self.stream, drift, Lateness::of_any(), target as u64 / 4);
        let (mut order, mut samples, mut source) = (Reorder::default(), Vec::new(), None::<(u32, LocalTime)>);
        let (mut buffer, mut quiet) = ([0; 2048], Duration::ZERO);
        let (mut looked, mut elsewhere, mut dry) = (clock::now(), false, false);
        loop {
            writer.check()?;
            if let Some(announced) = announced.as_mut().filter(|_| clock::now() - looked > LISTEN_NS) {
                looked = clock::now();
                let now = announced.look();
                elsewhere = now.as_ref().is_some_and(|now| now != tuned);
                // Taken for what they were, packets of another format are noise.
                if now.is_some_and(|now| now.is_reshaped(tuned)) {
                    return Ok(());
                }
            }
            let Some(length) = socket.receive(&mut buffer) else {
                feed.nothing(LOOK, writer)?;
                quiet += LOOK;
                dry |= quiet >= self.latency;
                if quiet >= REJOIN {
                    quiet = Duration::ZERO;
                    socket.rejoin();
                    if elsewhere {
                        return Ok(());
                    }
                }
                continue;
            };
            let wanted =
                |packet: &Packet<'_>| tuned.payload_type.is_none_or(|wanted| wanted == packet.header.payload_type);
            let Some(packet) = Packet::parse(&buffer[..length]).ok().filter(wanted) else {
                writer.count(|c| c.bogus_packets += 1);
                continue;
            };
            let now = clock::now();
            match &mut source {
                Some((ssrc, seen)) if *ssrc == packet.header.ssrc => *seen = now,
                Some((_, seen)) if now - *seen < SOURCE_GONE_NS => {
                    writer.count(|c| c.bogus_packets += 1);
                    continue;
                }
                new => {
                    *new = Some((packet.header.ssrc, now));
                    order.begin_anew();
                }
            }
            quiet = Duration::ZERO;
            // All that was queued has been heard by now: silence for what was lost meanwhile would be heard on top of that.
            if std::mem::take(&mut dry) {
                order.begin_anew();
            }
            samples.clear();
            order.insert(packet.header.sequence, packet.payload, |payload| {
                decode(tuned.format, payload, &mut samples);
            });
            let lost = order.lost();
            writer.count(|c| c.lost_packets = lost);
            if !samples.is_empty() {
                feed.push(Samples::Int(&samples), 0, false, writer)?;
            }
        }
    }
}

impl Source for Rtp {
    fn run(self: Box<Self>, mut writer: QueueWriter) {
        while self.run_once(&mut writer) != Err(Interrupt::Stop) {}
    }
}

impl Tuned {
    fn to(session: &Session) -> Self {
        Tuned {
            address: SocketAddr::new(session.address, session.port),
            source: session.source,
            payload_type: Some(session.payload_type),
            format: session.format,
            name: session.name.clone(),
        }
    }

    /// Whether the packets that come to where they came `before` are others now.
    fn is_reshaped(&self, before: &Tuned) -> bool {
        let place = |tuned: &Tuned| (tuned.address, tuned.source);
        let shape = |tuned: &Tuned| (tuned.payload_type, tuned.format);
        place(self) == place(before) && shape(self) != shape(before)
    }
}

/// Streams that are announced, to find one by its name or id.
struct Announced {
    wanted: String,
    ears: Vec<MulticastReceiver>,
    directory: Directory,
}

impl Announced {
    fn listen(wanted: &str, interface: &Interface) -> Result<Self, MulticastError> {
        let groups = [sap::GROUP_LOCAL, sap::GROUP_GLOBAL, sap::GROUP_PULSE];
        let join = |group: Ipv4Addr| MulticastReceiver::join(SocketAddr::new(group.into(), sap::PORT), interface);
        let ears = groups.into_iter().map(join).collect::<Result<_, _>>()?;
        let mut directory = Directory::default();
        directory.prefer([wanted.to_owned()]);
        Ok(Announced { wanted: wanted.to_owned(), ears, directory })
    }

    /// What is announced now; does not wait.
    fn look(&mut self) -> Option<Tuned> {
        let mut buffer = [0; 4096];
        for ear in &mut self.ears {
            for _ in 0..AT_ONCE {
                let Ok(Some(received)) = ear.receive(&mut buffer) else { break };
                // What is no announcement is none of ours.
                let _ = self.directory.receive(&buffer[..received.len], clock::now());
            }
        }
        self.directory.expire(clock::now());
        let fits = |s: &&Arc<Session>| s.stream_id.as_deref() == Some(&*self.wanted) || s.name == self.wanted;
        self.directory.sessions().iter().rfind(fits).map(|session| Tuned::to(session))
    }

    fn wait(&mut self, writer: &mut QueueWriter) -> Result<Tuned, Interrupt> {
        writer.set_state(State::Failed(format!("no stream \"{}\" is announced yet", self.wanted)));
        loop {
            writer.check()?;
            let _ = self.ears[0].wait(clock::now() + LISTEN_NS, None);
            if let Some(tuned) = self.look() {
                return Ok(tuned);
            }
        }
    }
}

/// What an SDP file describes.
fn described(path: &Path) -> Result<Tuned, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let session = Session::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Tuned::to(&session))
}

fn failed(reason: String, writer: &mut QueueWriter) -> Result<(), Interrupt> {
    writer.set_state(State::Failed(reason));
    writer.wait(RETRY)
}

/// Appends the samples of a payload at the top of 32 bits.
fn decode(format: Format, payload: &[u8], samples: &mut Vec<i32>) {
    let frames = payload.len() / format.frame_bytes();
    let begin = samples.len();
    samples.resize(begin + frames * usize::from(format.channels), 0);
    pcm::decode_be(format.depth, payload, &mut samples[begin..]);
    let shift = 32 - format.depth.bits();
    samples[begin..].iter_mut().for_each(|sample| *sample <<= shift);
}

/// A group, or a port of this host.
enum Listener {
    Group(Box<MulticastReceiver>),
    Port(UdpSocket),
}

impl Listener {
    fn open(tuned: &Tuned, interface: &Interface) -> io::Result<Self> {
        let address = tuned.address;
        if address.ip().is_multicast() {
            let joined = match tuned.source {
                Some(source) => MulticastReceiver::join_source(address, source, interface),
                None => MulticastReceiver::join(address, interface),
            };
            return Ok(Listener::Group(Box::new(joined.map_err(io::Error::other)?)));
        }
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(LOOK))?;
        Ok(Listener::Port(socket))
    }

    /// The length of a packet that came within [`LOOK`].
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Listener::Group(socket) => {
                let _ = socket.wait(clock::now() + LOOK.as_nanos() as i64, None);
                Some(socket.receive(buffer).ok()??.len)
            }
            Listener::Port(socket) => socket.recv(buffer).ok(),
        }
    }

    fn rejoin(&self) {
        if let Listener::Group(socket) = self {
            // A network that is away comes back by itself or not at all.
            let _ = socket.rejoin();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\no=- 7 1 IN IP4 10.0.0.2\ns=Studio\nc=IN IP4 239.1.2.3/4\nt=0 0\nm=audio 5004 RTP/AVP 98\n\
                       a=rtpmap:98 L16/48000/2\n";

    #[test]
    fn another_format_at_the_same_place_is_told_from_another_place() {
        let tuned = |from: &str, to: &str| Tuned::to(&Session::parse(SDP.replace(from, to).as_bytes()).unwrap());
        let before = tuned("", "");
        for (from, to) in [("L16", "L24"), ("48000/2", "44100/2"), ("48000/2", "48000/6"), ("98", "97")] {
            assert!(tuned(from, to).is_reshaped(&before), "{from} -> {to}");
        }
        for (from, to) in [("o=- 7", "o=- 8"), ("Studio", "Stage"), ("239.1.2.3", "239.1.2.4"), ("5004", "5006")] {
            assert!(!tuned(from, to).is_reshaped(&before), "{from} -> {to}");
        }
    }
}
