//! The exchange of NTP packets, both ends, as state machines without I/O.
//!
//! A client asks, the server stamps the request's arrival and its reply's departure, and the client has four stamps
//! of one round trip: a [`Sample`]. The departure is the weak one: a reply can't carry the stamp that the kernel makes
//! when it leaves. Interleaved mode (RFC 9769) hands that stamp over with the *next* reply. The client always asks for
//! it and takes what it gets, so it follows any NTP server, and the server serves any NTP client.
//!
//! A sender's clock says which run it is by the reference identifier ([`ClockEpoch`]); a change means that the sender
//! was restarted, and everything learned before is void.

mod client;
mod schedule;
mod server;

pub use client::{Client, ClientStatistics, Event, Request, Timer};
pub use schedule::Schedule;
pub use server::{Reply, Server, ServerStatistics, Ticket};

use crate::clock::StampSource;
use crate::time::{ClockEpoch, LocalTime, MediaTime};

/// Poll interval of an answer to whoever may ask as often as it likes, in log2 seconds. GStreamer takes anything less as an
/// order to poll that often. One that is longer by n asks our clients, whose own is below a second, to ask 2^n times less
/// often; others echo what they were sent, and slow nobody down.
const SHORTEST_POLL: i8 = 3;

/// Four stamps of one round trip: what the filter feeds on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The run of the server's clock that made it.
    pub epoch: ClockEpoch,
    /// The request left (t1).
    pub sent: LocalTime,
    /// The request reached the server (t2).
    pub reached: MediaTime,
    /// The reply left the server (t3).
    pub answered: MediaTime,
    /// The reply came in (t4).
    pub arrived: LocalTime,
    /// Where `sent` was stamped.
    pub sent_source: StampSource,
    /// Where `arrived` was stamped.
    pub arrived_source: StampSource,
    /// `answered` was stamped as the reply left (interleaved mode), not while it was being written.
    pub interleaved: bool,
}

impl Sample {
    /// Time on the way, both ways together, in nanoseconds.
    pub fn delay_ns(&self) -> i64 {
        (self.arrived - self.sent) - (self.answered - self.reached)
    }

    /// Media time minus local time if both ways took the same time, in nanoseconds, at [`middle`](Self::middle).
    pub fn offset_ns(&self) -> i64 {
        let forth = i128::from(self.reached.as_ns()) - i128::from(self.sent.as_ns());
        let back = i128::from(self.answered.as_ns()) - i128::from(self.arrived.as_ns());
        ((forth + back) >> 1) as i64
    }

    /// The local time that the offset is for: midway between request and reply.
    pub fn middle(&self) -> LocalTime {
        self.sent + (self.arrived - self.sent) / 2
    }

    /// The worse of the client's two stamp sources.
    pub fn worse_source(&self) -> StampSource {
        self.sent_source.max(self.arrived_source)
    }
}

#[cfg(test)]
mod tests;
