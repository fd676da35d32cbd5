//! What many runs come to.

use super::network::Family;
use super::{Scenario, Trace, run};

/// From here on a run counts as settled, in seconds.
pub const SETTLED_S: f64 = 60.0;
/// From here on no run may be above the family's threshold, in seconds.
pub const JOINED_S: f64 = 10.0;

/// Figures of one run, in microseconds and seconds. Errors are after removing [`bias_us`](Self::bias_us).
#[derive(Clone, Debug, PartialEq)]
pub struct RunFigures {
    /// The run's constant error: the mean over everything after [`SETTLED_S`]. That is what the asymmetry of the way
    /// leaves, which no filter can see.
    pub bias_us: f64,
    /// Last time before [`SETTLED_S`] at which the error was above the threshold.
    pub converged_s: f64,
    /// Largest error from 2 s to [`SETTLED_S`].
    pub worst_2_to_60_us: f64,
    /// Largest error from [`JOINED_S`] to the end.
    pub worst_after_10_us: f64,
    /// Errors after [`SETTLED_S`], as absolute values, sorted.
    pub settled_us: Vec<f64>,
    /// Root mean square of error over the filter's own sigma after 2 s: 1 if sigma is honest, above 1 if too sure.
    pub surprise: f64,
}

impl RunFigures {
    /// Figures of a trace, given the threshold of its family.
    pub fn of(trace: &Trace, threshold_us: f64) -> Self {
        let late: Vec<f64> = trace.points.iter().filter(|p| p.t_s >= SETTLED_S).map(|p| p.error_us).collect();
        let bias_us = late.iter().sum::<f64>() / late.len().max(1) as f64;
        let worst = |from_s: f64, to_s: f64| {
            let within = trace.points.iter().filter(|p| (from_s..to_s).contains(&p.t_s));
            within.map(|p| (p.error_us - bias_us).abs()).fold(0.0, f64::max)
        };
        let above = |p: &&super::Point| p.t_s < SETTLED_S && (p.error_us - bias_us).abs() > threshold_us;
        let mut settled_us: Vec<f64> = late.iter().map(|error_us| (error_us - bias_us).abs()).collect();
        settled_us.sort_by(f64::total_cmp);
        let looks = trace.points.iter().filter(|p| p.t_s > 2.0);
        let surprises: Vec<f64> = looks.map(|p| ((p.error_us - bias_us) / p.sigma_us).powi(2)).collect();
        Self {
            bias_us,
            converged_s: trace.points.iter().rfind(above).map_or(0.0, |p| p.t_s),
            worst_2_to_60_us: worst(2.0, SETTLED_S),
            worst_after_10_us: worst(JOINED_S, f64::INFINITY),
            settled_us,
            surprise: (surprises.iter().sum::<f64>() / surprises.len().max(1) as f64).sqrt(),
        }
    }
}

/// Figures of many runs of one family.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Each run.
    pub runs: Vec<RunFigures>,
    threshold_us: f64,
}

impl Figures {
    /// Runs a scenario with each seed, on two threads.
    pub fn gather(scenario: Scenario, seeds: &[u64]) -> Self {
        let threshold_us = scenario.family.threshold_us();
        let part = |seeds: &[u64]| -> Vec<RunFigures> {
            seeds.iter().map(|&seed| RunFigures::of(&run(scenario, seed), threshold_us)).collect()
        };
        let (first, second) = seeds.split_at(seeds.len() / 2);
        let runs = std::thread::scope(|scope| {
            let other = scope.spawn(|| part(second));
            let mut runs = part(first);
            runs.extend(other.join().unwrap_or_default());
            runs
        });
        Self { runs, threshold_us }
    }

    /// Runs that were above the threshold between 2 s and [`SETTLED_S`].
    pub fn failed_early(&self) -> usize {
        self.runs.iter().filter(|run| run.worst_2_to_60_us > self.threshold_us).count()
    }

    /// Runs that were above the threshold after [`JOINED_S`].
    pub fn failed_late(&self) -> usize {
        self.runs.iter().filter(|run| run.worst_after_10_us > self.threshold_us).count()
    }

