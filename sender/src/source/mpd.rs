//! The MPD that feeds a pipe: what it plays is shown, and wishes go to it.
//!
//! One connection, in MPD's own protocol ([`protocol`]), on a thread of its own: the pipe's thread never waits for it.
//! While it is away, the pipe is a pipe like any other, and it is tried again, after a while that doubles.

mod protocol;

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use unisono_host::clock;

use super::backoff::Backoff;
use super::queue::Wish;
use super::status::{Artwork, Outside, SourceStatus, Track};
use protocol::{Connection, Link, MpdError, Reply, quoted};

/// How long MPD may take to connect and to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// An MPD that has said nothing for so long is asked whether it is still there: its host may be gone without a word.
const SILENT_NS: i64 = 30_000_000_000;
/// How long a wish may wait to be seen.
const LOOK: Duration = Duration::from_millis(30);
/// "Previous" within this time of a track's beginning means the track before it.
const JUST_BEGUN_S: f64 = 3.0;
/// The largest cover.
const LARGEST_PICTURE: usize = 8 * 1024 * 1024;

const CAN: &[&str] = &["play", "pause", "next", "previous", "seek"];
/// What a pipe can without its MPD.
pub(super) const CAN_ALONE: &[&str] = &["play", "pause"];

/// Where an MPD is.
#[derive(Clone)]
pub(super) struct Mpd {
    address: String,
    password: Option<String>,
}

impl Mpd {
    /// At `HOST:PORT`, or at the path of a socket.
    pub(super) fn new(address: &str, password: Option<&str>) -> Self {
        Self { address: address.to_owned(), password: password.map(str::to_owned) }
    }

    /// Follows it until the source ends.
    pub(super) fn start(self, status: SourceStatus) {
        let span = tracing::Span::current();
        let follow = move || span.in_scope(|| self.follow(&status));
        if let Err(error) = thread::Builder::new().name("mpd".to_owned()).spawn(follow) {
            tracing::warn!(%error, "no thread for MPD");
        }
    }

    fn follow(&self, status: &SourceStatus) {
        let (mut backoff, mut told) = (Backoff::default(), false);
        while !stopped(status) {
            let began = clock::now();
            let error = match self.session(status) {
                Ok(()) => return,
                Err(error) => error,
            };
            status.set_remote(None, CAN_ALONE);
            status.set_outside(None);
            if !std::mem::replace(&mut told, true) || clock::now() - began > 1_000_000_000 {
                tracing::warn!(mpd = self.address, "not followed: {error}; it is tried again");
            }
            backoff.lasted(clock::now() - began);
            let until = clock::now() + backoff.next().as_nanos() as i64;
            while !stopped(status) && clock::now() < until {
                thread::sleep(LOOK);
            }
        }
    }

    /// One connection, until it breaks or the source ends.
    fn session(&self, status: &SourceStatus) -> Result<(), MpdError> {
        let mut mpd = Connection::greet(self.connect()?)?;
        if let Some(password) = &self.password {
            mpd.ask(&format!("password {}", quoted(password)))?;
        }
        tracing::info!(mpd = self.address, "followed");
        let (wishes, asked) = channel();
        status.set_remote(Some(wishes), CAN);
        let mut shown = Shown::default();
        loop {
            shown.refresh(&mut mpd, status)?;
            mpd.send("idle player")?;
            let since = clock::now();
            loop {
                if stopped(status) {
                    return Ok(());
                }
                if let Some(wish) = next(&asked) {
                    mpd.ask("noidle")?;
                    shown.wish(&mut mpd, wish)?;
                    break;
                }
                if mpd.has_input(LOOK)? {
                    mpd.reply()?;
                    break;
                }
                if clock::now() - since > SILENT_NS {
                    mpd.ask("noidle")?;
                    break;
                }
            }
        }
    }

