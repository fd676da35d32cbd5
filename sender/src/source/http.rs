//! The http source: internet radio, podcasts and playlists of them.
//!
//! A URL leads to sound or to a list of URLs (M3U, PLS, a podcast's feed). What is on the list is played in its order;
//! a station, which has no end, is connected to again when it breaks off, after a while that doubles with each failure.
//! A thread of its own reads the network ([`fetch`]), so that one that hangs is noticed and left. What has an end waits for
//! us, is gone on with where it broke off, and passes bit for bit where it can; a station goes by its own clock ([`station`]).

mod fetch;
mod icy;
mod playlist;
mod shoutcast;
mod station;

use std::collections::VecDeque;
use std::time::Duration;

use unisono_common::format::Format;
use unisono_host::clock;

use super::Source;
use super::backoff::Backoff;
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::status::{State, Track};
use fetch::{FetchError, Fetched, Flow};
use playlist::Entry;
use station::Station;
use unisono_audio::convert::Converter;
use unisono_audio::decode::{AudioFile, FileError, contained};

/// Lists may lead to lists, so deep.
const DEEPEST: u32 = 4;
/// The longest list.
const MOST_ENTRIES: usize = 500;

/// A URL and the way from it to the queue.
pub(super) struct Http {
    url: String,
    /// Of what has an end.
    converter: Converter,
    station: Station,
    backoff: Backoff,
    pcm: Vec<i32>,
}

impl Http {
    /// Three seconds ride out what the internet does; a station's first burst fills them at once.
    pub(super) const SIZES: Sizes =
        Sizes { capacity: Duration::from_millis(4_000), prebuffer: Duration::from_millis(500) };

    pub(super) fn new(url: &str, format: Format) -> Self {
        Self {
            url: url.to_owned(),
            converter: super::converter(format),
            station: Station::new(format),
            backoff: Backoff::default(),
            pcm: Vec::new(),
        }
    }

    /// Plays everything that the URL leads to, once.
    fn play_all(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let first = Entry { url: self.url.clone(), ..Entry::default() };
        let mut list = VecDeque::from([(first, 0)]);
        let mut played: Vec<(Entry, u32)> = Vec::new();
        let mut live = false;
        while let Some((entry, depth)) = list.pop_front() {
            let began = clock::now();
            match self.play(&entry, depth, writer) {
                Ok(Outcome::Played { endless }) => {
                    self.backoff.lasted(clock::now() - began);
                    live |= endless;
                    played.push((entry, depth));
                    if endless {
                        break;
                    }
                }
                Ok(Outcome::List(entries)) => {
                    let entries = entries.into_iter().take(MOST_ENTRIES).map(|entry| (entry, depth + 1));
                    entries.rev().for_each(|entry| list.push_front(entry));
                    continue;
                }
                Ok(Outcome::Failed(reason)) => {
                    tracing::warn!(url = entry.url, "{reason}");
                    // Of a list, the next one may do.
                    if list.is_empty() && played.is_empty() {
                        return self.failed(format!("{}: {reason}", entry.url), writer);
                    }
                }
                Err(Interrupt::Next) if !list.is_empty() => {
                    writer.flush();
                    played.push((entry, depth));
                }
                Err(Interrupt::Previous) => {
                    writer.flush();
                    list.push_front((entry, depth));
                    played.pop().into_iter().for_each(|before| list.push_front(before));
                }
                Err(Interrupt::Stop) => return Err(Interrupt::Stop),
                Err(_) => list.push_front((entry, depth)),
            }
            writer.check().or_else(|interrupt| if interrupt == Interrupt::Stop { Err(interrupt) } else { Ok(()) })?;
        }
        self.complete(writer)?;
        if live {
            return self.failed("the station has ended its stream".to_owned(), writer);
        }
        // A list that has been played: until somebody wants it again.
        writer.begin_track(None, Duration::ZERO);
        writer.set_state(State::Idle);
        loop {
            writer.wait(Duration::from_secs(86_400))?;
        }
    }

