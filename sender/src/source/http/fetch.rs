//! What a URL leads to: the network side, on a thread of its own.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport};

use super::icy::Deinterleaver;
use super::playlist::{self, Entry};
use crate::source::queue::Patience;
use crate::source::status::State;

/// How long the network may take for one step: to connect, to answer, to send some more.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between looks whether anybody still waits.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes read at once, and how many of those may wait: half a minute of a station, even of one whose packets are small. What
/// it sends ahead of time then waits here, and tells its clock.
const PIECE: usize = 4 * 1024;
const PIECES: usize = 512;
/// The longest list that is read, in bytes: a feed of some years.
const LONGEST_LIST: usize = 4 * 1024 * 1024;
/// Bytes of a response's head.
const MAX_HEAD: usize = 64 * 1024;

/// Why a URL gives nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The network, TLS, HTTP.
    #[error("{0}")]
    Http(#[from] ureq::Error),
    /// The body can't be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Segments that other players fetch one by one.
    #[error("is an HLS stream; play it with a command source, such as ffmpeg")]
    Hls,
    /// A list with nothing in it.
    #[error("is a playlist with nothing in it")]
    EmptyList,
    /// No thread, or an order to stop.
    #[error("given up")]
    GivenUp,
}

/// What a URL leads to.
pub(super) enum Fetched {
    List(Vec<Entry>),
    Sound(Flow),
}

/// Sound that flows in.
pub(super) struct Flow {
    pub(super) reader: Reader,
    pub(super) about: About,
}

/// What the server says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) mime: Option<String>,
    pub(super) extension: Option<String>,
    /// The station's name.
    pub(super) name: Option<String>,
    /// It has no length: a station.
    pub(super) endless: bool,
}

/// Opens a URL, as long as `patience` is not over.
pub(super) fn open(url: &str, patience: Patience) -> Result<Fetched, FetchError> {
    let (pieces, received) = sync_channel(PIECES);
    let (answer, answered) = sync_channel(1);
    let (url, backlog) = (url.to_owned(), Backlog::default());
    let filled = backlog.clone();
    let thread = thread::Builder::new().name("src-fetch".to_owned());
    thread.spawn(move || fetch(&url, &answer, &pieces, &filled))?;
    let answer = loop {
        match answered.recv_timeout(LOOK) {
            Ok(answer) => break answer?,
            Err(RecvTimeoutError::Timeout) if !patience.is_over() => {}
            Err(_) => return Err(FetchError::GivenUp),
        }
    };
    Ok(match answer {
        Answer::List(entries) => Fetched::List(entries),
        Answer::Sound { about, interval } => {
            let reader = Reader {
                pieces: Mutex::new(received),
                backlog,
                current: VecDeque::new(),
                icy: interval.map(Deinterleaver::new),
                titles: Titles::default(),
                patience,
                begun: false,
            };
            Fetched::Sound(Flow { reader, about })
        }
    })
}

enum Answer {
    List(Vec<Entry>),
    /// `interval`: bytes of sound between two pieces of metadata.
    Sound {
        about: About,
        interval: Option<usize>,
    },
}

type Piece = io::Result<Vec<u8>>;

/// The thread: answers once, then sends pieces until nobody takes them.
fn fetch(url: &str, answer: &SyncSender<Result<Answer, FetchError>>, pieces: &SyncSender<Piece>, backlog: &Backlog) {
    let (head, mut body) = match ask(url) {
        Ok(opened) => opened,
        Err(error) => return drop(answer.send(Err(error))),
    };
    if let Answer::List(_) = &head {
        return drop(answer.send(Ok(head)));
    }
    if answer.send(Ok(head)).is_err() {
        return;
    }
    loop {
        let mut piece = vec![0; PIECE];
        let read = match body.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return drop(pieces.send(Err(error))),
        };
        piece.truncate(read);
        backlog.came(read);
        if pieces.send(Ok(piece)).is_err() {
            return;
        }
    }
}

