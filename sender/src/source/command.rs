//! The command source: raw PCM from a program's standard output.
//!
//! The program runs in a process group of its own and is ended with all it has started. When it ends by itself it is
//! started again, after a while that doubles with each failure; what it says on standard error is in the log.

use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use unisono_common::config::sender::SourceConfig;
use unisono_common::format::{Format, RawFormat};
use unisono_host::clock;

use super::Source;
use super::backoff::Backoff;
use super::fifo::{Got, backlog, read_within, set_nonblocking};
use super::pipe::{LEVEL, PIECE, Pipe, frames};
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::raw_feed::RawFeed;
use super::status::State;

/// Between looks at a full queue.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a program may take to end when it is asked to, and then when it is killed.
const FAREWELL: Duration = Duration::from_secs(2);
/// After so long a program has ended, or never will.
pub(super) const LONGEST_END: Duration = FAREWELL.saturating_mul(2);
/// The longest line that the log takes from a program, in bytes, and how many a second.
const LONGEST_LINE: usize = 400;
const MOST_LINES: u32 = 20;

/// Sound kept between the program and the stream.
const LATENCY: Duration = Duration::from_millis(SourceConfig::PIPE_LATENCY_MS as u64);

/// A program and the way from it to the queue.
pub(super) struct Program {
    command: Vec<String>,
    /// What it is called in the log: not the shell that runs it.
    name: String,
    feed: RawFeed,
    /// Frames of the stream that [`LEVEL`] is.
    level: u64,
    buffer: Vec<u8>,
    backoff: Backoff,
}

impl Program {
    /// Those of a pipe whose latency is not given.
    pub(super) fn sizes() -> Sizes {
        Pipe::sizes(LATENCY)
    }

    /// Runs `command`, which writes PCM of format `written`.
    pub(super) fn new(command: &[String], written: RawFormat, stream: Format) -> Self {
        let feed = RawFeed::new(written, stream, LATENCY);
        let buffer = vec![0; feed.piece(PIECE)];
        let level = frames(LEVEL, stream.rate);
        Self { command: command.to_vec(), name: name(command), feed, level, buffer, backoff: Backoff::default() }
    }

    /// Runs the program once, to its end.
    fn run_once(&mut self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let began = clock::now();
        let mut running = match Running::start(&self.command, &self.name) {
            Ok(running) => running,
            Err(error) => return self.failed(format!("{} cannot be run: {error}", self.name), writer),
        };
        tracing::info!(program = self.name, pid = running.child.id(), "started");
        // Until it says something it has nothing to say.
        writer.set_state(State::Idle);
        let result = self.listen(&mut running, writer);
        let ended = running.end();
        self.feed.end(writer)?;
        result?;
        self.backoff.lasted(clock::now() - began);
        match ended {
            Some((status, last)) if status.success() => {
                tracing::info!(program = self.name, last, "ended");
                writer.set_state(State::Idle);
                writer.wait(self.backoff.next())
            }
            Some((status, last)) => self.failed(format!("{} {}{last}", self.name, outcome(status)), writer),
            None => self.failed(format!("{} cannot be ended", self.name), writer),
        }
    }

    /// Queues what the program writes, until it closes its output.
    fn listen(&mut self, running: &mut Running, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let Some(mut output) = running.child.stdout.take() else { return Ok(()) };
        set_nonblocking(output.as_raw_fd());
        loop {
            match writer.check() {
                Ok(()) => {}
                Err(Interrupt::Stop) => return Err(Interrupt::Stop),
                Err(_) => continue,
            }
            if writer.queued() >= self.level {
                writer.wait(PAUSE)?;
                continue;
            }
            match read_within(&mut output, &mut self.buffer, PIECE) {
                Ok(Got::Bytes(bytes)) => self.feed.push(&self.buffer[..bytes], backlog(output.as_raw_fd()), writer)?,
                Ok(Got::Silence) => self.feed.nothing(PIECE, writer)?,
                Ok(Got::NoWriter | Got::HungUp) | Err(_) => return Ok(()),
            }
        }
    }

    fn failed(&mut self, reason: String, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let pause = self.backoff.next();
        tracing::info!("tried again in {} s", pause.as_secs_f32());
        writer.set_state(State::Failed(reason));
        writer.wait(pause)
    }
}

impl Source for Program {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        while self.run_once(&mut writer) != Err(Interrupt::Stop) {}
    }
}

/// The program of a command: its first word, or that of the line which a shell is to run.
fn name(command: &[String]) -> String {
    match command {
        [shell, option, line] if shell == "sh" && option == "-c" => {
            line.split_whitespace().next().unwrap_or(line).to_owned()
        }
        _ => command[0].clone(),
    }
}

fn outcome(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// A program that runs; dropping it ends it, and all that it has started.
struct Running {
    child: Child,
    /// The last line it has said.
    said: Arc<Mutex<String>>,
    /// It was ended, or can't be: it is not tried twice.
    stopped: bool,
}

impl Running {
    fn start(words: &[String], name: &str) -> std::io::Result<Self> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: prctl is safe between fork and exec; it asks for a signal and touches no memory.
        unsafe {
            // If the sender is killed, nothing of it stays behind. The thread that starts it lives as long as it.
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        let said = Arc::<Mutex<String>>::default();
        if let Some(stderr) = child.stderr.take() {
            let (said, span, program) = (said.clone(), tracing::Span::current(), name.to_owned());
            let log = thread::Builder::new().name("src-log".to_owned());
            // Without the thread it is not heard, and plays.
            let _ = log.spawn(move || span.in_scope(|| log_lines(stderr, &program, &said)));
        }
        Ok(Self { child, said, stopped: false })
    }

    /// Ends it; how it went, and the last that it said.
    fn end(mut self) -> Option<(ExitStatus, String)> {
        let status = self.stop()?;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        Some((status, if said.is_empty() { String::new() } else { format!(": {said}") }))
    }

    fn stop(&mut self) -> Option<ExitStatus> {
        self.stopped = true;
        for (signal, patience) in [(libc::SIGTERM, FAREWELL), (libc::SIGKILL, FAREWELL)] {
            let until = clock::now() + patience.as_nanos() as i64;
            let mut asked = false;
            while clock::now() < until {
                if let Ok(Some(status)) = self.child.try_wait() {
                    // What it has started may live on: it is of no use to anybody.
                    self.kill(libc::SIGKILL);
                    return Some(status);
                }
                if !std::mem::replace(&mut asked, true) {
                    self.kill(signal);
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        None
    }

    /// Signals the whole group.
    fn kill(&self, signal: libc::c_int) {
        if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: no memory is involved; a group that is gone is no harm.
            unsafe { libc::kill(-group, signal) };
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.stopped {
            self.stop();
        }
    }
}

/// Puts what a program says into the log, line by line; what is too long or too much is left out.
fn log_lines(stderr: ChildStderr, program: &str, said: &Mutex<String>) {
    let (mut reader, mut line) = (BufReader::new(stderr), Vec::new());
    let (mut second, mut lines) = (clock::now(), 0);
    while let Ok(bytes) = std::io::Read::take(&mut reader, LONGEST_LINE as u64).read_until(b'\n', &mut line) {
        if bytes == 0 {
            return;
        }
        let text: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
        line.clear();
        if clock::now() - second > 1_000_000_000 {
            (second, lines) = (clock::now(), 0);
        }
        lines += 1;
        if text.trim().is_empty() || lines > MOST_LINES {
            continue;
        }
        tracing::info!(program, "{}", text.trim());
        text.trim().clone_into(&mut said.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
