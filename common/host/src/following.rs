//! A thread that follows a clock, whatever the protocol: how it is started, read and ended.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use unisono_common::clock::ClockMap;

use crate::published::{ClockReader, Published};
use crate::realtime;
use crate::stop::{self, StopHandle, StopSignal};

/// The running thread, and what it tells of itself. Dropping it ends the thread at once.
#[derive(Debug)]
pub struct Following<Status> {
    published: Arc<Published>,
    status: Arc<Mutex<Status>>,
    stop: Option<StopHandle>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's end of it.
#[derive(Debug)]
pub struct Teller<Status> {
    published: Arc<Published>,
    status: Arc<Mutex<Status>>,
}

impl<Status: Copy + Default + Send + 'static> Following<Status> {
    /// Starts a thread `name` that does `work` until it is told to stop.
    ///
    /// `priority` is its real-time priority; 0, or where that is refused: ordinary scheduling.
    ///
    /// # Errors
    /// No thread or no signal could be made.
    pub fn spawn<Work>(name: &str, priority: u8, work: Work) -> io::Result<Self>
    where
        Work: FnOnce(Teller<Status>, &StopSignal) + Send + 'static,
    {
        let (published, status) = (Arc::<Published>::default(), Arc::<Mutex<Status>>::default());
        let (stop, signal) = stop::pair()?;
        let teller = Teller { published: Arc::clone(&published), status: Arc::clone(&status) };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if priority > 0 {
                match realtime::raise(priority) {
                    Ok(got) => tracing::debug!(?got, "clock"),
                    Err(error) => tracing::info!("the clock is followed without real-time priority: {error}"),
                }
            }
            work(teller, &signal);
        })?;
        Ok(Self { published, status, stop: Some(stop), thread: Some(thread) })
    }

    /// A way to read the map from any thread.
    pub fn reader(&self) -> ClockReader {
        ClockReader::new(Arc::clone(&self.published))
    }

    /// How the clock is followed.
    pub fn status(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Status> Drop for Following<Status> {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It can only have failed by a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

impl<Status: Copy> Teller<Status> {
    /// Replaces the map.
    pub fn publish(&self, map: &ClockMap) {
        self.published.publish(map);
    }

    /// Shows how the clock is followed. Whoever reads that never holds up the clock: then it is shown the next time.
    pub fn show(&self, status: &Status) {
        if let Ok(mut shown) = self.status.try_lock() {
            *shown = *status;
        }
    }
}

/// Which request each numbered packet on its way out is, the last `N` of them.
#[derive(Debug)]
pub struct Departures<const N: usize>([Option<(u32, u32)>; N]);

impl<const N: usize> Default for Departures<N> {
    fn default() -> Self {
        Self([None; N])
    }
}

impl<const N: usize> Departures<N> {
    /// The packet of this number is this request.
    pub fn note(&mut self, packet: u32, request: u32) {
        self.0[packet as usize % N] = Some((packet, request));
    }

    /// Which request a packet was.
    pub fn request(&self, packet: u32) -> Option<u32> {
        self.0[packet as usize % N].filter(|of| of.0 == packet).map(|of| of.1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_tells_and_ends() {
        let following = Following::<u32>::spawn("test", 0, |teller, stop| {
            teller.show(&7);
            while !stop.is_raised() {
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
        while following.status() != 7 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(following.reader().read().is_none());
        drop(following);
    }

    #[test]
    fn a_departure_is_forgotten_when_its_place_is_taken() {
        let mut departures = Departures::<4>::default();
        departures.note(6, 60);
        assert_eq!((departures.request(6), departures.request(2)), (Some(60), None));
        departures.note(10, 100);
        assert_eq!((departures.request(6), departures.request(10)), (None, Some(100)));
    }
}
