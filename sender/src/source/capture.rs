//! The capture source: a sound card's input, by ALSA.
//!
//! The card's crystal is not the media clock's: its level is kept by stretching, from the start. What waits between the
//! card and the stream is [`latency_ms`](unisono_common::config::sender::SourceConfig::Capture), so that a television's
//! sound can stay with its picture. A card that is unplugged is waited for.

use std::time::Duration;

use alsa::pcm::{Access, Format as AlsaFormat, Frames, HwParams, PCM};
use alsa::{Direction, ValueOr};
use unisono_common::format::{Encoding as Wanted, Format, RawFormat};

use super::Source;
use super::drift::Drift;
use super::feed::Feed;
use super::lateness::Lateness;
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::status::State;
use unisono_audio::convert::{Layout, MAX_CHANNELS, Samples, Shape};

/// One period of the card: how often it wakes us.
const PERIOD_MS: u32 = 5;
/// The card's ring: what a stall of this machine may last before sound is lost.
const RING_MS: u32 = 200;
/// How long a look at a silent card may take.
const LOOK_MS: u32 = 20;
/// Between attempts at a card that is not there.
const RETRY: Duration = Duration::from_secs(1);

/// A card's input and the way from it to the queue.
pub(super) struct Capture {
    device: String,
    wanted: RawFormat,
    stream: Format,
    latency: Duration,
}

/// An open card.
struct Card {
    pcm: PCM,
    encoding: Encoding,
    rate: u32,
    channels: usize,
    /// So many of its channels are heard, from the first on.
    heard: usize,
}

/// How the card writes a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    S16,
    S24,
    S24Packed,
    S32,
}

impl Capture {
    pub(super) fn sizes(latency_ms: u32) -> Sizes {
        let latency = Duration::from_millis(latency_ms.into());
        Sizes { capacity: latency * 4 + Duration::from_millis(100), prebuffer: latency }
    }

    pub(super) fn new(device: &str, wanted: RawFormat, latency_ms: u32, stream: Format) -> Self {
        Self { device: device.to_owned(), wanted, stream, latency: Duration::from_millis(latency_ms.into()) }
    }

    fn run_once(&self, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let card = match Card::open(&self.device, self.wanted) {
            Ok(card) => card,
            Err(error) => return self.failed(&error.to_string(), writer),
        };
        tracing::info!(device = self.device, rate = card.rate, channels = card.channels, ?card.encoding, "captures");
        let shape = Shape { rate: card.rate, layout: Layout::of_count(card.heard), bits: Some(card.encoding.bits()) };
        let target = self.latency.as_secs_f64() * f64::from(self.stream.rate);
        let drift = Drift::of_clock(self.stream.rate, target);
        let lateness = Lateness::of_clock(self.latency.as_secs_f64());
        let mut feed = Feed::new(shape, self.stream, drift, lateness, target as u64 / 4);
        let reason = self.capture(&card, &mut feed, writer)?;
        feed.complete(writer)?;
        self.failed(&reason, writer)
    }

    /// Queues what the card hears, until it fails: why.
    fn capture(&self, card: &Card, feed: &mut Feed, writer: &mut QueueWriter) -> Result<String, Interrupt> {
        let period = (card.rate * PERIOD_MS / 1_000) as usize;
        let (frame, heard) = (card.channels * card.encoding.bytes(), card.heard * card.encoding.bytes());
        let mut bytes = vec![0; period * frame];
        let mut samples = Vec::new();
        loop {
            writer.check()?;
            match card.read(&mut bytes) {
                Ok(0) => feed.nothing(Duration::from_millis(LOOK_MS.into()), writer)?,
                Ok(frames) => {
                    samples.clear();
                    for frame in bytes[..frames * frame].chunks_exact(frame) {
                        card.encoding.decode(&frame[..heard], &mut samples);
                    }
                    let waiting = card.pcm.avail_update().unwrap_or(0).max(0) as usize;
                    feed.push(Samples::Int(&samples), waiting, false, writer)?;
                    if feed.is_late() {
                        card.skip(&mut bytes);
                        feed.skip(writer);
                    }
                }
                Err(error) if error.errno() == libc::EPIPE || error.errno() == libc::ESTRPIPE => {
                    writer.count(|c| c.overruns += 1);
                    if let Err(error) = card.pcm.prepare().and_then(|()| card.pcm.start()) {
                        return Ok(error.to_string());
                    }
                }
                Err(error) => return Ok(error.to_string()),
            }
        }
    }

    fn failed(&self, reason: &str, writer: &mut QueueWriter) -> Result<(), Interrupt> {
        let advice = "\"arecord -l\" lists the cards that can capture";
        writer.set_state(State::Failed(format!("{}: {reason}; {advice}", self.device)));
        writer.wait(RETRY)
    }
}

impl Source for Capture {
    fn run(self: Box<Self>, mut writer: QueueWriter) {
        super::hurry();
        while self.run_once(&mut writer) != Err(Interrupt::Stop) {}
    }
}

