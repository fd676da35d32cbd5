//! One stream as the audio thread sees it: its packets, its clock, and what turns the one into sound by the other.
//!
//! A session is made by the control side, with everything allocated, and handed to the audio thread in a box; when it
//! is no longer played the box goes back to be dropped where dropping may take its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rtrb::Consumer;
use unisono_common::clock::ClockMap;
use unisono_common::config::receiver::Quality;
use unisono_common::format::{Format, MAX_PAYLOAD};
use unisono_common::playout_delay::PlayoutDelay;
use unisono_common::time::{ClockEpoch, LocalTime, unwrap_timestamp};

use crate::dac::DacMap;
use crate::jitter::{Insert, JitterBuffer, ReadReport};
use crate::playout::State;
use crate::position::Position;
use crate::resample::{Resampler, ResamplerError};
use crate::servo::{Correction, Servo};

/// Content on both sides of a place that must be there before playing begins there: what the longest filter reaches.
const REACH: i64 = 160;

/// The sender's clock and the DAC's are to be known this well before a first sound.
const CLOCK_SIGMA_NS: f64 = 15_000.0;
const DAC_SIGMA_NS: f64 = 5_000.0;

/// The largest payload that is taken from anybody; ours are smaller ([`MAX_PAYLOAD`]), AES67 allows 1440.
pub const PAYLOAD_CAPACITY: usize = 1_452;
const _: () = assert!(PAYLOAD_CAPACITY >= MAX_PAYLOAD);

/// One packet of audio on its way from the network thread to the audio thread.
#[derive(Clone, Copy)]
pub struct Packet {
    /// RTP timestamp of its first frame.
    pub timestamp: u32,
    /// Bytes of `payload` that count.
    pub length: u16,
    /// It was lost and sent again.
    pub again: bool,
    /// PCM as it came.
    pub payload: [u8; PAYLOAD_CAPACITY],
}

impl Packet {
    /// Of a payload that fits.
    pub fn new(timestamp: u32, payload: &[u8], again: bool) -> Self {
        let length = payload.len().min(PAYLOAD_CAPACITY);
        let mut packet = Packet { timestamp, length: length as u16, again, payload: [0; PAYLOAD_CAPACITY] };
        packet.payload[..length].copy_from_slice(&payload[..length]);
        packet
    }
}

/// Where a session reads its clock; wait-free, for the audio thread.
pub trait ClockSource: Send {
    /// The newest map, or `None` while the clock is not known yet.
    fn read(&self) -> Option<ClockMap>;
}

/// What happened to the packets of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Taken in.
    pub stored: u64,
    /// Came twice.
    pub duplicate: u64,
    /// Came after their time.
    pub late: u64,
    /// Lay outside the buffer, or held nothing.
    pub stray: u64,
    /// The stream's timeline jumped.
    pub moved: u64,
    /// Lost, sent again and taken in.
    pub repaired: u64,
    /// Sent again although they were here.
    pub again_in_vain: u64,
}

/// The piece of device time that is being filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// Local time now.
    pub(crate) now: LocalTime,
    /// First device frame.
    pub(crate) first: i64,
    /// Device frames.
    pub(crate) frames: usize,
    /// When each of them leaves the card.
    pub(crate) dac: DacMap,
    /// From the card to the sound, in ns.
    pub(crate) extra_ns: i64,
}

/// How a chunk is to be played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steering {
    /// Content frames a device frame.
    pub(crate) step: f64,
    /// How far the last frame put out lags behind, in content frames, and in ns.
    pub(crate) lag: f64,
    pub(crate) error_ns: f64,
    /// Standard deviation of the clock, in ns.
    pub(crate) sigma_ns: f64,
}

/// The content is not where it should be and can't be slewed there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Displaced;

/// What a session is made from.
pub struct SessionConfig {
    /// Names the session to the control side.
    pub id: u64,
    /// Format of the packets.
    pub format: Format,
    /// Delay from a frame's timestamp to its sound.
    pub playout_delay: PlayoutDelay,
    /// What the stream's RTP timestamps are ahead of ours, for senders whose `mediaclk:direct` offset is another.
    pub timestamp_offset: u32,
    /// How content is brought to the device's rate.
    pub quality: Quality,
    /// Rate of the device.
    pub device_rate: u32,
    /// Largest chunk that will be asked for, in device frames.
    pub max_chunk: usize,
    /// How long after its timestamp a frame is taken, in ns; the session keeps it up to date for who needs to know.
    pub taken_after_ns: Arc<AtomicI64>,
}

