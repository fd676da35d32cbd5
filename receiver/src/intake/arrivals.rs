//! Which packets of a source came, by whatever way, and how many never did. Pure.
//!
//! A packet is lost when it has not come while [`WINDOW`] others did: before that it may be on its way, or be asked for.

/// So many numbers are kept open: 5 s of packets of 5 ms, 1 s of those of 1 ms. A power of two.
const KEPT: i64 = 1_024;

/// A packet that so many others have overtaken is lost: 4 s of packets of 5 ms, longer than one is asked for at the longest
/// playout delay.
const WINDOW: i64 = 800;

/// Marks the numbers (64 bits, unwrapped) of one source at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    /// A bit for each number from `open` on, by the number modulo [`KEPT`].
    came: [u64; KEPT as usize / 64],
    /// The first number of which it is not yet said whether it is lost, and the highest that came.
    open: Option<(i64, i64)>,
    lost: u64,
}

impl Arrivals {
    /// Packet `number` came as a packet of the stream.
    pub(super) fn arrived(&mut self, number: i64) {
        let (open, highest) = self.open.unwrap_or((number, number));
        self.open = Some((open, highest.max(number)));
        self.close(number - WINDOW + 1);
        self.mark(number);
    }

    /// Packet `number` was sent again or computed. It tells nothing of how far the stream is.
    pub(super) fn mended(&mut self, number: i64) {
        self.mark(number);
    }

    /// What follows are other numbers: those that are missing of these don't come any more.
    pub(super) fn restart(&mut self) {
        if let Some((_, highest)) = self.open {
            self.close(highest + 1);
        }
        self.open = None;
    }

    /// Packets that never came; never becomes less.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    fn mark(&mut self, number: i64) {
        if self.open.is_some_and(|(open, _)| (open..open + KEPT).contains(&number)) {
            let (word, bit) = place(number);
            self.came[word] |= bit;
        }
    }

    /// Says of the numbers below `end` which are lost.
    fn close(&mut self, end: i64) {
        let Some((open, highest)) = self.open else { return };
        let end = end.max(open);
        for number in open..end.min(open + KEPT) {
            let (word, bit) = place(number);
            self.lost += u64::from(self.came[word] & bit == 0);
            self.came[word] &= !bit;
        }
        // Nothing that far ahead is marked.
        self.lost += (end - open - KEPT).max(0) as u64;
        self.open = Some((end, highest));
    }
}

/// The word of a number, and its bit there.
fn place(number: i64) -> (usize, u64) {
    let at = number.rem_euclid(KEPT);
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(arrivals: &mut Arrivals, numbers: impl IntoIterator<Item = i64>) -> u64 {
        numbers.into_iter().for_each(|number| arrivals.arrived(number));
        arrivals.lost()
    }

    #[test]
    fn what_never_comes_is_lost_once_many_others_have_come() {
        let mut arrivals = Arrivals::default();
        assert_eq!(lost(&mut arrivals, (0..WINDOW + 9).filter(|n| *n != 10)), 0);
        assert_eq!(lost(&mut arrivals, (WINDOW + 9)..(WINDOW + 20)), 1);
        assert_eq!(lost(&mut arrivals, (WINDOW + 20)..10_000), 1);
    }

    #[test]
    fn what_comes_twice_out_of_order_or_again_is_not_lost() {
        let mut arrivals = Arrivals::default();
        for number in 0..5_000 {
            match number % 7 {
                3 => {}
                4 => (arrivals.arrived(number), arrivals.arrived(number - 1)).1,
                5 => arrivals.mended(number),
                _ => (arrivals.arrived(number), arrivals.arrived(number)).1,
            }
        }
        arrivals.restart();
        assert_eq!(arrivals.lost(), 0);
    }

    #[test]
    fn a_long_silence_is_all_lost_but_its_end_may_still_be_mended() {
        let mut arrivals = Arrivals::default();
        assert_eq!(lost(&mut arrivals, 0..100), 0);
        assert_eq!(lost(&mut arrivals, [30_000]), 29_900 - WINDOW as u64 + 1);
        (30_000 - 256..30_000).for_each(|number| arrivals.mended(number));
        arrivals.restart();
        assert_eq!(arrivals.lost(), 29_900 - 256);
    }

    #[test]
    fn numbers_that_are_others_are_not_counted_from_those_before() {
        let mut arrivals = Arrivals::default();
        lost(&mut arrivals, [1_000, 1_002]);
        arrivals.restart();
        assert_eq!(lost(&mut arrivals, [-70_000, -69_999, -69_997]), 1);
        // Before the first and long after it: neither is marked, neither is counted.
        arrivals.mended(-70_001);
        arrivals.mended(i64::MAX);
        arrivals.restart();
        assert_eq!(arrivals.lost(), 2);
    }
}
