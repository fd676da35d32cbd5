//! Ending threads that wait for packets.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use crate::socket;

/// Raises its [`StopSignal`]s when dropped.
#[derive(Debug)]
pub struct StopHandle {
    _open: PipeWriter,
}

/// Seen by the threads that are to end. Sockets can wait for it together with packets.
#[derive(Clone, Debug)]
pub struct StopSignal {
    // The other end of a pipe that nothing is written to: it reads as closed once the handle is gone.
    pipe: Arc<PipeReader>,
}

/// A handle and its signal.
pub fn pair() -> io::Result<(StopHandle, StopSignal)> {
    let (pipe, open) = io::pipe()?;
    Ok((StopHandle { _open: open }, StopSignal { pipe: Arc::new(pipe) }))
}

impl StopSignal {
    /// The handle is gone: end.
    pub fn is_raised(&self) -> bool {
        socket::wait([self.pipe.as_raw_fd()], 0).is_ok_and(|[raised]| raised)
    }

    pub(crate) fn fd(signal: Option<&Self>) -> RawFd {
        signal.map_or(-1, |signal| signal.pipe.as_raw_fd())
    }
}

impl AsFd for StopSignal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_signal_is_raised_when_the_handle_goes() {
        let (handle, signal) = super::pair().unwrap();
        let waiting = signal.clone();
        assert!(!signal.is_raised());
        drop(handle);
        assert!(signal.is_raised() && waiting.is_raised());
    }
}
