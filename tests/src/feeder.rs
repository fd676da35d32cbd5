//! Feeds a pipe source at real-time pace, as MPD's pipe output or a sound card's input does.

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

/// How a writer keeps time.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Length of a piece, in seconds.
    piece_s: f64,
    /// How long before its first frame is due a piece is written, in seconds.
    ahead_s: f64,
}

/// As MPD does it.
const AHEAD: Manner = Manner { piece_s: 0.02, ahead_s: 0.1 };

/// As a sound card's input does it: a piece is written when its last frame is over.
const LIVE: Manner = Manner { piece_s: 0.002_5, ahead_s: -0.002_5 };

/// Writes a signal into a FIFO until it is dropped.
#[derive(Debug)]
pub struct Feeder {
    stop: Arc<AtomicBool>,
    /// True time of the signal's frame 0, as the last reader got it; 0 before the first.
    zero_ns: Arc<AtomicI64>,
    manner: Manner,
    rate: f64,
    /// Of the signal, in frames.
    period: usize,
    thread: Option<JoinHandle<()>>,
}

/// When each frame of a signal was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    zero_ns: i64,
    manner: Manner,
    rate: f64,
    period: usize,
}

impl Written {
    /// The frame that was due at true time `at_ns`.
    pub fn due(&self, at_ns: i64) -> f64 {
        (at_ns - self.zero_ns) as f64 * 1e-9 * self.rate
    }

    /// By how many milliseconds frame `frame`, heard at true time `heard_ns`, comes after it was written, on the average of all
    /// frames of a piece, which are written at once: less than the signal's period.
    pub fn late_ms(&self, frame: f64, heard_ns: i64) -> f64 {
        let written_s = frame / self.rate - self.manner.piece_s / 2.0 - self.manner.ahead_s;
        let late_ms = (heard_ns - self.zero_ns) as f64 / 1e6 - written_s * 1e3;
        late_ms.rem_euclid(self.period as f64 / self.rate * 1e3)
    }
}

impl Manner {
    /// Frames of a piece.
    fn piece(self, rate: f64) -> usize {
        (self.piece_s * rate).round() as usize
    }
}

impl Feeder {
    /// Starts to write as soon as somebody reads: two channels of `bytes` (2 or 4) a sample, 100 ms ahead of time. Makes the
    /// FIFO if need be.
    pub fn start(fifo: &Path, signal: Arc<Signal>, bytes: usize) -> std::io::Result<Feeder> {
        Self::start_as(fifo, signal, bytes, AHEAD)
    }

    /// The same in small pieces, none of them ahead of time: what latency is measured with.
    pub fn start_live(fifo: &Path, signal: Arc<Signal>, bytes: usize) -> std::io::Result<Feeder> {
        Self::start_as(fifo, signal, bytes, LIVE)
    }

    fn start_as(fifo: &Path, signal: Arc<Signal>, bytes: usize, manner: Manner) -> std::io::Result<Feeder> {
        make_fifo(fifo)?;
        let stop = Arc::new(AtomicBool::new(false));
        let zero_ns = Arc::new(AtomicI64::new(0));
        let (rate, period) = (f64::from(signal.rate), signal.samples.len());
        let (flag, zero, path) = (stop.clone(), zero_ns.clone(), fifo.to_path_buf());
        let thread = std::thread::spawn(move || {
            let _ = processes::real_time(processes::PLAYER_PRIORITY);
            feed(&path, &signal, bytes, manner, &flag, &zero);
        });
        Ok(Feeder { stop, zero_ns, manner, rate, period, thread: Some(thread) })
    }

    /// When what the last reader got was written.
    pub fn written(&self) -> Written {
        let Feeder { manner, rate, period, .. } = *self;
        Written { zero_ns: self.zero_ns.load(Ordering::Relaxed), manner, rate, period }
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

fn feed(path: &PathBuf, signal: &Signal, bytes: usize, manner: Manner, stop: &AtomicBool, zero_ns: &AtomicI64) {
    let stopped = || stop.load(Ordering::Relaxed);
    let mut position = 0_i64;
    while !stopped() {
        // Without a reader the open fails with ENXIO.
        match File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path) {
            Ok(fifo) => {
                zero_ns.store(truth::now_ns() - position * 1_000_000_000 / i64::from(signal.rate), Ordering::Relaxed);
                position = write_until_closed(fifo, signal, bytes, manner, position, &stopped);
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Writes from `position` on; where it was when the reader went away.
fn write_until_closed(
    mut fifo: File,
    signal: &Signal,
    bytes: usize,
    manner: Manner,
    from: i64,
    stopped: &impl Fn() -> bool,
) -> i64 {
    let rate = f64::from(signal.rate);
    let piece = manner.piece(rate);
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
        let due_ns = start_ns + (((position - from) as f64 / rate - manner.ahead_s) * 1e9) as i64;
        let wait_ns = due_ns - truth::now_ns();
        if wait_ns > 0 {
            std::thread::sleep(Duration::from_nanos(wait_ns as u64));
        }
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_late_by_what_passed_since_its_piece_was_written() {
        let written = |manner| Written { zero_ns: 1_000_000_000, manner, rate: 48_000.0, period: 1 << 20 };
        // Frame 4800 is due 100 ms after frame 0. A frame in the middle of its piece is written 1.25 ms later.
        assert!((written(LIVE).late_ms(4_800.0, 1_125_000_000) - 23.75).abs() < 1e-6);
        assert!((written(AHEAD).late_ms(4_800.0, 1_350_000_000) - 360.0).abs() < 1e-6);
        assert!((written(LIVE).due(1_100_000_000) - 4_800.0).abs() < 1e-6);
    }
}
