//! The shell around [`Repair`](crate::repair::Repair): sends its requests and takes in the answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use unisono_common::clock::ClockMap;
use unisono_common::delivery::{self, Kind, Message};
use unisono_common::fec::Decoder;
use unisono_common::rtcp::Item;
use unisono_common::rtx::{self, Retransmission, RtxError};
use unisono_common::time::{LocalTime, MediaTime, unwrap_timestamp};
use unisono_common::{rtcp, rtp, sdp, sequence};
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastError, MulticastReceiver, SendOptions};
use unisono_host::peer::PeerSocket;
use unisono_host::{clock, random};

use crate::repair::{MOST_MISSED, Repair, Way};
use crate::session::{PAYLOAD_CAPACITY, Packet};
use crate::timeclient::ClockReader;

/// DSCP of requests: as the stream's, AF41.
const DSCP: u8 = 34;

/// Requests stay in the house, as the stream does.
const TTL: u8 = 16;

/// While nothing can be sent it is looked this often whether this host has another address now.
const READDRESS_NS: i64 = 1_000_000_000;

/// When packets of a stream must be here to be played.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The sender's clock.
    pub clock: ClockReader,
    /// How long after its timestamp a frame is taken by playout, in ns; playout keeps it up to date.
    pub taken_after_ns: Arc<AtomicI64>,
    /// Frames per second.
    pub rate: u32,
    /// Frames in a packet.
    pub packet_frames: u32,
    /// What the stream's RTP timestamps are ahead of ours.
    pub timestamp_offset: u32,
}

impl Schedule {
    /// Length of a packet in nanoseconds.
    pub(super) fn packet_ns(&self) -> i64 {
        i64::from(self.packet_frames) * 1_000_000_000 / i64::from(self.rate)
    }

    /// When the packet must be here whose first frame is `packets` packets after `timestamp`.
    fn due(&self, timestamp: u32, packets: i64, map: &ClockMap, now: LocalTime) -> LocalTime {
        let current = map.media_at(now).to_frame(self.rate);
        let frame = unwrap_timestamp(timestamp.wrapping_sub(self.timestamp_offset), current);
        let frame = frame.wrapping_add(packets.wrapping_mul(i64::from(self.packet_frames)));
        map.local_at(MediaTime::from_frame(frame, self.rate) + self.taken_after_ns.load(Ordering::Relaxed))
    }
}

/// What the sender says on the repair port.
pub(super) enum Said {
    /// A packet of the stream, so long, delivered by unicast.
    Packet(usize),
    /// A packet that was sent again, so long, and to whom.
    Again(usize, Way),
    /// Ask for delivery again: there is a token now.
    AskAgain,
    /// Something that is not for this room, such as a report.
    Other,
    /// Nothing: it was somebody else, was cut off, or can't be read.
    Nothing,
}

/// Parity of a stream's packets.
pub(super) struct Parity {
    pub(super) group: MulticastReceiver,
    pub(super) decoder: Decoder,
}

/// Requests for one stream and their answers.
pub(super) struct Mending {
    /// Requests leave here and answers to this room come in.
    pub(super) own: PeerSocket,
    /// Answers to all rooms.
    pub(super) group: MulticastReceiver,
    /// Parity, where the stream has any.
    pub(super) parity: Option<Parity>,
    address: sdp::Repair,
    interface: Interface,
    /// When something could not be sent, and it was looked why.
    unsent: Option<LocalTime>,
    schedule: Schedule,
    repair: Repair,
    /// Number and timestamp of a packet that came; those of all others follow.
    anchor: Option<(i64, u32)>,
    /// What the sender gave for a proof that we are where we say; 0 before.
    token: u64,
    ssrc: u32,
    cname: String,
    wanted: Vec<i64>,
    sequences: Vec<u16>,
}

