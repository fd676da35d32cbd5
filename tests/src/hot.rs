//! The hot parts, each as a closure that does one unit of its work: what the benchmarks time and callgrind counts.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use audioadapter_buffers::direct::InterleavedSlice;
use rtrb::RingBuffer;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};
use unisono_common::clock::exchange::{Sample, Server};
use unisono_common::clock::{ClockMap, Filter, StampSource, ntp};
use unisono_common::config::receiver::Quality;
use unisono_common::control::Hello;
use unisono_common::format::{Depth, Format};
use unisono_common::playout_delay::PlayoutDelay;
use unisono_common::rtp;
use unisono_common::time::{ClockEpoch, LocalTime, MediaTime};
use unisono_receiver::dac::{DacClock, Edge};
use unisono_receiver::jitter::JitterBuffer;
use unisono_receiver::playout::Playout;
use unisono_receiver::repair::{Repair, Way};
use unisono_receiver::resample::Resampler;
use unisono_receiver::servo::Servo;
use unisono_receiver::session::{ClockSource, Packet, Session, SessionConfig};
use unisono_sender::house::House;
use unisono_sender::house::room::Admission;
use unisono_sender::packetize::Packetizer;

/// A hot part.
pub struct Case {
    /// Short: names it in benchmarks and in the baseline.
    pub name: &'static str,
    /// What one call does.
    pub unit: &'static str,
    /// Makes what does it once with each call.
    pub make: fn() -> Box<dyn FnMut()>,
}

/// A chunk of the audio thread at 48 kHz: 10 ms.
const CHUNK: usize = 480;

/// Every hot part.
pub fn cases() -> Vec<Case> {
    let case = |name, unit, make: fn() -> Box<dyn FnMut()>| Case { name, unit, make };
    vec![
        case("packetize", "5 ms of 16 bit stereo into a packet", packetize),
        case("parse", "a packet's header", parse),
        case("jitter-buffer", "a packet of 5 ms in, its frames out", || jitter_buffer(false)),
        case("jitter-buffer-lossy", "the same, every tenth packet lost", || jitter_buffer(true)),
        case("repair", "a packet of 5 ms, every tenth lost, asked for and answered", repair),
        case("clock-filter", "an exchange taken in", clock_filter),
        case("clock-server", "a request answered", clock_server),
        case("dac-clock", "an edge of the card's position taken in", dac_clock),
        case("servo", "a step", servo),
        case("resample-low", "10 ms of stereo", || resample(Quality::Low)),
        case("resample-normal", "10 ms of stereo", || resample(Quality::Normal)),
        case("resample-high", "10 ms of stereo", || resample(Quality::High)),
        case("resample-slip", "10 ms of stereo", || resample(Quality::Slip)),
        case("rubato-128", "10 ms of stereo, for comparison", || rubato(128)),
        case("rubato-256", "10 ms of stereo, for comparison", || rubato(256)),
        case("room", "10 ms of a room, from its packets to its card's frames", room),
        case("patch", "a room of 500 patched, its orders made", patch),
    ]
}

fn packetize() -> Box<dyn FnMut()> {
    let mut packetizer = Packetizer::new(Format::DEFAULT, Format::DEFAULT.packet_frames(), 7);
    let mut frame = 0;
    Box::new(move || {
        frame += i64::from(Format::DEFAULT.packet_frames());
        let packet = packetizer.packet(frame, |samples| {
            samples.iter_mut().enumerate().for_each(|(i, sample)| *sample = (i as i32) << 5);
        });
        black_box(packet);
    })
}

fn packet(frame: i64, depth: Depth) -> Vec<u8> {
    let format = Format { depth, ..Format::DEFAULT };
    let mut packetizer = Packetizer::new(format, format.packet_frames(), 7);
    packetizer.packet(frame, |samples| samples.fill(1 << 10)).to_vec()
}

fn parse() -> Box<dyn FnMut()> {
    let bytes = packet(4_800, Depth::S16);
    Box::new(move || {
        let _ = black_box(rtp::Packet::parse(black_box(&bytes)));
    })
}

fn jitter_buffer(lossy: bool) -> Box<dyn FnMut()> {
    let frames = i64::from(Format::DEFAULT.packet_frames());
    let bytes = packet(0, Depth::S16);
    let mut buffer = JitterBuffer::new(Format::DEFAULT, 24_000);
    let mut out = vec![0.0; frames as usize * 2];
    // A quarter of a second ahead of what is read, as in a room.
    let mut next = 1_000_000;
    Box::new(move || {
        if !lossy || next / frames % 10 != 0 {
            buffer.insert(next as u32, &bytes[rtp::HEADER_LEN..]);
        }
        black_box(buffer.read(next - 12_000, &mut out));
        next += frames;
    })
}

