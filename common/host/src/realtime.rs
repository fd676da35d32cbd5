//! Real-time behaviour: scheduling, locked memory and thread names.
//!
//! None of it is needed to be right, all of it helps to be on time. So every function here reports what it got, and
//! callers go on without.

use std::io;

use thiserror::Error;

/// How the kernel schedules a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// SCHED_FIFO at a priority of 1 to 99.
    Fifo(u8),
    /// SCHED_RR at a priority of 1 to 99.
    RoundRobin(u8),
    /// Shares the processor with everybody.
    Ordinary,
}

impl Scheduling {
    /// Its real-time priority; 0 for ordinary scheduling.
    pub fn priority(self) -> u8 {
        match self {
            Self::Fifo(priority) | Self::RoundRobin(priority) => priority,
            Self::Ordinary => 0,
        }
    }
}

/// Why real-time behaviour was not granted.
#[derive(Debug, Error)]
pub enum RealtimeError {
    /// The user may not use that priority.
    #[error(
        "real-time priority {wanted} is not allowed for this user (its limit is {limit}); allow it with \
         LimitRTPRIO={wanted} in the systemd unit, or \"@audio - rtprio {wanted}\" in /etc/security/limits.conf"
    )]
    PriorityDenied {
        /// The priority asked for.
        wanted: u8,
        /// RLIMIT_RTPRIO.
        limit: u64,
    },
    /// The user may not lock that much memory.
    #[error(
        "locking memory is not allowed for this user (its limit is {limit} bytes); allow it with \
         LimitMEMLOCK=infinity in the systemd unit, or \"@audio - memlock unlimited\" in /etc/security/limits.conf"
    )]
    MemoryDenied {
        /// RLIMIT_MEMLOCK.
        limit: u64,
    },
    /// The kernel refused for another reason.
    #[error("the kernel refused to {step}: {source}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// How this thread is scheduled now.
pub fn scheduling() -> Scheduling {
    let mut parameters = libc::sched_param { sched_priority: 0 };
    let mut policy = 0;
    // SAFETY: the thread is this one, and both places are valid.
    let result = unsafe { libc::pthread_getschedparam(this_thread(), &mut policy, &mut parameters) };
    let priority = parameters.sched_priority as u8;
    match policy & !libc::SCHED_RESET_ON_FORK {
        libc::SCHED_FIFO if result == 0 => Scheduling::Fifo(priority),
        libc::SCHED_RR if result == 0 => Scheduling::RoundRobin(priority),
        _ => Scheduling::Ordinary,
    }
}

/// Raises this thread to SCHED_FIFO at `priority` (1 to 99) and returns what it has afterwards.
///
/// A real-time priority that is already as high (inherited from `chrt -f 20`, for one) is kept.
pub fn raise(priority: u8) -> Result<Scheduling, RealtimeError> {
    let now = scheduling();
    if now.priority() >= priority {
        return Ok(now);
    }
    let parameters = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: the thread is this one, and the parameters are valid.
    match unsafe { libc::pthread_setschedparam(this_thread(), libc::SCHED_FIFO, &parameters) } {
        0 => Ok(scheduling()),
        libc::EPERM => Err(RealtimeError::PriorityDenied { wanted: priority, limit: limit!(libc::RLIMIT_RTPRIO) }),
        code => Err(RealtimeError::Refused {
            step: "give this thread a real-time priority",
            source: io::Error::from_raw_os_error(code),
        }),
    }
}

/// Puts this thread behind all others, for the processor (nice 19) and for the disk (idle class): what it does may take
/// its time. What the kernel refuses is left as it is.
pub fn step_back() {
    /// linux/ioprio.h: this thread, and the class that is served when no other asks.
    const WHO_PROCESS: libc::c_int = 1;
    const IDLE_CLASS: libc::c_int = 3 << 13;
    // SAFETY: a plain system call; 0 is this thread, since Linux keeps the value for each.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    // SAFETY: as above; glibc has no function for it.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, IDLE_CLASS) };
}

/// Locks all memory of this process, present and future, so that no page fault waits for a disk.
///
/// Pages are locked as they are first touched (MCL_ONFAULT): unused parts of stacks and heaps stay free for others.
/// Where the kernel is too old for that, everything is locked at once.
pub fn lock_memory() -> Result<(), RealtimeError> {
    let all = libc::MCL_CURRENT | libc::MCL_FUTURE;
    // SAFETY: plain system calls.
    let locked = unsafe { libc::mlockall(all | libc::MCL_ONFAULT) } == 0
        // SAFETY: as above.
        || unsafe { libc::mlockall(all) } == 0;
    if locked {
        return Ok(());
    }
    let source = io::Error::last_os_error();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::ENOMEM) => Err(RealtimeError::MemoryDenied { limit: limit!(libc::RLIMIT_MEMLOCK) }),
        _ => Err(RealtimeError::Refused { step: "lock memory", source }),
    }
}

/// Touches 256 KiB of this thread's stack, so that later calls find it in memory.
///
/// Call it once at the start of a real-time thread, whose stack must be larger than that (Rust's default is 2 MiB).
#[inline(never)]
pub fn prefault_stack() {
    let mut stack = [0_u8; 256 * 1024];
    for page in stack.chunks_mut(1024) {
        page[0] = 1;
    }
    std::hint::black_box(&mut stack);
}

/// Touches every page of a buffer without changing it.
pub fn prefault<T: Copy>(buffer: &mut [T]) {
    let step = (1024 / size_of::<T>().max(1)).max(1);
    for item in buffer.iter_mut().step_by(step) {
        let value = *item;
        *std::hint::black_box(item) = value;
    }
}

/// Names this thread for `top -H` and debuggers; the kernel keeps 15 bytes. Threads that std spawned with a name have
/// theirs already: this is for those that a library made.
pub fn name_thread(name: &str) {
    let mut bytes = [0_u8; 16];
    let kept = name.len().min(15);
    bytes[..kept].copy_from_slice(&name.as_bytes()[..kept]);
    // SAFETY: a C string of at most 16 bytes with its end.
    unsafe { libc::pthread_setname_np(this_thread(), bytes.as_ptr().cast()) };
}

fn this_thread() -> libc::pthread_t {
    // SAFETY: has no requirements.
    unsafe { libc::pthread_self() }
}

/// A resource limit of this process. (A macro: the type of resource numbers differs between C libraries.)
macro_rules! limit {
    ($resource:expr) => {{
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a valid place for the limit.
        unsafe { libc::getrlimit($resource, &mut limit) };
        #[allow(clippy::useless_conversion)] // narrower on 32-bit machines
        u64::from(limit.rlim_cur)
    }};
}
use limit;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_what_is_reported() {
        std::thread::spawn(|| match raise(5) {
            Ok(got) => {
                assert!(got.priority() >= 5);
                assert_eq!(got, scheduling());
                assert_eq!(raise(3).unwrap(), got, "a higher priority must be kept");
            }
            Err(error) => assert!(error.to_string().contains("RTPRIO"), "{error}"),
        })
        .join()
        .unwrap();
    }

    #[test]
    fn prefaulting_changes_nothing() {
        let mut buffer = vec![7_i32; 10_000];
        prefault(&mut buffer);
        prefault_stack();
        name_thread("a name that is far too long");
        assert!(buffer.iter().all(|&x| x == 7));
    }
}
