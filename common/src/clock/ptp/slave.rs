//! A slave-only ordinary clock (IEEE 1588-2008 9.2.2) with one port, driven by packets and time.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use rand_core::RngCore;
use statime::config::{
    AcceptAnyMaster, DelayMechanism, InstanceConfig, PortConfig, PtpMinorVersion, SdoId, TimePropertiesDS, TimeSource,
};
use statime::filters::{Filter, FilterEstimate, FilterUpdate};
use statime::port::{Measurement, Port, PortAction, PortActionIterator, Running, TimestampContext};
use statime::time::{Duration, Interval, Time};
use statime::{Clock, PtpInstance};

use super::pairing::{Pairing, one_way};
use super::screen::{self, Kind};
use super::{ClockIdentity, Measured};
use crate::clock::{Stamp, StampSource};
use crate::time::LocalTime;

/// What the port's state lives in; see [`Slave`].
pub struct Node {
    instance: PtpInstance<Collector>,
    domain: u8,
}

impl Node {
    /// Of a clock that is named `identity`, which must differ from all others in its `domain`.
    pub fn new(identity: ClockIdentity, domain: u8) -> Self {
        let config = InstanceConfig {
            clock_identity: statime::config::ClockIdentity(identity.0),
            // The last that anybody would pick.
            priority_1: 255,
            priority_2: 255,
            domain_number: domain,
            sdo_id: SdoId::default(),
            // statime's own way to say so asserts, where assertions are on, that masters never go away. What it would do as
            // a master it is never asked to, so that nothing is ever sent but requests.
            slave_only: false,
            path_trace: false,
        };
        let properties = TimePropertiesDS::new_arbitrary_time(false, false, TimeSource::InternalOscillator);
        Node { instance: PtpInstance::new(config, properties), domain }
    }
}

/// A message to be sent to the group, at the event port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to call it in [`Slave::handle_sent`].
    pub number: u32,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// The slave.
///
/// Call [`handle_timer`](Self::handle_timer) at the time that [`next`](Self::next) tells, which any other call may change;
/// extra calls are harmless. Call [`handle_sent`](Self::handle_sent) with whatever is known of a request's departure.
pub struct Slave<'n> {
    node: &'n Node,
    /// Taken out only while masters are compared.
    port: Option<StatimePort<'n>>,
    measured: Rc<Cell<Option<Measurement>>>,
    timers: Timers,
    number: u32,
    leaving: Option<Leaving>,
    /// How the last `Sync` and the last request were stamped.
    stamps: (Stamp, Stamp),
    pairing: Pairing,
    /// The port that is listened to, and its grandmaster.
    master: Option<([u8; 10], ClockIdentity)>,
}

type StatimePort<'n> = Port<'n, Running, AcceptAnyMaster, Random, Untouched, Collector>;

/// A request whose departure is not known for certain yet.
struct Leaving {
    number: u32,
    context: TimestampContext,
    best: Stamp,
}

/// Masters are compared once in the announce interval of the default profile (J.3.2), which statime reckons with.
const ANNOUNCE_LOG2: i8 = 1;
const COMPARE_NS: i64 = 2_000_000_000;
/// A master that is not heard for three of them is gone.
const ANNOUNCE_TIMEOUTS: u8 = 3;
const SILENCE_NS: i64 = 6_000_000_000;
/// The kernel's stamp of a departure is waited for so long.
const STAMP_NS: i64 = 20_000_000;

impl<'n> Slave<'n> {
    /// A slave that has heard nothing. `seed` must differ between slaves: they ask at random times, not to meet.
    pub fn new(node: &'n Node, seed: u64, now: LocalTime) -> Self {
        let interval = Interval::from_log_2(ANNOUNCE_LOG2);
        let config = PortConfig {
            acceptable_master_list: AcceptAnyMaster,
            delay_mechanism: DelayMechanism::E2E { interval: Interval::ONE_SECOND },
            announce_interval: interval,
            announce_receipt_timeout: ANNOUNCE_TIMEOUTS,
            sync_interval: Interval::ONE_SECOND,
            master_only: false,
            delay_asymmetry: Duration::ZERO,
            minor_ptp_version: PtpMinorVersion::Zero,
        };
        let measured = Rc::new(Cell::new(None));
        let port = node.instance.add_port(config, Rc::clone(&measured), Untouched, Random(seed));
        let (port, actions) = port.end_bmca();
        let mut timers = Timers { compare: now + COMPARE_NS, timeout: now, ask: None, pace_log2: 0 };
        // A port that has just begun has nothing to send.
        let _ = timers.carry_out(actions, now);
        let never = Stamp::user(now);
        Slave {
            node,
            port: Some(port),
            measured,
            timers,
            number: 0,
            leaving: None,
            stamps: (never, never),
            pairing: Pairing::default(),
            master: None,
        }
    }