fn repair() -> Box<dyn FnMut()> {
    let mut repair = Repair::new(1);
    let mut asked = Vec::with_capacity(64);
    let mut number = 0;
    let at = |packet: i64| LocalTime::from_ns(1_000_000_000 + packet * 5_000_000);
    Box::new(move || {
        number += 1;
        if number % 10 != 0 {
            repair.arrived(number, Way::Stream, at(number));
        }
        asked.clear();
        repair.ask(at(number), |number| at(number + 40), &mut asked);
        for lost in &asked {
            repair.arrived(*lost, Way::Answer, at(number));
        }
        black_box(&asked);
    })
}

fn clock_filter() -> Box<dyn FnMut()> {
    let mut filter = Filter::new();
    let mut now_ns = 0;
    Box::new(move || {
        now_ns += 250_000_000;
        let way_ns = 80_000 + now_ns / 250_000_000 * 7_919 % 40_000;
        let (sent, arrived) = (LocalTime::from_ns(now_ns), LocalTime::from_ns(now_ns + 2 * way_ns + 10_000));
        let at = |local_ns: i64| MediaTime::from_ns(1_000_000_000_000_000 + local_ns + local_ns / 50_000);
        black_box(filter.take(&Sample {
            epoch: ClockEpoch(1),
            sent,
            reached: at(now_ns + way_ns),
            answered: at(now_ns + way_ns + 10_000),
            arrived,
            sent_source: StampSource::Kernel,
            arrived_source: StampSource::Kernel,
            interleaved: true,
        }));
    })
}

fn clock_server() -> Box<dyn FnMut()> {
    let mut server = Server::new(ClockEpoch(1));
    let request = ntp::Packet {
        leap: 0,
        version: 4,
        mode: ntp::Mode::Client,
        stratum: 0,
        poll: 0,
        precision: 0,
        root_delay: 0,
        root_dispersion: 0,
        reference_id: 0,
        reference: 0,
        origin: 0,
        receive: 0,
        transmit: 0,
    };
    let mut now_ns = 1_700_000_000_000_000_000;
    let mut room = 0;
    Box::new(move || {
        now_ns += 2_000_000;
        room = (room + 1) % 500;
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, (room / 250) as u8, (room % 250) as u8));
        let bytes = ntp::Packet { transmit: now_ns as u64, ..request }.to_bytes();
        let (reached, now) = (MediaTime::from_ns(now_ns), MediaTime::from_ns(now_ns + 9_000));
        let reply = server.handle_request(&bytes, from, reached, now);
        if let Some(ticket) = reply.and_then(|reply| black_box(reply).ticket) {
            server.handle_sent(ticket, now);
        }
    })
}

fn dac_clock() -> Box<dyn FnMut()> {
    let mut dac = DacClock::new(48_000);
    let mut frame = 0;
    Box::new(move || {
        frame += 4_800;
        let noise_ns = frame * 7_919 % 900;
        let at = LocalTime::from_ns(frame * 1_000_000 / 48 + frame / 1_200 + noise_ns);
        black_box(dac.observe(Edge { frame, at, sigma_ns: 500.0 }));
        black_box(dac.map());
    })
}

fn servo() -> Box<dyn FnMut()> {
    let mut servo = Servo::default();
    let mut error_ns = 900.0;
    Box::new(move || {
        error_ns = -error_ns * 0.999;
        let _ = black_box(servo.step(black_box(error_ns), 400.0, 0.01));
    })
}

fn resample(quality: Quality) -> Box<dyn FnMut()> {
    let mut resampler = match Resampler::new(quality, 48_000, 48_000, 2, CHUNK) {
        Ok(resampler) => resampler,
        Err(error) => unreachable!("equal rates suit every quality: {error}"),
    };
    let input: Vec<f32> = (0..resampler.max_input() * 2).map(|i| (i as f32 * 0.13).sin() * 0.5).collect();
    let mut out = vec![0.0; CHUNK * 2];
    Box::new(move || {
        let wanted = resampler.plan(CHUNK, 1.000_04, 0.0);
        resampler.process(&input[..wanted * 2], &mut out);
        black_box(&out);
    })
}

