//! The sessions that announcements have told of, for as long as they are announced.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Kind, Packet, SapError};
use crate::sdp::{self, Origin, SdpError, Session, SessionKey};
use crate::time::LocalTime;

/// Sessions kept at most. A house has a dozen; the rest is room for strangers.
const CAPACITY: usize = 256;

const NS_PER_S: i64 = 1_000_000_000;

/// What an announcement, or the lack of one, has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session not known before.
    Added(Arc<Session>),
    /// A known session whose description is another now.
    Changed(Arc<Session>),
    /// A session that was deleted, or not announced for too long.
    Removed(Arc<Session>),
}

/// Why an announcement was passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnouncementError {
    /// No SAP packet.
    #[error(transparent)]
    Sap(#[from] SapError),
    /// Nothing that we could play.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// No room: the directory is full of sessions that matter more.
    #[error("SAP: more than {CAPACITY} sessions are announced")]
    Full,
}

impl AnnouncementError {
    /// It was no announcement. One of a film, or of an encoding that we don't play, is in order.
    fn is_bogus(&self) -> bool {
        !matches!(self, Self::Full | Self::Sdp(SdpError::NoAudio | SdpError::NoAddress | SdpError::Encoding(_)))
    }
}

/// The sessions announced now.
///
/// Memory is bounded whatever arrives. When it is full a new session takes the place of one that was announced only
/// once, the oldest first; sessions that were announced again, and preferred ones, stay.
#[derive(Debug, Default)]
pub struct Directory {
    entries: HashMap<SessionKey, Entry>,
    preferred: HashSet<String>,
    arrivals: u64,
    bogus: u64,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    /// Counts additions, to tell the newer of two.
    arrival: u64,
    last_heard: LocalTime,
    /// Longest time between two announcements so far; nothing after the first.
    period_ns: Option<i64>,
}

impl Directory {
    /// Names the streams, by id or name, that must keep their place when it gets crowded: those known from elsewhere to be
    /// wanted.
    pub fn prefer(&mut self, streams: impl IntoIterator<Item = String>) {
        self.preferred = streams.into_iter().collect();
    }

    /// Takes in a packet that has arrived at `now`; returns what it changed, in this order.
    pub fn receive(&mut self, packet: &[u8], now: LocalTime) -> Result<Vec<Event>, AnnouncementError> {
        let taken = self.take(packet, now);
        self.bogus += u64::from(taken.as_ref().is_err_and(AnnouncementError::is_bogus));
        taken
    }

    /// Packets so far that were no announcements, nor deletions.
    pub fn bogus(&self) -> u64 {
        self.bogus
    }

    /// Forgets what was not announced for too long.
    pub fn expire(&mut self, now: LocalTime) -> Vec<Event> {
        let gone = self.entries.extract_if(|_, entry| now - entry.deadline() >= 0);
        gone.map(|(_, entry)| Event::Removed(entry.session)).collect()
    }

    /// When [`expire`](Self::expire) will next have something to do, as things are now.
    pub fn next_expiry(&self) -> Option<LocalTime> {
        self.entries.values().map(Entry::deadline).min()
    }

