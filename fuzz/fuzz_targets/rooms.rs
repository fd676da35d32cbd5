//! What a room does with what comes: which packets it misses and asks for, by which way they come, what it plays of them, and
//! which hub it finds. Whatever comes in whatever order, nothing panics, and no bound is passed.
#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use unisono_common::config::receiver::Delivery as Wish;
use unisono_common::control::SERVICE;
use unisono_common::format::Format;
use unisono_common::rtp::Packet;
use unisono_common::sequence::Extender;
use unisono_common::time::LocalTime;
use unisono_receiver::delivery::{DEFAULT_SHARE, Delivery};
use unisono_receiver::hub::query;
use unisono_receiver::jitter::JitterBuffer;
use unisono_receiver::repair::{MOST_MISSED, Repair, Way};

/// Frames that are read at a time, of two channels.
const CHUNK: i64 = 240;

fuzz_target!(|bytes: &[u8]| {
    let mut now = LocalTime::from_ns(0);
    let mut buffer = JitterBuffer::new(Format::DEFAULT, 4_800);
    let (mut numbers, mut repair) = (Extender::default(), Repair::new(7));
    let mut delivery = Delivery::new(Wish::Auto, DEFAULT_SHARE, now);
    let (mut expected, mut came) = (0, 0);
    let (mut out, mut wanted) = ([0.0; 2 * CHUNK as usize], Vec::with_capacity(MOST_MISSED));
    let mut rest = bytes;
    // How much later, by which way, how long, and the packet.
    while let [later, way, length, tail @ ..] = rest {
        let (packet, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        now = now + i64::from(*later) * 1_000_000;
        let _ = query::answers(packet, SERVICE, Ipv4Addr::LOCALHOST.into());
        let Ok(packet) = Packet::parse(packet) else { continue };
        let number = numbers.extend(packet.header.sequence);
        let way = [Way::Stream, Way::Answer, Way::GroupAnswer, Way::Computed][usize::from(*way % 4)];
        repair.arrived(number, way, now);
        repair.ask(now, |wanted| now + (wanted - number) * 5_000_000 + 160_000_000, &mut wanted);
        assert!(wanted.len() <= MOST_MISSED);
        if way == Way::Stream {
            came += 1;
            delivery.heard(now);
        }
        expected += u64::from(*later);
        let _ = delivery.look(now, expected, came, Some(now));
        let _ = buffer.insert(packet.header.timestamp, packet.payload);
        if let Some(end) = buffer.end() {
            let report = buffer.read(end - 2 * CHUNK, &mut out);
            assert!(report.missing as i64 <= CHUNK && out.iter().all(|sample: &f32| sample.abs() <= 1.0));
        }
    }
});
