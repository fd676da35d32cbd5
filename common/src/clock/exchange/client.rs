//! The asking end.

use std::collections::VecDeque;

use super::{SHORTEST_POLL, Sample, Schedule};
use crate::clock::Stamp;
use crate::clock::ntp::{self, Mode, Packet};
use crate::time::{ClockEpoch, LocalTime, MediaTime};

/// Asks one server, and makes samples of what it answers.
///
/// Call [`handle_timer`](Self::handle_timer) at the time that its last call returned; extra calls are harmless.
/// Call [`handle_sent`](Self::handle_sent) with whatever is known of a request's departure, best before its reply is
/// handed to [`handle_reply`](Self::handle_reply).
#[derive(Debug)]
pub struct Client {
    schedule: Schedule,
    /// When the burst of early requests began: at the first reply of the server's current run, or the first request.
    started: Option<LocalTime>,
    next: Option<LocalTime>,
    /// Standard deviation of what is known of the clock, in nanoseconds, as last told.
    sigma_ns: f64,
    /// How much less often its server wants to be asked, as a power of two.
    slower: u32,
    /// Until when a server that asked us to slow down gets its way.
    slow_until: Option<LocalTime>,
    number: u32,
    /// Requests without a reply yet, oldest first; those that were given up too, for a while.
    outstanding: VecDeque<Outstanding>,
    /// The last exchange that was answered: what an interleaved reply will complete.
    previous: Option<Completed>,
    epoch: Option<ClockEpoch>,
    statistics: ClientStatistics,
}

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to call it in [`Client::handle_sent`].
    pub number: u32,
    /// The packet.
    pub bytes: [u8; ntp::LENGTH],
}

/// What to do now, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Timer {
    /// Send this.
    pub request: Option<Request>,
    /// Call [`Client::handle_timer`] then.
    pub next: LocalTime,
}

