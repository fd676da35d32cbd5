//! Streams that announce themselves by SAP, as a thread that tells of each change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use unisono_common::sap::{self, Directory};
use unisono_common::sdp;
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, MulticastReceiver};
use unisono_host::stop::{self, StopHandle, StopSignal};

/// The thread waits on the first group; the other, with its rarer announcements, is looked at this often.
const LOOK_NS: i64 = 250_000_000;

/// Without an announcement for so long (the rarest come every 30 s) a group is joined anew: a switch may have forgotten us,
/// or the interface be another one.
const REJOIN_NS: i64 = 40_000_000_000;

/// The sessions that are announced now, whenever that changed.
pub type Sessions = Vec<Arc<sdp::Session>>;

/// The running thread.
#[derive(Debug)]
pub struct Discovery {
    bogus: Arc<AtomicU64>,
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

/// Why announcements can't be heard.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The groups can't be joined.
    #[error(transparent)]
    Multicast(#[from] MulticastError),
    /// No thread.
    #[error("no thread to listen for streams: {0}")]
    Thread(#[from] std::io::Error),
}

impl Discovery {
    /// Listens on this interface; `preferred` is a stream that must be found whatever else is announced.
    ///
    /// # Errors
    /// when the groups can't be joined.
    pub fn spawn(
        interface: &Interface,
        preferred: Option<String>,
        changed: impl Fn(Sessions) + Send + 'static,
    ) -> Result<Self, DiscoveryError> {
        let join = |group| MulticastReceiver::join(SocketAddr::new(group, sap::PORT), interface);
        let sockets = [join(sap::GROUP_PULSE.into())?, join(sap::GROUP_LOCAL.into())?];
        let (stop, signal) = stop::pair()?;
        let mut directory = Directory::default();
        directory.prefer(preferred);
        let bogus = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&bogus);
        let thread = std::thread::Builder::new()
            .name("discover".into())
            .spawn(move || listen(sockets, directory, &signal, &counted, changed))?;
        Ok(Self { bogus, stop: Some(stop), thread: Some(thread) })
    }

    /// Packets so far that were no announcements; goes on counting.
    pub fn bogus(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bogus)
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// So many announcements are read before it is seen whether this is to end: a flood does not keep the thread.
const MOST_AT_ONCE: usize = 256;

fn listen(
    mut sockets: [MulticastReceiver; 2],
    mut directory: Directory,
    stop: &StopSignal,
    bogus: &AtomicU64,
    changed: impl Fn(Sessions),
) {
    let mut buffer = [0; 4_096];
    let mut heard = [clock::now(); 2];
    while !stop.is_raised() {
        let _ = sockets[0].wait(clock::now() + LOOK_NS, Some(stop));
        let mut news = false;
        for (socket, heard) in sockets.iter_mut().zip(&mut heard) {
            if clock::now() - *heard > REJOIN_NS {
                *heard = clock::now();
                if let Err(error) = socket.revive() {
                    tracing::debug!("can't listen for announcements again: {error}");
                }
            }
            for _ in 0..MOST_AT_ONCE {
                let Ok(Some(received)) = socket.receive(&mut buffer) else { break };
                *heard = received.stamp.at;
                match directory.receive(&buffer[..received.len], clock::now()) {
                    Ok(events) => news |= !events.is_empty(),
                    Err(error) => tracing::debug!("announcement from {}: {error}", received.from),
                }
            }
        }
        bogus.store(directory.bogus(), Ordering::Relaxed);
        news |= !directory.expire(clock::now()).is_empty();
        if news {
            changed(directory.sessions());
        }
    }
}
