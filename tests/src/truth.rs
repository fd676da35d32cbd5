//! True time: this machine's CLOCK_MONOTONIC_RAW, which the rig and the simulated cards share and no room sees.

use std::time::Duration;

/// Now, in nanoseconds of true time.
pub fn now_ns() -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// Waits until `ready` gives something, looking every 10 ms; None after `timeout`.
pub fn wait_for<T>(timeout: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end_ns = now_ns() + timeout.as_nanos() as i64;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if now_ns() >= end_ns || interrupted() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for `duration`, or less when the user ends the program: for what lasts by itself, such as music that is judged
/// afterwards or a fault. What comes about is waited for by [`wait_for`].
pub fn pause(duration: Duration) {
    wait_for(duration, || None::<()>);
}

static INTERRUPTED: std::sync::OnceLock<std::sync::Arc<std::sync::atomic::AtomicBool>> = std::sync::OnceLock::new();

/// From here on SIGINT and SIGTERM end waits early instead of the program at once, so that what was set up is taken down.
pub fn catch_signals() -> std::io::Result<()> {
    let flag = INTERRUPTED.get_or_init(Default::default);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone())?; // the second one is final
        signal_hook::flag::register(signal, flag.clone())?;
    }
    Ok(())
}

/// The user has asked for the end.
pub fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(std::sync::atomic::Ordering::Relaxed))
}
