//! The portable backend: whatever cpal reaches, be it PulseAudio, PipeWire, JACK or a system that has no ALSA.
//!
//! cpal calls us for every buffer and says when the buffer will sound. That instant is less sharp than what [`drive`]
//! measures (cpal puts it together from two readings of the card), so each is taken as a coarse edge and the DAC clock
//! averages; expect tens of microseconds instead of a few.
//!
//! [`drive`]: super::drive

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, Device, ErrorKind, FromSample, OutputCallbackInfo, SampleFormat, SizedSample, StreamConfig};
use unisono_common::config::receiver::OutputConfig;
use unisono_common::time::LocalTime;
use unisono_host::{clock, realtime};

use super::drive::Link;
use super::{CardError, PREFERRED_RATE, Shape};
use crate::dac::Edge;
use crate::mix::Wakefulness;
use crate::playout::Playout;

/// Standard deviation of the instant that cpal gives.
const INSTANT_NS: f64 = 60_000.0;

/// Without a callback for so long the device is taken for dead.
const SILENT: Duration = Duration::from_secs(2);

/// cpal has a ring of two of these.
const BUFFER_MS: u32 = 20;

/// How often the stream is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The volume's ramp, and both buffers of cpal's ring: what still plays ends without a click in this time.
const FADE: Duration = Duration::from_millis(120);

/// Real-time priority of the callback's thread.
const PRIORITY: u8 = 60;

/// Fails if there is no such device, with the names of those that are there.
///
/// # Errors
/// [`CardError::Unfit`].
pub fn check(name: &str) -> Result<(), CardError> {
    find(name).map(|_| ())
}

/// Plays through the device of this name until `stop` is set or it fails; gives the queues back.
pub fn run(
    name: &str,
    config: &OutputConfig,
    link: Link,
    stop: &AtomicBool,
    opened: impl FnOnce(Shape),
) -> (Link, Result<(), CardError>) {
    let (home, returned) = mpsc::channel();
    let done = play(name, config, Feed::new(link, home), stop, opened);
    // The callback's state went home when the stream was dropped, or was never taken.
    match returned.recv() {
        Ok(link) => (link, done),
        Err(_) => unreachable!("the feed sends its link home when it is dropped"),
    }
}

fn play(
    name: &str,
    config: &OutputConfig,
    feed: Feed,
    stop: &AtomicBool,
    opened: impl FnOnce(Shape),
) -> Result<(), CardError> {
    let device = find(name)?;
    let unfit = |error: cpal::Error| CardError::Unfit { device: format!("cpal:{name}"), reason: error.to_string() };
    let supported = device.default_output_config().map_err(unfit)?;
    let rates = device.supported_output_configs().map_err(unfit)?;
    let takes_preferred = rates
        .filter(|range| range.channels() == supported.channels())
        .any(|range| (range.min_sample_rate()..=range.max_sample_rate()).contains(&PREFERRED_RATE));
    let rate = if takes_preferred { PREFERRED_RATE } else { supported.sample_rate() };
    let stream = StreamConfig {
        channels: supported.channels(),
        sample_rate: rate,
        buffer_size: BufferSize::Fixed(rate * BUFFER_MS / 1_000),
    };
    let shape = Shape {
        rate,
        channels: usize::from(stream.channels),
        ring: (rate * BUFFER_MS / 500) as usize,
        device: format!("cpal:{name}"),
        description: format!("cpal:{name} ({device})"),
        latency_ns: i64::from(config.latency_us.unwrap_or(0)) * 1_000,
    };
    let health = Arc::new(Health::default());
    // As sessions are made: 10 ms.
    let chunk = rate as usize / 100;
    let playout = Playout::silent(rate, shape.channels, chunk);
    let wakefulness = config.keep_awake.then(Wakefulness::default);
    let feed = Open { feed, playout, wakefulness, channels: shape.channels, chunk, written: 0, origin: None };
    let stream = match supported.sample_format() {
        SampleFormat::F32 => build::<f32>(&device, stream, feed, &health),
        SampleFormat::I32 => build::<i32>(&device, stream, feed, &health),
        SampleFormat::I16 => build::<i16>(&device, stream, feed, &health),
        format => {
            let reason = format!("its samples are {format}; 32-bit float, 32-bit or 16-bit integers would be right");
            return Err(CardError::Unfit { device: format!("cpal:{name}"), reason });
        }
    }
    .map_err(unfit)?;
    opened(shape);
    stream.play().map_err(unfit)?;
    health.watch(name, stop)
}

