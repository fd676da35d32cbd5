use super::*;
use crate::source::http::Http;
use crate::source::queue::{SourceHandle, queue};
use unisono_audio::convert::Layout;

/// Frames of a block, and its bytes: 50 ms.
const BLOCK: usize = 400;

/// From the network to the taker, in virtual time.
struct Line {
    station: Station,
    backlog: Backlog,
    writer: QueueWriter,
    handle: SourceHandle,
    now_ns: i64,
}

impl Line {
    fn new() -> Self {
        let format = "8000:16:1".parse().unwrap();
        let (writer, handle) = queue(format, Http::SIZES);
        Self { station: Station::new(format), backlog: Backlog::default(), writer, handle, now_ns: 0 }
    }

    /// Decodes what waits as far as there is room for it, and takes a block.
    fn step(&mut self) -> [i32; BLOCK] {
        let shape = Shape { rate: 8_000, layout: Layout::of_count(1), bits: Some(16) };
        while self.backlog.bytes().1 > 0 && self.writer.space() > 2 * BLOCK {
            self.backlog.taken(BLOCK);
            let mut pcm = Vec::new();
            self.station.feed(&shape, Samples::Int(&[16 << 16; BLOCK]), &mut pcm);
            self.writer.push(&pcm).unwrap();
            self.station.follow(self.now_ns, &self.backlog, &mut self.writer);
        }
        let mut out = [0; BLOCK];
        self.handle.take(&mut out);
        self.now_ns += 50_000_000;
        out
    }
}

#[test]
fn a_station_is_followed_even_when_the_queue_does_not_hold_what_it_sent() {
    let (mut line, mut sent) = (Line::new(), 0.0);
    for n in 0..24_000 {
        // Ten seconds at once, and then by a clock that is fast.
        let due = 200.0 + f64::from(n) * (1.0 + 800e-6);
        while sent < due {
            line.backlog.came(BLOCK);
            sent += 1.0;
        }
        line.step();
    }
    // Left alone, 11 s would wait by now.
    let waiting_s = (line.writer.queued() + line.backlog.bytes().1) as f64 / 8_000.0;
    assert!(line.station.bridge.is_stretching() && (9.8..10.65).contains(&waiting_s), "{waiting_s} s wait");
    let ppm = line.handle.status().snapshot().writer_ppm.unwrap();
    assert!((ppm - 800.0).abs() < 150.0, "800 ppm are taken for {ppm}");
    line.station.reset();
    assert!(!line.station.bridge.is_stretching(), "another connection begins anew");
}

#[test]
fn a_file_of_unknown_length_passes_bit_for_bit() {
    let mut line = Line::new();
    for _ in 0..24_000 {
        // Its server fills all the room there is.
        while line.backlog.bytes().1 < 500 * BLOCK as u64 {
            line.backlog.came(BLOCK);
        }
        assert!(line.step().iter().all(|&sample| sample == 16));
    }
    assert!(!line.station.bridge.is_stretching());
}