/// A stream that is, or is about to be, played.
pub struct Session {
    id: u64,
    playout_delay: PlayoutDelay,
    timestamp_offset: u32,
    packets: Consumer<Packet>,
    clock: Box<dyn ClockSource>,
    jitter: JitterBuffer,
    resampler: Resampler,
    input: Vec<f32>,
    /// The clock's epoch in which playing began; `None` while not playing.
    anchor: Option<ClockEpoch>,
    servo: Servo,
    /// Since when it waits to begin.
    waiting_since: Option<LocalTime>,
    taken_after_ns: Arc<AtomicI64>,
    spare: Spare,
    counts: PacketCounts,
}

impl Session {
    /// A session with everything that playing it will need.
    ///
    /// # Errors
    /// when no resampler can be made for these rates and channels.
    pub fn new(
        config: &SessionConfig,
        packets: Consumer<Packet>,
        clock: Box<dyn ClockSource>,
    ) -> Result<Self, ResamplerError> {
        let channels = usize::from(config.format.channels);
        let resampler =
            Resampler::new(config.quality, config.format.rate, config.device_rate, channels, config.max_chunk)?;
        // Room for a delay that is doubled later.
        let ahead = 2.0 * config.playout_delay.longest_ns() as f64 * 1e-9 * f64::from(config.format.rate);
        Ok(Self {
            id: config.id,
            playout_delay: config.playout_delay,
            timestamp_offset: config.timestamp_offset,
            packets,
            clock,
            jitter: JitterBuffer::new(config.format, ahead as usize + config.format.rate as usize / 2),
            input: vec![0.0; resampler.max_input() * channels],
            resampler,
            anchor: None,
            servo: Servo::default(),
            waiting_since: None,
            taken_after_ns: Arc::clone(&config.taken_after_ns),
            spare: Spare::default(),
            counts: PacketCounts::default(),
        })
    }

    /// Names the session to the control side.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Format of the content.
    pub fn format(&self) -> Format {
        self.jitter.format()
    }

    /// Delay from a frame's timestamp to its sound.
    pub fn playout_delay(&self) -> PlayoutDelay {
        self.playout_delay
    }

    /// From now on the delay is another: unheard, if it has that of before for now.
    pub(crate) fn set_playout_delay(&mut self, delay: PlayoutDelay) {
        self.playout_delay = delay;
    }

    /// By how much packets came before they were taken, at the least, in the last ten to twenty seconds, in ns.
    pub(crate) fn spare_ns(&self) -> Option<i64> {
        self.spare.least_ns()
    }

    /// Whether it is being played.
    pub(crate) fn is_anchored(&self) -> bool {
        self.anchor.is_some()
    }

    /// What happened to its packets.
    pub(crate) fn counts(&self) -> PacketCounts {
        self.counts
    }

    /// Takes in what has arrived.
    pub(crate) fn receive(&mut self, now: LocalTime) {
        while let Ok(packet) = self.packets.pop() {
            let length = usize::from(packet.length).min(PAYLOAD_CAPACITY);
            let taken_next = self.is_anchored().then(|| self.resampler.input_start());
            let inserted = self.jitter.insert(packet.timestamp, &packet.payload[..length]);
            let count = match inserted {
                Insert::Stored if packet.again => &mut self.counts.repaired,
                Insert::Stored => &mut self.counts.stored,
                Insert::Duplicate if packet.again => &mut self.counts.again_in_vain,
                Insert::Duplicate => &mut self.counts.duplicate,
                Insert::Late => &mut self.counts.late,
                Insert::Stray | Insert::Empty => &mut self.counts.stray,
                Insert::Moved => &mut self.counts.moved,
            };
            *count += 1;
            if let Some(taken_next) = taken_next.filter(|_| matches!(inserted, Insert::Stored | Insert::Late)) {
                let ahead = unwrap_timestamp(packet.timestamp, taken_next) - taken_next;
                self.spare.note(ahead * 1_000_000_000 / i64::from(self.format().rate), now);
            }
        }
    }

    /// Begins to play at chunk `at`, aligned: its first frame will show exactly the content that is due then.
    ///
    /// # Errors
    /// what it has to wait for.
    pub(crate) fn begin(&mut self, at: &Chunk) -> Result<(), State> {
        let waited_ns = at.now - *self.waiting_since.get_or_insert(at.now);
        let clock = self.clock.read().ok_or(State::WaitingForClock)?;
        if clock.sigma_at(at.now) > allowed_sigma_ns(waited_ns, CLOCK_SIGMA_NS) {
            return Err(State::WaitingForClock);
        }
        if at.dac.sigma_ns(at.first) > allowed_sigma_ns(waited_ns, DAC_SIGMA_NS) {
            return Err(State::WaitingForCard);
        }
        let start = self.due(at, at.first, &clock);
        let length = at.frames as f64 * self.resampler.nominal_step();
        if !self.jitter.has(start.frame() - REACH, start.frame() + length as i64 + REACH) {
            return Err(State::WaitingForContent);
        }
        let Self { resampler, jitter, .. } = self;
        resampler.seek(start, |first, out| jitter.peek(first, out));
        jitter.continue_at(resampler.input_start());
        self.anchor = Some(clock.epoch);
        self.servo = Servo::default();
        self.waiting_since = None;
        Ok(())
    }

