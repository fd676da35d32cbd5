//! RTCP (RFC 3550 section 6): the sender's reports out, everybody's reports in.
//!
//! The group's RTCP port is a public place: GStreamer multicasts receiver reports there on its own, and anything may
//! follow. What is well formed is given out, what is unknown is passed over, and nothing that is read here decides
//! how the stream is sent.

use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, Compound, Nack, Packet, ReceiverReferenceTime, ReceiverReport, RtcpParseError, RtcpWriteError, Sdes,
    SdesChunk, SdesItem, TransportFeedback,
};

use crate::delivery;

/// A sender report (RFC 3550 section 6.4.1), without report blocks: a sender that receives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// Whose report it is.
    pub ssrc: u32,
    /// The instant of the report as an NTP timestamp of the media clock.
    pub ntp: u64,
    /// The same instant as an RTP timestamp; not that of the last packet.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// What a receiver has seen of a source (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source that this is about.
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; negative when duplicates outnumber losses.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter in RTP timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP timestamp of the last sender report.
    pub last_report: u32,
    /// From that report's arrival to this one's sending, in 1/65536 s.
    pub delay_since_last_report: u32,
}

/// One thing read from an RTCP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A sender report.
    SenderReport(SenderReport),
    /// A report block of a sender or receiver report.
    ReportBlock {
        /// Who reports.
        reporter: u32,
        /// What it has seen.
        block: ReportBlock,
    },
    /// A canonical name (SDES CNAME).
    Cname {
        /// Whose name it is.
        ssrc: u32,
        /// The name.
        name: String,
    },
    /// A source that leaves.
    Bye {
        /// Which one.
        ssrc: u32,
    },
    /// A receiver's clock, to measure round trips (XR receiver reference time, RFC 3611 section 4.4).
    ReferenceTime {
        /// Whose clock it is.
        ssrc: u32,
        /// Its time as an NTP timestamp.
        ntp: u64,
    },
    /// Packets that a receiver misses (generic NACK, RFC 4585 section 6.2.1).
    Nack {
        /// Who misses them.
        reporter: u32,
        /// Whose packets they are.
        media: u32,
        /// Their sequence numbers.
        sequences: Vec<u16>,
    },
    /// About delivery by unicast.
    Delivery(delivery::Message),
}

/// Why bytes are no RTCP packet, or a report can't be written.
#[derive(Debug, thiserror::Error)]
pub enum RtcpError {
    /// Not a compound packet of version 2 whose lengths add up.
    #[error("RTCP: {0}")]
    Malformed(#[from] RtcpParseError),
    /// The name is too long or the buffer too small.
    #[error("RTCP: the report can't be written: {0}")]
    Unwritable(#[from] RtcpWriteError),
}

/// Writes SR and SDES, with a BYE behind them when `bye` gives the reason to leave; returns the number of bytes.
pub fn write_report(report: &SenderReport, cname: &str, bye: Option<&str>, out: &mut [u8]) -> Result<usize, RtcpError> {
    let sender_report = rtcp_types::SenderReport::builder(report.ssrc)
        .ntp_timestamp(report.ntp)
        .rtp_timestamp(report.rtp_timestamp)
        .packet_count(report.packets)
        .octet_count(report.octets);
    let name = SdesItem::builder(SdesItem::CNAME, cname);
    let description = Sdes::builder().add_chunk(SdesChunk::builder(report.ssrc).add_item(name));
    let mut compound = Compound::builder().add_packet(sender_report).add_packet(description);
    if let Some(reason) = bye {
        compound = compound.add_packet(Bye::builder().add_source(report.ssrc).reason(reason));
    }
    Ok(compound.write_into(out)?)
}

/// The sequence numbers that one request carries at most: what a receiver can have lost of a stream and still want.
pub const MOST_MISSING: usize = 256;

/// Writes the least compound packet that asks the source `media` for packets (RFC 4585 section 3.1): an empty RR, SDES and
/// NACK; returns the number of bytes. Of more than [`MOST_MISSING`] numbers the rest is left out.
pub fn write_nack(
    reporter: u32,
    media: u32,
    cname: &str,
    sequences: &[u16],
    out: &mut [u8],
) -> Result<usize, RtcpError> {
    let add = |nack: rtcp_types::NackBuilder, sequence: &u16| nack.add_rtp_sequence(*sequence);
    let nack = sequences.iter().take(MOST_MISSING).fold(Nack::builder(), add);
    let name = SdesItem::builder(SdesItem::CNAME, cname);
    let compound = Compound::builder()
        .add_packet(ReceiverReport::builder(reporter))
        .add_packet(Sdes::builder().add_chunk(SdesChunk::builder(reporter).add_item(name)))
        .add_packet(TransportFeedback::builder_owned(nack).sender_ssrc(reporter).media_ssrc(media));
    Ok(compound.write_into(out)?)
}

/// Reads a compound packet. Parts of other kinds, and all after a part that can't be read, are left out.
pub fn parse(bytes: &[u8]) -> Result<Vec<Item>, RtcpError> {
    let mut items = Vec::new();
    for packet in Compound::parse(bytes)?.map_while(Result::ok) {
        match packet {
            Packet::Sr(report) => {
                items.push(Item::SenderReport(SenderReport {
                    ssrc: report.ssrc(),
                    ntp: report.ntp_timestamp(),
                    rtp_timestamp: report.rtp_timestamp(),
                    packets: report.packet_count(),
                    octets: report.octet_count(),
                }));
                items.extend(report.report_blocks().map(|block| report_block(report.ssrc(), &block)));
            }
            Packet::Rr(report) => {
                items.extend(report.report_blocks().map(|block| report_block(report.ssrc(), &block)));
            }
            Packet::Sdes(description) => {
                let names = description.chunks().flat_map(|chunk| chunk.items().map(move |item| (chunk.ssrc(), item)));
                items.extend(names.filter(|(_, item)| item.type_() == SdesItem::CNAME).map(|(ssrc, item)| {
                    Item::Cname { ssrc, name: String::from_utf8_lossy(item.value()).into_owned() }
                }));
            }
            Packet::Bye(bye) => items.extend(bye.ssrcs().map(|ssrc| Item::Bye { ssrc })),
            Packet::Xr(report) => {
                let times = report.block_iter().filter_map(|b| b.parse_into::<ReceiverReferenceTime<'_>>().ok());
                let ssrc = report.sender_ssrc();
                items.extend(times.map(|time| Item::ReferenceTime { ssrc, ntp: time.ntp_timestamp() }));
            }
            Packet::TransportFeedback(feedback) => {
                if let Ok(nack) = feedback.parse_fci::<Nack<'_>>() {
                    items.push(Item::Nack {
                        reporter: feedback.sender_ssrc(),
                        media: feedback.media_ssrc(),
                        sequences: nack.entries().take(MOST_MISSING).collect(),
                    });
                }
            }
            Packet::App(app) => items.extend(delivery::read(&app).map(Item::Delivery)),
            _ => {}
        }
    }
    Ok(items)
}

fn report_block(reporter: u32, block: &rtcp_types::ReportBlock<'_>) -> Item {
    let block = ReportBlock {
        ssrc: block.ssrc(),
        fraction_lost: block.fraction_lost(),
        // 24 bits, signed.
        cumulative_lost: (block.cumulative_lost() << 8) as i32 >> 8,
        highest_sequence: block.extended_sequence_number(),
        jitter: block.interarrival_jitter(),
        last_report: block.last_sender_report_timestamp(),
        delay_since_last_report: block.delay_since_last_sender_report_timestamp(),
    };
    Item::ReportBlock { reporter, block }
}

#[cfg(test)]
mod tests;