    /// When to call [`handle_timer`](Self::handle_timer).
    pub fn next(&self) -> LocalTime {
        let Timers { compare, timeout, ask, .. } = self.timers;
        let stamp = self.leaving.as_ref().map(|leaving| leaving.best.at + STAMP_NS);
        [Some(compare), Some(timeout), ask, stamp].into_iter().flatten().min().unwrap_or(compare)
    }

    /// Does what it is time for: compares masters, gives one up, asks.
    pub fn handle_timer(&mut self, now: LocalTime) -> Option<Request> {
        if self.leaving.as_ref().is_some_and(|leaving| now - leaving.best.at >= STAMP_NS) {
            self.departed();
        }
        if now - self.timers.timeout >= 0
            && let Some(port) = &mut self.port
        {
            self.timers.timeout = now + SILENCE_NS;
            let _ = self.timers.carry_out(port.handle_announce_receipt_timer(), now);
        }
        if now - self.timers.compare >= 0 {
            self.timers.compare = now + COMPARE_NS;
            self.compare(now);
        }
        self.note_master();
        if self.timers.ask.is_none_or(|ask| now - ask < 0) {
            return None;
        }
        self.timers.ask = None;
        let (context, bytes) = self.timers.carry_out(self.port.as_mut()?.handle_delay_request_timer(), now)?;
        self.number = self.number.wrapping_add(1);
        self.leaving = Some(Leaving { number: self.number, context, best: Stamp::user(now) });
        Some(Request { number: self.number, bytes })
    }

    /// Notes when a request left; of several stamps for the same request the better source counts.
    pub fn handle_sent(&mut self, number: u32, stamp: Stamp) -> Option<Measured> {
        let leaving = self.leaving.as_mut().filter(|leaving| leaving.number == number)?;
        if stamp.source <= leaving.best.source {
            leaving.best = stamp;
        }
        (leaving.best.source == StampSource::Kernel).then(|| self.departed())?
    }

    /// Takes in a packet that came to [`EVENT_PORT`](super::EVENT_PORT).
    pub fn handle_event(&mut self, bytes: &[u8], arrived: Stamp) -> Option<Measured> {
        if screen::kind(bytes, self.node.domain)? != Kind::Sync {
            return None;
        }
        self.stamps.0 = arrived;
        let actions = self.port.as_mut()?.handle_event_receive(bytes, to_time(arrived.at));
        let _ = self.timers.carry_out(actions, arrived.at);
        self.measure()
    }

    /// Takes in a packet that came to [`GENERAL_PORT`](super::GENERAL_PORT).
    pub fn handle_general(&mut self, bytes: &[u8], now: LocalTime) -> Option<Measured> {
        let kind = screen::kind(bytes, self.node.domain).filter(|kind| *kind != Kind::Sync)?;
        if kind == Kind::DelayResp {
            // Everybody's answers come by; they all tell the same pace.
            self.timers.pace_log2 = screen::interval_log2(bytes);
        }
        let actions = self.port.as_mut()?.handle_general_receive(bytes);
        let _ = self.timers.carry_out(actions, now);
        if kind == Kind::Announce {
            self.note_master();
        }
        self.measure()
    }

    /// The grandmaster that is listened to.
    pub fn grandmaster(&self) -> Option<ClockIdentity> {
        self.master.map(|(_, grandmaster)| grandmaster)
    }

    fn departed(&mut self) -> Option<Measured> {
        let Leaving { context, best, .. } = self.leaving.take()?;
        self.stamps.1 = best;
        let actions = self.port.as_mut()?.handle_send_timestamp(context, to_time(best.at));
        let _ = self.timers.carry_out(actions, best.at);
        self.measure()
    }

    fn compare(&mut self, now: LocalTime) {
        let Some(port) = self.port.take() else { return };
        let mut port = port.start_bmca();
        self.node.instance.bmca(&mut [&mut port]);
        let (port, actions) = port.end_bmca();
        let _ = self.timers.carry_out(actions, now);
        self.port = Some(port);
    }

