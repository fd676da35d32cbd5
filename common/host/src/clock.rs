//! This host's clock: CLOCK_MONOTONIC_RAW, which nothing ever sets or slews.
//!
//! The kernel can neither sleep on it nor stamp packets with it, so two conversions live here: [`sleep_until`] goes
//! through CLOCK_MONOTONIC, [`StampConverter`] through CLOCK_REALTIME. Both read the two clocks side by side at the
//! moment of use; the other clock's rate error matters only over that moment.

use unisono_common::time::LocalTime;

const NS_PER_S: i64 = 1_000_000_000;

/// Local time now.
pub fn now() -> LocalTime {
    LocalTime::from_ns(read(libc::CLOCK_MONOTONIC_RAW))
}

/// CLOCK_REALTIME in nanoseconds since 1970 UTC: what this host believes the time of day to be.
///
/// It may be wrong and it may step: good for a first guess and for names of files, never for timing.
pub fn time_of_day_ns() -> i64 {
    read(libc::CLOCK_REALTIME)
}

/// Sleeps until local time is `until`; returns at once if it has passed.
///
/// Wakes as precisely as the scheduler allows (tens of microseconds in a real-time thread), never early by more than
/// a microsecond, also while NTP slews CLOCK_MONOTONIC. Signals do not end the sleep.
pub fn sleep_until(until: LocalTime) {
    loop {
        let now_ns = until - now();
        if now_ns <= 0 {
            return;
        }
        // CLOCK_MONOTONIC may run up to 500 ppm off: approach a distant time in two steps.
        let wait_ns = if now_ns > 20_000_000 { now_ns - now_ns / 1024 } else { now_ns };
        let beside = Pair::read(libc::CLOCK_MONOTONIC);
        let wake_ns = beside.other_ns + (until - beside.raw) - (now_ns - wait_ns);
        let wake = timespec(wake_ns);
        // SAFETY: `wake` is a valid timespec; a null remainder is allowed with TIMER_ABSTIME.
        unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &wake, std::ptr::null_mut()) };
    }
}

/// Turns the kernel's packet stamps, which are CLOCK_REALTIME, into local time.
///
/// Reads both clocks side by side for every stamp, so NTP may slew CLOCK_REALTIME freely. A step of CLOCK_REALTIME
/// between two uses is noticed and the stamp that straddles it is refused.
#[derive(Debug, Default)]
pub struct StampConverter {
    last: Option<(LocalTime, i64)>,
    steps: u64,
}

impl StampConverter {
    /// A step is a change of the clocks' difference by more than this and [`SLEW_PPM`](Self::SLEW_PPM) of the time.
    const STEP_NS: i64 = 1_000_000;
    /// How fast the two clocks may honestly drift apart: NTP slews by up to 500 ppm.
    const SLEW_PPM: i64 = 600;

    /// A converter that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Local time of a stamp in nanoseconds of CLOCK_REALTIME, taken moments ago. `None`: that clock was just stepped,
    /// and which side of the step the stamp is on can't be known, or the stamp lies in the future.
    pub fn local(&mut self, stamp_ns: i64) -> Option<LocalTime> {
        let beside = Pair::read(libc::CLOCK_REALTIME);
        self.convert(stamp_ns, beside)
    }

    /// How many steps of CLOCK_REALTIME were seen.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn convert(&mut self, stamp_ns: i64, beside: Pair) -> Option<LocalTime> {
        let offset_ns = beside.raw.as_ns() - beside.other_ns;
        let stepped = self.last.is_some_and(|(at, last_ns)| {
            (offset_ns - last_ns).abs() > Self::STEP_NS + (beside.raw - at) / 1_000_000 * Self::SLEW_PPM
        });
        self.last = Some((beside.raw, offset_ns));
        if stepped {
            self.steps += 1;
            return None;
        }
        // Of packets that were queued before a step backwards only the first is refused for the step.
        let local = LocalTime::from_ns(stamp_ns.saturating_add(offset_ns));
        (local - beside.raw <= Self::STEP_NS).then_some(local)
    }
}

