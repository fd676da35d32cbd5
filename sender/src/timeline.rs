//! A stream's timeline: which frames its next packet holds, and when that packet is due.
//!
//! Frames are numbered by the media clock from its epoch on, 64 bits, without a gap. A packet holds
//! `[n, n + packet_frames)` with n a multiple of `packet_frames`, and is due when media time reaches its end, as the
//! last of its frames would just have been captured. So timestamps and sequence numbers follow from the clock alone.

use unisono_common::time::MediaTime;

/// The timeline of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    rate: u32,
    packet_frames: u32,
    /// First frame of the next packet.
    next: i64,
}

impl Timeline {
    /// A timeline whose next packet is the one that holds the frame of `now`.
    pub fn new(rate: u32, packet_frames: u32, now: MediaTime) -> Self {
        let mut timeline = Timeline { rate, packet_frames, next: 0 };
        timeline.next = timeline.current(now);
        timeline
    }

    /// When the next packet is due.
    pub fn due(&self) -> MediaTime {
        MediaTime::from_frame(self.next + i64::from(self.packet_frames), self.rate)
    }

    /// Duration of a packet in nanoseconds.
    pub fn packet_ns(&self) -> i64 {
        MediaTime::from_frame(i64::from(self.packet_frames), self.rate).as_ns()
    }

    /// Goes on by one packet; returns the first frame of it.
    pub fn advance(&mut self) -> i64 {
        let frame = self.next;
        self.next += i64::from(self.packet_frames);
        frame
    }

    /// Leaves out all packets that are due by `now`; returns how many.
    pub fn skip_to(&mut self, now: MediaTime) -> u64 {
        let skipped = (self.current(now) - self.next) / i64::from(self.packet_frames);
        self.next += skipped.max(0) * i64::from(self.packet_frames);
        skipped.max(0) as u64
    }

    /// First frame of the packet that holds the frame of `now`.
    fn current(&self, now: MediaTime) -> i64 {
        let packet_frames = i64::from(self.packet_frames);
        now.to_frame(self.rate).div_euclid(packet_frames) * packet_frames
    }
}

#[cfg(test)]
mod tests;