    /// All sessions, the one added first first.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_by_key(|entry| entry.arrival);
        entries.into_iter().map(|entry| entry.session.clone()).collect()
    }

    /// At most so many of the sessions, for people to read: those announced again before those announced only once, the one
    /// added first first. What several announce by one name is there once, in the best place of any of them: as the one
    /// that can be played best tells of it, and of equals the one added last, as [`find`](Self::find) has it.
    pub fn steadiest(&self, most: usize) -> Vec<Arc<Session>> {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_by_key(|entry| (entry.period_ns.is_none(), entry.arrival));
        let mut shown: Vec<&Entry> = Vec::new();
        for entry in entries {
            let is_same = |other: &&Entry| {
                entry.session.name == other.session.name && entry.session.is_same_sound(&other.session)
            };
            match shown.iter().position(is_same) {
                Some(place) if entry.worth() > shown[place].worth() => shown[place] = entry,
                None if shown.len() < most => shown.push(entry),
                _ => {}
            }
        }
        shown.into_iter().map(|entry| entry.session.clone()).collect()
    }

    /// The session of a Unisono stream; when two claim its id, the one added last, as after an unclean restart.
    pub fn find(&self, stream_id: &str) -> Option<Arc<Session>> {
        let claims = self.entries.values().filter(|entry| entry.session.stream_id.as_deref() == Some(stream_id));
        claims.max_by_key(|entry| entry.arrival).map(|entry| entry.session.clone())
    }

    fn take(&mut self, packet: &[u8], now: LocalTime) -> Result<Vec<Event>, AnnouncementError> {
        let packet = Packet::parse(packet)?;
        match packet.kind {
            Kind::Announcement => self.announced(Session::parse(packet.sdp)?, now),
            Kind::Deletion => Ok(self.deleted(&sdp::origin(packet.sdp).ok_or(SdpError::NoOrigin)?)),
        }
    }

    fn announced(&mut self, session: Session, now: LocalTime) -> Result<Vec<Event>, AnnouncementError> {
        let key = session.origin.key();
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.period_ns = Some((now - entry.last_heard).max(entry.period_ns.unwrap_or(0)));
            entry.last_heard = now;
            // An older version is a packet that was held up.
            if session.origin.version < entry.session.origin.version || session == *entry.session {
                return Ok(Vec::new());
            }
            entry.session = Arc::new(session);
            return Ok(vec![Event::Changed(entry.session.clone())]);
        }
        let mut events = Vec::new();
        if self.entries.len() >= CAPACITY {
            let victim = self.victim(&session).ok_or(AnnouncementError::Full)?;
            events.extend(self.entries.remove(&victim).map(|entry| Event::Removed(entry.session)));
        }
        self.arrivals += 1;
        let session = Arc::new(session);
        let entry = Entry { session: session.clone(), arrival: self.arrivals, last_heard: now, period_ns: None };
        self.entries.insert(key, entry);
        events.push(Event::Added(session));
        Ok(events)
    }

    fn deleted(&mut self, origin: &Origin) -> Vec<Event> {
        let key = origin.key();
        let meant = self.entries.get(&key).is_some_and(|entry| origin.version >= entry.session.origin.version);
        let entry = if meant { self.entries.remove(&key) } else { None };
        entry.map(|entry| Event::Removed(entry.session)).into_iter().collect()
    }

    /// Whose place `newcomer` may take.
    fn victim(&self, newcomer: &Session) -> Option<SessionKey> {
        let wanted = self.is_preferred(newcomer);
        let others = self.entries.iter().filter(|(_, entry)| !self.is_preferred(&entry.session));
        let candidates = others.filter(|(_, entry)| wanted || entry.period_ns.is_none());
        candidates.min_by_key(|(_, entry)| (entry.period_ns.is_some(), entry.arrival)).map(|(key, _)| key.clone())
    }

    fn is_preferred(&self, session: &Session) -> bool {
        let is_wanted = |name: &String| self.preferred.contains(name);
        session.stream_id.as_ref().is_some_and(is_wanted) || is_wanted(&session.name)
    }
}

impl Entry {
    /// Ours before what others make of it, and what names a clock before what does not.
    fn worth(&self) -> (bool, bool, u64) {
        (self.session.stream_id.is_some(), self.session.media_clock().is_some(), self.arrival)
    }

    /// Ten missed announcements (RFC 2974 section 4), within reason.
    fn deadline(&self) -> LocalTime {
        let patience_ns = match self.period_ns {
            Some(period_ns) => (10 * period_ns).clamp(60 * NS_PER_S, 3_600 * NS_PER_S),
            None => 900 * NS_PER_S,
        };
        self.last_heard + patience_ns
    }
}