    /// The largest of a figure over all runs.
    pub fn worst(&self, figure: impl Fn(&RunFigures) -> f64) -> f64 {
        self.runs.iter().map(figure).fold(0.0, f64::max)
    }

    /// A quantile of a figure over all runs, 0 to 1.
    pub fn quantile(&self, q: f64, figure: impl Fn(&RunFigures) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        at_quantile(&values, q)
    }

    /// A quantile of the settled errors of all runs together, 0 to 1.
    pub fn settled(&self, q: f64) -> f64 {
        let mut all: Vec<f64> = self.runs.iter().flat_map(|run| run.settled_us.iter().copied()).collect();
        all.sort_by(f64::total_cmp);
        at_quantile(&all, q)
    }

    /// Root mean square of the settled errors of all runs together.
    pub fn settled_rms(&self) -> f64 {
        let (mut sum, mut count) = (0.0, 0_usize);
        for error_us in self.runs.iter().flat_map(|run| &run.settled_us) {
            sum += error_us * error_us;
            count += 1;
        }
        (sum / count.max(1) as f64).sqrt()
    }

    /// Root mean square over runs of [`RunFigures::surprise`].
    pub fn surprise(&self) -> f64 {
        (self.runs.iter().map(|run| run.surprise.powi(2)).sum::<f64>() / self.runs.len().max(1) as f64).sqrt()
    }

    /// One row of the table.
    pub fn row(&self, name: &str) -> String {
        format!(
            "| {name} | {:.1} / {:.1} / {:.1} | {}/{} ({:.0}) | {}/{} ({:.0}) | {:.2} | {:.1} | {:.1} | {:.1} | {:.0} | {:.2} |",
            self.quantile(0.5, |run| run.converged_s),
            self.quantile(0.9, |run| run.converged_s),
            self.worst(|run| run.converged_s),
            self.failed_early(),
            self.runs.len(),
            self.worst(|run| run.worst_2_to_60_us),
            self.failed_late(),
            self.runs.len(),
            self.worst(|run| run.worst_after_10_us),
            self.settled_rms(),
            self.settled(0.95),
            self.settled(0.99),
            self.settled(1.0),
            self.quantile(0.5, |run| run.bias_us),
            self.surprise(),
        )
    }
}

/// The head of the table whose rows [`Figures::row`] makes.
pub const HEAD: &str = "\
| network (threshold us) | converged: median / p90 / max s | runs above in 2-60 s (worst us) | runs above after 10 s (worst us) \
| after 60 s: rms us | p95 | p99 | max | bias | error / sigma |
|---|---|---|---|---|---|---|---|---|---|";

/// The table of all families and faults for these seeds.
pub fn table(seeds: &[u64], mut line: impl FnMut(String)) {
    line(HEAD.to_owned());
    for family in Family::ALL {
        let name = format!("{} ({:.0})", family.name(), family.threshold_us());
        line(Figures::gather(Scenario::of(family), seeds).row(&name));
    }
    for (name, scenario) in faults() {
        line(Figures::gather(scenario, seeds).row(name));
    }
}

/// Runs in which something goes wrong.
pub fn faults() -> [(&'static str, Scenario); 6] {
    use super::Fault::{Path, Restart};
    let wired = Scenario::of(Family::Wired);
    let wifi = Scenario::of(Family::Wifi);
    [
        ("wired, 30 % loss", Scenario { loss: 0.3, ..wired }),
        ("Wi-Fi, 30 % loss", Scenario { loss: 0.3, ..wifi }),
        ("wired, crystal 250 ppm off", Scenario { ppm: Some(250.0), ..wired }),
        ("Wi-Fi, crystal 250 ppm off", Scenario { ppm: Some(-250.0), ..wifi }),
        ("wired, path 400 us longer both ways", Scenario { fault: Some(Path(400.0, 400.0)), ..wired }),
        ("Wi-Fi, sender restarts", Scenario { fault: Some(Restart), ..wifi }),
    ]
}

fn at_quantile(sorted: &[f64], q: f64) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n => sorted[((n - 1) as f64 * q).round() as usize],
    }
}
