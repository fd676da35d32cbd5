//! When a packet was sent or came in, and how well that is known.

use crate::time::LocalTime;

/// Where a packet's stamp was taken, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StampSource {
    /// By the kernel beside the network driver: free of every delay of scheduling and queueing.
    Kernel,
    /// By the kernel before the queueing discipline (transmit only), for drivers that do not stamp.
    Queue,
    /// By this process: includes the wake-up or the way down through the kernel.
    User,
}

/// A local time and where it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub at: LocalTime,
    /// Taken where.
    pub source: StampSource,
}

impl Stamp {
    /// A stamp taken by the kernel.
    pub const fn kernel(at: LocalTime) -> Self {
        Self { at, source: StampSource::Kernel }
    }

    /// A stamp taken by this process.
    pub const fn user(at: LocalTime) -> Self {
        Self { at, source: StampSource::User }
    }
}
