//! The jitter buffer: a ring of frames indexed by the clock.
//!
//! Packets are written where their timestamps say and playout reads where the clock says; neither waits for the other.
//! Order, duplicates and loss need no handling of their own: a frame is there or it is not. What is not there when it is
//! due is concealed ([`Concealment`]), so that a loss is heard as a short dip and never as a click, and the position runs
//! on.

use unisono_common::format::Format;
use unisono_common::pcm;
use unisono_host::realtime::prefault;

use crate::conceal::Concealment;

/// Frames kept behind the reading position, so that playout can move back a little (a splice, a primed resampler).
pub const HISTORY: i64 = 4_096;

/// Frames over which sound is faded out before a gap and in after it: 2 ms at 48 kHz.
const FADE: usize = 96;

/// Packets in a row that fall outside the ring before it is moved to where they are.
const STRAYS: u32 = 8;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insert {
    /// At least one frame was new.
    Stored,
    /// Every frame was there already.
    Duplicate,
    /// All of it lies before what is played next.
    Late,
    /// It lies further ahead than the ring is long.
    Stray,
    /// The ring was moved to this packet, because everything that arrives lies there: the sender's timeline jumped.
    Moved,
    /// No whole frame in it.
    Empty,
}

/// What a read found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// Frames of the range that were not there and are concealed.
    pub missing: usize,
}

/// A ring of decoded frames, each at its own place, with a mark for each that is there.
#[derive(Debug)]
pub struct JitterBuffer {
    format: Format,
    /// Interleaved samples, -1..1; slot of frame f is f mod capacity.
    samples: Vec<f32>,
    /// One bit a slot: this frame has arrived. What was played in the place of one that has not is there all the same.
    present: Vec<u64>,
    /// Frames that the ring holds, a power of two.
    capacity: i64,
    /// The oldest frame that has a slot.
    floor: i64,
    /// One past the newest frame that arrived; `None` until the first packet.
    end: Option<i64>,
    /// Frames since the last one that was missing, as far as fading cares.
    since_gap: usize,
    /// One past the last frame that was read, and since which frame reads have followed each other.
    read_to: i64,
    read_from: i64,
    concealment: Concealment,
    strays: u32,
}

impl JitterBuffer {
    /// A ring for at least `frames` frames ahead of the reading position.
    pub fn new(format: Format, frames: usize) -> Self {
        let capacity = (frames + 2 * HISTORY as usize).next_power_of_two();
        let mut samples = vec![0.0; capacity * usize::from(format.channels)];
        // Its pages are faulted in here, not one by one in the audio thread.
        prefault(&mut samples);
        Self {
            format,
            samples,
            present: vec![0; capacity / 64],
            capacity: capacity as i64,
            floor: 0,
            end: None,
            since_gap: 0,
            read_to: i64::MIN,
            read_from: i64::MAX,
            concealment: Concealment::new(format.rate),
            strays: 0,
        }
    }

    /// Format of the packets that go in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// One past the newest frame that has arrived, or `None` before the first packet.
    pub fn end(&self) -> Option<i64> {
        self.end
    }

    /// Writes a packet's payload to where its RTP timestamp says.
    pub fn insert(&mut self, timestamp: u32, payload: &[u8]) -> Insert {
        let frames = (payload.len() / self.format.frame_bytes()) as i64;
        if frames == 0 {
            return Insert::Empty;
        }
        let Some(end) = self.end else {
            self.restart_at(i64::from(timestamp), frames, payload);
            return Insert::Stored;
        };
        let first = unisono_common::time::unwrap_timestamp(timestamp, end);
        let ahead = first + frames > self.floor + self.capacity;
        if ahead || first + frames <= self.floor {
            self.strays += 1;
            if self.strays < STRAYS {
                return if ahead { Insert::Stray } else { Insert::Late };
            }
            self.restart_at(first, frames, payload);
            return Insert::Moved;
        }
        self.strays = 0;
        self.end = Some(end.max(first + frames));
        match self.store(first, frames, payload) {
            false => Insert::Duplicate,
            true if first + frames <= self.read_to => Insert::Late,
            true => Insert::Stored,
        }
    }

    /// Whether every frame of `from..to` is there.
    pub fn has(&self, from: i64, to: i64) -> bool {
        self.end.is_some()
            && from >= self.floor
            && to <= self.floor + self.capacity
            && self.next_with(from, to, false).is_none()
    }

    /// The first frame at or after `from` that is there, if any.
    pub fn first_present(&self, from: i64) -> Option<i64> {
        self.next_with(from.max(self.floor), self.end?, true)
    }

