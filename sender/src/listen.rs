//! Streams for whatever speaks no RTP: a file without end, over HTTP, out of step with the rooms.
//!
//! Each listener has a thread that joins the stream's group as a room does, and wraps what it hears. So the audio path knows
//! nothing of listeners, streams of other senders can be listened to as well, and how much a listener costs is bounded.

mod flac;
mod line;
mod wav;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;

use axum::body::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};
use unisono_common::format::Format;
use unisono_common::rtp::Packet;
use unisono_common::sdp::Session;
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, MulticastReceiver};

use crate::streams::Stream;
use line::Line;

/// Listeners at once, of all streams.
pub const MOST: usize = 16;

/// Pieces that wait for a listener. One that does not take them (some seconds of sound) is let go.
const QUEUE: usize = 512;

/// How often a thread whose stream is silent looks whether anybody listens.
const LOOK_NS: i64 = 250_000_000;

/// Without a packet for so long the group is joined anew: the interface may be another one.
const REJOIN_NS: i64 = 2_000_000_000;

/// How a stream is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// FLAC (RFC 9639): what is sent, without loss.
    Flac,
    /// WAV: the same, as it is.
    Wav,
}

impl Container {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Container::Flac => "audio/flac",
            Container::Wav => "audio/wav",
        }
    }

    /// A container for a stream called `name`.
    fn wrap(self, format: Format, name: &str) -> Option<Box<dyn Wrap>> {
        Some(match self {
            Container::Flac => Box::new(flac::Flac::new(format, name)?),
            Container::Wav => Box::new(wav::Wav::new(format)),
        })
    }
}

/// Makes the bytes of a container.
trait Wrap: Send {
    /// What stands before the first sample.
    fn head(&self) -> Vec<u8>;

    /// Appends what can be said of these samples and those before them to `out`; false when it can't go on.
    fn put(&mut self, samples: &[i32], out: &mut Vec<u8>) -> bool;
}

/// Why a stream can't be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// No such stream, or one that is not sent now.
    #[error("there is no stream \"{0}\" to listen to")]
    NoStream(String),
    /// All places are taken.
    #[error("{MOST} listen already; end one of them")]
    Full,
    /// Its format fits into no such file.
    #[error("a stream of {0} can't be wrapped")]
    Format(Format),
    /// Its group can't be joined.
    #[error(transparent)]
    Multicast(#[from] MulticastError),
    /// No thread.
    #[error("no thread to listen: {0}")]
    Thread(#[from] io::Error),
}

/// Where streams are heard, and how many listen; clones are the same.
#[derive(Clone, Debug)]
pub struct Listeners {
    interface: Interface,
    taken: Arc<AtomicUsize>,
}

impl Listeners {
    /// Nobody yet.
    pub fn new(interface: Interface) -> Self {
        Listeners { interface, taken: Arc::default() }
    }

    /// One more, from the stream's next packet on until `is_other` says that the packets are no longer what `session` says:
    /// what stands before the first sample can't be taken back.
    pub fn open(
        &self,
        session: &Session,
        container: Container,
        is_other: impl Fn() -> bool + Send + 'static,
    ) -> Result<Listening, ListenError> {
        let place = Place::take(&self.taken)?;
        let wrap = container.wrap(session.format, &session.name).ok_or(ListenError::Format(session.format))?;
        let group = SocketAddr::new(session.address, session.port);
        // By now it may be another one of the same name.
        let interface = Interface::by_name(&self.interface.name).map_err(MulticastError::from)?;
        let socket = match session.source {
            Some(source) => MulticastReceiver::join_source(group, source, &interface)?,
            None => MulticastReceiver::join(group, &interface)?,
        };
        let (sender, chunks) = mpsc::channel(QUEUE);
        let line = Line::new(session.format, session.payload_type);
        thread::Builder::new().name("listener".to_owned()).spawn(move || {
            listen(socket, line, wrap, is_other, &sender);
            drop(place);
        })?;
        Ok(Listening(chunks))
    }
}

/// What a listener gets. Dropping it ends the thread.
#[derive(Debug)]
pub struct Listening(Receiver<Bytes>);

impl futures_core::Stream for Listening {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(Ok))
    }
}

/// A place taken; dropping it frees it.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Result<Place, ListenError> {
        let one_more = |taken| (taken < MOST).then_some(taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).map_err(|_| ListenError::Full)?;
        Ok(Place(taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether an own stream is no longer what its listeners were told. One that is away may come back as it was.
pub(crate) fn is_other(now: Option<&Stream>, before: &Session) -> bool {
    let group = SocketAddr::new(before.address, before.port);
    let elsewhere = |stream: &Stream| stream.on_air.as_ref().is_some_and(|on_air| on_air.group != group);
    now.is_some_and(|stream| stream.format != before.format || elsewhere(stream))
}

/// The same of somebody else's: by what is announced now, the packets at that place are others. An announcement that was
/// not heard for long says nothing.
pub(crate) fn is_reshaped(announced: &[Arc<Session>], before: &Session) -> bool {
    let place = |session: &Session| (session.address, session.port, session.source);
    let shape = |session: &Session| (session.payload_type, session.format);
    let mut there = announced.iter().filter(|session| place(session) == place(before)).peekable();
    there.peek().is_some() && there.all(|session| shape(session) != shape(before))
}

/// Passes on what comes, until nobody listens, the listener does not keep up, or the packets are others.
fn listen(
    mut socket: MulticastReceiver,
    mut line: Line,
    mut wrap: Box<dyn Wrap>,
    is_other: impl Fn() -> bool,
    listener: &Sender<Bytes>,
) {
    let (mut buffer, mut samples, mut bytes) = ([0; 2048], Vec::new(), wrap.head());
    let mut heard = clock::now();
    // Before what came is passed on: taken for what they were, packets of another format are noise.
    while !is_other() {
        if !bytes.is_empty() && listener.try_send(std::mem::take(&mut bytes).into()).is_err() {
            return;
        }
        if listener.is_closed() || socket.wait(clock::now() + LOOK_NS, None).is_err() {
            return;
        }
        if clock::now() - heard > REJOIN_NS {
            heard = clock::now();
            // Where it fails the network is not there yet.
            let _ = socket.revive();
        }
        while let Ok(Some(received)) = socket.receive(&mut buffer) {
            heard = received.stamp.at;
            let Ok(packet) = Packet::parse(&buffer[..received.len]) else { continue };
            samples.clear();
            line.take(&packet, received.stamp.at, &mut samples);
            if !wrap.put(&samples, &mut bytes) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
