use super::*;
use proptest::prelude::*;

const SSRC: u32 = 0x1122_3344;
const MATRIX: Matrix = Matrix { columns: 5, rows: 4 };

fn packet(sequence: u16) -> Vec<u8> {
    // Lengths differ, as a stranger's packets may.
    let payload: Vec<u8> = (0..40 + sequence % 7).map(|i| (i * 3).wrapping_add(sequence) as u8).collect();
    let mut bytes = vec![0; HEADER_LEN];
    let timestamp = u32::from(sequence).wrapping_mul(240);
    Header { payload_type: 127, sequence, timestamp, ssrc: SSRC }.write(&mut bytes).unwrap();
    bytes.extend(payload);
    bytes
}

/// A receiver's end that hears `count` packets from `first` on and their parity, but not what is lost: what it computes.
fn hear(first: u16, count: u16, lost: impl Fn(u16) -> bool) -> Vec<(u16, bool)> {
    let (mut encoder, mut decoder) = (Encoder::new(MATRIX, SSRC), Decoder::default());
    let mut computed = vec![];
    for i in 0..count {
        let sequence = first.wrapping_add(i);
        let bytes = packet(sequence);
        if let Some(parity) = encoder.push(&bytes) {
            decoder.parity(parity).unwrap();
        }
        if !lost(i) {
            let read = Packet::parse(&bytes).unwrap();
            decoder.stream(&read.header, read.payload);
        }
        while let Some(found) = decoder.compute() {
            let bytes = packet(found.sequence);
            let right = Packet::parse(&bytes).unwrap();
            let same = found.payload == right.payload
                && (found.timestamp, found.payload_type) == (right.header.timestamp, right.header.payload_type);
            computed.push((found.sequence, same));
        }
    }
    computed
}

#[test]
fn a_parity_packet_has_these_bytes() {
    let mut encoder = Encoder::new(Matrix { columns: 1, rows: 4 }, SSRC);
    let payloads: [&[u8]; 4] = [&[0x01, 0x10], &[0x02, 0x20], &[0x04, 0x40], &[0x08, 0x80, 0xff]];
    let mut last = None;
    for (i, payload) in payloads.iter().enumerate() {
        let mut bytes = vec![0; HEADER_LEN];
        let (sequence, timestamp) = (0x0458 + i as u16, 0x2a5f_3c10 + i as u32 * 240);
        Header { payload_type: 98, sequence, timestamp, ssrc: SSRC }.write(&mut bytes).unwrap();
        bytes.extend(*payload);
        last = encoder.push(&bytes).map(<[u8]>::to_vec);
    }
    let last = last.expect("the column is complete");
    assert_eq!(last[..HEADER_LEN][..4], [0x80, 96, 0, 0]);
    let timestamps = (0..4).fold(0, |sum, i| sum ^ (0x2a5f_3c10 + i * 240)) as u32;
    let mut expected = vec![0x04, 0x58, 0x00, 0x01, 0x80, 0, 0, 0];
    expected.extend(timestamps.to_be_bytes());
    expected.extend([0, 1, 4, 0, 0x0f, 0xf0, 0xff]);
    assert_eq!(last[HEADER_LEN..], expected);
}

#[test]
fn a_burst_as_long_as_the_matrix_is_wide_is_computed() {
    // Across the end of the 16 bits.
    let first = 65_520;
    let computed = hear(first, 60, |i| (23..28).contains(&i));
    let mut numbers: Vec<u16> = computed.iter().map(|(sequence, _)| *sequence).collect();
    numbers.sort_by_key(|sequence| sequence.wrapping_sub(first));
    assert_eq!(numbers, (23..28).map(|i| first.wrapping_add(i)).collect::<Vec<_>>());
    assert!(computed.iter().all(|(_, same)| *same));
    assert_eq!(hear(first, 60, |i| (23..29).contains(&i)).len(), 4, "one column lost two");
    assert!(hear(first, 60, |_| false).is_empty());
}

#[test]
fn a_gap_in_the_stream_begins_a_new_matrix() {
    let mut encoder = Encoder::new(MATRIX, SSRC);
    let parity = |encoder: &mut Encoder, range: std::ops::Range<u16>| {
        range.filter(|sequence| encoder.push(&packet(*sequence)).is_some()).count()
    };
    assert_eq!(parity(&mut encoder, 0..12), 0);
    assert_eq!(parity(&mut encoder, 100..120), 5);
    assert_eq!(parity(&mut encoder, 120..140), 5);
}

#[test]
fn shapes_that_the_standard_forbids_are_none() {
    assert!(Matrix::new(10, 4).is_some() && Matrix::new(5, 20).is_some());
    for (columns, rows) in [(0, 4), (21, 4), (10, 3), (10, 11), (4, 21)] {
        assert_eq!(Matrix::new(columns, rows), None, "{columns} x {rows}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_parity_or_refused_and_never_panic(
        packets in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..60),
        near in prop::collection::vec((0_u16..40, 0_u8..255), 0..40),
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(MATRIX, SSRC), Decoder::default());
        for (is_parity, mut bytes) in packets {
            if bytes.len() > 1 {
                bytes[0] = 0x80;
                bytes[1] = PAYLOAD_TYPE;
            }
            let _ = encoder.push(&bytes);
            if is_parity { let _ = decoder.parity(&bytes); }
            else if let Ok(packet) = Packet::parse(&bytes) { decoder.stream(&packet.header, packet.payload); }
            for _ in 0..100 { if decoder.compute().is_none() { break; } }
        }
        for (sequence, _) in near {
            let bytes = packet(sequence);
            let parity = encoder.push(&bytes).map(<[u8]>::to_vec);
            if let Some(parity) = parity { let _ = decoder.parity(&parity); }
            prop_assert!(decoder.waiting.len() <= MOST_WAITING);
            while decoder.compute().is_some() {}
        }
    }
}
