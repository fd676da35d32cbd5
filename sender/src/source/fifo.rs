//! A named pipe that is there before its writers and outlives them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
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
}

impl Fifo {
    /// Opens the FIFO, making it first when it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
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
        // Without O_NONBLOCK this would wait for a writer.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(failed("cannot be opened for reading; give this user's group access (chmod 660)"))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Waits up to `timeout` for bytes.
    pub(super) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Got> {
        let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let milliseconds = timeout.as_millis().min(1_000) as libc::c_int;
        // SAFETY: one valid pollfd, and its count.
        if unsafe { libc::poll(&mut poll, 1, milliseconds) } < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(Got::Silence) } else { Err(error) };
        }
        match self.file.read(buffer) {
            Ok(0) => {
                // A hung-up descriptor stays so and would be polled without rest. The new one is opened before the
                // old one is closed, so that nothing that a next writer has written by now is lost.
                if poll.revents & libc::POLLHUP != 0 {
                    self.reopen()?;
                }
                Ok(Got::NoWriter)
            }
            Ok(bytes) => Ok(Got::Bytes(bytes)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Got::Silence)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the path still leads to the FIFO that is open here; MPD, for one, removes it when it ends.
    pub(super) fn is_current(&self) -> bool {
        let here = self.file.metadata().map(|m| (m.dev(), m.ino())).ok();
        here.is_some() && fs::metadata(&self.path).map(|m| (m.dev(), m.ino())).ok() == here
    }

    /// Opens what is at the path now, making it when there is nothing.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.file = Self::open(&self.path).map_err(io::Error::other)?.file;
        Ok(())
    }
}

fn make(path: &Path) -> Result<(), SourceError> {
    let failed = |what| move |error| SourceError::Fifo { path: path.to_owned(), what, error };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(folder).map_err(failed("its folder cannot be used; make it first (systemd: RuntimeDirectory=)"))?;
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())
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

/// What `fs.protected_fifos` (proc_sys_fs(5)) will do to writers of a FIFO in `folder`: those that open it with
/// O_CREAT, as a shell's `>` does, are refused in a sticky folder that all can write, unless it is theirs.
fn protected(folder: &Path) -> Option<String> {
    let level: u32 = fs::read_to_string("/proc/sys/fs/protected_fifos").ok()?.trim().parse().ok()?;
    let mode = fs::metadata(folder).ok()?.mode();
    let (sticky, others, group) = (mode & 0o1000 != 0, mode & 0o002 != 0, mode & 0o020 != 0);
    (sticky && ((level >= 1 && others) || (level >= 2 && group))).then(|| {
        format!(
            "{} is sticky and open to all, and fs.protected_fifos is {level}: writers of other users that open with \
             O_CREAT (a shell's >) are refused; a folder of its own such as /run/unisono has no such limit",
            folder.display()
        )
    })
}
