//! How often does the machine itself stop? A virtual machine's host may take the processor away for tens of milliseconds;
//! what is heard then is no player's fault, so every gap is read beside this count.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{processes, truth};

const PRIORITY: i32 = 90;
const NAP: Duration = Duration::from_millis(1);

/// Naps of a millisecond that took longer.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Stalls {
    /// By more than 10 ms.
    pub over_10_ms: u32,
    /// By more than 20 ms.
    pub over_20_ms: u32,
    /// By more than 40 ms.
    pub over_40_ms: u32,
    /// The longest, in milliseconds.
    pub worst_ms: f64,
}

/// One that took more than 10 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// True time of its end, in nanoseconds.
    pub end_ns: i64,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

/// Stalls shorter than this are no more than a processor that is shared.
const SHORT_MS: f64 = 10.0;

/// Counts stalls from its start to [`Watch::finish`], on each processor: one may be taken away while the others run.
#[derive(Debug)]
pub struct Watch {
    end: Arc<AtomicBool>,
    lost_us: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<Stall>>>,
    threads: Vec<JoinHandle<Stalls>>,
}

impl Watch {
    /// Starts to count, above everything else that runs.
    pub fn start() -> Watch {
        let end = Arc::new(AtomicBool::new(false));
        let lost_us = Arc::new(AtomicU64::new(0));
        let seen = Arc::<Mutex<Vec<Stall>>>::default();
        let watch = |processor| {
            let (stop, lost_us, seen) = (end.clone(), lost_us.clone(), seen.clone());
            std::thread::spawn(move || {
                pin(processor);
                count(&stop, |stall| {
                    lost_us.fetch_add((stall.ms * 1e3) as u64, Ordering::Relaxed);
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(stall);
                })
            })
        };
        let threads = (0..std::thread::available_parallelism().map_or(1, usize::from)).map(watch).collect();
        Watch { end, lost_us, seen, threads }
    }

    /// For how long processors were away so far, all together, in milliseconds; stalls of more than 10 ms count.
    pub fn lost_ms(&self) -> f64 {
        self.lost_us.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// The count of the processor that was away most.
    pub fn finish(self) -> Stalls {
        self.finish_with_each().0
    }

    /// The same, and each stall of each processor.
    pub fn finish_with_each(self) -> (Stalls, Vec<Stall>) {
        self.end.store(true, Ordering::Relaxed);
        let counts = self.threads.into_iter().map(|thread| thread.join().unwrap_or_default());
        let worst = counts.fold(Stalls::default(), |a, b| Stalls {
            over_10_ms: a.over_10_ms.max(b.over_10_ms),
            over_20_ms: a.over_20_ms.max(b.over_20_ms),
            over_40_ms: a.over_40_ms.max(b.over_40_ms),
            worst_ms: a.worst_ms.max(b.worst_ms),
        });
        (worst, std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Keeps the calling thread on one processor, if it may.
fn pin(processor: usize) {
    // SAFETY: a set of processors is plain bits, and is read during the call only.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(processor % libc::CPU_SETSIZE as usize, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// A machine that stands still for longer than this takes frames from every room, whatever the programs do.
const DISTURBED_MS: f64 = 20.0;

/// One that stands still for longer than this lets the pipes run dry that tests feed senders with.
const UNFIT_MS: f64 = 40.0;

/// How often a test is tried on a machine that stands still.
const ATTEMPTS: u32 = 3;

/// Runs a test that plays in real time. One that failed beside a stall of the machine was disturbed as a measurement and is
/// made again, at most three times in all: a fault of the programs fails each time. Only a machine that stood still for over
/// 40 ms in the last attempt too is unfit to judge; the test is then skipped, and says so.
///
/// # Panics
/// as `test` does, the last time.
pub fn undisturbed(test: impl Fn()) {
    // Past the harness, which hides what a test prints that does not fail.
    let say = |line: String| drop(writeln!(std::io::stderr(), "{line}"));
    for attempt in 1.. {
        let watch = Watch::start();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&test));
        let stalls = watch.finish();
        match outcome {
            Ok(()) => return,
            Err(_) if stalls.worst_ms > DISTURBED_MS && attempt < ATTEMPTS => {
                say(format!("once more: the machine itself stood still, {stalls:?}"));
            }
            Err(_) if stalls.worst_ms > UNFIT_MS => {
                return say(format!("SKIPPED: {attempt} attempts, the machine itself stood still in each, {stalls:?}"));
            }
            Err(failure) => {
                say(format!("failed in attempt {attempt}, beside {stalls:?}"));
                std::panic::resume_unwind(failure)
            }
        }
    }
}

fn count(stop: &AtomicBool, tell: impl Fn(Stall)) -> Stalls {
    let _ = processes::real_time(PRIORITY);
    let mut stalls = Stalls::default();
    let mut last_ns = truth::now_ns();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(NAP);
        let now_ns = truth::now_ns();
        let late_ms = (now_ns - last_ns) as f64 / 1e6 - NAP.as_secs_f64() * 1e3;
        last_ns = now_ns;
        stalls.worst_ms = stalls.worst_ms.max(late_ms);
        stalls.over_10_ms += u32::from(late_ms > 10.0);
        stalls.over_20_ms += u32::from(late_ms > 20.0);
        if late_ms > SHORT_MS {
            tell(Stall { end_ns: now_ns, ms: late_ms });
        }
        stalls.over_40_ms += u32::from(late_ms > 40.0);
    }
    stalls
}
