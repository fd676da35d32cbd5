//! Programs that run beside the rig: on a host of the house, with real-time priority, their logs kept, never outliving it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::instruments::Environment;
use crate::{namespaces, truth};

/// Priority of everything that plays, SCHED_FIFO; without it the machine's other work is what would be measured.
pub const PLAYER_PRIORITY: i32 = 20;

/// How to start a program.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Name of its log, NAME.log.
    pub name: &'a str,
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Added to its environment.
    pub environment: Environment,
    /// The network namespace that it runs in.
    pub namespace: Option<PathBuf>,
    /// SCHED_FIFO priority, where the rig may give it.
    pub priority: Option<i32>,
    /// Where its log goes.
    pub logs: &'a Path,
}

/// A running program; killed when dropped, and by the kernel when the rig dies.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    started_ns: i64,
    /// CPU time when the meter was last set to zero, in seconds, and when that was.
    zero: (f64, i64),
}

/// What a program took.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Usage {
    /// Share of one core, in percent.
    pub cpu_percent: f64,
    /// Resident memory, in kilobytes.
    pub rss_kb: u64,
}

/// Why a program can't be started.
#[derive(Debug, thiserror::Error)]
#[error("{program}: {source}")]
pub struct LaunchError {
    program: PathBuf,
    source: std::io::Error,
}

impl Process {
    /// Starts a program. Output and errors go to its log.
    pub fn start(launch: Launch) -> Result<Process, LaunchError> {
        let error = |source| LaunchError { program: launch.program.into(), source };
        let log = launch.logs.join(launch.name).with_extension("log");
        let out = File::options().create(true).append(true).open(&log).map_err(error)?;
        let err = out.try_clone().map_err(error)?;
        let mut command = Command::new(launch.program);
        command.args(&launch.arguments).envs(launch.environment.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let namespace = launch.namespace.as_deref().map(namespaces::open).transpose().map_err(error)?;
        let priority = launch.priority;
        let parent = std::process::id();
        let prepare = move || {
            if let Some(namespace) = &namespace {
                namespaces::enter(namespace)?;
            }
            die_with(parent)?;
            if let Some(priority) = priority {
                let _ = real_time(priority);
            }
            Ok(())
        };
        // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock is taken.
        unsafe { command.pre_exec(prepare) };
        let started_ns = truth::now_ns();
        let child = command.spawn().map_err(error)?;
        Ok(Process { child, log, started_ns, zero: (0.0, started_ns) })
    }

    /// True time just before it was started.
    pub fn started_ns(&self) -> i64 {
        self.started_ns
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Waits until its log holds `text`; false when it ends before that or takes longer than `timeout`.
    pub fn wait_for_log(&mut self, text: &str, timeout: Duration) -> bool {
        let said = |p: &Process| p.log().contains(text);
        truth::wait_for(timeout, || (said(self) || !self.is_running()).then_some(())).is_some() && said(self)
    }

    /// It has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; None if it takes longer than `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        truth::wait_for(timeout, || self.child.try_wait().ok().flatten())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for unless it has ended, and then the id names a zombie of ours or nothing.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// Ends it with SIGTERM, and with SIGKILL if that takes more than three seconds. None if it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        if self.is_running() {
            self.signal(libc::SIGTERM);
        }
        let end_ns = truth::now_ns() + 3_000_000_000;
        while truth::now_ns() < end_ns {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }

    /// Sets its CPU meter to zero.
    pub fn reset_usage(&mut self) {
        self.zero = (self.cpu_s(), truth::now_ns());
    }

    /// CPU since the meter was set to zero (or the start), and memory now.
    pub fn usage(&self) -> Usage {
        let elapsed_s = (truth::now_ns() - self.zero.1) as f64 / 1e9;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        Usage { cpu_percent: (self.cpu_s() - self.zero.0) / elapsed_s.max(1e-3) * 100.0, rss_kb: rss.unwrap_or(0) }
    }

    fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // After the name in parentheses: state is field 0, utime 11, stime 12, in hundredths of a second.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = |field| rest.split_whitespace().nth(field).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The calling process is killed when its parent, or the thread of it that started it, ends.
pub(crate) fn die_with(parent: u32) -> std::io::Result<()> {
    // SAFETY: both calls only take numbers.
    let (set, now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
    match (set, now as u32 == parent) {
        (0, true) => Ok(()),
        _ => Err(std::io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// SCHED_FIFO for the calling thread.
pub fn real_time(priority: i32) -> std::io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: `parameters` lives through the call; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
