//! What is let through to statime: of the messages that a slave needs, those whose figures can be true.
//!
//! statime calculates with what it reads before it asks whether that makes sense, and its numbers may not go below
//! zero or beyond their width. So anything beyond all reason is left out here, where it costs nothing.

/// Kinds of messages that a slave listens to (IEEE 1588-2008 table 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Leaves the master; carries its own departure when the master is a one-step clock.
    Sync,
    /// Tells when the last `Sync` left.
    FollowUp,
    /// Tells when our request came in.
    DelayResp,
    /// Tells who the master is.
    Announce,
}

/// Length of the header that all messages have (table 18).
const HEADER: usize = 34;
/// Length of the timestamp that follows it.
const TIMESTAMP: usize = 10;
/// No switch in a house holds a message for longer than this, in nanoseconds.
const LONGEST_CORRECTION_NS: i64 = 1_000_000_000;
/// Seconds that still are nanoseconds in 63 bits, and some to subtract corrections from.
const SECONDS: std::ops::Range<u64> = 2..9_000_000_000;
/// From here on a master is too far away to be followed (9.3.2.5).
const MOST_STEPS: u16 = 255;

/// What a message of `domain` is; nothing when it is none, or must not be taken.
pub(super) fn kind(bytes: &[u8], domain: u8) -> Option<Kind> {
    let ours = bytes.len() >= HEADER + TIMESTAMP && bytes[1] & 0xf == 2 && bytes[4] == domain;
    let kind = match bytes.first().filter(|_| ours)? {
        0x0 => Kind::Sync,
        0x8 => Kind::FollowUp,
        0x9 => Kind::DelayResp,
        0xb => Kind::Announce,
        _ => return None,
    };
    let correction_ns = i64::from_be_bytes(bytes[8..16].try_into().ok()?) >> 16;
    let two_steps = bytes[6] & 2 != 0;
    let timed = match kind {
        Kind::Announce => u16::from_be_bytes([*bytes.get(61)?, *bytes.get(62)?]) < MOST_STEPS,
        Kind::Sync if two_steps => true,
        _ => is_time(&bytes[HEADER..HEADER + TIMESTAMP]),
    };
    (timed && (-LONGEST_CORRECTION_NS..=LONGEST_CORRECTION_NS).contains(&correction_ns)).then_some(kind)
}

/// How often the master wants to be asked at most: logMessageInterval of a `Delay_Resp`, in powers of two of a second.
pub(super) fn interval_log2(bytes: &[u8]) -> i8 {
    // Beyond these the profiles allow nothing (J.3.2); 0x7f stands for "not said".
    (bytes[33] as i8).clamp(-7, 5)
}

fn is_time(bytes: &[u8]) -> bool {
    let seconds = bytes[..6].iter().fold(0, |seconds, &byte| seconds << 8 | u64::from(byte));
    let nanoseconds = bytes[6..TIMESTAMP].iter().fold(0, |ns, &byte| ns << 8 | u64::from(byte));
    SECONDS.contains(&seconds) && nanoseconds < 1_000_000_000
}
