//! The queue between a source's thread and the transmit thread.
//!
//! The taker's side is wait-free: no lock, no allocation, no system call. It begins to give frames out when enough are
//! queued, fades where the audio breaks off (pause, seek, a starved queue) so that nothing clicks, and otherwise hands
//! over every frame bit for bit.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use unisono_common::format::Format;

use super::status::{Counters, Mark, NowPlaying, Shared, SourceStatus, State, Track};

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// All of it.
    pub(crate) capacity: Duration,
    /// What must be there before the first frame is given out, at the start and after running empty.
    pub(crate) prebuffer: Duration,
}

/// What a listener asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Play,
    Pause,
    Next,
    Previous,
    Seek(Duration),
    /// Only wakes the thread, which then sees that it is to stop.
    Wake,
}

/// Why a source's thread must turn to something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The handle is gone: end the thread.
    Stop,
    /// To the next track.
    Next,
    /// To the start of this track, or to the one before.
    Previous,
    /// To this position in the track.
    Seek(Duration),
}

/// A running source. Dropping it ends the source's thread within milliseconds.
#[derive(Debug)]
pub struct SourceHandle {
    consumer: Consumer<i32>,
    shared: Arc<Shared>,
    control: Control,
    channels: usize,
    prebuffer: usize,
    /// Frames taken or dropped.
    position: u64,
    sounding: bool,
    /// The next frames follow a break in the audio.
    fade_in: bool,
}

/// Drives a source; clones drive the same one. What a source cannot do (a pipe has no next) it ignores.
#[derive(Clone, Debug)]
pub struct Control {
    commands: Sender<Wish>,
    shared: Arc<Shared>,
}

/// The source thread's end of the queue.
#[derive(Debug)]
pub(crate) struct QueueWriter {
    producer: Producer<i32>,
    shared: Arc<Shared>,
    commands: Receiver<Wish>,
    channels: usize,
    written: u64,
}

/// A queue for frames of `format`.
pub(crate) fn queue(format: Format, sizes: Sizes) -> (QueueWriter, SourceHandle) {
    let frames = |time: Duration| (time.as_secs_f64() * f64::from(format.rate)).ceil() as usize;
    let (capacity, channels) = (frames(sizes.capacity), usize::from(format.channels));
    let (producer, consumer) = RingBuffer::new(capacity * channels);
    let (sender, commands) = channel();
    let shared = Arc::new(Shared::new(format.rate, capacity as u64));
    let writer = QueueWriter { producer, shared: shared.clone(), commands, channels, written: 0 };
    let handle = SourceHandle {
        consumer,
        control: Control { commands: sender, shared: shared.clone() },
        shared,
        channels,
        prebuffer: frames(sizes.prebuffer),
        position: 0,
        sounding: false,
        fade_in: false,
    };
    (writer, handle)
}

impl SourceHandle {
    /// Takes the next frames into `out` (interleaved, integers of the stream's depth), and returns how many frames
    /// there were: fewer than fit, or none, when the source has no more just now. What is not filled is left as it was
    /// and stands for silence.
    ///
    /// Wait-free. Called by one real-time thread, once a packet.
    pub fn take(&mut self, out: &mut [i32]) -> usize {
        let wanted = out.len() / self.channels;
        let (flush_to, paused) = (self.shared.flush_to.load(Acquire), self.shared.paused.load(Acquire));
        if paused || flush_to > self.position {
            if self.sounding {
                return self.fade_out(out, wanted);
            }
            self.drop_until(flush_to);
            if paused {
                return 0;
            }
        }
        // Read before the queue is: once draining is seen, all that will come has come.
        let draining = self.shared.draining.load(Acquire);
        let available = self.consumer.slots() / self.channels;
        if available == 0 || (!self.sounding && !draining && available < self.prebuffer) {
            self.ran_dry(draining);
            return 0;
        }
        let frames = self.pop(out, wanted.min(available));
        if std::mem::take(&mut self.fade_in) {
            ramp(&mut out[..frames * self.channels], self.channels, |at| at);
        }
        self.set_sounding(true);
        if frames < wanted {
            if !draining {
                ramp(&mut out[..frames * self.channels], self.channels, |at| 1.0 - at);
            }
            self.ran_dry(draining);
        }
        frames
    }

    /// What this source says of itself.
    pub fn status(&self) -> SourceStatus {
        SourceStatus(self.shared.clone())
    }

