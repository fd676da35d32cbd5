//! Which stream a room is to play, of those it knows of. (P)

use std::collections::HashMap;
use std::sync::Arc;

use unisono_common::sdp;
use unisono_common::time::LocalTime;

use super::streams::can_follow;
use crate::discover::Sessions;

/// A stream that is remembered and not announced for so long is gone: longer than the longest interval of
/// announcements.
const REMEMBERED_NS: i64 = 45_000_000_000;

/// What the room is to play.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// Whatever there is, in the order of names: a room that nobody has told anything.
    Anything,
    /// The stream of this id.
    Stream(String),
    /// Silence.
    Nothing,
}

/// The streams that a room knows of.
#[derive(Debug)]
pub(super) struct Known {
    /// Heard by SAP, and told by the hub.
    announced: Sessions,
    told: HashMap<String, Arc<sdp::Session>>,
    /// What it played before it was started: announcements are seconds apart, and sound need not wait for one. Nothing
    /// once it is announced, or has not been for long enough to be gone.
    remembered: Option<Arc<sdp::Session>>,
    began: LocalTime,
}

impl Known {
    /// Of a room that starts `now`, and played `remembered` before.
    pub(super) fn new(remembered: Option<Arc<sdp::Session>>, now: LocalTime) -> Self {
        Known { announced: Vec::new(), told: HashMap::new(), remembered, began: now }
    }

    /// These are announced now, and no others.
    pub(super) fn announce(&mut self, sessions: Sessions) {
        self.remembered.take_if(|known| sessions.iter().any(|s| s.origin.key() == known.origin.key()));
        self.announced = sessions;
    }

    /// The hub knows these streams, by id. What it ordered with a description of its own stays known, whether it is on
    /// the list or not.
    pub(super) fn list(&mut self, streams: impl Iterator<Item = (String, Arc<sdp::Session>)>, wanted: &Wanted) {
        let ordered = match wanted {
            Wanted::Stream(id) => self.told.remove_entry(id),
            _ => None,
        };
        self.told = ordered.into_iter().chain(streams).collect();
    }

    /// The hub orders a stream, with a description if it has one.
    pub(super) fn order(&mut self, stream: Option<(String, Arc<sdp::Session>)>) {
        self.told.extend(stream);
    }

    /// Forgets what is remembered and can't be there any more. To be called now and then.
    pub(super) fn forget(&mut self, now: LocalTime) {
        self.remembered.take_if(|_| now - self.began > REMEMBERED_NS);
    }

    /// The description of the stream that is wanted, if it is known; `playing` is what plays now.
    #[must_use]
    pub(super) fn find(&self, wanted: &Wanted, playing: Option<&sdp::Session>) -> Option<Arc<sdp::Session>> {
        match wanted {
            Wanted::Nothing => None,
            Wanted::Stream(id) => self.find_stream(id),
            Wanted::Anything => self.find_any(playing),
        }
    }

    fn find_stream(&self, id: &str) -> Option<Arc<sdp::Session>> {
        match self.told.get(id) {
            // The hub says whose stream is meant; its announcement, if heard, is the newer description of it.
            Some(told) => {
                let key = told.origin.key();
                self.announced.iter().find(|session| session.origin.key() == key).or(Some(told)).cloned()
            }
            None => self
                .announced
                .iter()
                .chain(&self.remembered)
                .find(|session| session.stream_id.as_deref() == Some(id) || session.name == id)
                .cloned(),
        }
    }

    /// The first by name. What plays is not left for another that comes earlier in the alphabet.
    fn find_any(&self, playing: Option<&sdp::Session>) -> Option<Arc<sdp::Session>> {
        let current = playing.map(|session| session.origin.key());
        let mut all: Vec<_> = self.announced.iter().chain(self.told.values()).filter(|s| can_follow(s)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let found = all.iter().find(|s| Some(s.origin.key()) == current).or(all.first());
        found.map(|s| Arc::clone(s)).or_else(|| self.remembered.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> LocalTime {
        LocalTime::from_ns(seconds * 1_000_000_000)
    }

    /// A stream of a sender of its own.
    fn stream(name: &str, sender: u8, version: u64) -> Arc<sdp::Session> {
        let id = name.to_lowercase();
        let text = format!(
            "v=0\no=- 7 {version} IN IP4 10.77.0.{sender}\ns={name}\nc=IN IP4 239.77.0.1/16\nt=0 0\n\
             m=audio 5004 RTP/AVP 127\na=rtpmap:127 L16/48000/2\na=ts-refclk:ntp=10.77.0.{sender}:7680\n\
             a=mediaclk:direct=0\na=x-unisono-id:id-of-{id}\n"
        );
        Arc::new(sdp::Session::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_plays_is_not_left_for_an_earlier_name() {
        let (attic, bath) = (stream("Attic", 1, 1), stream("Bath", 2, 1));
        let mut known = Known::new(None, at(0));
        assert_eq!(known.find(&Wanted::Anything, None), None);
        known.announce(vec![Arc::clone(&bath), Arc::clone(&attic)]);
        assert_eq!(known.find(&Wanted::Anything, None), Some(attic));
        assert_eq!(known.find(&Wanted::Anything, Some(&bath)), Some(Arc::clone(&bath)));
        assert_eq!(known.find(&Wanted::Nothing, Some(&bath)), None);
    }

    #[test]
    fn an_announcement_is_newer_than_what_the_hub_told() {
        let (told, newer) = (stream("Music", 1, 1), stream("Music", 1, 2));
        let wanted = Wanted::Stream("music".into());
        let mut known = Known::new(None, at(0));
        known.order(Some(("music".into(), Arc::clone(&told))));
        known.list(std::iter::empty(), &wanted);
        assert_eq!(known.find(&wanted, None), Some(told), "it was ordered, if not listed");
        known.announce(vec![Arc::clone(&newer)]);
        assert_eq!(known.find(&wanted, None), Some(newer));
        known.announce(Vec::new());
        known.list(std::iter::empty(), &Wanted::Nothing);
        assert_eq!(known.find(&wanted, None), None);
    }

    #[test]
    fn what_is_remembered_holds_until_it_is_announced_or_gone() {
        let before = stream("Music", 1, 1);
        let wanted = [Wanted::Anything, Wanted::Stream("Music".into()), Wanted::Stream("id-of-music".into())];
        let mut known = Known::new(Some(Arc::clone(&before)), at(0));
        known.announce(vec![stream("Music", 2, 1)]);
        known.announce(Vec::new());
        known.forget(at(45));
        assert!(wanted.iter().all(|wanted| known.find(wanted, None).as_ref() == Some(&before)));
        known.forget(at(46));
        assert!(wanted.iter().all(|wanted| known.find(wanted, None).is_none()));
        let mut known = Known::new(Some(before), at(0));
        known.announce(vec![stream("Music", 1, 2)]);
        known.announce(Vec::new());
        assert!(wanted.iter().all(|wanted| known.find(wanted, None).is_none()));
    }
}
