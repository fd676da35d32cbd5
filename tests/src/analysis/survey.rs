//! Every room, window by window of true time, and what follows from it.

use serde::Serialize;

use super::position::{Finder, Fix};
use crate::records::Record;
use crate::signals::Signal;

/// Length of a window and distance from one to the next, in seconds.
pub const WINDOW_S: f64 = 0.25;

/// Spreads for which the verdict says since when they held, in microseconds.
pub const LIMITS_US: [f64; 4] = [1000.0, 100.0, 50.0, 20.0];

/// Where every room was in the signal, window by window.
#[derive(Debug)]
pub struct Survey {
    /// Frames per second of the signal.
    pub rate: f64,
    /// True time of the middle of the first window, in nanoseconds.
    pub start_ns: i64,
    /// Middle of each window in seconds after the first sound of any room.
    pub times: Vec<f64>,
    /// For each room, what was found in each window.
    pub rooms: Vec<Vec<Option<Fix>>>,
    /// For each room: starts, underruns and true time of its first sound.
    pub starts: Vec<Starts>,
}

/// What a room's record says without looking at its sound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Starts {
    /// Starts of the card.
    pub starts: usize,
    /// Underruns that stopped it.
    pub xruns: usize,
    /// True time of the first sample that isn't silence, in nanoseconds.
    pub first_sound_ns: Option<i64>,
    /// True time of the last start, in nanoseconds.
    pub last_start_ns: Option<i64>,
}

/// The distribution of a quantity over windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half of the values are below this one.
    pub median: f64,
    /// 95 % of the values are below this one.
    pub p95: f64,
    /// 99 % of the values are below this one.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// What one room did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoomVerdict {
    /// Starts of its card.
    pub starts: usize,
    /// Underruns that stopped it.
    pub xruns: usize,
    /// Seconds from the first sound of any room to this one's.
    pub first_sound_s: Option<f64>,
    /// Windows between its first and its last that hold no recognisable sound.
    pub lost_windows: usize,
    /// Damaged blocks of 2.5 ms.
    pub damaged_blocks: u32,
    /// Stretches of damaged blocks, and windows without recognisable sound: what an ear counts.
    pub gaps: u32,
    /// Median distance from the mean of all rooms, in microseconds; ahead is positive.
    pub offset_us: f64,
    /// Speed against true time, in ppm (the sender's clock is true).
    pub rate_ppm: f64,
    /// Standard deviation of the position from a straight line, in microseconds.
    pub wander_rms_us: f64,
    /// Largest change from one window to the next, in microseconds.
    pub largest_jump_us: f64,
}

/// How far apart the rooms played.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Windows in which at least two rooms were heard.
    pub windows: usize,
    /// Largest less smallest position over the rooms, in microseconds.
    pub spread_us: Quantiles,
    /// Seconds from the first sound to where the spread stays below each of [`LIMITS_US`] for good.
    pub settled_s: Vec<(f64, Option<f64>)>,
    /// The rooms.
    pub rooms: Vec<RoomVerdict>,
}

