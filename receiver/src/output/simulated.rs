//! A simulated sound card: its own sample clock, a coarse position, and a record of every frame that it plays.
//!
//! For the demonstration, for tests, and for machines without a sound card. The record is a pair of files:
//! `PREFIX.pcm`, 32-bit frames as they would have left the DAC, and `PREFIX.seg`, which says when: a line
//! `S t0_ns rate_hz first_frame channels S32_LE 0` at its start and `E frames xruns` at its end; frame n of the segment
//! leaves at t0 + n / rate on this machine's CLOCK_MONOTONIC_RAW.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use unisono_common::config::receiver::SimDevice;
use unisono_common::time::LocalTime;
use unisono_host::clock;

use super::{Card, CardError, PREFERRED_RATE, Shape};
use crate::pointer::Reading;

const CHANNELS: usize = 2;

/// As deep as the playout delay may want it.
const RING: usize = PREFERRED_RATE as usize / 5;

/// Between the order to start and the first frame.
const START_NS: i64 = 200_000;

/// The simulated card.
pub struct SimulatedCard {
    shape: Shape,
    /// Frames per nanosecond.
    pace: f64,
    grain: i64,
    started: Option<LocalTime>,
    written: i64,
    recorder: Option<Recorder>,
}

impl SimulatedCard {
    /// A card as configured.
    ///
    /// # Errors
    /// when its record can't be written.
    pub fn open(device: &SimDevice) -> Result<Self, CardError> {
        let pace = f64::from(PREFERRED_RATE) * (1.0 + device.ppm * 1e-6) / 1e9;
        let recorder = match &device.record {
            None => None,
            Some(prefix) => Some(Recorder::create(prefix).map_err(|error| CardError::Unfit {
                device: format!("sim:record={}", prefix.display()),
                reason: format!("its record can't be written: {error}; name a path in a folder that exists"),
            })?),
        };
        let description = format!("simulated card ({:+} ppm, position in steps of {})", device.ppm, device.grain);
        let grain = i64::from(device.grain.max(1));
        let (rate, device) = (PREFERRED_RATE, "sim".to_owned());
        let shape = Shape { rate, channels: CHANNELS, ring: RING, device, description, latency_ns: 0 };
        Ok(Self { shape, pace, grain, started: None, written: 0, recorder })
    }

    fn position(&self, now: LocalTime) -> i64 {
        let Some(start) = self.started else { return 0 };
        let frames = ((now - start).max(0) as f64 * self.pace) as i64;
        frames - frames % self.grain
    }
}

impl Card for SimulatedCard {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn written(&self) -> i64 {
        self.written
    }

    fn write(&mut self, frames: &[f32]) -> Result<(), CardError> {
        let played = self.position(clock::now());
        // As on a real card, what is written behind its position is never heard.
        let unheard = (played - self.written).clamp(0, (frames.len() / CHANNELS) as i64) as usize;
        if let Some(recorder) = &mut self.recorder {
            recorder.silence(unheard);
            recorder.frames(&frames[unheard * CHANNELS..]);
        }
        self.written += (frames.len() / CHANNELS) as i64;
        Ok(())
    }

    fn skip(&mut self, frames: i64) -> Result<(), CardError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.silence(frames as usize);
        }
        self.written += frames;
        Ok(())
    }

    fn start(&mut self) -> Result<(), CardError> {
        let start = clock::now() + START_NS;
        self.started = Some(start);
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(start, self.pace * 1e9);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Reading, CardError> {
        let asked = clock::now();
        let played = self.position(clock::now());
        Ok(Reading { played, asked, stamp: clock::now() })
    }
}

impl Drop for SimulatedCard {
    fn drop(&mut self) {
        let played = self.position(clock::now());
        if let Some(recorder) = self.recorder.take() {
            recorder.end(played.min(self.written));
        }
    }
}

/// Hands samples to a thread that writes them, so that the audio thread waits for no disk.
struct Recorder {
    samples: Option<Producer<i32>>,
    segment: File,
    writer: Option<thread::JoinHandle<io::Result<File>>>,
}

impl Recorder {
    fn create(prefix: &Path) -> io::Result<Self> {
        let path = |ending: &str| {
            let mut name = prefix.as_os_str().to_owned();
            name.push(ending);
            name
        };
        let (samples, from) = RingBuffer::new(PREFERRED_RATE as usize * CHANNELS * 4);
        let (pcm, segment) = (File::create(path(".pcm"))?, File::create(path(".seg"))?);
        let writer = thread::Builder::new().name("record".into()).spawn(move || write_all(from, pcm))?;
        Ok(Self { samples: Some(samples), segment, writer: Some(writer) })
    }

    fn begin(&mut self, at: LocalTime, rate: f64) {
        let _ = writeln!(self.segment, "S {} {rate:.9} 0 {CHANNELS} S32_LE 0", at.as_ns());
    }

    fn frames(&mut self, frames: &[f32]) {
        if let Some(samples) = &mut self.samples {
            for &sample in frames {
                let _ = samples.push((f64::from(sample) * f64::from(1_u32 << 31)) as i32);
            }
        }
    }

    fn silence(&mut self, frames: usize) {
        if let Some(samples) = &mut self.samples {
            (0..frames * CHANNELS).for_each(|_| {
                let _ = samples.push(0);
            });
        }
    }

    /// Closes the record after so many frames; what was written beyond them did not leave the card.
    fn end(mut self, frames: i64) {
        drop(self.samples.take());
        let pcm = self.writer.take().and_then(|writer| writer.join().ok());
        if let Some(Ok(pcm)) = pcm {
            let _ = pcm.set_len(frames as u64 * CHANNELS as u64 * 4);
        }
        let _ = writeln!(self.segment, "E {frames} 0");
    }
}

fn write_all(mut samples: Consumer<i32>, pcm: File) -> io::Result<File> {
    let mut out = BufWriter::new(pcm);
    loop {
        let abandoned = samples.is_abandoned();
        while let Ok(sample) = samples.pop() {
            out.write_all(&sample.to_le_bytes())?;
        }
        if abandoned {
            return out.into_inner().map_err(|error| error.into_error());
        }
        out.flush()?;
        thread::sleep(Duration::from_millis(50));
    }
}
