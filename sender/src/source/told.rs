//! Which changes the log hears of: all of them, until they come so fast that nobody could read them. (P)

/// So many changes in [`SPAN_NS`] are told.
const MOST: u32 = 8;
const SPAN_NS: i64 = 10_000_000_000;

/// Counts the changes of one thing.
#[derive(Debug, Default)]
pub(super) struct Told {
    since_ns: i64,
    changes: u32,
}

/// What the log is told of a change.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// The change itself.
    It,
    /// That there are so many that the next ones are left out.
    TooMany,
    /// Nothing.
    Nothing,
}

impl Told {
    /// Something has changed at `now_ns`.
    pub(super) fn change(&mut self, now_ns: i64) -> Say {
        if now_ns - self.since_ns > SPAN_NS {
            (self.since_ns, self.changes) = (now_ns, 0);
        }
        self.changes = self.changes.saturating_add(1);
        match self.changes {
            ..=MOST => Say::It,
            n if n == MOST + 1 => Say::TooMany,
            _ => Say::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flaps_is_told_of_now_and_then() {
        let mut told = Told::default();
        let said = |told: &mut Told, from_ns: i64| -> Vec<Say> {
            (0..12).map(|n| told.change(from_ns + n * 1_000_000)).collect()
        };
        let flapping = [vec![Say::It; 8], vec![Say::TooMany], vec![Say::Nothing; 3]].concat();
        assert_eq!(said(&mut told, 20_000_000_000), flapping);
        assert_eq!(told.change(29_000_000_000), Say::Nothing);
        assert_eq!(said(&mut told, 31_000_000_000), flapping);
    }

    #[test]
    fn what_changes_slowly_is_told_every_time() {
        let mut told = Told::default();
        assert!((0..100).all(|n| told.change(n * 2_000_000_000) == Say::It));
    }
}
