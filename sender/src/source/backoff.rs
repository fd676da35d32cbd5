//! How long to wait before something that failed is tried again. (P)

use std::time::Duration;

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// What has worked for so long is no failure that adds up.
const GOOD_NS: i64 = 30_000_000_000;

/// Doubles from failure to failure.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The last try lasted so long before it failed.
    pub(super) fn lasted(&mut self, ns: i64) {
        if ns > GOOD_NS {
            self.failures = 0;
        }
    }

    /// How long to wait now.
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures += 1;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute_and_forgets_after_a_good_run() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.lasted(1_000_000_000);
        assert_eq!(backoff.next().as_secs(), 60);
        backoff.lasted(GOOD_NS + 1);
        assert_eq!(backoff.next().as_secs(), 1);
    }
}