impl Mending {
    pub(super) fn open(
        address: &sdp::Repair,
        fec: Option<&sdp::Fec>,
        interface: &Interface,
        schedule: Schedule,
    ) -> Result<Self, MulticastError> {
        let own = own_socket(interface, address)?;
        let cname = own.local_addr().map_or_else(|_| "room".into(), |local| format!("room@{local}"));
        let join = |fec: &sdp::Fec| MulticastReceiver::join(fec.group, interface);
        let parity = fec.map(join).transpose()?.map(|group| Parity { group, decoder: Decoder::default() });
        Ok(Self {
            parity,
            own,
            group: MulticastReceiver::join(address.group, interface)?,
            address: *address,
            interface: interface.clone(),
            unsent: None,
            schedule,
            repair: Repair::new(random::number()),
            anchor: None,
            token: 0,
            ssrc: random::nonzero_u32(),
            cname,
            wanted: Vec::with_capacity(MOST_MISSED),
            sequences: Vec::with_capacity(MOST_MISSED),
        })
    }

    /// A packet of the stream came.
    pub(super) fn arrived(&mut self, number: i64, packet: &rtp::Packet<'_>, at: LocalTime) {
        self.anchor = Some((number, packet.header.timestamp));
        self.repair.arrived(number, Way::Stream, at);
        if let Some(parity) = &mut self.parity {
            parity.decoder.stream(&packet.header, packet.payload);
        }
    }

    /// A packet that can be computed from what is here, if one can, and its number if it fits this stream; `near` is the number
    /// of a packet near it.
    pub(super) fn compute(&mut self, near: i64, payload_type: u8, now: LocalTime) -> Option<(Option<i64>, Packet)> {
        let computed = self.parity.as_mut()?.decoder.compute()?;
        // Of another type it adds up to nonsense: parity of another stream.
        let fits = computed.payload_type == payload_type && computed.payload.len() <= PAYLOAD_CAPACITY;
        let packet = Packet::new(computed.timestamp, if fits { computed.payload } else { &[] }, true);
        let number = fits.then(|| sequence::unwrap(computed.sequence, near));
        if let Some(number) = number {
            self.repair.arrived(number, Way::Computed, now);
        }
        Some((number, packet))
    }

    /// Where the sender speaks from.
    pub(super) fn address(&self) -> SocketAddr {
        self.address.requests
    }

    /// The source is another from now on.
    pub(super) fn restart(&mut self) {
        self.anchor = None;
        self.repair.restart();
        if let Some(parity) = &mut self.parity {
            parity.decoder.restart();
        }
    }

