//! Finding a hub: one multicast DNS question, sent from a port of our own.
//!
//! A question from a port other than 5353 is a *one-shot* one (RFC 6762 section 6.7): the answer comes straight back,
//! unicast and without the 20 to 120 ms that a responder waits before it multicasts. So a room has its hub within a
//! few milliseconds, keeps no cache and needs no port that another program may hold. The answer's PTR, SRV, TXT and A
//! records (RFC 1035 section 4.1) are read here, with bounds on everything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The group and port of multicast DNS.
pub const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);

const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_TXT: u16 = 16;
const TYPE_SRV: u16 = 33;
const CLASS_IN: u16 = 1;

/// No real answer to our question is longer; more records than this are not read.
const MAX_RECORDS: usize = 64;

/// A hub that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Name of the service instance.
    pub instance: String,
    /// Where its HTTP server listens.
    pub address: SocketAddr,
    /// The hub's id, from its TXT record.
    pub hub_id: Option<String>,
}

/// The question: which instances of `service` (such as `_unisono._tcp.local.`) are there?
pub fn question(service: &str) -> Vec<u8> {
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in service.trim_end_matches('.').split('.') {
        packet.push(label.len().min(63) as u8);
        packet.extend(label.bytes().take(63));
    }
    packet.push(0);
    packet.extend(TYPE_PTR.to_be_bytes());
    packet.extend(CLASS_IN.to_be_bytes());
    packet
}

/// The hubs in an answer that came from `from`. Anything that is not an answer about `service` gives none.
pub fn answers(packet: &[u8], service: &str, from: IpAddr) -> Vec<Found> {
    let records = records(packet).unwrap_or_default();
    let service = service.trim_end_matches('.').to_ascii_lowercase();
    let instances = records.iter().filter_map(|record| match &record.data {
        Data::Pointer(instance) if record.name == service => Some(instance),
        _ => None,
    });
    instances.filter_map(|instance| resolve(instance, &records, from)).collect()
}

fn resolve(instance: &str, records: &[Record], from: IpAddr) -> Option<Found> {
    let of_instance = |record: &&Record| record.name == instance;
    let (port, host) = records.iter().filter(of_instance).find_map(|record| match &record.data {
        Data::Service { port, host } => Some((*port, host)),
        _ => None,
    })?;
    let hub_id = records.iter().filter(of_instance).find_map(|record| match &record.data {
        Data::Text(texts) => texts.iter().find_map(|text| text.strip_prefix("id=").map(str::to_owned)),
        _ => None,
    });
    let addresses: Vec<IpAddr> = records
        .iter()
        .filter(|record| &record.name == host)
        .filter_map(|record| match record.data {
            Data::Address(address) => Some(IpAddr::V4(address)),
            _ => None,
        })
        .collect();
    // The sender of the packet can surely be reached; a reflector between networks speaks for somebody else.
    let ip = if addresses.contains(&from) { from } else { addresses.first().copied().unwrap_or(from) };
    Some(Found { instance: instance.to_owned(), address: SocketAddr::new(ip, port), hub_id })
}

struct Record {
    /// In lower case, without the last dot.
    name: String,
    data: Data,
}

enum Data {
    Pointer(String),
    Service { port: u16, host: String },
    Text(Vec<String>),
    Address(Ipv4Addr),
    Other,
}

/// Every record of a response; `None` when the packet is cut or isn't one.
fn records(packet: &[u8]) -> Option<Vec<Record>> {
    let count = |at| Some(usize::from(read_u16(packet, at)?));
    if packet.get(2)? & 0x80 == 0 {
        return None;
    }
    let (questions, answers) = (count(4)?, count(6)? + count(8)? + count(10)?);
    let mut at = 12;
    for _ in 0..questions.min(MAX_RECORDS) {
        at = name(packet, at)?.1 + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers.min(MAX_RECORDS) {
        let (owner, after) = name(packet, at)?;
        let kind = read_u16(packet, after)?;
        let length = usize::from(read_u16(packet, after + 8)?);
        let start = after + 10;
        let bytes = packet.get(start..start + length)?;
        let data = match kind {
            TYPE_PTR => Data::Pointer(name(packet, start)?.0),
            TYPE_SRV => Data::Service { port: read_u16(packet, start + 4)?, host: name(packet, start + 6)?.0 },
            TYPE_TXT => Data::Text(texts(bytes)),
            TYPE_A => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            _ => Data::Other,
        };
        records.push(Record { name: owner, data });
        at = start + length;
    }
    Some(records)
}

fn read_u16(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?))
}

/// The name at `at`, in lower case, and where the bytes after it begin.
fn name(packet: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut after = None;
    // A pointer must lead to earlier bytes, so this ends; a name has at most 255 bytes.
    let mut limit = at + 1;
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some((name, after.unwrap_or(at + 1))),
            1..=63 => {
                let label = packet.get(at + 1..at + 1 + length)?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
                at += 1 + length;
            }
            0xc0.. => {
                let target = usize::from(read_u16(packet, at)? & 0x3fff);
                after.get_or_insert(at + 2);
                if target >= limit {
                    return None;
                }
                (at, limit) = (target, target);
            }
            _ => return None,
        }
        if name.len() > 1024 {
            return None;
        }
    }
}

/// The strings of a TXT record, each with its length before it.
fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [length, rest @ ..] = bytes {
        let (text, after) = rest.split_at(usize::from(*length).min(rest.len()));
        texts.push(String::from_utf8_lossy(text).into_owned());
        bytes = after;
    }
    texts
}

#[cfg(test)]
mod tests;