/// What a packet turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum Event {
    /// A measurement.
    Sample(Sample),
    /// The first measurement of a new run of the server's clock: forget the old one, and ask again at once
    /// ([`Client::handle_timer`]).
    Restarted(Sample),
    /// A reply that says nothing new.
    Nothing,
    /// Not a reply to us, or one that can't be true. Counted.
    Bogus,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientStatistics {
    /// Requests made.
    pub requests: u64,
    /// Replies taken.
    pub replies: u64,
    /// Of these, replies in interleaved mode.
    pub interleaved: u64,
    /// Requests without a reply in time.
    pub timeouts: u64,
    /// Packets that were no reply to us, or could not be true.
    pub bogus: u64,
    /// Samples dropped because the round trip took too long to be of use.
    pub too_slow: u64,
    /// Times that the server asked us to go away or to slow down (RFC 5905 section 7.4).
    pub kisses: u64,
    /// Restarts of the server seen.
    pub restarts: u64,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    number: u32,
    sent: Stamp,
    /// Comes back in a basic reply's origin.
    transmit_cookie: u64,
    /// Comes back in an interleaved reply's origin.
    receive_cookie: u64,
    /// The exchange whose departure stamp an interleaved reply brings.
    about: Option<Completed>,
    /// A reply comes too late by now.
    given_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Completed {
    number: u32,
    sent: Stamp,
    reached: MediaTime,
    /// `reached` as it was on the wire: the server finds the exchange by it.
    reached_ntp: u64,
    arrived: Stamp,
}

impl Client {
    /// A request without a reply is given up after this.
    const TIMEOUT_NS: i64 = 1_000_000_000;
    /// For so long its reply is still known for what it is: this host keeps what it can't deliver while a link is down, and sends
    /// it seconds later.
    const REMEMBERED_NS: i64 = 10_000_000_000;
    /// Round trips above this tell nothing: a queue of 200 ms.
    const LONGEST_DELAY_NS: i64 = 200_000_000;
    /// After a kiss of death: this slow, for this long.
    const SLOW_INTERVAL_NS: i64 = 4_000_000_000;
    const SLOW_FOR_NS: i64 = 60_000_000_000;
    /// More than the schedule can have outstanding within the timeout.
    const MOST_OUTSTANDING: usize = 80;
    /// NTP timestamps repeat after 136 years: read them in those around 2090.
    const PIVOT: MediaTime = MediaTime::from_ns(3_800_000_000_000_000_000);

    /// A client that has asked nothing yet. `seed` must differ between clients and be hard to guess: the cookies that
    /// replies are known by come from it.
    pub fn new(seed: u64) -> Self {
        Self {
            schedule: Schedule::new(seed),
            started: None,
            next: None,
            sigma_ns: 0.0,
            slower: 0,
            slow_until: None,
            number: 0,
            outstanding: VecDeque::with_capacity(Self::MOST_OUTSTANDING),
            previous: None,
            epoch: None,
            statistics: ClientStatistics::default(),
        }
    }

    /// Gives up old requests and makes a new one if it is time.
    pub fn handle_timer(&mut self, now: LocalTime) -> Timer {
        self.expire(now);
        if let Some(next) = self.next.filter(|next| *next - now > 0) {
            return Timer { request: None, next };
        }
        let age_ns = now - *self.started.get_or_insert(now);
        let mut interval_ns = self.schedule.interval_ns(age_ns, self.sigma_ns, self.slower);
        if self.slow_until.is_some_and(|until| until - now > 0) {
            interval_ns = interval_ns.max(Self::SLOW_INTERVAL_NS);
        }
        let next = now + interval_ns;
        self.next = Some(next);
        Timer { request: Some(self.request(now, poll_of(interval_ns))), next }
    }

    /// Tells how well the clock is known from its samples, as a standard deviation in nanoseconds: the less, the more often
    /// it is asked.
    pub fn set_sigma(&mut self, sigma_ns: f64) {
        self.sigma_ns = sigma_ns;
    }

    /// Notes when a request left. Of several stamps for the same request the better source counts.
    pub fn handle_sent(&mut self, number: u32, stamp: Stamp) {
        let outstanding = self.outstanding.iter_mut().rev().find(|request| request.number == number);
        let completed = self.previous.as_mut().filter(|exchange| exchange.number == number);
        for sent in [outstanding.map(|request| &mut request.sent), completed.map(|exchange| &mut exchange.sent)] {
            if let Some(sent) = sent.filter(|sent| stamp.source < sent.source) {
                *sent = stamp;
            }
        }
    }

    /// Takes in a packet that came from the server.
    pub fn handle_reply(&mut self, bytes: &[u8], arrived: Stamp) -> Event {
        let Some((reply, request)) = self.matching(bytes) else {
            self.statistics.bogus += 1;
            return Event::Bogus;
        };
        if request.given_up {
            self.statistics.too_slow += 1;
            return Event::Nothing;
        }
        if reply.stratum == 0 {
            self.statistics.kisses += 1;
            self.slow_until = Some(arrived.at + Self::SLOW_FOR_NS);
            self.next = self.next.map(|_| arrived.at + Self::SLOW_INTERVAL_NS);
            return Event::Nothing;
        }
        if reply.leap == 3 || reply.stratum > 15 {
            self.statistics.bogus += 1;
            return Event::Bogus;
        }
        self.statistics.replies += 1;
        self.slower = u32::try_from(reply.poll.saturating_sub(SHORTEST_POLL)).unwrap_or(0);
        let epoch = epoch_of(&reply);
        let restarted = self.epoch.is_some_and(|known| known != epoch);
        if self.epoch != Some(epoch) {
            self.begin_epoch(epoch, arrived.at);
        }
        if restarted {
            // The old run can't answer these any more, and what they ask about is void.
            self.previous = None;
            self.outstanding.clear();
        }
        let sample = self.complete(&reply, &request, arrived, epoch);
        match sample {
            Some(sample) if restarted => {
                self.statistics.restarts += 1;
                Event::Restarted(sample)
            }
            Some(sample) => Event::Sample(sample),
            None => Event::Nothing,
        }
    }

    /// What happened so far.
    pub fn statistics(&self) -> ClientStatistics {
        self.statistics
    }

    fn request(&mut self, now: LocalTime, poll: i8) -> Request {
        let number = self.number;
        self.number = self.number.wrapping_add(1);
        let (transmit_cookie, receive_cookie) = (self.schedule.number(), self.schedule.number());
        if self.outstanding.len() == Self::MOST_OUTSTANDING {
            let oldest = self.outstanding.pop_front();
            self.statistics.timeouts += u64::from(oldest.is_some_and(|request| !request.given_up));
        }
        let about = self.previous;
        let sent = Stamp::user(now);
        let request = Outstanding { number, sent, transmit_cookie, receive_cookie, about, given_up: false };
        self.outstanding.push_back(request);
        self.statistics.requests += 1;
        let packet = Packet {
            leap: 0,
            version: 4,
            mode: Mode::Client,
            stratum: 0,
            poll,
            precision: 32,
            root_delay: 0,
            root_dispersion: 0,
            reference_id: 0,
            reference: 0,
            // Not zero even in the first request: it tells the server that this client will want interleaved mode.
            origin: about.map_or(1, |exchange| exchange.reached_ntp),
            receive: receive_cookie,
            transmit: transmit_cookie,
        };
        Request { number, bytes: packet.to_bytes() }
    }

    /// The reply in these bytes and the request that it answers, which is no longer outstanding.
    fn matching(&mut self, bytes: &[u8]) -> Option<(Packet, Outstanding)> {
        let reply = Packet::parse(bytes).ok().filter(|packet| packet.mode == Mode::Server)?;
        let position = self.outstanding.iter().position(|request| {
            reply.origin == request.transmit_cookie
                || (reply.origin == request.receive_cookie && request.about.is_some())
        })?;
        Some((reply, self.outstanding.remove(position)?))
    }

    /// What a good reply tells.
    fn complete(&mut self, reply: &Packet, request: &Outstanding, arrived: Stamp, epoch: ClockEpoch) -> Option<Sample> {
        let reached = MediaTime::from_ntp(reply.receive, Self::PIVOT);
        let answered = MediaTime::from_ntp(reply.transmit, Self::PIVOT);
        let basic = reply.origin == request.transmit_cookie;
        let this =
            Completed { number: request.number, sent: request.sent, reached, reached_ntp: reply.receive, arrived };
        // A reply that overtook another must not take its place.
        if self.previous.is_none_or(|previous| this.sent.at - previous.sent.at > 0) {
            self.previous = Some(this);
        }
        let measured = if basic { Some(this) } else { request.about };
        let measured = measured?;
        if !basic {
            self.statistics.interleaved += 1;
        }
        let sample = Sample {
            epoch,
            sent: measured.sent.at,
            reached: measured.reached,
            answered,
            arrived: measured.arrived.at,
            sent_source: measured.sent.source,
            arrived_source: measured.arrived.source,
            interleaved: !basic,
        };
        self.plausible(sample)
    }

    fn plausible(&mut self, sample: Sample) -> Option<Sample> {
        let held_ns = sample.answered - sample.reached;
        if !(0..=Self::TIMEOUT_NS).contains(&held_ns) || sample.delay_ns() < 0 {
            self.statistics.bogus += 1;
            return None;
        }
        if sample.delay_ns() > Self::LONGEST_DELAY_NS {
            self.statistics.too_slow += 1;
            return None;
        }
        Some(sample)
    }

    fn begin_epoch(&mut self, epoch: ClockEpoch, now: LocalTime) {
        self.epoch = Some(epoch);
        self.started = Some(now);
        self.next = Some(now);
    }

    fn expire(&mut self, now: LocalTime) {
        while self.outstanding.front().is_some_and(|request| now - request.sent.at > Self::REMEMBERED_NS) {
            self.outstanding.pop_front();
        }
        for request in &mut self.outstanding {
            if !request.given_up && now - request.sent.at > Self::TIMEOUT_NS {
                request.given_up = true;
                self.statistics.timeouts += 1;
            }
        }
    }
}

/// The poll field for requests so far apart: log2 of seconds, as for any NTP client, but below the usual range.
fn poll_of(interval_ns: i64) -> i8 {
    (interval_ns as f64 * 1e-9).log2().round() as i8
}

/// The run of the clock that a server serves. Only servers that are clocks themselves name theirs; one that follows
/// another (stratum 2 and up) may change whom without its time changing.
fn epoch_of(reply: &Packet) -> ClockEpoch {
    ClockEpoch(if reply.stratum == 1 { reply.reference_id } else { 0 })
}