    /// Copies the frames from `first` on into `out` (interleaved); missing ones are concealed.
    ///
    /// Reads are expected to follow each other; what lies [`HISTORY`] behind the end of the range is given up.
    pub fn read(&mut self, first: i64, out: &mut [f32]) -> ReadReport {
        let channels = usize::from(self.format.channels);
        let frames = (out.len() / channels) as i64;
        if self.end.is_none() {
            out.fill(0.0);
            self.since_gap = 0;
            return ReadReport { missing: frames as usize };
        }
        if first != self.read_to {
            self.read_from = first;
            self.concealment.forget();
        }
        self.read_to = first + frames;
        self.advance_floor(first + frames - HISTORY);
        if self.since_gap >= FADE && self.has(first, first + frames + FADE as i64) {
            self.copy(first, out);
            return ReadReport::default();
        }
        self.read_faded(first, out)
    }

    /// Says that the next read, from `first` on, continues something: it is not faded in but for a gap just before.
    pub fn continue_at(&mut self, first: i64) {
        let reach = self.concealment.reach();
        let before = (1..=reach).take_while(|back| self.is_present(first - back)).count();
        self.since_gap = before.min(FADE);
        self.concealment.forget();
        (self.read_from, self.read_to) = (first - before as i64, first);
    }

    /// Copies frames as they are, all of which are there; does not move the ring or the fades.
    ///
    /// For what nobody hears: the history that a resampler wants before its first frame.
    pub fn peek(&self, first: i64, out: &mut [f32]) {
        for (i, frame) in out.chunks_exact_mut(usize::from(self.format.channels)).enumerate() {
            let index = first + i as i64;
            if self.is_present(index) { frame.copy_from_slice(self.frame(index)) } else { frame.fill(0.0) }
        }
    }

    fn read_faded(&mut self, first: i64, out: &mut [f32]) -> ReadReport {
        let channels = usize::from(self.format.channels);
        let mut report = ReadReport::default();
        let horizon = first + (out.len() / channels + FADE) as i64;
        let mut next_gap = self.next_gap(first, horizon);
        for (i, frame) in out.chunks_exact_mut(channels).enumerate() {
            let index = first + i as i64;
            if index > next_gap {
                next_gap = self.next_gap(index, horizon);
            }
            let to_gap = next_gap.saturating_sub(index).min(FADE as i64) as usize;
            // Within a gap what was planned at its beginning stays.
            if to_gap < FADE && (to_gap > 0 || self.since_gap > 0) {
                self.plan(next_gap);
            }
            let continuation = self.concealment.continuation(index).filter(|(lag, _)| index - lag >= self.floor);
            if to_gap == 0 {
                self.conceal(index, continuation, frame);
                self.since_gap = 0;
                report.missing += 1;
                continue;
            }
            self.since_gap = (self.since_gap + 1).min(FADE);
            let own = fade(self.since_gap.min(to_gap));
            let (lag, other) = continuation.map_or((0, 0.0), |(lag, level)| (lag, (1.0 - own) * level));
            for ((to, from), earlier) in frame.iter_mut().zip(self.frame(index)).zip(self.frame(index - lag)) {
                *to = from * own + earlier * other;
            }
        }
        report
    }

    /// Finds out how the sound would go on where frames are missing from `gap` on.
    fn plan(&mut self, gap: i64) {
        let Self { concealment, samples, capacity, format, read_from, floor, .. } = self;
        let channels = usize::from(format.channels);
        let first_of = |index: i64| samples[(index & (*capacity - 1)) as usize * channels..][..channels].iter();
        concealment.plan(gap, (*read_from).max(*floor), |index| first_of(index).take(2).sum());
    }

    /// Puts what follows from earlier frames to where frame `index` would be, which is missing, for later frames to follow
    /// from; and the same into `out`, at its level.
    fn conceal(&mut self, index: i64, continuation: Option<(i64, f32)>, out: &mut [f32]) {
        out.fill(0.0);
        if !(self.floor..self.floor + self.capacity).contains(&index) {
            return;
        }
        let channels = usize::from(self.format.channels);
        let to = self.slot(index) * channels;
        let Some((lag, level)) = continuation else { return self.samples[to..to + channels].fill(0.0) };
        let from = self.slot(index - lag) * channels;
        for (channel, out) in out.iter_mut().enumerate() {
            self.samples[to + channel] = self.samples[from + channel];
            *out = self.samples[to + channel] * level;
        }
    }

