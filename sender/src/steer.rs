//! How a stream's packets go along with a clock that is followed: without a jump that anybody would notice.

use unisono_common::clock::ClockMap;
use unisono_common::time::LocalTime;

/// What is further off than this is not approached, in nanoseconds: it would take too long, and is another time.
const FURTHEST_NS: i64 = 2_000_000;

/// What is left of a difference after this is a third of it.
const TIME_CONSTANT_S: f64 = 1.0;

/// The fastest approach: a packet of 5 ms comes a microsecond early or late.
const FASTEST: f64 = 200e-6;

/// The clock to go by from `now` on, which is where `from` is and goes to where `to` is. Nothing when that is too far.
pub fn toward(from: &ClockMap, to: &ClockMap, now: LocalTime) -> Option<ClockMap> {
    if from == to {
        return Some(*to);
    }
    let here = from.media_at(now);
    let off_ns = to.media_at(now) - here;
    match off_ns.abs() {
        // A nanosecond is not worth a line of its own.
        ..=1 => Some(*to),
        2..=FURTHEST_NS => {
            let approach = (off_ns as f64 * 1e-9 / TIME_CONSTANT_S).clamp(-FASTEST, FASTEST);
            let offset_ns = here.as_ns() - now.as_ns();
            Some(ClockMap { at: now, offset_ns, offset_fraction_ns: 0.0, rate: to.rate + approach, ..*to })
        }
        _ => None,
    }
}
