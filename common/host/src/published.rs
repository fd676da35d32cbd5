//! A clock map that one thread writes and any number read, without locks and without unsafe code. Whatever follows a
//! clock publishes it so: NTP's client, PTP's slave.
//!
//! Two slots, written in turn: a reader is disturbed only if the writer comes round twice while it reads eight words,
//! and then it tries again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use unisono_common::clock::ClockMap;
use unisono_common::time::{ClockEpoch, LocalTime};

const WORDS: usize = 7;
const TRIES: usize = 16;

/// The last map, for everyone.
#[derive(Debug)]
pub struct Published {
    /// How many maps were published; the last is in the slot of its parity. 0: none yet.
    count: AtomicU64,
    slots: [Slot; 2],
}

#[derive(Debug, Default)]
struct Slot {
    /// Number of the map that is here; 0 while it is being written.
    number: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Default for Published {
    fn default() -> Self {
        Self { count: AtomicU64::new(0), slots: [Slot::default(), Slot::default()] }
    }
}

impl Published {
    /// Replaces the map. Only one thread may call this.
    pub fn publish(&self, map: &ClockMap) {
        let number = self.count.load(Ordering::Relaxed) + 1;
        let slot = &self.slots[number as usize % 2];
        slot.number.store(0, Ordering::Relaxed);
        // Who sees a new word must also see that the slot is being written.
        fence(Ordering::Release);
        for (word, value) in slot.words.iter().zip(to_words(map)) {
            word.store(value, Ordering::Relaxed);
        }
        slot.number.store(number, Ordering::Release);
        self.count.store(number, Ordering::Release);
    }

    fn read(&self) -> Option<ClockMap> {
        for _ in 0..TRIES {
            let number = self.count.load(Ordering::Acquire);
            if number == 0 {
                return None;
            }
            let slot = &self.slots[number as usize % 2];
            if slot.number.load(Ordering::Acquire) != number {
                continue;
            }
            let words = std::array::from_fn(|i| slot.words[i].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if slot.number.load(Ordering::Relaxed) == number {
                return Some(from_words(words));
            }
        }
        None
    }
}

/// Reads the latest map from any thread.
#[derive(Clone, Debug)]
pub struct ClockReader {
    published: Arc<Published>,
}

impl ClockReader {
    /// Of what is, or will be, published here.
    pub fn new(published: Arc<Published>) -> Self {
        Self { published }
    }

    /// The latest map; `None` before the first. Wait-free, allocates nothing: made for the audio thread.
    ///
    /// (It gives up with `None` too after 16 disturbed tries in a row, which takes a writer that is a thousand times
    /// faster than ours; keep the map of the last call for that.)
    pub fn read(&self) -> Option<ClockMap> {
        self.published.read()
    }
}

fn to_words(map: &ClockMap) -> [u64; WORDS] {
    [
        map.epoch.0.into(),
        map.at.as_ns() as u64,
        map.offset_ns as u64,
        map.offset_fraction_ns.to_bits(),
        map.rate.to_bits(),
        map.sigma_ns.to_bits(),
        map.rate_sigma.to_bits(),
    ]
}

fn from_words([epoch, at, offset, fraction, rate, sigma, rate_sigma]: [u64; WORDS]) -> ClockMap {
    ClockMap {
        epoch: ClockEpoch(epoch as u32),
        at: LocalTime::from_ns(at as i64),
        offset_ns: offset as i64,
        offset_fraction_ns: f64::from_bits(fraction),
        rate: f64::from_bits(rate),
        sigma_ns: f64::from_bits(sigma),
        rate_sigma: f64::from_bits(rate_sigma),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(n: i64) -> ClockMap {
        ClockMap {
            epoch: ClockEpoch(n as u32),
            at: LocalTime::from_ns(n),
            offset_ns: -n,
            offset_fraction_ns: n as f64,
            rate: n as f64,
            sigma_ns: n as f64,
            rate_sigma: n as f64,
        }
    }

    #[test]
    fn readers_never_see_a_mixture() {
        let published = Arc::new(Published::default());
        let reader = ClockReader::new(Arc::clone(&published));
        assert_eq!(reader.read(), None);
        let writer = std::thread::spawn(move || {
            for n in 1..200_000 {
                published.publish(&map(n));
            }
        });
        let mut last = 0;
        while last < 199_999 {
            if let Some(read) = reader.read() {
                let n = read.at.as_ns();
                assert_eq!(read, map(n));
                assert!(n >= last, "went back from {last} to {n}");
                last = n;
            }
        }
        writer.join().unwrap();
    }
}