/// A reading of another clock and local time at the same moment, to a fraction of a microsecond.
#[derive(Clone, Copy, Debug)]
struct Pair {
    raw: LocalTime,
    other_ns: i64,
}

impl Pair {
    /// Reads raw, other, raw three times and keeps the tightest: an interrupt rarely hits all three.
    fn read(other: libc::clockid_t) -> Self {
        let bracket = || {
            let before = now();
            let other_ns = read(other);
            let width_ns = now() - before;
            (width_ns, Self { raw: before + width_ns / 2, other_ns })
        };
        let (mut best_ns, mut best) = bracket();
        for _ in 0..2 {
            let (width_ns, pair) = bracket();
            if width_ns < best_ns {
                (best_ns, best) = (width_ns, pair);
            }
        }
        best
    }
}

/// A time with 64 bits for its seconds on every machine (`struct __kernel_timespec`): C's own have 32 on some, and those
/// end in January 2038.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct WideTime {
    seconds: i64,
    nanoseconds: i64,
}

impl WideTime {
    pub(crate) fn as_ns(self) -> i64 {
        self.seconds * NS_PER_S + self.nanoseconds
    }
}

/// Reads a clock that every Linux has.
fn read(clock: libc::clockid_t) -> i64 {
    let mut time = WideTime::default();
    // SAFETY: `time` is a valid place for the time. The call can't fail for the clocks used in this module.
    unsafe { clock_gettime(clock, &mut time) };
    time.as_ns()
}

unsafe extern "C" {
    /// libc's, whose time has 64 bits where a pointer has as many.
    #[cfg_attr(all(target_env = "gnu", target_pointer_width = "32"), link_name = "__clock_gettime64")]
    fn clock_gettime(clock: libc::clockid_t, time: *mut WideTime) -> libc::c_int;
}

fn timespec(ns: i64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / NS_PER_S) as _, tv_nsec: (ns % NS_PER_S) as _ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_never_ends_early() {
        for wait_ns in [-5, 200_000, 30_000_000] {
            let until = now() + wait_ns;
            sleep_until(until);
            assert!(now() >= until);
        }
    }

    #[test]
    fn a_fresh_stamp_converts_to_about_now() {
        let mut converter = StampConverter::new();
        for _ in 0..10 {
            let before = now();
            let stamp_ns = time_of_day_ns();
            let after = now();
            let local = converter.local(stamp_ns).expect("the clock was not stepped");
            assert!(before - local < 100_000 && local - after < 100_000);
        }
    }

    #[test]
    fn a_step_refuses_one_stamp_and_slewing_none() {
        let mut converter = StampConverter::new();
        let mut beside = Pair { raw: LocalTime::from_ns(0), other_ns: 1_000 };
        assert!(converter.convert(900, beside).is_some());
        beside = Pair { raw: beside.raw + NS_PER_S, other_ns: beside.other_ns + NS_PER_S + 500_000 };
        assert_eq!(converter.convert(beside.other_ns - 100, beside), Some(beside.raw - 100));
        beside = Pair { raw: beside.raw + 1_000, other_ns: beside.other_ns + 3_000_000 };
        assert_eq!(converter.convert(beside.other_ns - 100, beside), None);
        assert_eq!(converter.steps(), 1);
        beside = Pair { raw: beside.raw + 1_000, other_ns: beside.other_ns + 1_000 };
        assert_eq!(converter.convert(beside.other_ns - 100, beside), Some(beside.raw - 100));
    }

    #[test]
    fn stamps_of_before_a_step_backwards_are_refused_however_many_were_queued() {
        let mut converter = StampConverter::new();
        let before = Pair { raw: LocalTime::from_ns(0), other_ns: 9 * NS_PER_S };
        assert!(converter.convert(before.other_ns, before).is_some());
        for queued in 1..5 {
            let beside = Pair { raw: before.raw + queued * 1_000, other_ns: before.other_ns - 2 * NS_PER_S };
            assert_eq!(converter.convert(before.other_ns + queued, beside), None);
        }
        assert_eq!(converter.steps(), 1);
    }
}
