//! The playout delay of a stream, one figure for all rooms, and how it becomes another one without being heard.
//!
//! It glides: from an instant on that all rooms have been told in time, it changes by one part in [`GLIDE`] of the time
//! that passes. Every room computes it from the clock alone, so that all of them move together, and whoever begins to
//! listen meanwhile is where the others are. Pitch is off by as much as the glide is steep: 200 ppm, a third of a cent.

use crate::time::MediaTime;

/// The least that a stream can have, in milliseconds.
pub const LEAST_MS: u32 = 20;

/// The most that a stream can have, in milliseconds. Rooms buffer for twice as much.
pub const MOST_MS: u32 = 5_000;

/// Nanoseconds in which the delay changes by one: 100 ms take 500 s.
pub const GLIDE: i64 = 5_000;

/// The delay from a frame's timestamp to its sound, over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    from_ns: i64,
    to_ns: i64,
    begins: MediaTime,
}

impl PlayoutDelay {
    /// One that does not change.
    pub fn fixed(ns: i64) -> Self {
        PlayoutDelay { from_ns: ns, to_ns: ns, begins: MediaTime::from_ns(0) }
    }

    /// One that becomes another, from `begins` on.
    pub fn gliding(from_ns: i64, to_ns: i64, begins: MediaTime) -> Self {
        PlayoutDelay { from_ns, to_ns, begins }
    }

    /// The delay of what sounds at `media`, in nanoseconds.
    pub fn at(&self, media: MediaTime) -> i64 {
        let most = media.as_ns().saturating_sub(self.begins.as_ns()).max(0) / GLIDE;
        self.from_ns + (self.to_ns - self.from_ns).clamp(-most, most)
    }

    /// How much faster than the clock content must run at `media`, as a fraction: a delay that grows slows it down.
    pub fn rate(&self, media: MediaTime) -> f64 {
        let glides = media - self.begins >= 0 && self.at(media) != self.to_ns;
        if glides { -((self.to_ns - self.from_ns).signum() as f64) / GLIDE as f64 } else { 0.0 }
    }

    /// The least that it is or will be, in nanoseconds.
    pub fn shortest_ns(&self) -> i64 {
        self.from_ns.min(self.to_ns)
    }

    /// The most that it is or will be, in nanoseconds.
    pub fn longest_ns(&self) -> i64 {
        self.from_ns.max(self.to_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;

    #[test]
    fn it_glides_to_the_new_figure_and_stays_there() {
        let at = |s: i64| MediaTime::from_ns(s * S);
        for (from, to) in [(250, 350), (250, 150)] {
            let delay = PlayoutDelay::gliding(from * MS, to * MS, at(1_000));
            assert_eq!(delay.at(at(0)), from * MS);
            assert_eq!(delay.at(at(1_250)), (from + to) / 2 * MS);
            assert_eq!((delay.at(at(1_500)), delay.at(at(9_999))), (to * MS, to * MS));
            let (before, during, after) = (delay.rate(at(999)), delay.rate(at(1_100)), delay.rate(at(1_600)));
            assert_eq!((before, after), (0.0, 0.0));
            assert_eq!(during, if to > from { -200e-6 } else { 200e-6 });
            assert_eq!((delay.shortest_ns(), delay.longest_ns()), (from.min(to) * MS, from.max(to) * MS));
        }
        assert_eq!(PlayoutDelay::fixed(7).at(at(5)), 7);
    }
}
