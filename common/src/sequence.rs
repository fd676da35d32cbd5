//! Sequence numbers of 16 bits, and the 64-bit numbers behind them (RFC 3550 section 6.4.1 and appendix A.1).

/// The sequence number of the packet whose first frame is `frame` when every packet holds `packet_frames`.
///
/// It follows from the clock alone, so a sender that is restarted, or a standby, goes on where it would have been.
pub const fn of_frame(frame: i64, packet_frames: u32) -> u16 {
    frame.div_euclid(packet_frames as i64) as u16
}

/// The 64-bit number with the low bits `sequence` that lies nearest to `near`.
pub const fn unwrap(sequence: u16, near: i64) -> i64 {
    near.wrapping_add(sequence.wrapping_sub(near as u16) as i16 as i64)
}

/// Extends the sequence numbers of one source as they arrive, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extender {
    highest: Option<i64>,
}

impl Extender {
    /// The extended number of a packet that has just arrived; the first one is its own number.
    pub fn extend(&mut self, sequence: u16) -> i64 {
        let extended = self.highest.map_or(i64::from(sequence), |highest| unwrap(sequence, highest));
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        extended
    }

    /// The highest number so far.
    pub fn highest(&self) -> Option<i64> {
        self.highest
    }
}

#[cfg(test)]
mod tests;
