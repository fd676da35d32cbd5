//! What each thread of a program takes, by its name: processor time, and how often it is woken. Threads are named for what
//! they do, so this says which work costs what.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::truth;

/// What all threads of one name took.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Share {
    /// The name; the main thread has the program's.
    pub name: String,
    /// Share of one core, in percent.
    pub cpu_percent: f64,
    /// How often a second it had slept and was woken.
    pub wakes_per_s: f64,
}

/// What every thread of a process had taken at an instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    at_ns: i64,
    /// By thread id.
    threads: BTreeMap<String, Taken>,
}

#[derive(Clone, Debug, Default)]
struct Taken {
    name: String,
    cpu_ns: u64,
    wakes: u64,
}

impl Snapshot {
    /// Of the process with this id; of one that is gone it is empty.
    pub fn of(process: u32) -> Snapshot {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let threads = tasks.map(|task| (task.file_name().to_string_lossy().into_owned(), Taken::of(&task.path())));
        Snapshot { at_ns: truth::now_ns(), threads: threads.collect() }
    }

    /// What was taken since an earlier snapshot, the most first. Threads that have ended in between are left out.
    pub fn since(&self, before: &Snapshot) -> Vec<Share> {
        let elapsed_s = ((self.at_ns - before.at_ns) as f64 * 1e-9).max(1e-3);
        let mut shares = BTreeMap::<&str, Share>::new();
        for (id, now) in &self.threads {
            let was = before.threads.get(id).cloned().unwrap_or_default();
            let share = shares.entry(&now.name).or_default();
            share.name.clone_from(&now.name);
            share.cpu_percent += now.cpu_ns.saturating_sub(was.cpu_ns) as f64 * 1e-7 / elapsed_s;
            share.wakes_per_s += now.wakes.saturating_sub(was.wakes) as f64 / elapsed_s;
        }
        let mut shares: Vec<Share> = shares.into_values().collect();
        shares.sort_by(|a, b| b.cpu_percent.total_cmp(&a.cpu_percent));
        shares
    }
}

impl Taken {
    fn of(task: &Path) -> Taken {
        let read = |file: &str| fs::read_to_string(task.join(file)).unwrap_or_default();
        let first = |text: &str| text.split_whitespace().next().and_then(|number| number.parse().ok());
        let status = read("status");
        let wakes = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Taken {
            name: read("comm").trim().to_owned(),
            // Time on a processor in nanoseconds comes first.
            cpu_ns: first(&read("schedstat")).unwrap_or(0),
            wakes: wakes.and_then(first).unwrap_or(0),
        }
    }
}

/// Processor time of the calling thread, in nanoseconds.
pub fn own_cpu_ns() -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_of_one_name_took_is_added_up() {
        let taken = |cpu_ns, wakes| Taken { name: "audio".into(), cpu_ns, wakes };
        let other = Taken { name: "intake".into(), cpu_ns: 40_000_000, wakes: 10 };
        let of = |at_ns, threads: [(&str, Taken); 3]| Snapshot {
            at_ns,
            threads: threads.into_iter().map(|(id, taken)| (id.to_owned(), taken)).collect(),
        };
        let before = of(0, [("1", taken(5_000_000, 100)), ("2", taken(0, 0)), ("3", Taken::default())]);
        let after = of(2_000_000_000, [("1", taken(15_000_000, 200)), ("2", taken(10_000_000, 20)), ("3", other)]);
        let shares = after.since(&before);
        let expected = [("intake", 2.0, 5.0), ("audio", 1.0, 60.0)];
        assert_eq!(shares.len(), 2);
        for (share, (name, cpu_percent, wakes_per_s)) in shares.iter().zip(expected) {
            assert_eq!(share.name, name);
            assert!((share.cpu_percent - cpu_percent).abs() < 1e-9 && (share.wakes_per_s - wakes_per_s).abs() < 1e-9);
        }
    }

    #[test]
    fn this_process_has_threads() {
        assert!(!Snapshot::of(std::process::id()).threads.is_empty());
        assert!(own_cpu_ns() > 0);
    }
}