/// Places every room in every window from the first sound of any room to the last. Rooms are worked on side by side.
pub fn survey(signal: &Signal, records: &[Record]) -> Survey {
    let rate = f64::from(signal.rate);
    let starts: Vec<Starts> = records.iter().map(starts).collect();
    let begin_ns = starts.iter().filter_map(|s| s.first_sound_ns).min().unwrap_or(0);
    let end_ns = records.iter().flat_map(|r| &r.segments).map(|s| s.end_ns()).max().unwrap_or(0);
    let count = ((end_ns - begin_ns) as f64 / 1e9 / WINDOW_S) as usize;
    let mut rooms: Vec<Vec<Option<Fix>>> = std::thread::scope(|scope| {
        let walk = |record| scope.spawn(move || walk(signal, record, begin_ns, count));
        let threads: Vec<_> = records.iter().map(walk).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    count_periods_alike(&mut rooms, signal.samples.len() as f64);
    let times = (0..count).map(|i| (i as f64 + 0.5) * WINDOW_S).collect();
    Survey { rate, start_ns: begin_ns + (WINDOW_S * 0.5e9) as i64, times, rooms, starts }
}

/// The signal repeats, so a position is known but for whole periods, and two rooms that are first heard half a period on may
/// be counted from different ends of it: they are no more than half a period apart where both are first heard.
fn count_periods_alike(rooms: &mut [Vec<Option<Fix>>], period: f64) {
    let Some((first, others)) = rooms.split_first_mut() else { return };
    for room in others {
        let apart =
            first.iter().zip(&*room).find_map(|(one, other)| Some(other.as_ref()?.position - one.as_ref()?.position));
        let periods = apart.map_or(0.0, |apart| (apart / period).round());
        room.iter_mut().flatten().for_each(|fix| fix.position -= periods * period);
    }
}

fn starts(record: &Record) -> Starts {
    Starts {
        starts: record.segments.len(),
        xruns: record.xruns(),
        first_sound_ns: record.first_sound(i64::MIN, crate::AUDIBLE),
        last_start_ns: record.segments.last().map(|segment| segment.start_ns),
    }
}

fn walk(signal: &Signal, record: &Record, begin_ns: i64, count: usize) -> Vec<Option<Fix>> {
    let rate = f64::from(signal.rate);
    let length = (WINDOW_S * rate) as usize;
    let mut finder = Finder::new(signal, length);
    let mut hint: Option<f64> = None;
    let mut fixes = Vec::with_capacity(count);
    for i in 0..count {
        let t_ns = begin_ns + (i as f64 * WINDOW_S * 1e9) as i64;
        let fix = record.heard(t_ns, length, rate).and_then(|sound| finder.locate(&sound, hint));
        hint = fix.map(|f| f.position).or(hint).map(|p| p + WINDOW_S * rate);
        fixes.push(fix);
    }
    fixes
}

impl Survey {
    /// Distance of a room from the mean of the rooms that are heard in window `i`, in microseconds.
    pub fn offset_us(&self, room: usize, i: usize) -> Option<f64> {
        let heard: Vec<f64> = self.rooms.iter().filter_map(|r| r[i].map(|f| f.position)).collect();
        let own = self.rooms[room][i]?.position;
        (heard.len() > 1).then(|| (own - heard.iter().sum::<f64>() / heard.len() as f64) / self.rate * 1e6)
    }

    /// Largest less smallest position in window `i`, in microseconds.
    pub fn spread_us(&self, i: usize) -> Option<f64> {
        let heard = || self.rooms.iter().filter_map(|r| r[i].map(|f| f.position));
        let (low, high) = heard().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p), h.max(p)));
        (heard().count() > 1).then(|| (high - low) / self.rate * 1e6)
    }

    /// When the last room that sounds at all first sounded, in seconds after the first one.
    pub fn all_sound_s(&self) -> f64 {
        let firsts = || self.starts.iter().filter_map(|s| s.first_sound_ns);
        firsts().max().zip(firsts().min()).map_or(0.0, |(last, first)| (last - first) as f64 / 1e9)
    }

    /// The figures over all windows from `skip_s` seconds after the first sound on.
    pub fn verdict(&self, skip_s: f64) -> Verdict {
        let skip = self.times.iter().position(|t| *t >= skip_s).unwrap_or(self.times.len());
        let spreads: Vec<(usize, f64)> =
            (skip..self.times.len()).filter_map(|i| Some((i, self.spread_us(i)?))).collect();
        let settled = |limit: f64| {
            let all = || (0..self.times.len()).filter_map(|i| Some((i, self.spread_us(i)?)));
            let last_bad = all().rfind(|(_, s)| *s >= limit);
            let good = all().find(|(i, _)| last_bad.is_none_or(|(bad, _)| *i > bad));
            (limit, good.map(|(i, _)| self.times[i] - WINDOW_S / 2.0))
        };
        Verdict {
            windows: spreads.len(),
            spread_us: Quantiles::of(spreads.iter().map(|(_, s)| *s).collect()),
            settled_s: LIMITS_US.map(settled).to_vec(),
            rooms: (0..self.rooms.len()).map(|room| self.room(room, skip)).collect(),
        }
    }

    fn room(&self, room: usize, skip: usize) -> RoomVerdict {
        let windows = &self.rooms[room];
        let heard: Vec<(usize, Fix)> = (skip..windows.len()).filter_map(|i| Some((i, windows[i]?))).collect();
        let first_any = self.starts.iter().filter_map(|s| s.first_sound_ns).min();
        let Starts { starts, xruns, first_sound_ns, .. } = self.starts[room];
        let mut verdict = RoomVerdict {
            starts,
            xruns,
            first_sound_s: first_sound_ns.zip(first_any).map(|(own, any)| (own - any) as f64 / 1e9),
            ..RoomVerdict::default()
        };
        let (Some((first, _)), Some((last, _))) = (heard.first(), heard.last()) else { return verdict };
        verdict.lost_windows = last + 1 - first - heard.len();
        // The last window ends where the player was stopped, in the middle of a fade or a block.
        verdict.gaps = heard.iter().filter(|(i, _)| i < last).map(|(_, fix)| fix.gaps).sum();
        verdict.gaps += verdict.lost_windows as u32;
        verdict.damaged_blocks = heard.iter().filter(|(i, _)| i < last).map(|(_, fix)| fix.damaged).sum();
        verdict.offset_us =
            Quantiles::of((skip..windows.len()).filter_map(|i| self.offset_us(room, i)).collect()).median;
        let points: Vec<(f64, f64)> =
            heard.iter().map(|(i, f)| (self.times[*i], (f.position - heard[0].1.position) / self.rate)).collect();
        if let Some((slope, rms)) = line(&points) {
            verdict.rate_ppm = (slope - 1.0) * 1e6;
            verdict.wander_rms_us = rms * 1e6;
            let jump = |w: &[(f64, f64)]| ((w[1].1 - w[0].1) - slope * (w[1].0 - w[0].0)).abs() * 1e6;
            verdict.largest_jump_us = points.windows(2).map(jump).fold(0.0, f64::max);
        }
        verdict
    }
}

impl Quantiles {
    /// Of any values; zeros where there are none.
    pub fn of(mut values: Vec<f64>) -> Quantiles {
        values.sort_by(f64::total_cmp);
        let Some(&max) = values.last() else { return Quantiles::default() };
        let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        Quantiles { median: at(0.5), p95: at(0.95), p99: at(0.99), max }
    }
}

/// Least squares: (slope, standard deviation of what is left).
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let sxy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    let slope = sxy / sxx;
    let left: f64 = points.iter().map(|p| (p.1 - my - slope * (p.0 - mx)).powi(2)).sum();
    (points.len() > 3).then(|| (slope, (left / n).sqrt()))
}

#[cfg(test)]
mod tests;
