//! What playout delay each stream could do with, by how early its packets reach its rooms. Pure.
//!
//! # Rules
//! - Each room reports the least time that packets came before it needed them; the least of all rooms counts, as the delay
//!   is one for all of them.
//! - A longer delay is proposed as soon as that is below [`RESERVE_MS`], and stays proposed for [`LOOKS`] looks.
//! - A shorter one is proposed when rooms have been watched for all of them, and only if it saves a fifth of the delay: it
//!   leaves twice the reserve, and never less than [`SHORTEST_MS`].

use std::collections::{BTreeMap, VecDeque};

/// One look a second, for ten minutes.
const LOOKS: usize = 600;

/// What should be left of the delay when the last packet has come.
const RESERVE_MS: f64 = 20.0;

/// Less is not proposed, whatever rooms report: a Wi-Fi that was quiet will not stay so.
const SHORTEST_MS: f64 = 100.0;

/// Spare time by stream id, in milliseconds, one look after the other; `None` where no room played.
#[derive(Debug, Default)]
pub(super) struct Spares(BTreeMap<String, VecDeque<Option<f64>>>);

impl Spares {
    /// Takes a look in. Streams that are not in it are gone.
    pub(super) fn add(&mut self, look: BTreeMap<String, Option<f64>>) {
        self.0.retain(|id, _| look.contains_key(id));
        for (id, spare) in look {
            let past = self.0.entry(id).or_default();
            if past.len() == LOOKS {
                past.pop_front();
            }
            past.push_back(spare);
        }
    }

    /// The delay has changed: what was seen before tells nothing of it.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// A better delay than `delay_ms` for a stream, if there is one, in milliseconds.
    pub(super) fn better_delay_ms(&self, id: &str, delay_ms: u32) -> Option<u32> {
        let past = self.0.get(id)?;
        let least = past.iter().flatten().copied().reduce(f64::min)?;
        let now = f64::from(delay_ms);
        let needed = |reserve: f64| ((now - least + reserve) / 10.0).ceil() * 10.0;
        if least < RESERVE_MS {
            return Some(needed(RESERVE_MS) as u32);
        }
        let watched = past.len() == LOOKS && past.iter().all(Option::is_some);
        let shorter = needed(2.0 * RESERVE_MS).max(SHORTEST_MS);
        (watched && shorter <= 0.8 * now).then_some(shorter as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(looks: usize, spare_ms: f64, last_ms: f64) -> Spares {
        let mut spares = Spares::default();
        let look = |spare_ms| BTreeMap::from([("a".to_owned(), Some(spare_ms))]);
        (1..looks).for_each(|_| spares.add(look(spare_ms)));
        spares.add(look(last_ms));
        spares
    }

    #[test]
    fn more_is_proposed_at_once_and_less_when_all_was_seen() {
        assert_eq!(Spares::default().better_delay_ms("a", 250), None);
        // 12 ms too late once: 250 + 12 + 20.
        assert_eq!(watched(5, 80.0, -12.0).better_delay_ms("a", 250), Some(290));
        assert_eq!(watched(LOOKS - 1, 150.0, 150.0).better_delay_ms("a", 250), None);
        assert_eq!(watched(LOOKS, 150.0, 150.0).better_delay_ms("a", 250), Some(140));
        assert_eq!(watched(LOOKS, 160.0, 150.0).better_delay_ms("a", 1_000), None);
        assert_eq!(watched(LOOKS, 240.0, 240.0).better_delay_ms("a", 250), Some(100));
        assert_eq!(watched(LOOKS, 30.0, 30.0).better_delay_ms("a", 250), None);
        let mut spares = watched(LOOKS, 150.0, 150.0);
        spares.add(BTreeMap::from([("a".to_owned(), None)]));
        assert_eq!((spares.better_delay_ms("a", 250), spares.better_delay_ms("b", 250)), (None, None));
        spares.forget();
        assert_eq!(spares.better_delay_ms("a", 250), None);
    }
}
