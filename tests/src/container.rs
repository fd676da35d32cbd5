//! A Debian system that boots under its own systemd, in namespaces (systemd-nspawn): what a fresh machine is to a package.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::truth;

/// What a fresh Raspberry Pi OS has beside systemd, as far as the packages need it.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,procps,libasound2,adduser,init-system-helpers";

/// How long a machine may take to boot, or to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// `systemctl reboot` ends systemd-nspawn with this.
const REBOOTED: i32 = 133;

/// A root file system of Debian 12, packed; made at `path` if it is not there.
///
/// # Errors
/// when mmdebstrap is not there, or finds no packages.
pub fn debian(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = path.with_extension("new.tar");
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", &format!("--include={PACKAGES}"), "bookworm"]).arg(&unfinished);
    finished(&mut command)?;
    Ok(fs::rename(unfinished, path)?)
}

/// Runs a program to its end.
///
/// # Errors
/// when it can't be started or fails, with what it said.
pub fn finished(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| name.clone())?;
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    ensure!(output.status.success(), "{name}: {}\n{said}", output.status);
    Ok(said)
}

/// A machine.
#[derive(Debug)]
pub struct Container {
    /// Its root file system.
    pub root: PathBuf,
    name: String,
    namespace: PathBuf,
    nspawn: Option<Child>,
}

impl Container {
    /// A machine of this host name, with the files of `base` in `root`, on the network of `namespace`; not booted.
    ///
    /// # Errors
    /// when the files can't be unpacked.
    pub fn new(base: &Path, root: &Path, name: &str, namespace: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(root)?;
        finished(Command::new("tar").arg("-xf").arg(base).arg("-C").arg(root))?;
        fs::write(root.join("etc/hostname"), format!("{name}\n"))?;
        // Made at its first start, as on a new machine.
        fs::write(root.join("etc/machine-id"), "")?;
        Ok(Container { root: root.into(), name: name.into(), namespace: namespace.into(), nspawn: None })
    }

    /// Runs a command in the files of a machine that is not booted.
    ///
    /// # Errors
    /// when it fails.
    pub fn prepare(&self, command: &str) -> anyhow::Result<String> {
        finished(Command::new("chroot").arg(&self.root).args(["sh", "-c", command]).env("PATH", PATHS))
    }

    /// Boots it, and waits until systemd says that it has.
    ///
    /// # Errors
    /// when it does not come up.
    pub fn boot(&mut self) -> anyhow::Result<String> {
        let log = File::options().create(true).append(true).open(self.root.with_extension("log"))?;
        let parent = std::process::id();
        let mut command = Command::new("systemd-nspawn");
        command
            .args(["--quiet", "--register=no", "--keep-unit", "--console=pipe", "--boot", "--resolv-conf=off"])
            .arg(format!("--machine={}", self.name))
            .arg(format!("--directory={}", self.root.display()))
            .arg(format!("--network-namespace-path={}", self.namespace.display()))
            // As on any machine with a sound card: real-time priority and locked memory are systemd's to give.
            .arg("--capability=CAP_SYS_NICE,CAP_IPC_LOCK,CAP_SYS_RESOURCE")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe { command.pre_exec(move || crate::processes::die_with(parent)) };
        self.nspawn = Some(command.spawn().context("systemd-nspawn")?);
        let state = || {
            let state = self.run("systemctl is-system-running").ok()?.1;
            ["running", "degraded"].contains(&state.trim()).then_some(state)
        };
        truth::wait_for(PATIENCE, state).with_context(|| {
            format!(
                "{} does not boot: {}",
                self.name,
                fs::read_to_string(self.root.with_extension("log")).unwrap_or_default()
            )
        })
    }

    /// Runs a command in it; its exit status and all that it said.
    ///
    /// # Errors
    /// when it is not up.
    pub fn run(&self, command: &str) -> anyhow::Result<(ExitStatus, String)> {
        let leader = self.leader().with_context(|| format!("{} is not up", self.name))?;
        let output = Command::new("nsenter")
            .args(["-t", &leader.to_string(), "-m", "-u", "-i", "-n", "-p", "--root", "env", "-i", "-C", "/"])
            .args([&format!("PATH={PATHS}"), "TERM=dumb", "SYSTEMD_PAGER=", "sh", "-c", command])
            .stdin(Stdio::null())
            .output()?;
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
        Ok((output.status, said))
    }

    /// Restarts it from within.
    ///
    /// # Errors
    /// when it does not end, or not come up again.
    pub fn reboot(&mut self) -> anyhow::Result<String> {
        self.run("systemctl reboot")?;
        let nspawn = self.nspawn.as_mut().context("it is not up")?;
        let ended = truth::wait_for(PATIENCE, || nspawn.try_wait().ok().flatten()).context("it does not end")?;
        ensure!(ended.code() == Some(REBOOTED), "it ended otherwise: {ended}");
        self.nspawn = None;
        self.boot()
    }

    /// Process 1 of the machine, as seen from here.
    fn leader(&self) -> Option<u32> {
        let nspawn = self.nspawn.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        let is_first = |id: &u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            ids.is_some_and(|ids| ids.split_whitespace().count() > 1 && ids.split_whitespace().last() == Some("1"))
        };
        children.split_whitespace().filter_map(|id| id.parse().ok()).find(is_first)
    }
}

const PATHS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(leader) = self.leader() {
            // SAFETY: process 1 of our own machine; with it all of the machine ends.
            unsafe { libc::kill(leader as libc::pid_t, libc::SIGKILL) };
        }
        if let Some(mut nspawn) = self.nspawn.take() {
            if truth::wait_for(Duration::from_secs(10), || nspawn.try_wait().ok().flatten()).is_none() {
                let _ = nspawn.kill();
            }
            let _ = nspawn.wait();
        }
    }
}
