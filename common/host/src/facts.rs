//! What `doctor` looks at: files of the kernel and the system, and what drivers tell. Nothing is changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use unisono_common::doctor::machine::{Disk, Firewall, Limits, Machine, MayOpen, Nic};

use crate::interface::Interface;
use crate::nic;

/// Where the files are: a test has a root of its own.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Root("/".into())
    }
}

impl Root {
    /// Files below this directory.
    pub fn at(path: &Path) -> Self {
        Root(path.to_owned())
    }

    /// A file's text without the space around it, if it can be read and is not empty.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        // The device tree ends its strings as C does.
        let text = String::from_utf8_lossy(&bytes).trim_end_matches('\0').trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Names in a directory.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

/// Looks at this machine: for the daemon of this name (its limits are looked at if it runs), on this interface, with its
/// state in this directory.
pub fn machine(root: &Root, daemon: &str, interface: Option<&Interface>, state: &Path) -> Machine {
    Machine {
        raspberry_pi: on_raspberry_pi(root),
        cards: Some(may_open_cards(root)),
        limits: limits(root, daemon),
        governors: governors(root),
        throttled: throttled(root),
        nic: interface.map(|interface| nic_of(root, interface)),
        igmp_version: interface.and_then(|interface| igmp_version(&root.text("proc/net/igmp")?, &interface.name)),
        firewall: firewall(root),
        disk: disk(state),
    }
}

/// Whether this is a Raspberry Pi.
pub fn on_raspberry_pi(root: &Root) -> bool {
    root.text("sys/firmware/devicetree/base/model").is_some_and(|model| model.contains("Raspberry Pi"))
}

/// Runs a program that tells something; its output, if there is such a program and it succeeds.
pub fn tells(program: &str, arguments: &[&str]) -> Option<String> {
    // Where administrators' programs are, users do not look.
    let places = [program.to_owned(), format!("/usr/sbin/{program}")];
    let run =
        |place: &String| Command::new(place).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok();
    let output = places.iter().find_map(run)?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether this machine has the user of the service.
pub fn has_service_user(root: &Root) -> bool {
    root.text("etc/passwd").is_some_and(|users| users.lines().any(|line| line.starts_with("unisono:")))
}

/// Whether the service's user, or who asks if there is none, is in a group; `None`: there is no such group. Root is in all.
pub fn is_in_group(root: &Root, group: &str) -> Option<bool> {
    let groups = root.text("etc/group")?;
    let line = groups.lines().find(|line| line.split(':').next() == Some(group))?;
    let (gid, members) = group_line(line)?;
    if has_service_user(root) {
        return Some(members.split(',').any(|member| member == "unisono"));
    }
    // SAFETY: has no preconditions.
    Some(unsafe { libc::geteuid() } == 0 || in_group(gid))
}

/// Of the service, if it is there: its user is what matters then. Else of this process.
fn may_open_cards(root: &Root) -> MayOpen {
    let own = || std::env::var("USER").unwrap_or_else(|_| "$USER".into());
    let user = if has_service_user(root) { "unisono".into() } else { own() };
    // Without the group there is no such rule here.
    MayOpen { user, allowed: is_in_group(root, "audio").unwrap_or(true) }
}

/// Id and members of a group, from its line in /etc/group.
fn group_line(line: &str) -> Option<(libc::gid_t, &str)> {
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?))
}

fn in_group(gid: libc::gid_t) -> bool {
    let mut groups = [0; 128];
    // SAFETY: as many places as said.
    let count = unsafe { libc::getgroups(groups.len() as libc::c_int, groups.as_mut_ptr()) };
    groups.iter().take(count.max(0) as usize).any(|group| *group == gid)
}