impl Card {
    fn open(device: &str, wanted: RawFormat) -> Result<Self, alsa::Error> {
        let pcm = PCM::new(device, Direction::Capture, true)?;
        let (rate, channels, encoding) = {
            let hw = HwParams::any(&pcm)?;
            hw.set_access(Access::RWInterleaved)?;
            let fits = |encoding: &Encoding| hw.test_format(encoding.alsa()).is_ok();
            let encoding = Encoding::in_order(wanted.encoding).into_iter().find(fits).unwrap_or(Encoding::S16);
            hw.set_format(encoding.alsa())?;
            hw.set_channels_near(wanted.channels.into())?;
            hw.set_rate(wanted.rate, ValueOr::Nearest)?;
            let rate = hw.get_rate()?;
            // Frames have 32 bits or 64, as the machine has.
            let [of_period, of_ring] = [PERIOD_MS, RING_MS].map(|ms| (rate * ms / 1_000) as Frames);
            hw.set_period_size_near(of_period, ValueOr::Nearest)?;
            hw.set_buffer_size_near(of_ring)?;
            pcm.hw_params(&hw)?;
            (rate, hw.get_channels()? as usize, encoding)
        };
        pcm.start()?;
        Ok(Card { pcm, encoding, rate, channels, heard: heard(channels, wanted.channels.into()) })
    }

    /// Reads away what waits, in pieces of `bytes`, to the last whole one.
    fn skip(&self, bytes: &mut [u8]) {
        let piece = bytes.len() / (self.channels * self.encoding.bytes());
        let more = || self.pcm.avail_update().is_ok_and(|waiting| waiting.max(0) as usize > piece);
        while more() && self.read(bytes).is_ok() {}
    }

    /// Frames read into `bytes`; none when none came within [`LOOK_MS`].
    fn read(&self, bytes: &mut [u8]) -> Result<usize, alsa::Error> {
        let frame = self.channels * self.encoding.bytes();
        if !self.pcm.wait(Some(LOOK_MS))? {
            return Ok(0);
        }
        match self.pcm.io_bytes().readi(bytes) {
            Ok(frames) => Ok(frames.min(bytes.len() / frame)),
            Err(error) if error.errno() == libc::EAGAIN => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// How many of a card's channels are heard: all, but as many as are wanted of one that has more than there are speakers.
fn heard(channels: usize, wanted: usize) -> usize {
    if channels > MAX_CHANNELS { wanted } else { channels }
}

impl Encoding {
    /// What to try for what is wanted: as deep, then deeper, then what there is.
    fn in_order(wanted: Wanted) -> [Encoding; 4] {
        match wanted {
            Wanted::S8 | Wanted::S16 => [Encoding::S16, Encoding::S24, Encoding::S24Packed, Encoding::S32],
            Wanted::S24 => [Encoding::S24, Encoding::S24Packed, Encoding::S32, Encoding::S16],
            Wanted::S32 | Wanted::F32 => [Encoding::S32, Encoding::S24, Encoding::S24Packed, Encoding::S16],
        }
    }

    fn alsa(self) -> AlsaFormat {
        match self {
            Encoding::S16 => AlsaFormat::S16LE,
            Encoding::S24 => AlsaFormat::S24LE,
            Encoding::S24Packed => AlsaFormat::S243LE,
            Encoding::S32 => AlsaFormat::S32LE,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Encoding::S16 => 2,
            Encoding::S24Packed => 3,
            Encoding::S24 | Encoding::S32 => 4,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Encoding::S16 => 16,
            Encoding::S24 | Encoding::S24Packed => 24,
            Encoding::S32 => 32,
        }
    }

    /// Appends samples at the top of 32 bits.
    fn decode(self, bytes: &[u8], out: &mut Vec<i32>) {
        let word = |b: &[u8]| match (self, b) {
            (Encoding::S16, &[a, b]) => i32::from_le_bytes([0, 0, a, b]),
            (Encoding::S24 | Encoding::S24Packed, &[a, b, c, ..]) => i32::from_le_bytes([0, a, b, c]),
            (_, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
            _ => 0,
        };
        out.extend(bytes.chunks_exact(self.bytes()).map(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_of_many_inputs_gives_the_first_of_them() {
        assert_eq!([2, 8, 18].map(|channels| heard(channels, 2)), [2, 8, 2]);
    }

    #[test]
    fn every_encoding_is_read_to_the_top_of_32_bits() {
        let decoded = |encoding: Encoding, bytes: &[u8]| {
            let mut samples = Vec::new();
            encoding.decode(bytes, &mut samples);
            samples
        };
        assert_eq!(decoded(Encoding::S16, &[0x34, 0x12, 0xff, 0xff]), [0x1234_0000, -0x0001_0000]);
        assert_eq!(decoded(Encoding::S24Packed, &[0x56, 0x34, 0x12]), [0x1234_5600]);
        // What is in the fourth byte is not said.
        assert_eq!(decoded(Encoding::S24, &[0x56, 0x34, 0x12, 0x99]), [0x1234_5600]);
        assert_eq!(decoded(Encoding::S32, &[0x78, 0x56, 0x34, 0x12]), [0x1234_5678]);
    }
}
