//! Feeds a pipe source at real-time pace, as MPD's pipe output does.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::signals::Signal;
use crate::{processes, truth};

/// Length of a piece, and how far ahead of real time the feeder is.
const PIECE_S: f64 = 0.02;
const AHEAD_S: f64 = 0.1;

/// Writes a signal into a FIFO until it is dropped.
#[derive(Debug)]
pub struct Feeder {
    stop: Arc<AtomicBool>,
    /// True time of the signal's frame 0, as the last reader got it; 0 before the first.
    zero_ns: Arc<AtomicI64>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Starts to write as soon as somebody reads: two channels of `bytes` (2 or 4) a sample. Makes the FIFO if need be.
    pub fn start(fifo: &Path, signal: Arc<Signal>, bytes: usize) -> std::io::Result<Feeder> {
        make_fifo(fifo)?;
        let stop = Arc::new(AtomicBool::new(false));
        let zero_ns = Arc::new(AtomicI64::new(0));
        let (flag, zero, path) = (stop.clone(), zero_ns.clone(), fifo.to_path_buf());
        let thread = std::thread::spawn(move || {
            let _ = processes::real_time(processes::PLAYER_PRIORITY);
            feed(&path, &signal, bytes, &flag, &zero);
        });
        Ok(Feeder { stop, zero_ns, thread: Some(thread) })
    }

    /// True time at which frame `frame` of the signal would sound if nothing took any time.
    pub fn due_ns(&self, frame: f64, rate: f64) -> i64 {
        self.zero_ns.load(Ordering::Relaxed) + (frame / rate * 1e9) as i64
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Makes a FIFO where there is none.
pub fn make_fifo(path: &Path) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `name` ends in a zero and lives through the call.
    match unsafe { libc::mkfifo(name.as_ptr(), 0o644) } {
        0 => Ok(()),
        _ => match std::io::Error::last_os_error() {
            e if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            e => Err(e),
        },
    }
}

fn feed(path: &PathBuf, signal: &Signal, bytes: usize, stop: &AtomicBool, zero_ns: &AtomicI64) {
    let stopped = || stop.load(Ordering::Relaxed);
    let mut position = 0_i64;
    while !stopped() {
        // Without a reader the open fails with ENXIO.
        match File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path) {
            Ok(fifo) => {
                zero_ns.store(truth::now_ns() - position * 1_000_000_000 / i64::from(signal.rate), Ordering::Relaxed);
                position = write_until_closed(fifo, signal, bytes, position, &stopped);
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Writes from `position` on; where it was when the reader went away.
fn write_until_closed(mut fifo: File, signal: &Signal, bytes: usize, from: i64, stopped: &impl Fn() -> bool) -> i64 {
    let rate = f64::from(signal.rate);
    let piece = (PIECE_S * rate) as usize;
    let start_ns = truth::now_ns();
    let mut position = from;
    while !stopped() {
        let pcm = signal.stereo_pcm(position, piece, bytes);
        let mut left = &pcm[..];
        while !left.is_empty() {
            match fifo.write(left) {
                Ok(n) => left = &left[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock && !stopped() => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(_) => return position,
            }
        }
        position += piece as i64;
        let due_ns = start_ns + (((position - from) as f64 / rate - AHEAD_S) * 1e9) as i64;
        let wait_ns = due_ns - truth::now_ns();
        if wait_ns > 0 {
            std::thread::sleep(Duration::from_nanos(wait_ns as u64));
        }
    }
    position
}
