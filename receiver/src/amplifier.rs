//! The line that switches a room's amplifier: on as soon as there is something to play, off when the room idles. While the
//! amplifier settles the room is silent, so that what it does to itself is all that is heard of it.

use unisono_common::config::receiver::AmplifierConfig;
use unisono_common::time::LocalTime;
use unisono_host::gpio::{GpioError, OutputLine};

/// An amplifier.
#[derive(Debug)]
pub struct Amplifier {
    line: OutputLine,
    settling: Settling,
}

impl Amplifier {
    /// The configured one, off.
    ///
    /// # Errors
    /// when its line can't be had.
    pub fn take(config: &AmplifierConfig) -> Result<Self, GpioError> {
        let line = OutputLine::take(&config.chip, config.line, config.active_low)?;
        Ok(Amplifier { line, settling: Settling::new(config.settle_ms) })
    }

    /// Switches it.
    pub fn switch(&mut self, on: bool, now: LocalTime) {
        if let Err(error) = self.line.set(on) {
            tracing::warn!("the amplifier can't be switched: {error}");
        }
        self.settling.switched(on, now);
    }

    /// Whether it may hear something.
    pub fn listens(&self, now: LocalTime) -> bool {
        self.settling.is_over(now)
    }
}

impl Drop for Amplifier {
    /// A room that ends has nothing to play: what the line is left at stays.
    fn drop(&mut self) {
        if let Err(error) = self.line.set(false) {
            tracing::debug!("the amplifier can't be switched off: {error}");
        }
    }
}

/// From switching on to hearing. (P)
#[derive(Clone, Copy, Debug)]
struct Settling {
    takes_ns: i64,
    /// When it was switched on; `None` while it is off.
    on: Option<LocalTime>,
}

impl Settling {
    fn new(takes_ms: u32) -> Self {
        Settling { takes_ns: i64::from(takes_ms) * 1_000_000, on: None }
    }

    fn switched(&mut self, on: bool, now: LocalTime) {
        self.on = on.then(|| self.on.unwrap_or(now));
    }

    fn is_over(&self, now: LocalTime) -> bool {
        self.on.is_some_and(|on| now - on >= self.takes_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amplifier_hears_once_it_has_settled_and_not_while_it_is_off() {
        let at = |ms: i64| LocalTime::from_ns(ms * 1_000_000);
        let mut settling = Settling::new(300);
        assert!(!settling.is_over(at(0)));
        settling.switched(true, at(100));
        settling.switched(true, at(200));
        assert!(!settling.is_over(at(399)) && settling.is_over(at(400)));
        settling.switched(false, at(500));
        assert!(!settling.is_over(at(5_000)));
    }
}