    fn note_master(&mut self) {
        let steering = self.port.as_ref().is_some_and(Port::is_steering);
        let master = steering.then(|| {
            let parent = self.node.instance.parent_ds();
            let port = parent.parent_port_identity;
            let mut name = [0; 10];
            name[..8].copy_from_slice(&port.clock_identity.0);
            name[8..].copy_from_slice(&port.port_number.to_be_bytes());
            (name, ClockIdentity(parent.grandmaster_identity.0))
        });
        if master != self.master {
            self.master = master;
            self.pairing = Pairing::default();
            self.leaving = None;
        }
    }

    /// Makes what it can of what statime has measured.
    fn measure(&mut self) -> Option<Measured> {
        let measurement = self.measured.take()?;
        let grandmaster = self.grandmaster()?;
        let at = from_time(measurement.event_time)?;
        let masters_ns = |ours_later: Duration| {
            at.as_ns().checked_add(ZERO_NS)?.checked_sub(i64::try_from(ours_later.nanos_rounded()).ok()?)
        };
        let epoch = grandmaster.epoch();
        let sample = if let Some(ours_later) = measurement.raw_sync_offset {
            self.pairing.sync(one_way(at, masters_ns(ours_later)?, self.stamps.0)?, epoch)
        } else {
            self.pairing.request(one_way(at, masters_ns(measurement.raw_delay_offset?)?, self.stamps.1)?, epoch)
        };
        Some(Measured { sample: sample?, grandmaster })
    }
}

/// When statime wants to be called.
#[derive(Debug)]
struct Timers {
    compare: LocalTime,
    timeout: LocalTime,
    ask: Option<LocalTime>,
    /// The master's pace for requests, which statime does not read.
    pace_log2: i8,
}

impl Timers {
    /// Sets them; returns the message that is to be sent, if there is one.
    fn carry_out(&mut self, actions: PortActionIterator<'_>, now: LocalTime) -> Option<(TimestampContext, Vec<u8>)> {
        let ns = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 2);
        let mut send = None;
        for action in actions {
            match action {
                PortAction::SendEvent { context, data, .. } => send = Some((context, data.to_vec())),
                PortAction::ResetAnnounceReceiptTimer { duration } => self.timeout = now + ns(duration),
                PortAction::ResetDelayRequestTimer { duration } => {
                    let interval_ns = ns(duration) as f64 * 2_f64.powi(self.pace_log2.into());
                    self.ask = Some(now + interval_ns as i64);
                }
                // A slave sends nothing else, and forwards nothing.
                PortAction::SendGeneral { .. }
                | PortAction::ResetAnnounceTimer { .. }
                | PortAction::ResetSyncTimer { .. }
                | PortAction::ResetFilterUpdateTimer { .. }
                | PortAction::ForwardTLV { .. } => {}
            }
        }
        send
    }
}

/// Ours are differences to an instant that nobody knows; statime's must not become negative.
const ZERO_NS: i64 = 1 << 60;

fn to_time(at: LocalTime) -> Time {
    Time::from_nanos(at.as_ns().saturating_add(ZERO_NS).max(0) as u64)
}

fn from_time(time: Time) -> Option<LocalTime> {
    let ns = i64::try_from((time - Time::default()).nanos_rounded()).ok()?;
    Some(LocalTime::from_ns(ns.checked_sub(ZERO_NS)?))
}

/// Hands measurements over instead of filtering them.
struct Collector(Rc<Cell<Option<Measurement>>>);

impl Filter for Collector {
    type Config = Rc<Cell<Option<Measurement>>>;

    fn new(measured: Self::Config) -> Self {
        Collector(measured)
    }

    fn measurement<C: Clock>(&mut self, measurement: Measurement, _: &mut C) -> FilterUpdate {
        self.0.set(Some(measurement));
        FilterUpdate::default()
    }

    fn update<C: Clock>(&mut self, _: &mut C) -> FilterUpdate {
        FilterUpdate::default()
    }

    fn demobilize<C: Clock>(self, _: &mut C) {}

    fn current_estimates(&self) -> FilterEstimate {
        FilterEstimate { offset_from_master: Duration::ZERO, mean_delay: Duration::ZERO }
    }
}

/// The clock that statime believes to steer: none.
struct Untouched;

impl Clock for Untouched {
    type Error = Infallible;

    fn now(&self) -> Time {
        Time::default()
    }

    fn step_clock(&mut self, _: Duration) -> Result<Time, Infallible> {
        Ok(Time::default())
    }

    fn set_frequency(&mut self, _: f64) -> Result<Time, Infallible> {
        Ok(Time::default())
    }

    fn set_properties(&mut self, _: &TimePropertiesDS) -> Result<(), Infallible> {
        Ok(())
    }
}

/// SplitMix64.
struct Random(u64);

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
