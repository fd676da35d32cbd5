//! Where both daemons log: standard error, for people and for journald, which stamps its lines by itself and takes their
//! level from a prefix (`sd-daemon(3)`), so that `journalctl -p warning` finds what is worth a look.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Begins to log: what `RUST_LOG` says, else `usual`.
pub fn to_stderr(usual: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    if to_journal() {
        let lines = format::format().without_time().with_level(false).with_target(false).with_ansi(false);
        log.with_ansi(false).event_format(Prefixed(lines)).init();
    } else {
        log.with_ansi(io::stderr().is_terminal()).init();
    }
}

/// Whether standard error is the journal's, which is kept and read by others: no place for a secret. systemd names the
/// stream's device and inode in `JOURNAL_STREAM` (`systemd.exec(5)`), which a child whose standard error is another
/// inherits too.
pub fn to_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned().map(File::from) else { return false };
    stderr.metadata().is_ok_and(|stream| named == format!("{}:{}", stream.dev(), stream.ino()))
}

/// Lines that begin with their level, as journald reads it.
struct Prefixed<F>(F);

impl<S, N, F> FormatEvent<S, N> for Prefixed<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(to, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, to, event)
    }
}

/// Of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}