    /// Takes the next thing that the sender says: what, and when; packets are in `buffer`.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<(Said, LocalTime)> {
        let asked: SocketAddr = self.address.requests;
        let own = self.own.receive(buffer).ok().flatten().map(|received| (received, Way::Answer));
        let group = || self.group.receive(buffer).ok().flatten().map(|received| (received, Way::GroupAnswer));
        let (received, way) = own.or_else(group)?;
        // Whoever else sends here has nothing to say.
        if received.from.ip() != asked.ip() || received.from.port() != asked.port() || received.truncated {
            return Some((Said::Nothing, received.stamp.at));
        }
        let bytes = &buffer[..received.len];
        let said = match bytes.get(1) {
            // RTCP, by the types that RTP must not use (RFC 5761 section 4).
            Some(192..=223) => match rtcp::parse(bytes).map(|items| self.token_in(&items)) {
                Ok(Some(token)) => {
                    self.token = token;
                    Said::AskAgain
                }
                Ok(None) => Said::Other,
                Err(_) => Said::Nothing,
            },
            Some(byte) if byte & 0x7f == self.address.payload_type => Said::Again(received.len, way),
            _ => Said::Packet(received.len),
        };
        Some((said, received.stamp.at))
    }

    fn token_in(&self, items: &[Item]) -> Option<u64> {
        items.iter().find_map(|item| match item {
            Item::Delivery(Message { kind: Kind::Token, media, token }) if *media == self.address.ssrc => Some(*token),
            _ => None,
        })
    }

    /// Says something about delivery to the sender.
    pub(super) fn say(&mut self, kind: Kind) {
        let message = Message { kind, media: self.address.ssrc, token: self.token };
        let mut out = [0; 64];
        match delivery::write(&message, self.ssrc, &mut out) {
            // Lost like any other packet, and said again.
            Ok(length) => self.send(&out[..length]),
            Err(error) => tracing::debug!("{error}"),
        }
    }

    fn send(&mut self, packet: &[u8]) {
        let sent = self.own.send_to(packet, self.address.requests);
        let now = clock::now();
        if sent.is_ok() || self.unsent.is_some_and(|looked| now - looked < READDRESS_NS) {
            return;
        }
        self.unsent = Some(now);
        if let Err(error) = self.readdress() {
            tracing::debug!("the sender can't be asked: {error}");
        }
    }

    /// Speaks from the address that this host has now: after an outage it may have been given another, and from the old one
    /// nothing can be sent.
    fn readdress(&mut self) -> Result<(), MulticastError> {
        let now = Interface::by_name(&self.interface.name)?;
        let address = now.address(self.address.requests.ip())?;
        if self.own.local_addr().is_ok_and(|local| local.ip() == address) {
            return Ok(());
        }
        self.own = own_socket(&now, &self.address)?;
        self.interface = now;
        // The old one proved another address.
        self.token = 0;
        tracing::info!("lost packets are asked for from {address} from now on");
        Ok(())
    }

    /// Nothing has been heard for a while: listens anew to everything, and speaks from where this host is now.
    pub(super) fn revive(&mut self) -> Result<(), MulticastError> {
        self.group.revive()?;
        if let Some(parity) = &mut self.parity {
            parity.group.revive()?;
        }
        self.readdress()
    }

    /// When the sender's clock answered last.
    pub(super) fn clock_heard(&self) -> Option<LocalTime> {
        self.schedule.clock.read().map(|map| map.at)
    }

    pub(super) fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Retransmission<'a>, RtxError> {
        rtx::parse(bytes, self.address.payload_type)
    }

    /// A packet came that was sent again.
    pub(super) fn again(&mut self, number: i64, again: &Retransmission<'_>, way: Way, at: LocalTime, payload_type: u8) {
        self.repair.arrived(number, way, at);
        if let Some(parity) = &mut self.parity {
            let &Retransmission { ssrc, sequence, timestamp, payload } = again;
            parity.decoder.stream(&rtp::Header { payload_type, sequence, timestamp, ssrc }, payload);
        }
    }

    /// When to call [`ask`](Self::ask) again. Before the clock is known nothing can be asked for: nobody knows until when.
    pub(super) fn next(&self) -> Option<LocalTime> {
        self.repair.next().filter(|_| self.schedule.clock.read().is_some())
    }

    /// Asks the source `media` for what it is time to ask for; how many packets.
    pub(super) fn ask(&mut self, media: u32, now: LocalTime) -> usize {
        if self.repair.next().is_none_or(|next| next - now > 0) {
            return 0;
        }
        let (Some((number, timestamp)), Some(map)) = (self.anchor, self.schedule.clock.read()) else { return 0 };
        let due = |wanted: i64| self.schedule.due(timestamp, wanted - number, &map, now);
        self.repair.ask(now, due, &mut self.wanted);
        if self.wanted.is_empty() {
            return 0;
        }
        self.sequences.clear();
        self.sequences.extend(self.wanted.iter().map(|number| *number as u16));
        let mut out = [0; 2048];
        match rtcp::write_nack(self.ssrc, media, &self.cname, &self.sequences, &mut out) {
            // A request that can't be sent is lost like any other, and made again.
            Ok(length) => self.send(&out[..length]),
            Err(error) => tracing::debug!("{error}"),
        }
        self.wanted.len()
    }
}

/// The socket that requests leave by and answers to this room alone come in by.
fn own_socket(interface: &Interface, address: &sdp::Repair) -> Result<PeerSocket, MulticastError> {
    PeerSocket::open(interface, address.requests.ip(), SendOptions { source_port: 0, ttl: TTL, dscp: DSCP })
}
