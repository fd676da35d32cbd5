//! A bare player: the least that can be done to play a signal at a given time. It reads its card's pointer, fits a line to
//! it and resamples; no network, no clock but the true one. What it misses by is what the rig itself can't resolve.

use alsa::pcm::{Access, Format, HwParams, PCM, TstampType};
use alsa::{Direction, ValueOr};

use crate::records::interpolate::{HALF_WIDTH, interpolate};
use crate::signals::Signal;
use crate::truth;

const PERIOD: usize = 240;
const RING: usize = 3_840;

/// Readings of the pointer that the line is fitted to: eight seconds.
const READINGS: usize = 1600;

/// Plays `signal` to the ALSA device so that its frame 0 sounds, or would have sounded, at true time `zero_ns`, until the
/// user ends it. `grain` is the card's.
pub fn play(device: &str, signal: &Signal, zero_ns: i64, grain: u32) -> anyhow::Result<()> {
    let pcm = PCM::new(device, Direction::Playback, false)?;
    configure(&pcm, signal.rate)?;
    let io = pcm.io_i32()?;
    io.writei(&vec![0; RING * 2])?;
    pcm.start()?;
    let mut written = RING as i64;
    let mut line = Line::new(f64::from(signal.rate));
    while !truth::interrupted() {
        pcm.wait(Some(100))?;
        let status = pcm.status()?;
        let stamp = status.get_htstamp();
        let stamp_ns = stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec;
        // On average the pointer is half a grain, less half a frame, behind.
        let played = (written - status.get_delay()) as f64 + f64::from(grain - 1) / 2.0;
        line.add(stamp_ns, played);
        let room = status.get_avail().max(0) as usize / PERIOD * PERIOD;
        if room > 0 {
            io.writei(&render(signal, &line, written, room, zero_ns))?;
            written += room as i64;
        }
    }
    Ok(())
}

fn configure(pcm: &PCM, rate: u32) -> anyhow::Result<()> {
    let hw = HwParams::any(pcm)?;
    hw.set_access(Access::RWInterleaved)?;
    hw.set_format(Format::S32LE)?;
    hw.set_channels(2)?;
    hw.set_rate(rate, ValueOr::Nearest)?;
    hw.set_period_size(PERIOD as i64, ValueOr::Nearest)?;
    hw.set_buffer_size(RING as i64)?;
    pcm.hw_params(&hw)?;
    let sw = pcm.sw_params_current()?;
    let boundary = sw.get_boundary()?;
    sw.set_avail_min(PERIOD as i64)?;
    sw.set_start_threshold(boundary)?;
    sw.set_stop_threshold(boundary)?;
    sw.set_tstamp_mode(true)?;
    sw.set_tstamp_type(TstampType::MonotonicRaw)?;
    Ok(pcm.sw_params(&sw)?)
}

/// Stereo frames for the card's frames `from..from + count`.
fn render(signal: &Signal, line: &Line, from: i64, count: usize, zero_ns: i64) -> Vec<i32> {
    let rate = f64::from(signal.rate);
    let position = |frame: i64| (line.time_of(frame as f64) - zero_ns as f64) * 1e-9 * rate;
    let (begin, end) = (position(from), position(from + count as i64));
    let first = begin.floor() as i64 - HALF_WIDTH as i64;
    let input = signal.cut(first, (end - begin) as usize + 2 * HALF_WIDTH + 2);
    let sound = interpolate(&input, begin - first as f64, (end - begin) / count as f64, count);
    sound.iter().flat_map(|x| [(x * 2_147_483_000.0) as i32; 2]).collect()
}

/// Frame against time, least squares over the last [`READINGS`].
struct Line {
    points: std::collections::VecDeque<(i64, f64)>,
    origin: (i64, f64),
    frames_per_ns: f64,
}

impl Line {
    fn new(rate: f64) -> Line {
        Line { points: Default::default(), origin: (0, 0.0), frames_per_ns: rate / 1e9 }
    }

    fn add(&mut self, t_ns: i64, frame: f64) {
        if self.points.len() == READINGS {
            self.points.pop_front();
        }
        self.points.push_back((t_ns, frame));
        let (t0, f0) = self.points[0];
        let n = self.points.len() as f64;
        let mean_t = self.points.iter().map(|p| (p.0 - t0) as f64).sum::<f64>() / n;
        let mean_f = self.points.iter().map(|p| p.1 - f0).sum::<f64>() / n;
        if self.points.len() >= 50 {
            let deviation = |p: &(i64, f64)| ((p.0 - t0) as f64 - mean_t, p.1 - f0 - mean_f);
            let (xx, xy) = self.points.iter().map(deviation).fold((0.0, 0.0), |(a, b), (t, f)| (a + t * t, b + t * f));
            self.frames_per_ns = xy / xx;
        }
        self.origin = (t0 + mean_t as i64, f0 + mean_f);
    }

    fn time_of(&self, frame: f64) -> f64 {
        self.origin.0 as f64 + (frame - self.origin.1) / self.frames_per_ns
    }
}
