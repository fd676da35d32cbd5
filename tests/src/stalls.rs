//! How often does the machine itself stop? A virtual machine's host may take the processor away for tens of milliseconds;
//! what is heard then is no player's fault, so every gap is read beside this count.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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

/// Counts stalls from its start to [`Watch::finish`].
#[derive(Debug)]
pub struct Watch {
    end: Arc<AtomicBool>,
    long: Arc<AtomicU32>,
    thread: JoinHandle<Stalls>,
}

impl Watch {
    /// Starts to count, above everything else that runs.
    pub fn start() -> Watch {
        let end = Arc::new(AtomicBool::new(false));
        let long = Arc::new(AtomicU32::new(0));
        let (stop, counted) = (end.clone(), long.clone());
        Watch { end, long, thread: std::thread::spawn(move || count(&stop, &counted)) }
    }

    /// Stalls of more than 20 ms so far.
    pub fn over_20_ms(&self) -> u32 {
        self.long.load(Ordering::Relaxed)
    }

    /// The count.
    pub fn finish(self) -> Stalls {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// A machine that stands still for longer than this takes frames from every room, whatever the programs do.
const TOO_LONG_MS: f64 = 50.0;

/// Runs a test that plays in real time, and lets it fail only on a machine that did not stand still meanwhile: a failure
/// beside a stall of over 50 ms says nothing of the programs, and is told instead.
///
/// # Panics
/// as `test` does.
pub fn judged(test: impl FnOnce()) {
    let watch = Watch::start();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
    let stalls = watch.finish();
    match outcome {
        // Past the harness, which hides what a test prints that does not fail.
        Err(_) if stalls.worst_ms > TOO_LONG_MS => {
            let _ = writeln!(std::io::stderr(), "NOT JUDGED: the machine itself stood still, {stalls:?}");
        }
        Err(failure) => std::panic::resume_unwind(failure),
        Ok(()) => {}
    }
}

fn count(stop: &AtomicBool, long: &AtomicU32) -> Stalls {
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
        long.store(stalls.over_20_ms, Ordering::Relaxed);
        stalls.over_40_ms += u32::from(late_ms > 40.0);
    }
    stalls
}
