//! What waits for a thread that writes: what is newer takes the place of what is older, so that never more waits than there
//! is to be kept, however slow the disk is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One letter, written on until it is taken.
#[derive(Debug, Default)]
pub(crate) struct Mailbox<T> {
    inside: Mutex<Inside<T>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside<T> {
    waiting: Option<T>,
    /// What was taken last is not done with.
    busy: bool,
    closed: bool,
}

impl<T: Default> Mailbox<T> {
    /// Changes what waits; nothing once it is closed.
    pub(crate) fn put(&self, change: impl FnOnce(&mut T)) {
        let mut inside = self.inside();
        if !inside.closed {
            change(inside.waiting.get_or_insert_default());
            self.changed.notify_all();
        }
    }

    /// Does with it what is to be done, each time that there is something, until it is closed and empty.
    pub(crate) fn serve(&self, mut work: impl FnMut(T)) {
        let _end = End(self);
        while let Some(letter) = self.take() {
            work(letter);
        }
    }

    /// Nothing more is put in; what waits is still done.
    pub(crate) fn close(&self) {
        self.inside().closed = true;
        self.changed.notify_all();
    }

    /// Nobody takes anything any more: what waits is dropped.
    pub(crate) fn abandon(&self) {
        *self.inside() = Inside { waiting: None, busy: false, closed: true };
        self.changed.notify_all();
    }

    /// Waits until all that was put in is done, at most for so long.
    pub(crate) fn settle(&self, patience: Duration) {
        let inside = self.inside();
        drop(self.changed.wait_timeout_while(inside, patience, |inside| inside.busy || inside.waiting.is_some()));
    }

    fn take(&self) -> Option<T> {
        let mut inside = self.inside();
        inside.busy = false;
        self.changed.notify_all();
        let idle = |inside: &mut Inside<T>| inside.waiting.is_none() && !inside.closed;
        let mut inside = self.changed.wait_while(inside, idle).unwrap_or_else(PoisonError::into_inner);
        inside.busy = inside.waiting.is_some();
        inside.waiting.take()
    }

    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However the work ends, nobody goes on waiting for it.
struct End<'a, T: Default>(&'a Mailbox<T>);

impl<T: Default> Drop for End<'_, T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_takes_the_place_of_what_waits_and_all_is_done_before_the_end() {
        let mailbox = Mailbox::<Vec<u32>>::default();
        mailbox.put(|letter| *letter = vec![1]);
        mailbox.put(|letter| *letter = vec![2]);
        mailbox.put(|letter| letter.push(3));
        mailbox.close();
        mailbox.put(|letter| letter.push(4));
        let mut done = Vec::new();
        mailbox.serve(|letter| done.push(letter));
        assert_eq!(done, [[2, 3]]);
    }

    #[test]
    fn who_waits_for_the_work_waits_for_all_of_it_and_not_for_one_who_has_left() {
        let (mailbox, done) = (Mailbox::<u32>::default(), Mutex::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| mailbox.serve(|letter| *done.lock().unwrap() = letter));
            mailbox.put(|letter| *letter = 7);
            mailbox.settle(Duration::from_secs(60));
            assert_eq!(*done.lock().unwrap(), 7);
            mailbox.close();
        });
        mailbox.put(|letter| *letter = 8);
        mailbox.settle(Duration::from_secs(60));
        assert_eq!(*done.lock().unwrap(), 7);
    }
}
