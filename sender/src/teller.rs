//! The thread that tells the network of the streams: announcements, reports, and what goes wrong, about once a second.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::warn;
use unisono_common::time::LocalTime;
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::supervisor::Watchdog;

use crate::announce::Announcer;
use crate::report::Reporter;
use crate::streams::Streams;
use crate::timeserver::MediaClock;

/// Between two rounds.
const TICK: Duration = Duration::from_secs(1);
/// Rounds between two looks at what went wrong.
const TROUBLE_TICKS: u64 = 10;
/// Between the three deletions at the end.
const DELETION_GAP: Duration = Duration::from_millis(40);

/// What the thread is told.
enum Word {
    /// A stream is new: report on it, and announce it at once.
    Begin(Box<Reporter>),
    /// A stream is gone: goodbye, and delete this description.
    End { id: String, sdp: String },
    /// A description is no longer true.
    Outdated(String),
    /// Descriptions have changed: announce them soon.
    Hurry,
    /// The interface is another one of its name, or has another address.
    Moved(Interface),
}

/// The thread. Dropping it says goodbye for all streams.
#[derive(Debug)]
pub struct Teller {
    words: Option<Sender<Word>>,
    thread: Option<JoinHandle<()>>,
}

impl Teller {
    /// Starts to tell of `streams`, and says goodbye for them at the end if `farewell`.
    pub fn start(mut announcer: Announcer, streams: Streams, clock: MediaClock, farewell: bool) -> io::Result<Self> {
        let (words, inbox) = mpsc::channel::<Word>();
        let thread = thread::Builder::new().name("teller".to_owned()).spawn(move || {
            let mut reporters: Vec<Box<Reporter>> = Vec::new();
            let mut trouble = Trouble::default();
            let (mut heartbeat, mut watchdog) = (Heartbeat::default(), Watchdog::of_this_process(clock::now()));
            let mut tick = 0_u64;
            let mut next = clock::now();
            loop {
                let due = reporters.iter().map(|reporter| reporter.due()).fold(next, LocalTime::min);
                let wait = u64::try_from(due - clock::now()).unwrap_or(0);
                match inbox.recv_timeout(Duration::from_nanos(wait)) {
                    Ok(word) => hear(word, &mut announcer, &mut reporters, clock),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        reporters.iter_mut().for_each(|reporter| reporter.tick(clock, clock::now()));
                        if clock::now() - next < 0 {
                            continue;
                        }
                        next = clock::now() + TICK.as_nanos() as i64;
                        announcer.tick(clock::now());
                        watchdog.tick(heartbeat.beats(&streams), clock::now());
                        if tick.is_multiple_of(TROUBLE_TICKS) {
                            trouble.tell(&streams);
                        }
                        tick += 1;
                    }
                }
            }
            if !farewell {
                return;
            }
            reporters.iter().for_each(|reporter| reporter.bye(clock, clock::now()));
            for _ in 0..3 {
                announcer.delete();
                thread::sleep(DELETION_GAP);
            }
        })?;
        Ok(Teller { words: Some(words), thread: Some(thread) })
    }

    /// Tells of a stream that is new on the list.
    pub fn begin(&self, reporter: Reporter) {
        self.say(Word::Begin(Box::new(reporter)));
    }

    /// Says goodbye for a stream that has left the list.
    pub fn end(&self, id: &str, sdp: &str) {
        self.say(Word::End { id: id.to_owned(), sdp: sdp.to_owned() });
    }

    /// Takes back a description that an earlier run announced.
    pub fn outdated(&self, sdp: String) {
        self.say(Word::Outdated(sdp));
    }

    /// Announces all streams soon, and often for a while: their descriptions have changed.
    pub fn hurry(&self) {
        self.say(Word::Hurry);
    }

    /// Goes on on this interface, which is another one of its name or has another address.
    pub fn moved(&self, interface: Interface) {
        self.say(Word::Moved(interface));
    }

    fn say(&self, word: Word) {
        // A thread that is gone has panicked, which has been reported.
        let _ = self.words.as_ref().map(|words| words.send(word));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        drop(self.words.take());
        if let Some(thread) = self.thread.take() {
            // It can only have failed by a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

#[allow(clippy::vec_box, reason = "they come in their boxes")]
fn hear(word: Word, announcer: &mut Announcer, reporters: &mut Vec<Box<Reporter>>, clock: MediaClock) {
    match word {
        Word::Begin(mut reporter) => {
            reporter.tick(clock, clock::now());
            reporters.retain(|other| other.id() != reporter.id());
            announcer.begin(&reporter.sdp(), clock::now());
            reporters.push(reporter);
        }
        Word::End { id, sdp } => {
            for reporter in reporters.iter().filter(|reporter| reporter.id() == id) {
                reporter.bye(clock, clock::now());
            }
            reporters.retain(|reporter| reporter.id() != id);
            announcer.retire(sdp);
        }
        Word::Outdated(sdp) => announcer.retire(sdp),
        Word::Hurry => announcer.hurry(clock::now()),
        Word::Moved(interface) => {
            reporters.iter_mut().for_each(|reporter| reporter.follow(&interface));
            announcer.follow(interface, clock::now());
        }
    }
}

/// Whether the transmit thread is at work: it sends silence too, so that a packet of every stream that is on is always due.
#[derive(Debug, Default)]
struct Heartbeat {
    /// Packets of each stream that had left, were left out or not taken when it was last looked.
    seen: HashMap<String, u64>,
}

impl Heartbeat {
    fn beats(&mut self, streams: &Streams) -> bool {
        let streams = streams.on_air();
        let on = streams.iter().filter_map(|stream| Some((stream, stream.on_air.as_ref().filter(|it| it.is_sent())?)));
        let now: HashMap<String, u64> = on
            .map(|(stream, on_air)| {
                let counters = &on_air.counters;
                (stream.id.clone(), counters.sent().0 + counters.trouble().iter().sum::<u64>())
            })
            .collect();
        let beats = now.iter().all(|(id, count)| self.seen.get(id) != Some(count));
        self.seen = now;
        beats
    }
}

/// Tells in the log what the transmit thread can only count.
#[derive(Debug, Default)]
struct Trouble {
    told: HashMap<String, [u64; 3]>,
}

impl Trouble {
    fn tell(&mut self, streams: &Streams) {
        let streams = streams.on_air();
        self.told.retain(|id, _| streams.iter().any(|stream| stream.id == *id));
        for stream in &streams {
            let Some(on_air) = &stream.on_air else { continue };
            let now = on_air.counters.trouble();
            let before = self.told.insert(stream.id.clone(), now).unwrap_or_default();
            // A stream that was changed counts anew.
            let [late, skipped, failed] = [0, 1, 2].map(|i| now[i].saturating_sub(before[i]));
            if skipped + failed > 0 {
                warn!(stream = stream.id, late, skipped, failed, "packets were held up");
            }
        }
    }
}
