//! Waiting for several sockets at once.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use unisono_common::time::LocalTime;

use crate::socket;
use crate::stop::StopSignal;

/// Most sockets that can be waited for.
const MOST: usize = 7;

/// Waits until one of `sockets` has something to take, `stop` is raised or local time is `until`. Says of each socket whether
/// it has something.
pub fn any<const N: usize>(
    sockets: [BorrowedFd<'_>; N],
    until: LocalTime,
    stop: Option<&StopSignal>,
) -> io::Result<[bool; N]> {
    const { assert!(N <= MOST) };
    let mut fds = [-1; MOST + 1];
    for (fd, socket) in fds.iter_mut().zip(sockets) {
        *fd = socket.as_raw_fd();
    }
    fds[MOST] = StopSignal::fd(stop);
    let ready = socket::wait(fds, socket::remaining_ns(until))?;
    Ok(std::array::from_fn(|i| ready[i]))
}