fn ask(url: &str) -> Result<(Answer, Box<dyn Read + Send>), FetchError> {
    let config = ureq::Agent::config_builder()
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_send_request(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .max_response_header_size(MAX_HEAD)
        .max_redirects(8)
        .user_agent(concat!("Unisono/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent =
        ureq::Agent::with_parts(config, DefaultConnector::default().chain(Shoutcast), DefaultResolver::default());
    let response = agent.get(url).header("Icy-MetaData", "1").header("Accept", "*/*").call()?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).filter(|value| !value.is_empty())
    };
    let mime = header("content-type").map(|mime| mime.split(';').next().unwrap_or_default().trim().to_lowercase());
    let last = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let extension = last.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    let about = About {
        mime: mime.clone(),
        extension: extension.clone(),
        name: header("icy-name").or_else(|| header("ice-name")),
        endless: header("content-length").is_none() || header("icy-metaint").is_some(),
    };
    let interval = header("icy-metaint").and_then(|bytes| bytes.parse().ok()).filter(|bytes| *bytes > 0);
    let base = ureq::ResponseExt::get_uri(&response).to_string();
    let mut body = response.into_body().into_reader();
    if playlist::is_list(mime.as_deref(), extension.as_deref()) {
        let mut text = Vec::new();
        Read::take(&mut body, LONGEST_LIST as u64).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        if playlist::is_hls(&text) {
            return Err(FetchError::Hls);
        }
        return Ok((Answer::List(playlist::entries(&text, &base)), Box::new(io::empty())));
    }
    Ok((Answer::Sound { about, interval }, Box::new(body)))
}

/// Sound as the decoder reads it.
pub(super) struct Reader {
    /// In a mutex only because decoders want sources that threads could share.
    pieces: Mutex<Receiver<Piece>>,
    backlog: Backlog,
    current: VecDeque<u8>,
    icy: Option<Deinterleaver>,
    titles: Titles,
    patience: Patience,
    /// Something has come: from here on, nothing is a stall.
    begun: bool,
}

/// What has come by the network and waits for the decoder; clones tell of the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    pieces: AtomicUsize,
    /// Bytes that have come, and those of them that the decoder has had.
    came: AtomicU64,
    taken: AtomicU64,
}

impl Backlog {
    /// Bytes that the decoder has had, and those that wait for it.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let taken = self.0.taken.load(Relaxed);
        (taken, self.0.came.load(Relaxed).saturating_sub(taken))
    }

    /// Whether more would come if there were room: how much waits says nothing of the other side's clock.
    pub(super) fn held_back(&self) -> bool {
        self.0.pieces.load(Relaxed) >= PIECES / 2
    }

    pub(super) fn came(&self, bytes: usize) {
        self.0.pieces.fetch_add(1, Relaxed);
        self.0.came.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn taken(&self, bytes: usize) {
        self.0.pieces.fetch_sub(1, Relaxed);
        self.0.taken.fetch_add(bytes as u64, Relaxed);
    }
}

/// The title that the station told last.
#[derive(Clone, Debug, Default)]
pub(super) struct Titles(Arc<Mutex<Option<String>>>);

impl Titles {
    /// A title that is new.
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, title: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(title);
    }
}

impl Reader {
    /// Titles that come with the sound.
    pub(super) fn titles(&self) -> Titles {
        self.titles.clone()
    }

    /// What waits for it.
    pub(super) fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// The next piece; None at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let pieces = self.pieces.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.patience.is_over() {
                return Err(io::Error::other("something else is to be done"));
            }
            match pieces.recv_timeout(LOOK) {
                Ok(piece) => {
                    self.begun = true;
                    let piece = piece?;
                    self.backlog.taken(piece.len());
                    return Ok(Some(piece));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.begun && self.patience.is_dry() {
                        self.patience.status().set_state(State::Stalled);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let Some(piece) = self.next()? else { return Ok(0) };
            match &mut self.icy {
                Some(icy) => {
                    let mut sound = Vec::with_capacity(piece.len());
                    if let Some(title) = icy.feed(&piece, &mut sound) {
                        self.titles.set(title);
                    }
                    self.current.extend(sound);
                }
                None => self.current.extend(piece),
            }
        }
        self.current.read(buffer)
    }
}

/// Servers of the first Shoutcast answer "ICY 200 OK", which is HTTP but for its name.
#[derive(Debug)]
struct Shoutcast;

impl Connector<Box<dyn Transport>> for Shoutcast {
    type Out = Renamed;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<Box<dyn Transport>>,
    ) -> Result<Option<Renamed>, ureq::Error> {
        Ok(chained.map(|inner| Renamed { inner, begun: false }))
    }
}

/// A connection whose first word is made `HTTP/1.0`.
#[derive(Debug)]
struct Renamed {
    inner: Box<dyn Transport>,
    begun: bool,
}

impl Transport for Renamed {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.begun = false;
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let more = self.inner.await_input(timeout)?;
        let buffers = self.inner.buffers();
        if self.begun || buffers.input().len() < 4 {
            return Ok(more);
        }
        self.begun = true;
        if let Some(rest) = buffers.input().strip_prefix(b"ICY").map(<[u8]>::to_vec) {
            buffers.input_consume(rest.len() + 3);
            let renamed = [b"HTTP/1.0", &rest[..]].concat();
            let room = buffers.input_append_buf();
            let fits = renamed.len().min(room.len());
            room[..fits].copy_from_slice(&renamed[..fits]);
            buffers.input_appended(fits);
        }
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
