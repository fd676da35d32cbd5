//! What many rooms come to.

use unisono_receiver::playout::Telemetry;

use super::{Conditions, Trace, run};
use crate::simulation::clock::network::Family;

/// From here on no room may be far off, in seconds.
const JOINED_S: f64 = 10.0;

/// Points of a trace are half a cycle of the content apart: two of them span the 0.1 s over which the pitch is read.
const PITCH_POINTS: usize = 2;

/// Figures of all runs of one kind together, in microseconds and ppm, after [`JOINED_S`]. Each run's mean, which is what
/// the asymmetry of its network leaves, is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Root mean square of the error of position.
    pub rms_us: f64,
    /// 99 % of the errors are smaller.
    pub p99_us: f64,
    /// The largest.
    pub max_us: f64,
    /// Speed over windows of 0.1 s against true time, rms.
    pub modulation_ppm: f64,
    /// Largest change of position within 50 ms.
    pub step_us: f64,
    /// First sounds, all runs together; more than runs if one began anew.
    pub starts: u64,
    /// Moves under a crossfade.
    pub splices: u64,
    /// Times that the card ran dry.
    pub laps: u64,
    /// Content frames that were not there when they were due.
    pub missing: u64,
}

impl Figures {
    /// Runs these conditions with each seed, on two threads.
    pub fn gather(conditions: Conditions, seeds: &[u64]) -> Self {
        let part = |seeds: &[u64]| -> Vec<Trace> { seeds.iter().map(|&seed| run(conditions, seed)).collect() };
        let (first, second) = seeds.split_at(seeds.len() / 2);
        let traces = std::thread::scope(|scope| {
            let other = scope.spawn(|| part(second));
            let mut traces = part(first);
            traces.extend(other.join().unwrap_or_default());
            traces
        });
        Self::of(&traces)
    }

    fn of(traces: &[Trace]) -> Self {
        let mut figures = Self::default();
        let (mut errors, mut speeds) = (Vec::new(), Vec::new());
        for trace in traces {
            let late: Vec<f64> = trace.points.iter().filter(|(t_s, _)| *t_s >= JOINED_S).map(|(_, us)| *us).collect();
            let mean = late.iter().sum::<f64>() / late.len().max(1) as f64;
            errors.extend(late.iter().map(|us| (us - mean).abs()));
            let seconds = PITCH_POINTS as f64 * 0.05;
            speeds.extend(late.windows(PITCH_POINTS + 1).map(|w| (w[PITCH_POINTS] - w[0]) / seconds));
            let step = |w: &[f64]| (w[1] - w[0]).abs();
            figures.step_us = late.windows(2).map(step).fold(figures.step_us, f64::max);
            let Telemetry { starts, splices, laps, missing, .. } = trace.telemetry;
            figures.starts += starts;
            figures.splices += splices;
            figures.laps += laps;
            figures.missing += missing;
        }
        let rms = |values: &[f64]| (values.iter().map(|x| x * x).sum::<f64>() / values.len().max(1) as f64).sqrt();
        (figures.rms_us, figures.modulation_ppm) = (rms(&errors), rms(&speeds));
        errors.sort_by(f64::total_cmp);
        if let Some(&max) = errors.last() {
            figures.p99_us = errors[((errors.len() - 1) as f64 * 0.99).round() as usize];
            figures.max_us = max;
        }
        figures
    }

    /// One row of the table.
    pub fn row(&self, name: &str) -> String {
        let Self { rms_us, p99_us, max_us, modulation_ppm, step_us, starts, splices, laps, missing } = self;
        format!(
            "| {name} | {rms_us:.2} | {p99_us:.2} | {max_us:.2} | {modulation_ppm:.3} | {step_us:.2} | {starts} | {splices} \
             | {laps} | {missing} |"
        )
    }
}

/// The head of the table whose rows [`Figures::row`] makes.
pub const HEAD: &str = "\
| network, card | rms us | p99 us | max us | modulation ppm rms | largest step in 50 ms, us | starts | splices | laps \
| missing frames |
|---|---|---|---|---|---|---|---|---|---|";

/// The table of networks and cards for these seeds, each run `length_s` long.
pub fn table(seeds: &[u64], length_s: f64, mut line: impl FnMut(String)) {
    line(HEAD.to_owned());
    for (family, grain, card_ppm) in [
        (Family::Wired, 1, 50.0),
        (Family::Wired, 48, 50.0),
        (Family::Wired, 240, 250.0),
        (Family::WiredUser, 8, 50.0),
        (Family::Wifi, 8, 50.0),
        (Family::Lognormal, 8, 50.0),
        (Family::Powerline, 8, 50.0),
    ] {
        let name = format!("{}, grain {grain}, within {card_ppm} ppm", family.name());
        line(Figures::gather(Conditions { family, grain, card_ppm, length_s }, seeds).row(&name));
    }
}
