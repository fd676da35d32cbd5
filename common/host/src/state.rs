//! The state directory: the few small files that must survive a restart.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;
use unisono_common::config::{self, Environment};

/// Where the state directory is, or would be: `configured`, or where [`config::state_dir`] finds it.
pub fn directory(configured: Option<&Path>) -> PathBuf {
    config::state_dir(configured, &environment())
}

/// An open state directory, which belongs to this process alone.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

/// Why there is no state directory.
#[derive(Debug, Error)]
pub enum StateError {
    /// It can't be made or written.
    #[error("state directory {path}: {error}; give one that this user can write with state_dir = \"...\"")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// Another process has it.
    #[error("state directory {path} is in use by another {daemon}; stop it or give this one its own with state_dir")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Which daemon.
        daemon: String,
    },
    /// A file in it can't be read or written.
    #[error("state file {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl StateDir {
    /// Opens the state directory of `daemon` ("sender", "receiver") for this process alone and makes it if need be:
    /// `configured`, or where [`config::state_dir`] finds it.
    pub fn open(configured: Option<&Path>, daemon: &str) -> Result<Self, StateError> {
        let path = directory(configured);
        let unusable = |error| StateError::Unusable { path: path.clone(), error };
        fs::create_dir_all(&path).map_err(unusable)?;
        let lock = File::create(path.join(format!("{daemon}.lock"))).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(StateDir { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path, daemon: daemon.to_owned() }),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of the file `name`; nothing when there is none.
    pub fn read(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::File { path, error }),
        }
    }

    /// Replaces the file `name`, which may lie in a directory below, by `text`. After a power cut it holds either
    /// the old or the new text, whole.
    pub fn write(&self, name: &str, text: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        replace(&path, text).map_err(|error| StateError::File { path, error })
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}

fn environment() -> Environment {
    let system = Path::new(config::SYSTEM_STATE_DIR);
    let probe = system.join(".probe");
    let system_writable = fs::create_dir_all(system).and_then(|()| File::create(&probe)).is_ok();
    let _ = fs::remove_file(&probe);
    Environment {
        state_directory: std::env::var_os("STATE_DIRECTORY"),
        system_writable,
        xdg_state_home: std::env::var_os("XDG_STATE_HOME"),
        home: std::env::var_os("HOME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_directory_is_ours_alone() {
        let temporary = std::env::temp_dir().join(format!("unisono-state-{:x}", crate::random::number()));
        let state = StateDir::open(Some(&temporary), "sender").unwrap();
        assert_eq!(state.read("streams/a.toml").unwrap(), None);
        state.write("streams/a.toml", "one").unwrap();
        state.write("streams/a.toml", "two").unwrap();
        assert_eq!(state.read("streams/a.toml").unwrap().as_deref(), Some("two"));
        let second = StateDir::open(Some(&temporary), "sender").unwrap_err();
        assert!(second.to_string().contains("in use by another sender"), "{second}");
        assert!(StateDir::open(Some(&temporary), "receiver").is_ok());
        drop(state);
        assert!(StateDir::open(Some(&temporary), "sender").is_ok());
        fs::remove_dir_all(temporary).unwrap();
    }
}