fn find(name: &str) -> Result<Device, CardError> {
    let host = cpal::default_host();
    if name == "default" {
        return host.default_output_device().ok_or_else(|| CardError::Absent {
            device: "cpal:default".into(),
            reason: "this machine has no default output".into(),
        });
    }
    let mut names = Vec::new();
    for device in host.output_devices().into_iter().flatten() {
        let id = device.id().map(|id| id.to_string()).unwrap_or_default();
        let description = device.to_string();
        if id == name || description == name || id.ends_with(&format!(":{name}")) {
            return Ok(device);
        }
        names.push(description);
    }
    names.sort();
    names.dedup();
    let known =
        if names.is_empty() { "cpal finds none".to_owned() } else { format!("cpal finds {}", names.join(", ")) };
    Err(CardError::Absent { device: format!("cpal:{name}"), reason: format!("no output of this name; {known}") })
}

fn build<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    mut feed: Open,
    health: &Arc<Health>,
) -> Result<cpal::Stream, cpal::Error> {
    let (alive, failed) = (Arc::clone(health), Arc::clone(health));
    let mut buffer = vec![0.0; feed.chunk * feed.channels];
    device.build_output_stream::<T, _, _>(
        config,
        move |out, info| {
            alive.callbacks.fetch_add(1, Ordering::Relaxed);
            if alive.ends.load(Ordering::Relaxed) {
                feed.playout.set_volume(0.0, 0.0);
            }
            feed.fill(out, info, &mut buffer);
        },
        move |error| failed.fail(&error),
        None,
    )
}

/// Whether the stream still lives, as the thread that owns it sees it.
#[derive(Default)]
struct Health {
    callbacks: AtomicU64,
    /// The stream is to fade out.
    ends: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Health {
    fn fail(&self, error: &cpal::Error) {
        // An overrun heals by itself; playout sees the position jump and begins anew.
        if error.kind() != ErrorKind::Xrun && error.kind() != ErrorKind::RealtimeDenied {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    }

    fn watch(&self, name: &str, stop: &AtomicBool) -> Result<(), CardError> {
        let mut last = (u64::MAX, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(LOOK);
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            let callbacks = self.callbacks.load(Ordering::Relaxed);
            last = if last.0 == callbacks { (callbacks, last.1 + LOOK) } else { (callbacks, Duration::ZERO) };
            let reason = match failure {
                Some(reason) => reason,
                None if last.1 >= SILENT => "it no longer asks for sound".into(),
                None => continue,
            };
            return Err(CardError::Absent { device: format!("cpal:{name}"), reason });
        }
        self.ends.store(true, Ordering::Relaxed);
        std::thread::sleep(FADE);
        Ok(())
    }
}

/// The queues, which find their way home when the stream that holds them is dropped.
struct Feed {
    link: Option<Link>,
    home: mpsc::Sender<Link>,
}

impl Feed {
    fn new(link: Link, home: mpsc::Sender<Link>) -> Self {
        Self { link: Some(link), home }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            let _ = self.home.send(link);
        }
    }
}

/// What the callback owns.
struct Open {
    feed: Feed,
    playout: Playout,
    /// Where silence is dithered.
    wakefulness: Option<Wakefulness>,
    channels: usize,
    /// Most frames that playout is asked for at a time.
    chunk: usize,
    /// Frames put out so far.
    written: i64,
    /// Local time minus cpal's instants, in ns; `None` before the first callback.
    origin: Option<i64>,
}

impl Open {
    fn fill<T: SizedSample + FromSample<f32>>(&mut self, out: &mut [T], info: &OutputCallbackInfo, buffer: &mut [f32]) {
        let now = clock::now();
        let Some(link) = &mut self.feed.link else { return };
        if self.origin.is_none() {
            let _ = realtime::raise(PRIORITY);
        }
        let timestamp = info.timestamp();
        let callback_ns = timestamp.callback.as_nanos() as i64;
        // The callback's instant lies a little before now, never after: the least difference is the best.
        let origin = now.as_ns() - callback_ns;
        let best = self.origin.map_or(origin, |best| best.min(origin));
        // It may creep up by 20 ppm, should the two clocks run apart.
        self.origin = Some(best + 200);
        let at = LocalTime::from_ns(timestamp.playback.as_nanos() as i64 + best);
        self.playout.observe(Edge { frame: self.written, at, sigma_ns: INSTANT_NS });
        link.obey(&mut self.playout, |_| {});
        for out in out.chunks_mut(self.chunk * self.channels) {
            let chunk = &mut buffer[..out.len()];
            self.playout.render(now, self.written, chunk);
            if let Some(wakefulness) = &mut self.wakefulness {
                wakefulness.apply(chunk);
            }
            for (to, from) in out.iter_mut().zip(&*chunk) {
                *to = T::from_sample(from.clamp(-1.0, 1.0));
            }
            self.written += (out.len() / self.channels) as i64;
        }
        link.hand_back(&mut self.playout);
        link.tell(&self.playout, now);
    }
}