    /// Plays what one URL leads to.
    fn play(&mut self, entry: &Entry, depth: u32, writer: &mut QueueWriter) -> Result<Outcome, Interrupt> {
        writer.set_writer_ppm(None);
        let opened = fetch::open(&entry.url, writer.patience());
        writer.check()?;
        let fetched = match opened {
            Ok(fetched) => fetched,
            Err(error) => return Ok(Outcome::Failed(error.to_string())),
        };
        match fetched {
            Fetched::List(_) if depth >= DEEPEST => Ok(Outcome::Failed("lists that lead to lists".to_owned())),
            Fetched::List(entries) if entries.is_empty() => Ok(Outcome::Failed(FetchError::EmptyList.to_string())),
            Fetched::List(entries) => Ok(Outcome::List(entries)),
            Fetched::Sound(flow) => self.play_flow(entry, flow, writer),
        }
    }

    fn play_flow(&mut self, entry: &Entry, flow: Flow, writer: &mut QueueWriter) -> Result<Outcome, Interrupt> {
        let Flow { reader, about } = flow;
        let (endless, titles, backlog) = (about.endless && !entry.episode, reader.titles(), reader.backlog());
        let opened = AudioFile::from_stream(Box::new(reader), about.mime.as_deref(), about.extension.as_deref());
        let mut file = match opened {
            Ok(file) => file,
            Err(error) => {
                writer.check()?;
                return Ok(Outcome::Failed(error.to_string()));
            }
        };
        let station = Track { title: entry.title.clone().or_else(|| about.name.clone()), ..Track::default() };
        let duration = file.frames().filter(|_| !endless);
        let duration = duration.map(|n| Duration::from_secs_f64(n as f64 / f64::from(file.shape().rate)));
        tracing::info!(url = entry.url, name = about.name, "playing");
        writer.begin_track(Some(Track { duration, ..station.clone() }), Duration::ZERO);
        writer.set_draining(false);
        self.station.reset();
        loop {
            self.pcm.clear();
            match self.decode(&mut file, endless) {
                Ok(true) => {}
                Ok(false) => break,
                // A wish makes the reader fail too: it is no failure.
                Err(error) => {
                    writer.check()?;
                    tracing::info!(url = entry.url, "breaks off: {error}");
                    break;
                }
            }
            if let Some(title) = titles.take() {
                writer.begin_track(Some(icy::track(&title, about.name.as_deref())), Duration::ZERO);
            }
            writer.set_state(State::Playing);
            let clipped = self.converter.clipped() + self.station.clipped();
            writer.count(|c| c.clipped = clipped);
            writer.push(&self.pcm)?;
            if endless {
                self.station.follow(clock::now().as_ns(), &backlog, writer);
            }
        }
        Ok(Outcome::Played { endless })
    }

    /// Decodes and converts one block into `pcm`; false at the end.
    fn decode(&mut self, file: &mut AudioFile, endless: bool) -> Result<bool, FileError> {
        let Some(block) = file.next_block()? else { return Ok(false) };
        let (converter, station, pcm) = (&mut self.converter, &mut self.station, &mut self.pcm);
        let converted = contained(|| match endless {
            true => station.feed(&block.shape, block.samples, pcm),
            false => converter.feed(&block.shape, block.samples, pcm),
        });
        converted.map_err(|panic| {
            self.converter.reset();
            self.station.reset();
            FileError::Panicked(panic)
        })?;
        Ok(true)
    }

    /// What came so far is played to its end.
    fn complete(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        self.pcm.clear();
        self.converter.finish(&mut self.pcm);
        self.station.finish(&mut self.pcm);
        writer.set_writer_ppm(None);
        let result = writer.push(&self.pcm);
        writer.set_draining(true);
        result
    }

    fn failed(&mut self, reason: String, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let pause = self.backoff.next();
        tracing::info!("tried again in {} s", pause.as_secs_f32());
        writer.set_draining(true);
        writer.set_state(State::Failed(reason));
        writer.wait(pause)
    }
}

/// What became of a URL.
enum Outcome {
    /// It was played to its end, or until it broke off.
    Played { endless: bool },
    /// It leads to others.
    List(Vec<Entry>),
    /// There is no sound in it, or it can't be had.
    Failed(String),
}

impl Source for Http {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        while self.play_all(&mut writer) != Err(Interrupt::Stop) {}
    }
}
