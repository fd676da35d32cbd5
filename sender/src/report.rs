//! RTCP: a sender report about each second, a goodbye at the end, and an ear for another sender in the group.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tracing::{debug, error};
use unisono_common::rtcp::{self, Item, SenderReport};
use unisono_common::time::{LocalTime, rtp_timestamp};
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, MulticastReceiver, MulticastSender, SendOptions};
use unisono_host::{clock, random};

use crate::streams::{OnAir, Stream};
use crate::timeserver::MediaClock;
use crate::transmit::rtcp_group;

/// Between two reports, in the mean. RFC 3550 section 6.2 has 5 s for everybody, and 360 s / (kbit/s) for a sender that wants
/// to be more exact: half a second for the thinnest of streams. What a twentieth of the bandwidth allows is less still.
const MEAN_NS: i64 = 1_000_000_000;

/// Reports are read this many at a time, so that a flood of them holds nothing up.
const READ_AT_ONCE: usize = 64;

/// Reports of one stream.
#[derive(Debug)]
pub struct Reporter {
    stream: Arc<Stream>,
    sender: MulticastSender,
    receiver: MulticastReceiver,
    address: Ipv4Addr,
    cname: String,
    /// Nobody has been told yet that the stream was switched off.
    sending: bool,
    /// When the next report is due.
    due: LocalTime,
}

impl Reporter {
    /// Opens the sockets of a stream that is on air; nothing is sent yet.
    pub fn open(
        stream: Arc<Stream>,
        group: SocketAddr,
        interface: &Interface,
        address: Ipv4Addr,
        ttl: u8,
        dscp: u8,
    ) -> Result<Self, MulticastError> {
        let group = rtcp_group(group);
        let options = SendOptions { source_port: group.port(), ttl, dscp };
        Ok(Reporter {
            sender: MulticastSender::open(interface, group.ip(), options)?,
            receiver: MulticastReceiver::join(group, interface)?,
            address,
            cname: format!("{}@{address}", stream.id),
            stream,
            sending: true,
            due: clock::now(),
        })
    }

    /// The interface is another one of its name.
    pub fn follow(&mut self, interface: &Interface) {
        // Where either must be opened anew, so is its stream, and another reporter comes with that.
        let followed = self.sender.follow(interface).map_err(|error| error.to_string());
        let joined = self.receiver.revive().map_err(|error| error.to_string());
        if let Err(error) = followed.and(joined) {
            debug!(stream = self.stream.id, "RTCP: {error}");
        }
    }

    /// When [`Reporter::tick`] is to be called next.
    pub fn due(&self) -> LocalTime {
        self.due
    }

    /// Id of the stream.
    pub fn id(&self) -> &str {
        &self.stream.id
    }

    /// The stream's description, as it is announced.
    pub fn sdp(&self) -> Arc<str> {
        self.stream.on_air.as_ref().map_or_else(Arc::default, OnAir::sdp)
    }

    /// Sends a report and reads those of others, when that is due.
    pub fn tick(&mut self, clock: MediaClock, now: LocalTime) {
        if now - self.due < 0 {
            return;
        }
        self.due = now + interval_ns(random::number() as u32);
        let on = self.stream.on_air.as_ref().is_some_and(OnAir::is_sent);
        if on {
            self.send(clock, now, None);
        } else if self.sending {
            self.send(clock, now, Some("the stream is switched off"));
        }
        self.sending = on;
        self.listen(now);
    }

    /// Says goodbye.
    pub fn bye(&self, clock: MediaClock, now: LocalTime) {
        self.send(clock, now, Some("the sender ends"));
    }

    fn send(&self, clock: MediaClock, now: LocalTime, bye: Option<&str>) {
        let Some(on_air) = &self.stream.on_air else { return };
        // Both of its times are readings of one clock, the stream's.
        let ptp = on_air.timing.as_ref().and_then(|timing| timing.media_at(now));
        let media = ptp.unwrap_or_else(|| clock.at(now));
        let (packets, octets) = on_air.counters.sent();
        let report = SenderReport {
            ssrc: on_air.ssrc,
            ntp: media.to_ntp(),
            rtp_timestamp: rtp_timestamp(media.to_frame(self.stream.format.rate)),
            packets: packets as u32,
            octets: octets as u32,
        };
        let mut packet = [0; 512];
        let sent = match rtcp::write_report(&report, &self.cname, bye, &mut packet) {
            Ok(len) => self.sender.send_to(&packet[..len], rtcp_group(on_air.group)),
            Err(error) => return debug!(stream = self.stream.id, "{error}"),
        };
        if let Err(error) = sent {
            debug!(stream = self.stream.id, "RTCP: not sent: {error}");
        }
    }

    fn listen(&mut self, now: LocalTime) {
        let mut buffer = [0; 2048];
        for _ in 0..READ_AT_ONCE {
            let Ok(Some(received)) = self.receiver.receive(&mut buffer) else { return };
            let Some(on_air) = &self.stream.on_air else { return };
            let Ok(items) = rtcp::parse(&buffer[..received.len]) else { continue };
            let from = received.from.ip();
            if let Some(text) = items.iter().find_map(|item| conflict(item, from, self.address.into(), on_air.ssrc))
                && on_air.note_conflict(text.clone(), now)
            {
                error!(stream = self.stream.id, "{text}");
            }
        }
    }
}

/// From one report to the next by chance, evenly between half of the mean and half as much again (RFC 3550 section 6.3.1): so
/// that those of many senders do not fall together for good.
fn interval_ns(chance: u32) -> i64 {
    MEAN_NS / 2 + ((i64::from(chance) * MEAN_NS) >> 32)
}

/// How somebody who reports to our group disturbs us, if it does: only a sender can.
fn conflict(item: &Item, from: IpAddr, ours: IpAddr, ssrc: u32) -> Option<String> {
    let Item::SenderReport(report) = item else { return None };
    (report.ssrc != ssrc || from != ours)
        .then(|| format!("another sender at {from} sends to our group; give one of them another stream id or group"))
}

#[cfg(test)]
mod tests;
