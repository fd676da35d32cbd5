//! A named pipe that is there before its writers and outlives them.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SourceError;

/// Readers and writers of the owner and the group: MPD and the sender share a group.
const MODE: u32 = 0o660;

/// The read end of a FIFO.
#[derive(Debug)]
pub(super) struct Fifo {
    path: PathBuf,
    group: Option<String>,
    file: File,
}

/// What a FIFO had to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// So many bytes.
    Bytes(usize),
    /// Nothing, but someone holds it open for writing.
    Silence,
    /// Nobody writes, and all that was written has been read.
    NoWriter,
    /// The same, and a writer has just left.
    HungUp,
}

/// Waits up to `timeout` for bytes of a pipe, which must not block.
pub(super) fn read_within(pipe: &mut (impl Read + AsRawFd), buffer: &mut [u8], timeout: Duration) -> io::Result<Got> {
    let mut poll = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = timeout.as_millis().min(1_000) as libc::c_int;
    // SAFETY: one valid pollfd, and its count.
    if unsafe { libc::poll(&mut poll, 1, milliseconds) } < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(Got::Silence) } else { Err(error) };
    }
    match pipe.read(buffer) {
        Ok(0) if poll.revents & libc::POLLHUP != 0 => Ok(Got::HungUp),
        Ok(0) => Ok(Got::NoWriter),
        Ok(bytes) => Ok(Got::Bytes(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(Got::Silence)
        }
        Err(error) => Err(error),
    }
}

/// Reading a pipe without waiting, from now on.
pub(super) fn set_nonblocking(pipe: RawFd) {
    // SAFETY: no memory is involved.
    unsafe {
        let flags = libc::fcntl(pipe, libc::F_GETFL);
        libc::fcntl(pipe, libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
}

/// Bytes that wait in a pipe, and whether a writer waits for room for more.
pub(super) fn backlog(pipe: RawFd) -> (usize, bool) {
    let mut waiting: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    let known = unsafe { libc::ioctl(pipe, libc::FIONREAD, &raw mut waiting) } == 0;
    // SAFETY: no memory is involved.
    let capacity = unsafe { libc::fcntl(pipe, libc::F_GETPIPE_SZ) };
    let waiting = if known { usize::try_from(waiting).unwrap_or(0) } else { 0 };
    // A page is given to each write: a pipe is full well before the last byte.
    (waiting, capacity > 0 && waiting >= capacity as usize / 2)
}

impl Fifo {
    /// Opens the FIFO, making it first when it is not there; `group` may write into it.
    pub(super) fn open(path: &Path, group: Option<&str>) -> Result<Self, SourceError> {
        let failed = |what| move |error| SourceError::Fifo { path: path.to_owned(), what, error };
        if let Err(error) = fs::metadata(path) {
            match error.kind() {
                io::ErrorKind::NotFound => make(path)?,
                _ => return Err(failed("cannot be looked at")(error)),
            }
        }
        let is_fifo = fs::metadata(path).map_err(failed("cannot be looked at"))?.file_type().is_fifo();
        if !is_fifo {
            return Err(SourceError::NotAFifo(path.to_owned()));
        }
        if let Some(group) = group {
            give_to(path, group)?;
        }
        // Without O_NONBLOCK this would wait for a writer.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(failed("cannot be opened for reading; give this user's group access (chmod 660)"))?;
        Ok(Self { path: path.to_owned(), group: group.map(str::to_owned), file })
    }

    /// Waits up to `timeout` for bytes.
    pub(super) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Got> {
        let got = read_within(&mut self.file, buffer, timeout)?;
        if got == Got::HungUp {
            // A hung-up descriptor stays so and would be polled without rest. The new one is opened before the
            // old one is closed, so that nothing that a next writer has written by now is lost.
            self.reopen()?;
        }
        Ok(got)
    }

    /// Bytes that wait in the kernel, and whether there is no room for more.
    pub(super) fn backlog(&self) -> (usize, bool) {
        backlog(self.file.as_raw_fd())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the FIFO that is open here; MPD, for one, removes it when it ends.
    pub(super) fn is_current(&self) -> bool {
        let here = self.file.metadata().map(|m| (m.dev(), m.ino())).ok();
        here.is_some() && fs::metadata(&self.path).map(|m| (m.dev(), m.ino())).ok() == here
    }

    /// Opens what is at the path now, making it when there is nothing.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.file = Self::open(&self.path, self.group.as_deref()).map_err(io::Error::other)?.file;
        Ok(())
    }
}

fn make(path: &Path) -> Result<(), SourceError> {
    let failed = |what| move |error| SourceError::Fifo { path: path.to_owned(), what, error };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(folder).map_err(failed("its folder cannot be used; make it first (systemd: RuntimeDirectory=)"))?;
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|error| failed("is no path")(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    // SAFETY: a NUL-terminated path that outlives the call.
    if unsafe { libc::mkfifo(name.as_ptr(), MODE) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(failed("cannot be made; give a path in a folder that this user can write")(error));
        }
    }
    // Whatever the umask.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(failed("cannot be given mode 0660"))?;
    if let Some(warning) = protected(folder) {
        tracing::warn!(pipe = %path.display(), "{warning}");
    }
    Ok(())
}

/// Lets the members of `group` write into the FIFO.
fn give_to(path: &Path, group: &str) -> Result<(), SourceError> {
    let failed = |what| move |error| SourceError::Fifo { path: path.to_owned(), what, error };
    let id = group_id(group).map_err(failed("its group is not known; name one that is in /etc/group"))?;
    if fs::metadata(path).is_ok_and(|metadata| metadata.gid() == id) {
        return Ok(());
    }
    std::os::unix::fs::chown(path, None, Some(id))
        .map_err(failed("cannot be given to its group; the sender's user must be a member of it"))
}

/// The number of a group (group(5)).
fn group_id(name: &str) -> io::Result<u32> {
    let groups = fs::read_to_string("/etc/group")?;
    let id = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    id.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no group \"{name}\"")))
}

/// What `fs.protected_fifos` will do to writers of a FIFO in `folder`, when that is something.
fn protected(folder: &Path) -> Option<String> {
    let level: u32 = fs::read_to_string("/proc/sys/fs/protected_fifos").ok()?.trim().parse().ok()?;
    is_protected(level, fs::metadata(folder).ok()?.mode()).then(|| {
        format!(
            "{} is sticky and open to all, and fs.protected_fifos is {level}: writers of other users that open with \
             O_CREAT (a shell's >) are refused; a folder of its own such as /run/unisono has no such limit",
            folder.display()
        )
    })
}

/// Whether a folder of this mode is one in which writers that open with O_CREAT, as a shell's `>` does, are refused
/// unless the FIFO is theirs (proc_sys_fs(5)): a sticky one that all can write or, from level 2 on, its group.
fn is_protected(level: u32, mode: u32) -> bool {
    let (sticky, others, group) = (mode & 0o1000 != 0, mode & 0o002 != 0, mode & 0o020 != 0);
    sticky && ((level >= 1 && others) || (level >= 2 && group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sticky_folders_that_others_can_write_are_protected() {
        let (tmp, ours, group) = (0o41_777, 0o42_770, 0o41_770);
        assert_eq!([0, 1, 2].map(|level| is_protected(level, tmp)), [false, true, true]);
        assert_eq!([0, 1, 2].map(|level| is_protected(level, ours)), [false; 3]);
        assert_eq!([0, 1, 2].map(|level| is_protected(level, group)), [false, false, true]);
    }
}
