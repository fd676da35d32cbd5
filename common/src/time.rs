//! The two time domains, and the conversions between time, frames and RTP timestamps.
//!
//! - *Local time* is a host's CLOCK_MONOTONIC_RAW: never set, never slewed, different on every host.
//! - *Media time* is the sender's clock: local time of the sender plus a constant picked at its start, so that it
//!   reads about TAI (nanoseconds since 1970-01-01T00:00:00 TAI). It never steps while its epoch lasts.
//!
//! Differences of either are plain `i64` nanoseconds; a variable that holds one ends in `_ns`.

use std::ops::{Add, Sub};

/// TAI - UTC in seconds. Constant since 2017; a later leap second changes only how media time reads, not how it runs.
pub const TAI_MINUS_UTC_S: i64 = 37;

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970), RFC 5905 section 6.
pub const NTP_TO_UNIX_S: i64 = 2_208_988_800;

const NS_PER_S: i64 = 1_000_000_000;

/// A reading of this host's CLOCK_MONOTONIC_RAW, in nanoseconds. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(i64);

/// A reading of a sender's media clock: nanoseconds since 1970-01-01T00:00:00 TAI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(i64);

/// Names one run of a sender's clock. A restart is a new epoch: nothing learned in an old one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockEpoch(pub u32);

macro_rules! instant {
    ($name:ident) => {
        impl $name {
            /// From nanoseconds in this domain.
            pub const fn from_ns(ns: i64) -> Self {
                Self(ns)
            }

            /// Nanoseconds in this domain.
            pub const fn as_ns(self) -> i64 {
                self.0
            }
        }

        impl Add<i64> for $name {
            type Output = Self;
            /// Later by so many nanoseconds.
            fn add(self, ns: i64) -> Self {
                Self(self.0.wrapping_add(ns))
            }
        }

        impl Sub<i64> for $name {
            type Output = Self;
            /// Earlier by so many nanoseconds.
            fn sub(self, ns: i64) -> Self {
                Self(self.0.wrapping_sub(ns))
            }
        }

        impl Sub for $name {
            type Output = i64;
            /// Nanoseconds from `earlier` to `self`.
            fn sub(self, earlier: Self) -> i64 {
                self.0.wrapping_sub(earlier.0)
            }
        }
    };
}
instant!(LocalTime);
instant!(MediaTime);

impl MediaTime {
    /// Index of the frame that is current at this time: floor(time x rate), 64 bits, no wrap.
    pub fn to_frame(self, rate: u32) -> i64 {
        (i128::from(self.0) * i128::from(rate)).div_euclid(i128::from(NS_PER_S)) as i64
    }

    /// The time at which frame `frame` begins, rounded down to the nanosecond.
    pub fn from_frame(frame: i64, rate: u32) -> Self {
        Self((i128::from(frame) * i128::from(NS_PER_S)).div_euclid(i128::from(rate)) as i64)
    }

    /// How far into the current frame this time is, in frames, 0 <= x < 1.
    pub fn frame_fraction(self, rate: u32) -> f64 {
        let scaled = i128::from(self.0) * i128::from(rate);
        scaled.rem_euclid(i128::from(NS_PER_S)) as f64 / NS_PER_S as f64
    }

    /// This time as the 64-bit timestamp of NTP (RFC 5905 section 6), in its era.
    pub fn to_ntp(self) -> u64 {
        let utc_ns = self.0 - TAI_MINUS_UTC_S * NS_PER_S;
        let seconds = utc_ns.div_euclid(NS_PER_S) + NTP_TO_UNIX_S;
        let fraction = ((utc_ns.rem_euclid(NS_PER_S) as u64) << 32) / NS_PER_S as u64;
        ((seconds as u64) << 32) | fraction
    }

    /// The time that an NTP timestamp names, read in the era that puts it nearest to `near`.
    pub fn from_ntp(ntp: u64, near: MediaTime) -> Self {
        const ERA_NS: i128 = (1_i128 << 32) * NS_PER_S as i128;
        let seconds = (ntp >> 32) as i64 - NTP_TO_UNIX_S + TAI_MINUS_UTC_S;
        let nanoseconds = (((ntp & 0xffff_ffff) * NS_PER_S as u64 + (1 << 31)) >> 32) as i64;
        let time = i128::from(seconds) * i128::from(NS_PER_S) + i128::from(nanoseconds);
        let eras = (i128::from(near.0) - time + ERA_NS / 2).div_euclid(ERA_NS);
        Self((time + eras * ERA_NS) as i64)
    }
}

/// RTP timestamp of a 64-bit frame index (RFC 7273 `mediaclk:direct` with our offset): its low 32 bits.
pub const fn rtp_timestamp(frame: i64) -> u32 {
    frame as u32
}

/// The 64-bit frame index whose RTP timestamp is `timestamp` and that lies nearest to `near`.
///
/// Unwraps against the clock, not against history: a receiver that joins after years is right at once.
pub const fn unwrap_timestamp(timestamp: u32, near: i64) -> i64 {
    near.wrapping_add(timestamp.wrapping_sub(near as u32) as i32 as i64)
}

/// The offset of `a=mediaclk:direct=` when the reference clock is NTP: the RTP timestamp at the NTP epoch.
pub const fn direct_offset_ntp(rate: u32) -> u32 {
    ((TAI_MINUS_UTC_S - NTP_TO_UNIX_S) * rate as i64) as u32
}

#[cfg(test)]
mod tests;
