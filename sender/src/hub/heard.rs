//! Streams of other senders, heard by their announcements.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use unisono_common::sap::{self, Directory};
use unisono_common::sdp::Session;
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::MulticastReceiver;
use unisono_host::stop::{self, StopHandle, StopSignal};

/// The thread waits on the first group; the others are looked at this often.
const LOOK_NS: i64 = 500_000_000;

/// Without an announcement for so long (our own come back, every 30 s at least) a group is joined anew: a switch may have
/// forgotten us, or the interface be another one.
const REJOIN_NS: i64 = 40_000_000_000;

/// The running thread that listens.
#[derive(Debug)]
pub(super) struct Ear {
    sessions: Sessions,
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

/// What is announced now; clones show the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    sessions: Vec<Arc<Session>>,
    bogus: u64,
}

impl Sessions {
    pub(super) fn now(&self) -> Vec<Arc<Session>> {
        self.heard().sessions.clone()
    }

    /// Packets so far that were no announcements.
    pub(super) fn bogus(&self) -> u64 {
        self.heard().bogus
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// Listens on an interface.
    pub(super) fn open(interface: &Interface) -> io::Result<Self> {
        let join =
            |group| MulticastReceiver::join(SocketAddr::new(group, sap::PORT), interface).map_err(io::Error::other);
        // PulseAudio and PipeWire announce to the last alone.
        let sockets = [sap::GROUP_LOCAL, sap::GROUP_GLOBAL, sap::GROUP_PULSE].map(|group| join(group.into()));
        let sockets = sockets.into_iter().collect::<io::Result<Vec<_>>>()?;
        let (stop, signal) = stop::pair()?;
        let sessions = Sessions::default();
        let told = sessions.clone();
        let thread = std::thread::Builder::new().name("hear".into()).spawn(move || listen(sockets, &signal, &told))?;
        Ok(Ear { sessions, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(mut sockets: Vec<MulticastReceiver>, stop: &StopSignal, told: &Sessions) {
    /// A page that shows more is of no use to anybody.
    const SHOWN: usize = 32;
    /// Packets of one group in one turn, so that a flood of them doesn't starve the others.
    const AT_ONCE: usize = 64;
    let mut directory = Directory::default();
    let mut buffer = [0; 4096];
    let mut heard = vec![clock::now(); sockets.len()];
    while !stop.is_raised() {
        let now = clock::now();
        let _ = sockets[0].wait(now + LOOK_NS, Some(stop));
        directory.expire(clock::now());
        for (socket, heard) in sockets.iter_mut().zip(&mut heard) {
            if clock::now() - *heard > REJOIN_NS {
                *heard = clock::now();
                if let Err(error) = socket.revive() {
                    tracing::debug!("can't listen for announcements again: {error}");
                }
            }
            for _ in 0..AT_ONCE {
                let Ok(Some(received)) = socket.receive(&mut buffer) else { break };
                *heard = received.stamp.at;
                // What is no announcement is counted there, and none of ours.
                let _ = directory.receive(&buffer[..received.len], clock::now());
            }
        }
        *told.heard() = Heard { sessions: directory.steadiest(SHOWN), bogus: directory.bogus() };
    }
}
