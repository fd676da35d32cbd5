//! What the description of a stream says to those who take part in playing it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use unisono_common::config::receiver::Delivery;
use unisono_common::control::Announced;
use unisono_common::playout_delay::{MOST_MS, PlayoutDelay};
use unisono_common::sdp::{self, ReferenceClock};
use unisono_common::time::direct_offset_ntp;

use crate::follow::Clock;
use crate::intake::{Address, Schedule};
use crate::timeclient::ClockReader;

/// Playout delay of streams that name none: those of strangers.
pub(super) const DEFAULT_DELAY_MS: u32 = 250;

/// The longest that is played, as descriptions are read too. What a stream is buffered in is made for twice its delay.
const LONGEST_DELAY_MS: i64 = MOST_MS as i64;

/// Packets may wait for the audio thread, which takes all of them every 20 ms, for so long, and so many of them however short
/// they are. The queue goes round: all of it is in memory.
const QUEUE_NS: i64 = 640_000_000;
const LEAST_QUEUE: usize = 64;
const MOST_QUEUE: usize = 512;

/// Where a stream's packets are found, and how they are to come.
pub(super) fn address(description: &sdp::Session, delivery: Delivery, unicast_above_loss: f64) -> Address {
    Address {
        group: SocketAddr::new(description.address, description.port),
        source: description.source,
        payload_type: description.payload_type,
        depth: description.format.depth,
        // When a packet is due is only known of streams whose packets are all of one length.
        repair: description.repair.filter(|_| description.packet_frames.is_some()),
        fec: description.fec,
        delivery,
        unicast_above_loss,
    }
}

/// How many packets may wait for the audio thread.
pub(super) fn queue(description: &sdp::Session) -> usize {
    let frames = i64::from(description.format.rate) * QUEUE_NS / 1_000_000_000;
    let packets = frames / i64::from(description.packet_frames.unwrap_or(1).max(1));
    (packets as usize).clamp(LEAST_QUEUE, MOST_QUEUE)
}

/// When a stream's packets must be here: so long after their timestamps.
pub(super) fn schedule(description: &sdp::Session, clock: ClockReader, taken_after_ns: Arc<AtomicI64>) -> Schedule {
    Schedule {
        clock,
        taken_after_ns,
        rate: description.format.rate,
        packet_frames: description.packet_frames.unwrap_or(1),
        timestamp_offset: timestamp_offset(description),
    }
}

/// The delay that a stream is to be played with.
///
/// # Errors
/// when nothing can be buffered for so long.
pub(super) fn playout_delay(description: &sdp::Session) -> anyhow::Result<PlayoutDelay> {
    let delay = description.playout_delay(DEFAULT_DELAY_MS);
    let longest_ms = delay.longest_ns() / 1_000_000;
    anyhow::ensure!(
        longest_ms <= LONGEST_DELAY_MS,
        "its playout delay is {longest_ms} ms; {LONGEST_DELAY_MS} ms would be the most"
    );
    Ok(delay)
}

/// Whether a stream that plays is the same as before but for its playout delay, which its buffer has room for: that was made
/// for a delay of `made_for_ns`, or twice as much.
pub(super) fn moves_along(playing: &sdp::Session, now: &sdp::Session, made_for_ns: i64) -> bool {
    now.is_but_for_delay(playing) && now.playout_delay(DEFAULT_DELAY_MS).longest_ns() <= 2 * made_for_ns
}

/// How long after its timestamp a frame is taken: a guess until playout knows.
pub(super) fn taken_after(description: &sdp::Session) -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(description.playout_delay(DEFAULT_DELAY_MS).shortest_ns() * 2 / 3))
}

/// What the stream's RTP timestamps are ahead of ours.
pub(super) fn timestamp_offset(description: &sdp::Session) -> u32 {
    let epoch = match description.reference_clock {
        // Its epoch is that of our media time.
        Some(ReferenceClock::Ptp(_)) => 0,
        _ => direct_offset_ntp(description.format.rate),
    };
    description.direct_offset.map_or(0, |offset| offset.wrapping_sub(epoch))
}

/// Whether its clock is one that can be followed.
pub(super) fn can_follow(session: &sdp::Session) -> bool {
    Clock::of(session).is_some()
}

/// A stream as the hub tells of it: its id and description.
pub(super) fn described(announced: &Announced) -> Option<(String, Arc<sdp::Session>)> {
    if announced.sdp.is_empty() {
        // A stream that the hub knows of and that is not there now.
        return None;
    }
    match sdp::Session::parse(announced.sdp.as_bytes()) {
        Ok(session) => Some((announced.id.clone(), Arc::new(session))),
        Err(error) => {
            tracing::warn!("the hub describes stream \"{}\" in a way that can't be read: {error}", announced.id);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use unisono_common::time::MediaTime;

    use super::*;

    const SDP: &str = "v=0\no=- 7 1 IN IP4 10.77.0.1\ns=Music\nc=IN IP4 239.77.0.1/16\nt=0 0\nm=audio 5004 RTP/AVP 127\n\
                       a=rtpmap:127 L16/48000/2\na=ts-refclk:ntp=10.77.0.1:7680\na=mediaclk:direct=0\n";

    fn delayed(attributes: &str) -> sdp::Session {
        sdp::Session::parse(format!("{SDP}{attributes}\n").as_bytes()).unwrap()
    }

    #[test]
    fn a_delay_that_nobody_means_is_refused_before_anything_is_made_for_it() {
        let longest_ns = |session: &sdp::Session| playout_delay(session).map(|delay| delay.longest_ns());
        assert_eq!(longest_ns(&delayed("a=x-unisono-delay:5000")).unwrap(), 5_000_000_000);
        assert_eq!(longest_ns(&delayed("a=tool:a stranger's")).unwrap(), 250_000_000);
        let giant = sdp::Session { playout_delay_ms: Some(u32::MAX), ..delayed("a=x-unisono-delay:250") };
        let error = longest_ns(&giant).unwrap_err().to_string();
        assert!(error.contains("4294967295 ms") && error.contains("5000 ms"), "{error}");
        let change = sdp::DelayChange { from_ms: 4_000_000_000, begins: MediaTime::from_ns(0) };
        let changing = sdp::Session { delay_change: Some(change), ..delayed("a=x-unisono-delay:250") };
        assert!(longest_ns(&changing).is_err(), "nor is one that it is to come from");
    }

    #[test]
    fn a_delay_grows_as_far_as_the_buffer_goes_and_no_further() {
        let of = |ms: u32| delayed(&format!("a=x-unisono-delay:{ms}"));
        let made_for_ns = 250_000_000;
        assert!(moves_along(&of(250), &of(500), made_for_ns));
        assert!(moves_along(&of(500), &of(100), made_for_ns));
        assert!(!moves_along(&of(500), &of(1_000), made_for_ns), "it was made for 250 ms");
        let other = sdp::Session { port: 5_006, ..of(250) };
        assert!(!moves_along(&of(250), &other, made_for_ns));
    }
}