    fn connect(&self) -> io::Result<Box<dyn Link>> {
        if self.address.starts_with('/') {
            let stream = UnixStream::connect(&self.address)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            return Ok(Box::new(stream));
        }
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(PATIENCE))?;
                    stream.set_nodelay(true)?;
                    return Ok(Box::new(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn stopped(status: &SourceStatus) -> bool {
    status.0.stop.load(Acquire)
}

fn next(asked: &Receiver<Wish>) -> Option<Wish> {
    asked.try_recv().ok()
}

/// What is shown of MPD.
#[derive(Default)]
struct Shown {
    /// The file whose cover has been asked for.
    file: String,
    artwork: Option<Arc<Artwork>>,
    stopped: bool,
    elapsed_s: f64,
    since_ns: i64,
}

impl Shown {
    /// Asks what plays now.
    fn refresh(&mut self, mpd: &mut Connection, status: &SourceStatus) -> Result<(), MpdError> {
        let now = mpd.ask("status")?;
        let song = mpd.ask("currentsong")?;
        let seconds = |reply: &Reply, key: &str| {
            let value: Option<f64> = reply.get(key).and_then(|value| value.parse().ok());
            value.filter(|s| (0.0..1e9).contains(s))
        };
        let since = clock::now();
        self.stopped = now.get("state") == Some("stop");
        self.elapsed_s = seconds(&now, "elapsed").unwrap_or_default();
        self.since_ns = since.as_ns();
        let Some(file) = song.get("file").filter(|_| !self.stopped) else {
            status.set_outside(None);
            return Ok(());
        };
        if file != self.file {
            // Shown at once, and its cover when that is there.
            self.artwork = None;
            file.clone_into(&mut self.file);
            let outside = self.outside(&now, &song, seconds(&now, "duration"));
            status.set_outside(Some(Outside { since, ..outside }));
            self.artwork = picture(mpd, file)?.map(Arc::new);
        }
        let outside = self.outside(&now, &song, seconds(&now, "duration"));
        status.set_outside(Some(Outside { since, ..outside }));
        Ok(())
    }

    fn outside(&self, now: &Reply, song: &Reply, duration_s: Option<f64>) -> Outside {
        let tag = |key: &str| song.get(key).map(str::to_owned);
        let stem = |file: &str| file.rsplit('/').next().unwrap_or(file).to_owned();
        Outside {
            track: Track {
                title: tag("Title").or_else(|| song.get("file").map(stem)),
                artist: tag("Artist"),
                album: tag("Album").or_else(|| tag("Name")),
                path: None,
                entry: None,
                duration: duration_s.map(Duration::from_secs_f64),
            },
            elapsed: Duration::from_secs_f64(self.elapsed_s),
            since: clock::now(),
            paused: now.get("state") != Some("play"),
            artwork: self.artwork.clone(),
        }
    }

    /// Does what a listener asks; what MPD refuses is in the log.
    fn wish(&mut self, mpd: &mut Connection, wish: Wish) -> Result<(), MpdError> {
        let into_s = self.elapsed_s + (clock::now().as_ns() - self.since_ns) as f64 / 1e9;
        let command = match wish {
            Wish::Play if self.stopped => "play".to_owned(),
            Wish::Play => "pause 0".to_owned(),
            Wish::Pause => "pause 1".to_owned(),
            Wish::Next => "next".to_owned(),
            Wish::Previous if into_s > JUST_BEGUN_S => "seekcur 0".to_owned(),
            Wish::Previous => "previous".to_owned(),
            Wish::Seek(to) => format!("seekcur {:.3}", to.as_secs_f64()),
            Wish::Wake => return Ok(()),
        };
        match mpd.ask(&command) {
            Err(MpdError::Refused(reason)) => tracing::warn!("MPD refuses \"{command}\": {reason}"),
            other => drop(other?),
        }
        Ok(())
    }
}

/// The cover in a file, or beside it.
fn picture(mpd: &mut Connection, file: &str) -> Result<Option<Artwork>, MpdError> {
    for command in ["readpicture", "albumart"] {
        match pieces(mpd, command, file) {
            Ok(Some(artwork)) => return Ok(Some(artwork)),
            // It has none, or this MPD is too old to know the command.
            Ok(None) | Err(MpdError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn pieces(mpd: &mut Connection, command: &str, file: &str) -> Result<Option<Artwork>, MpdError> {
    let mut bytes = Vec::new();
    loop {
        let reply = mpd.ask(&format!("{command} {} {}", quoted(file), bytes.len()))?;
        let size: usize = reply.get("size").and_then(|size| size.parse().ok()).unwrap_or(0);
        let piece = reply.binary.unwrap_or_default();
        if size == 0 || size > LARGEST_PICTURE || piece.is_empty() {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
        if bytes.len() >= size {
            break;
        }
    }
    bytes.truncate(LARGEST_PICTURE);
    // By its first bytes: what the other side calls it is its word only.
    let id = unisono_host::random::number();
    Ok(kind(&bytes).map(|mime| Artwork { id, mime, bytes }))
}

/// The type of a picture, by its first bytes.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    let signatures: [(&[u8], &str); 4] =
        [(b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG", "image/png"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp")];
    signatures.iter().find(|(signature, _)| bytes.starts_with(signature)).map(|(_, mime)| *mime)
}

impl Link for TcpStream {
    fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))
    }
}

impl Link for UnixStream {
    fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))
    }
}

/// Sends a line.
fn send_line(link: &mut dyn Link, line: &str) -> io::Result<()> {
    link.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests;