    /// Decides how chunk `at` continues: at which rate, or not at all.
    ///
    /// # Errors
    /// when content is so far from where it should be that it must move there at once.
    pub(crate) fn steer(&mut self, at: &Chunk) -> Result<Steering, Displaced> {
        let clock = self.clock.read().ok_or(Displaced)?;
        if self.anchor != Some(clock.epoch) {
            return Err(Displaced);
        }
        let rate = f64::from(self.format().rate);
        let last = self.resampler.last_position();
        let lag = self.due(at, at.first - 1, &clock).wrapped_near(last.frame()) - last;
        let (error_ns, sigma_ns) = (lag / rate * 1e9, clock.sigma_at(at.now));
        let chunk_s = at.frames as f64 * at.dac.period_ns() * 1e-9;
        let reach_ns = REACH * 1_000_000_000 / i64::from(self.format().rate);
        let sounds = at.dac.time_of(at.first) + at.extra_ns;
        let media = clock.media_at(sounds);
        let lead_ns = sounds - at.now + reach_ns;
        self.taken_after_ns.store(self.playout_delay.at(media) - lead_ns, Ordering::Relaxed);
        match self.servo.step(error_ns, sigma_ns, chunk_s) {
            Correction::Splice => Err(Displaced),
            Correction::Slew(correction) => {
                let feed_forward =
                    rate * at.dac.period_ns() * 1e-9 * (1.0 + clock.rate + self.playout_delay.rate(media));
                Ok(Steering { step: feed_forward * (1.0 + correction), lag, error_ns, sigma_ns })
            }
        }
    }

    /// No longer plays; a later start will be aligned anew.
    pub(crate) fn release(&mut self) {
        self.anchor = None;
    }

    /// Puts out the next frames (content's channels, interleaved) at `step` content frames each; `lag` as steered.
    pub(crate) fn render(&mut self, step: f64, lag: f64, out: &mut [f32]) -> ReadReport {
        let channels = usize::from(self.format().channels);
        let wanted = self.resampler.plan(out.len() / channels, step, lag);
        let input = &mut self.input[..wanted * channels];
        let report = self.jitter.read(self.resampler.input_start(), input);
        self.resampler.process(input, out);
        report
    }

    /// The step of the last chunk.
    pub(crate) fn last_step(&self) -> f64 {
        self.resampler.step()
    }

    /// The largest chunk that `render` takes, in device frames.
    pub(crate) fn max_chunk(&self) -> usize {
        self.resampler.max_chunk()
    }

    /// Content that has arrived and is not played yet, in ns.
    pub(crate) fn buffered_ns(&self) -> i64 {
        let ahead = self.jitter.end().map_or(0, |end| end - self.resampler.input_start());
        if self.is_anchored() { ahead.max(0) * 1_000_000_000 / i64::from(self.format().rate) } else { 0 }
    }

    /// The content that is due when device frame `frame` sounds.
    fn due(&self, at: &Chunk, frame: i64, clock: &ClockMap) -> Position {
        let rate = self.format().rate;
        let sounds = clock.media_at(at.dac.time_of(frame) + at.extra_ns);
        let media = sounds - self.playout_delay.at(sounds);
        let frame = media.to_frame(rate) + i64::from(self.timestamp_offset);
        let due = Position::new(frame, media.frame_fraction(rate));
        due.wrapped_near(self.jitter.end().unwrap_or_else(|| due.frame()))
    }
}

/// The least time that packets were early by, in the window that runs and the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Spare {
    least_ns: [Option<i64>; 2],
    since: LocalTime,
}

impl Spare {
    const WINDOW_NS: i64 = 10_000_000_000;

    fn note(&mut self, early_ns: i64, now: LocalTime) {
        if now - self.since > Self::WINDOW_NS {
            *self = Spare { least_ns: [None, self.least_ns[0]], since: now };
        }
        self.least_ns[0] = Some(self.least_ns[0].map_or(early_ns, |least| least.min(early_ns)));
    }

    fn least_ns(&self) -> Option<i64> {
        self.least_ns.into_iter().flatten().min()
    }
}

/// How well a clock must be known for a first sound: `wanted_ns` at first. Who waits long enough gets what there is: on bad
/// Wi-Fi, or through a card that tells its position badly, a sound that is 300 us off is better than none.
fn allowed_sigma_ns(waited_ns: i64, wanted_ns: f64) -> f64 {
    match waited_ns {
        ..400_000_000 => wanted_ns,
        400_000_000..1_000_000_000 => 100_000.0,
        _ => 500_000.0,
    }
}
