//! How far the rooms of each stream were apart in the last minute.

use std::collections::{BTreeMap, VecDeque};

/// One look a second.
const LOOKS: usize = 60;

/// Spreads by stream id, in microseconds, one look after the other; `None` where fewer than two rooms played.
#[derive(Debug, Default)]
pub(super) struct Spreads(BTreeMap<String, VecDeque<Option<f64>>>);

impl Spreads {
    /// Takes a look in. Streams that are not in it are gone.
    pub(super) fn add(&mut self, look: BTreeMap<String, Option<f64>>) {
        self.0.retain(|id, _| look.contains_key(id));
        for (id, spread) in look {
            let past = self.0.entry(id).or_default();
            if past.len() == LOOKS {
                past.pop_front();
            }
            past.push_back(spread);
        }
    }

    /// The worst of the last minute.
    pub(super) fn worst(&self, id: &str) -> Option<f64> {
        self.0.get(id)?.iter().flatten().copied().reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pairs: &[(&str, Option<f64>)]) -> BTreeMap<String, Option<f64>> {
        pairs.iter().map(|(id, spread)| ((*id).to_owned(), *spread)).collect()
    }

    #[test]
    fn the_worst_of_a_minute_is_kept_for_a_minute() {
        let mut spreads = Spreads::default();
        assert_eq!(spreads.worst("a"), None);
        spreads.add(look(&[("a", Some(7.0)), ("b", None)]));
        for _ in 1..LOOKS {
            spreads.add(look(&[("a", Some(2.0)), ("b", None)]));
        }
        assert_eq!((spreads.worst("a"), spreads.worst("b")), (Some(7.0), None));
        spreads.add(look(&[("a", None)]));
        assert_eq!((spreads.worst("a"), spreads.worst("b")), (Some(2.0), None));
    }
}