/// What a library does for the same: its asynchronous resampler with a filter of this length, and lines between 512 rows.
fn rubato(taps: usize) -> Box<dyn FnMut()> {
    let parameters = SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris2)
        .oversampling_factor(512)
        .interpolation(SincInterpolationType::Linear);
    let mut inner = match Async::<f32>::new_sinc(1.0, 1.02, &parameters, CHUNK, 2, FixedAsync::Output) {
        Ok(inner) => inner,
        Err(error) => unreachable!("a ratio of one suits: {error}"),
    };
    let input: Vec<f32> = (0..4 * CHUNK).map(|i| (i as f32 * 0.13).sin() * 0.5).collect();
    let mut out = vec![0.0; CHUNK * 2];
    Box::new(move || {
        let _ = inner.set_resample_ratio(1.0 / 1.000_04, true);
        let wanted = inner.input_frames_next();
        let adapters = (InterleavedSlice::new(&input, 2, wanted), InterleavedSlice::new_mut(&mut out, 2, CHUNK));
        if let (Ok(input), Ok(mut out)) = adapters {
            let _ = inner.process_into_buffer(&input, &mut out, None);
        }
        black_box(&out);
    })
}

/// The sender's clock, which runs as ours does.
struct Clock(Arc<AtomicI64>);

impl ClockSource for Clock {
    fn read(&self) -> Option<ClockMap> {
        Some(ClockMap {
            epoch: ClockEpoch(1),
            at: LocalTime::from_ns(self.0.load(Ordering::Relaxed)),
            offset_ns: 0,
            offset_fraction_ns: 0.0,
            rate: 0.0,
            sigma_ns: 300.0,
            rate_sigma: 1e-9,
        })
    }
}

/// What a room does for 10 ms of sound between its sockets and its card at quality normal: two packets taken from the queue,
/// placed, read, resampled, steered and mixed, and an edge of the card's position now and then. A hundred of them are a second.
fn room() -> Box<dyn FnMut()> {
    let (mut packets, consumer) = RingBuffer::new(64);
    let now = Arc::new(AtomicI64::new(0));
    let config = SessionConfig {
        id: 1,
        format: Format::DEFAULT,
        playout_delay: PlayoutDelay::fixed(250_000_000),
        timestamp_offset: 0,
        quality: Quality::Normal,
        device_rate: 48_000,
        max_chunk: CHUNK,
        taken_after_ns: Arc::default(),
    };
    let session = match Session::new(&config, consumer, Box::new(Clock(Arc::clone(&now)))) {
        Ok(session) => session,
        Err(error) => unreachable!("equal rates suit every quality: {error}"),
    };
    let mut playout = Playout::new(48_000, 2, CHUNK);
    playout.set_session(Some(Box::new(session)));
    let bytes = packet(0, Depth::S16);
    let mut out = vec![0.0; CHUNK * 2];
    let mut chunk = 0;
    Box::new(move || {
        let (local, frame) = (LocalTime::from_ns(chunk * 10_000_000), chunk * CHUNK as i64);
        now.store(local.as_ns(), Ordering::Relaxed);
        for first in [frame, frame + 240] {
            // Taken at once, so that there is always room.
            let _ = packets.push(Packet::new(first as u32, &bytes[rtp::HEADER_LEN..], false));
        }
        if chunk % 10 == 0 {
            let _ = playout.observe(Edge { frame, at: local, sigma_ns: 500.0 });
        }
        // As far ahead of the card as a room's ring is filled.
        playout.render(local, frame + 8 * CHUNK as i64, &mut out);
        black_box(&out);
        chunk += 1;
    })
}

fn patch() -> Box<dyn FnMut()> {
    let mut house = House::default();
    let name = |i: usize| format!("room-{i}");
    for i in 0..500 {
        let hello = Hello { room_id: name(i), room: name(i), ..Hello::default() };
        if let Err(refusal) = house.greet(&hello, Admission::LetIn, Some("music")) {
            unreachable!("a house has room for 500: {refusal}");
        }
    }
    let rooms: Vec<String> = (0..500).map(name).collect();
    let mut turn = 0;
    Box::new(move || {
        turn = (turn + 1) % rooms.len();
        let stream = if turn % 2 == 0 { "music" } else { "radio" };
        if let Err(refusal) = house.patch(&rooms[turn], Some(stream)) {
            unreachable!("the room was let in: {refusal}");
        }
        black_box(house.orders(&rooms[turn], |_| Some(String::new()), |_| false));
    })
}
