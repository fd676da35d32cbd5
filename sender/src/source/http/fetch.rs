//! What a URL leads to: the network side, on a thread of its own.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};

use super::icy::Deinterleaver;
use super::playlist::{self, Entry};
use super::shoutcast::Shoutcast;
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
/// How often what has an end is asked for again where it broke off, before the first byte of the rest; and the first wait,
/// which doubles.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(1);

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
type Body = Box<dyn Read + Send>;

/// What has an end, to be asked for again where it breaks off: as it does when nobody has listened for a while.
struct Whole {
    /// Its bytes.
    length: u64,
    /// Tells it from what may be there by then.
    validator: Option<String>,
}

/// The thread: answers once, then sends pieces until nobody takes them.
fn fetch(url: &str, answer: &SyncSender<Result<Answer, FetchError>>, pieces: &SyncSender<Piece>, backlog: &Backlog) {
    let (head, mut body, whole) = match ask(url) {
        Ok(opened) => opened,
        Err(error) => return drop(answer.send(Err(error))),
    };
    if let Answer::List(_) = &head {
        return drop(answer.send(Ok(head)));
    }
    if answer.send(Ok(head)).is_err() {
        return;
    }
    let (mut had, mut tries) = (0, 0);
    loop {
        let mut piece = vec![0; PIECE];
        let broken = match body.read(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                (had, tries) = (had + read as u64, 0);
                backlog.came(read);
                if pieces.send(Ok(piece)).is_err() {
                    return;
                }
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Some(error),
        };
        let rest = whole.as_ref().filter(|whole| had < whole.length);
        if let Some(more) = rest.and_then(|whole| rest_of(url, had, whole, &mut tries)) {
            body = more;
            continue;
        }
        let cut_off = || rest.map(|_| io::Error::from(io::ErrorKind::UnexpectedEof));
        if let Some(error) = broken.or_else(cut_off) {
            let _ = pieces.send(Err(error));
        }
        return;
    }
}

/// What is there from byte `had` on, tried for a while; none where the server can't give a part.
fn rest_of(url: &str, had: u64, whole: &Whole, tries: &mut u32) -> Option<Body> {
    while *tries < TRIES {
        thread::sleep(FIRST_WAIT * (1 << *tries));
        *tries += 1;
        match ask_rest(url, had, whole) {
            Ok(rest) => return rest,
            Err(error) => tracing::debug!(url, had, "not gone on with: {error}"),
        }
    }
    None
}

fn ask_rest(url: &str, had: u64, whole: &Whole) -> Result<Option<Body>, FetchError> {
    let agent = agent();
    let mut request = agent.get(url).header("Accept", "*/*").header("Range", format!("bytes={had}-"));
    if let Some(validator) = &whole.validator {
        request = request.header("If-Range", validator);
    }
    let response = request.call()?;
    let range = response.headers().get("content-range").and_then(|range| range.to_str().ok()).unwrap_or_default();
    let goes_on = response.status().as_u16() == 206 && range.starts_with(&format!("bytes {had}-"));
    Ok(goes_on.then(|| Box::new(response.into_body().into_reader()) as Body))
}

fn agent() -> ureq::Agent {
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
    ureq::Agent::with_parts(config, DefaultConnector::default().chain(Shoutcast), DefaultResolver::default())
}

fn ask(url: &str) -> Result<(Answer, Body, Option<Whole>), FetchError> {
    let response = agent().get(url).header("Icy-MetaData", "1").header("Accept", "*/*").call()?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).filter(|value| !value.is_empty())
    };
    let mime = header("content-type").map(|mime| mime.split(';').next().unwrap_or_default().trim().to_lowercase());
    let last = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let extension = last.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    let length: Option<u64> = header("content-length").and_then(|length| length.parse().ok());
    let about = About {
        mime: mime.clone(),
        extension: extension.clone(),
        name: header("icy-name").or_else(|| header("ice-name")),
        endless: header("content-length").is_none() || header("icy-metaint").is_some(),
    };
    let interval = header("icy-metaint").and_then(|bytes| bytes.parse().ok()).filter(|bytes| *bytes > 0);
    // A weak one doesn't tell one byte from another (RFC 9110 section 13.1.5).
    let validator = header("etag").filter(|etag| !etag.starts_with("W/")).or_else(|| header("last-modified"));
    let plain = !about.endless && header("content-encoding").is_none();
    let whole = length.filter(|_| plain).map(|length| Whole { length, validator });
    let base = ureq::ResponseExt::get_uri(&response).to_string();
    let mut body = response.into_body().into_reader();
    if playlist::is_list(mime.as_deref(), extension.as_deref()) {
        let mut text = Vec::new();
        Read::take(&mut body, LONGEST_LIST as u64).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        if playlist::is_hls(&text) {
            return Err(FetchError::Hls);
        }
        return Ok((Answer::List(playlist::entries(&text, &base)), Box::new(io::empty()), None));
    }
    Ok((Answer::Sound { about, interval }, Box::new(body), whole))
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