    /// What can be asked of it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    fn fade_out(&mut self, out: &mut [i32], wanted: usize) -> usize {
        let frames = self.pop(out, wanted.min(self.consumer.slots() / self.channels));
        ramp(&mut out[..frames * self.channels], self.channels, |at| 1.0 - at);
        self.set_sounding(false);
        self.fade_in = true;
        frames
    }

    /// The queue has given all it has.
    fn ran_dry(&mut self, draining: bool) {
        if self.sounding && !draining {
            self.shared.underruns.fetch_add(1, Relaxed);
            self.fade_in = true;
        }
        self.set_sounding(false);
    }

    fn set_sounding(&mut self, sounding: bool) {
        self.sounding = sounding;
        self.shared.sounding.store(sounding, Relaxed);
    }

    fn pop(&mut self, out: &mut [i32], frames: usize) -> usize {
        // There are that many: only this side takes any.
        if self.consumer.pop_entire_slice(&mut out[..frames * self.channels]).is_err() {
            return 0;
        }
        self.advance(frames)
    }

    fn drop_until(&mut self, flush_to: u64) {
        let available = (self.consumer.slots() / self.channels) as u64;
        let frames = flush_to.saturating_sub(self.position).min(available) as usize;
        if let Ok(chunk) = self.consumer.read_chunk(frames * self.channels) {
            chunk.commit_all();
            self.advance(frames);
        }
    }

    fn advance(&mut self, frames: usize) -> usize {
        self.position += frames as u64;
        self.shared.taken.store(self.position, Release);
        frames
    }
}

impl Drop for SourceHandle {
    fn drop(&mut self) {
        self.shared.stop.store(true, Release);
        self.control.send(Wish::Wake);
    }
}

/// Scales frames by `gain`, a function of how far into them a frame is (0 to 1).
fn ramp(samples: &mut [i32], channels: usize, gain: impl Fn(f64) -> f64) {
    let frames = (samples.len() / channels).max(1) as f64;
    for (n, frame) in samples.chunks_exact_mut(channels).enumerate() {
        let gain = gain((n as f64 + 0.5) / frames);
        frame.iter_mut().for_each(|sample| *sample = (f64::from(*sample) * gain) as i32);
    }
}

impl Control {
    /// Goes on after [`pause`](Self::pause).
    pub fn play(&self) {
        self.ask(Wish::Play);
    }

    /// Fades out and stays where it is; the stream goes on with silence.
    pub fn pause(&self) {
        self.ask(Wish::Pause);
    }

    /// To the next track.
    pub fn next(&self) {
        self.ask(Wish::Next);
    }

    /// To the start of the track, or to the one before when it has only begun.
    pub fn previous(&self) {
        self.ask(Wish::Previous);
    }

    /// To a position in the track.
    pub fn seek(&self, position: Duration) {
        self.ask(Wish::Seek(position));
    }

    /// To the program that feeds the source, when that can be driven; else to the queue and the source.
    fn ask(&self, wish: Wish) {
        let remote = self.shared.detail().remote.clone();
        if wish == Wish::Play {
            // Also when a program is driven: the queue may be held since before that could be.
            self.shared.paused.store(false, Release);
        }
        match (remote, wish) {
            (Some(remote), wish) => drop(remote.send(wish)),
            (None, Wish::Play) => {}
            (None, Wish::Pause) => self.shared.paused.store(true, Release),
            (None, wish) => self.send(wish),
        }
    }

    fn send(&self, wish: Wish) {
        self.shared.asked.store(true, Release);
        // A source that has ended cannot be driven.
        let _ = self.commands.send(wish);
    }
}

impl QueueWriter {
    /// Puts all of `samples` (whole frames) into the queue, waiting for space as it goes.
    pub(crate) fn push(&mut self, mut samples: &[i32]) -> Result<(), Interrupt> {
        loop {
            let frames = self.space().min(samples.len() / self.channels);
            let (now, later) = samples.split_at(frames * self.channels);
            if self.producer.push_entire_slice(now).is_ok() {
                self.written += frames as u64;
                self.shared.written.store(self.written, Release);
                samples = later;
            }
            if samples.is_empty() {
                return self.check();
            }
            self.wait_for_space()?;
        }
    }

    /// Frames the queue has room for.
    pub(crate) fn space(&self) -> usize {
        self.producer.slots() / self.channels
    }