    /// The first missing frame in `from..horizon`, or beyond every horizon.
    ///
    /// What has not arrived yet is missing as well: there the sound must end softly.
    fn next_gap(&self, from: i64, horizon: i64) -> i64 {
        let inside = self.floor..self.floor + self.capacity;
        if !inside.contains(&from) {
            return from;
        }
        let to = horizon.min(inside.end);
        self.next_with(from, to, false).unwrap_or(if to < horizon { to } else { i64::MAX })
    }

    /// The first frame in `from..to` whose mark is `present`, a word of marks at a time.
    fn next_with(&self, from: i64, to: i64, present: bool) -> Option<i64> {
        let mut index = from;
        while index < to {
            let slot = self.slot(index);
            let word = if present { self.present[slot / 64] } else { !self.present[slot / 64] };
            let rest = word >> (slot % 64);
            if rest != 0 {
                let found = index + i64::from(rest.trailing_zeros());
                return (found < to).then_some(found);
            }
            index += 64 - (slot % 64) as i64;
        }
        None
    }

    fn store(&mut self, first: i64, frames: i64, payload: &[u8]) -> bool {
        let channels = usize::from(self.format.channels);
        let slot = self.slot(first);
        if first >= self.floor && slot as i64 + frames <= self.capacity && !self.has_any(first, first + frames) {
            // As almost every packet: whole, new and in one piece.
            let samples = &mut self.samples[slot * channels..][..frames as usize * channels];
            pcm::decode_be_f32(self.format.depth, payload, samples);
            self.mark(slot, frames as usize, true);
            return true;
        }
        let mut new = false;
        for (i, bytes) in payload.chunks_exact(self.format.frame_bytes()).take(frames as usize).enumerate() {
            let index = first + i as i64;
            if index < self.floor || self.is_present(index) {
                continue;
            }
            new = true;
            let slot = self.slot(index);
            self.present[slot / 64] |= 1 << (slot % 64);
            pcm::decode_be_f32(self.format.depth, bytes, &mut self.samples[slot * channels..][..channels]);
        }
        new
    }

    fn restart_at(&mut self, first: i64, frames: i64, payload: &[u8]) {
        self.present.fill(0);
        self.floor = first - HISTORY;
        self.end = Some(first + frames);
        self.strays = 0;
        self.since_gap = 0;
        self.store(first, frames, payload);
    }

    /// Whether any frame of `from..to` is there.
    fn has_any(&self, from: i64, to: i64) -> bool {
        self.next_with(from, to, true).is_some()
    }

    /// Marks `count` slots from `slot` on, none of them past the end of the ring, a word at a time.
    fn mark(&mut self, slot: usize, count: usize, present: bool) {
        let (mut slot, end) = (slot, slot + count);
        while slot < end {
            let (word, bit) = (slot / 64, slot % 64);
            let length = (64 - bit).min(end - slot);
            let mask = (u64::MAX >> (64 - length)) << bit;
            if present {
                self.present[word] |= mask
            } else {
                self.present[word] &= !mask
            }
            slot += length;
        }
    }

    fn advance_floor(&mut self, floor: i64) {
        if floor <= self.floor {
            return;
        }
        if floor - self.floor >= self.capacity {
            self.present.fill(0);
        } else {
            let (slot, count) = (self.slot(self.floor), (floor - self.floor) as usize);
            let until_end = count.min(self.capacity as usize - slot);
            self.mark(slot, until_end, false);
            self.mark(0, count - until_end, false);
        }
        self.floor = floor;
        // A position that ran past everything that arrived must not make new packets look late for ever.
        if let Some(end) = &mut self.end {
            *end = (*end).max(floor);
        }
    }

    fn copy(&self, first: i64, out: &mut [f32]) {
        let channels = usize::from(self.format.channels);
        let slot = self.slot(first);
        let until_wrap = ((self.capacity as usize - slot) * channels).min(out.len());
        let (head, tail) = out.split_at_mut(until_wrap);
        head.copy_from_slice(&self.samples[slot * channels..][..head.len()]);
        tail.copy_from_slice(&self.samples[..tail.len()]);
    }

    fn slot(&self, index: i64) -> usize {
        (index & (self.capacity - 1)) as usize
    }

    fn is_present(&self, index: i64) -> bool {
        let slot = self.slot(index);
        (self.floor..self.floor + self.capacity).contains(&index) && self.present[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn frame(&self, index: i64) -> &[f32] {
        let channels = usize::from(self.format.channels);
        &self.samples[self.slot(index) * channels..][..channels]
    }
}

/// Raised-cosine gain for a frame that is `distance` frames from a gap.
fn fade(distance: usize) -> f32 {
    if distance >= FADE {
        return 1.0;
    }
    0.5 - 0.5 * (std::f32::consts::PI * distance as f32 / FADE as f32).cos()
}

#[cfg(test)]
mod tests;