/// Of the daemon if it runs, else of this process.
fn limits(root: &Root, daemon: &str) -> Option<Limits> {
    let is_daemon = |id: &String| {
        let command = root.text(&format!("proc/{id}/cmdline")).unwrap_or_default();
        let mut words = command.split('\0');
        let ends = |word: &str| Path::new(word).file_name().is_some_and(|name| name == daemon);
        // Not this very command.
        words.next().is_some_and(ends) && words.next().is_none_or(|word| word != "doctor")
    };
    let ids = root.names("proc");
    let running = ids.iter().filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())).find(|id| is_daemon(id));
    let (id, whose) = match running {
        Some(id) => (id.as_str(), "the running service"),
        None => ("self", "this shell; the service has its own"),
    };
    let table = root.text(&format!("proc/{id}/limits"))?;
    let limit = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name))?;
        let soft = line[name.len()..].split_whitespace().next()?;
        if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
    };
    let (rtprio, memlock) = (limit("Max realtime priority")?, limit("Max locked memory")?);
    Some(Limits { whose: whose.into(), rtprio, memlock })
}

fn governors(root: &Root) -> Vec<String> {
    let cpus = root.names("sys/devices/system/cpu/cpufreq");
    cpus.iter().filter_map(|cpu| root.text(&format!("sys/devices/system/cpu/cpufreq/{cpu}/scaling_governor"))).collect()
}

/// From the firmware's file, else from the alarm of the voltage sensor, else from the Pi's own tool.
fn throttled(root: &Root) -> Option<u32> {
    if let Some(text) = root.text("sys/devices/platform/soc/soc:firmware/get_throttled") {
        return u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    }
    let sensors = root.names("sys/class/hwmon");
    let volt = |sensor: &&String| root.text(&format!("sys/class/hwmon/{sensor}/name")).is_some_and(|n| n == "rpi_volt");
    if let Some(sensor) = sensors.iter().find(volt) {
        return root.text(&format!("sys/class/hwmon/{sensor}/in0_lcrit_alarm"))?.parse().ok();
    }
    let told = tells("vcgencmd", &["get_throttled"]).filter(|_| on_raspberry_pi(root))?;
    u32::from_str_radix(told.trim().strip_prefix("throttled=0x")?, 16).ok()
}

fn nic_of(root: &Root, interface: &Interface) -> Nic {
    let name = &interface.name;
    let wireless =
        root.has(&format!("sys/class/net/{name}/wireless")) || root.has(&format!("sys/class/net/{name}/phy80211"));
    // Kernels without the older wireless extensions tell it to iw alone.
    let iw = || Some(tells("iw", &["dev", name, "get", "power_save"])?.contains("Power save: on"));
    Nic {
        name: name.clone(),
        wireless,
        power_save: nic::power_save(name).or_else(|| if wireless { iw() } else { None }),
        eee: nic::eee(name),
        mtu: root.text(&format!("sys/class/net/{name}/mtu")).and_then(|mtu| mtu.parse().ok()),
        stamps: nic::stamps(name),
        address: interface.running && interface.ipv4.is_some(),
    }
}

/// The version in a table as /proc/net/igmp shows it: `2\teth0      :     1      V3`.
fn igmp_version(table: &str, interface: &str) -> Option<u8> {
    let of = |line: &&str| line.split_whitespace().nth(1).is_some_and(|name| name.trim_end_matches(':') == interface);
    table.lines().find(of)?.split_whitespace().last()?.strip_prefix('V')?.parse().ok()
}

fn firewall(root: &Root) -> Firewall {
    Firewall {
        ufw: root.text("etc/ufw/ufw.conf").is_some_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes")),
        firewalld: root.has("run/firewalld"),
        // SAFETY: has no preconditions.
        ruleset: tells("nft", &["list", "ruleset"]).filter(|_| unsafe { libc::geteuid() } == 0),
    }
}

/// Of the directory, or of the nearest above it that is there.
fn disk(state: &Path) -> Option<Disk> {
    let there = state.ancestors().find(|path| path.exists())?;
    let name = std::ffi::CString::new(there.as_os_str().as_encoded_bytes()).ok()?;
    // SAFETY: all zeros is a valid value.
    let mut disk: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string and a place for the answer.
    if unsafe { libc::statvfs(name.as_ptr(), &mut disk) } != 0 {
        return None;
    }
    #[allow(clippy::unnecessary_cast, reason = "narrower on 32-bit machines")]
    let free_bytes = (disk.f_bavail as u64).saturating_mul(disk.f_frsize as u64);
    Some(Disk { path: state.to_owned(), free_bytes, writable: disk.f_flag & libc::ST_RDONLY == 0 })
}

#[cfg(test)]
mod tests;