    /// Frames in the queue.
    pub(crate) fn queued(&self) -> u64 {
        self.shared.queued()
    }

    /// Frames a second.
    pub(crate) fn rate(&self) -> u32 {
        self.shared.rate
    }

    /// Frames put in so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether the taker is giving frames out.
    pub(crate) fn sounding(&self) -> bool {
        self.shared.sounding.load(Relaxed)
    }

    /// Sleeps for a quarter of the queue, 5 to 100 ms.
    fn wait_for_space(&mut self) -> Result<(), Interrupt> {
        let quarter = self.shared.capacity * 250 / u64::from(self.shared.rate);
        self.wait(Duration::from_millis(quarter.clamp(5, 100)))
    }

    /// Sleeps for `time`, or until it is told something.
    pub(crate) fn wait(&mut self, time: Duration) -> Result<(), Interrupt> {
        match self.commands.recv_timeout(time) {
            Ok(command) => self.interrupt(command),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Interrupt::Stop),
        }
    }

    /// What it has been told meanwhile.
    pub(crate) fn check(&mut self) -> Result<(), Interrupt> {
        match self.commands.try_recv() {
            Ok(command) => self.interrupt(command),
            Err(TryRecvError::Empty) if self.shared.stop.load(Acquire) => Err(Interrupt::Stop),
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err(Interrupt::Stop),
        }
    }

    fn interrupt(&self, wish: Wish) -> Result<(), Interrupt> {
        self.shared.asked.store(false, Release);
        match wish {
            _ if self.shared.stop.load(Acquire) => Err(Interrupt::Stop),
            Wish::Next => Err(Interrupt::Next),
            Wish::Previous => Err(Interrupt::Previous),
            Wish::Seek(to) => Err(Interrupt::Seek(to)),
            Wish::Play | Wish::Pause | Wish::Wake => Ok(()),
        }
    }

    /// What is in the queue is no longer wanted; the taker fades out of it.
    pub(crate) fn flush(&mut self) {
        self.shared.flush_to.store(self.written, Release);
    }

    /// Whether all there is has been queued: then the taker plays it to the end, however little it is.
    pub(crate) fn set_draining(&mut self, draining: bool) {
        self.shared.draining.store(draining, Release);
    }

    /// The frames from here on are of `track`, of which `offset` has gone by; or of none.
    pub(crate) fn begin_track(&mut self, track: Option<Track>, offset: Duration) {
        let mut detail = self.shared.detail();
        detail.forget_before(self.shared.taken.load(Relaxed));
        detail.tracks.push_back(Mark { at: self.written, offset, track });
    }

    /// What is being heard.
    pub(crate) fn now_playing(&self) -> Option<NowPlaying> {
        SourceStatus(self.shared.clone()).snapshot().now_playing
    }

    /// Sets the state; a new one is told in the log.
    pub(crate) fn set_state(&mut self, state: State) {
        self.status().set_state(state);
    }

    /// What observers see of the source.
    pub(crate) fn status(&self) -> SourceStatus {
        SourceStatus(self.shared.clone())
    }

    /// Whether the source has somebody's ear: it is not to stop, and no wish is waiting.
    pub(crate) fn patience(&self) -> Patience {
        Patience(self.shared.clone())
    }

    /// How fast the writer's clock runs against the media clock, in parts per million.
    pub(crate) fn set_writer_ppm(&mut self, ppm: Option<f64>) {
        self.shared.detail().writer_ppm = ppm;
    }

    /// Changes the counters that this side keeps.
    pub(crate) fn count(&mut self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.shared.detail().counters);
    }
}

/// What a thread that waits for something outside looks at, to see that it should turn to something else.
#[derive(Clone, Debug)]
pub(crate) struct Patience(Arc<Shared>);

impl Patience {
    /// Whether the source is to stop, or has a wish to read.
    pub(crate) fn is_over(&self) -> bool {
        self.0.stop.load(Acquire) || self.0.asked.load(Acquire)
    }

    /// Whether the queue has run empty.
    pub(crate) fn is_dry(&self) -> bool {
        self.0.queued() == 0
    }

    /// What observers see of the source.
    pub(crate) fn status(&self) -> SourceStatus {
        SourceStatus(self.0.clone())
    }
}

#[cfg(test)]
mod tests;
