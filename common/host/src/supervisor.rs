//! What a service tells the manager that started it (systemd's `sd_notify(3)`): that it serves, that it ends, and that
//! its work is being done. Without such a manager all of this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use unisono_common::time::LocalTime;

/// How many times the watchdog is fed before it would bite.
const FEEDS: u32 = 4;

/// Work that has shown no sign of life for so long hangs.
const HANGS_NS: i64 = 2_000_000_000;

/// It serves: what it was started for can be had from now on. `status` is the line that `systemctl status` shows.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// It has been asked to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The line that `systemctl status` shows, also after it has ended.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(&line(status))]);
}

/// The configuration is being read again, until [`ready`] is told.
pub fn reloading() {
    tell(&[NotifyState::Reloading]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Nobody listens outside of systemd, and nothing can be done about a manager that does not take it.
    let _ = sd_notify::notify(states);
}

/// The protocol separates its fields by line ends.
fn line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

/// The manager's watchdog (`WatchdogSec=`), which starts the service anew unless it is fed. Where there is none it eats
/// nothing.
#[derive(Debug)]
pub struct Watchdog {
    every_ns: Option<i64>,
    fed: LocalTime,
    /// When the work was last seen being done.
    beat: LocalTime,
}

impl Watchdog {
    /// The watchdog of this process.
    pub fn of_this_process(now: LocalTime) -> Self {
        Self::new(sd_notify::watchdog_enabled(), now)
    }

    fn new(bites_after: Option<Duration>, now: LocalTime) -> Self {
        let every = |bites_after: Duration| i64::try_from((bites_after / FEEDS).as_nanos()).unwrap_or(i64::MAX);
        Watchdog { every_ns: bites_after.map(every), fed: now, beat: now }
    }

    /// To be called again and again; `at_work`: the work that the service stands for has been seen since the last call.
    pub fn tick(&mut self, at_work: bool, now: LocalTime) {
        if self.is_due(at_work, now) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    fn is_due(&mut self, at_work: bool, now: LocalTime) -> bool {
        if at_work {
            self.beat = now;
        }
        let due = self.every_ns.is_some_and(|every| now - self.fed >= every) && now - self.beat < HANGS_NS;
        if due {
            self.fed = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> LocalTime {
        LocalTime::from_ns(ms * 1_000_000)
    }

    fn fed(watchdog: &mut Watchdog, at_work: impl Fn(i64) -> bool) -> Vec<i64> {
        (0..10_000).step_by(50).filter(|&ms| watchdog.is_due(at_work(ms), at(ms))).collect()
    }

    #[test]
    fn is_fed_four_times_before_it_bites() {
        let mut watchdog = Watchdog::new(Some(Duration::from_secs(10)), at(0));
        assert_eq!(fed(&mut watchdog, |_| true), [2_500, 5_000, 7_500]);
        assert!(fed(&mut Watchdog::new(None, at(0)), |_| true).is_empty());
    }

    #[test]
    fn is_not_fed_once_the_work_hangs() {
        let mut watchdog = Watchdog::new(Some(Duration::from_secs(10)), at(0));
        assert_eq!(fed(&mut watchdog, |ms| ms < 4_000), [2_500, 5_000]);
        let mut watchdog = Watchdog::new(Some(Duration::from_secs(10)), at(0));
        assert_eq!(fed(&mut watchdog, |ms| !(1_000..6_000).contains(&ms)), [2_500, 6_000, 8_500]);
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(line("a.toml:1: this\na.toml:2: that"), "a.toml:1: this; a.toml:2: that");
    }
}
