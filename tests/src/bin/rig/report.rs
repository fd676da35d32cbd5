//! The table, as text and as JSON, and the plots.

use std::path::Path;

use anyhow::Result;
use unisono_tests::plot::{self, Panel};

use crate::attempts::{NOT_BEGUN, Row};
use crate::run::{Outcome, SKIP_S, System};
use crate::scenes::Scene;

/// Rows as they come.
pub(crate) struct Table(Vec<Row<Outcome>>);

impl Table {
    /// Prints the heading.
    pub(crate) fn begin() -> Table {
        println!(
            "{:<10} {:<9} {:>9} {:>9} {:>9} {:>9}  {:>7} {:>6} {:>5} {:>5}  {:>6} {:>7}  {:>12}",
            "scene",
            "system",
            "median us",
            "p95",
            "p99",
            "max",
            "damaged",
            "lost",
            "xruns",
            "first",
            "CPU %",
            "RSS MB",
            "stalls, worst"
        );
        Table(vec![])
    }

    /// Prints what came of a scene, if anything did, and keeps it for the file.
    pub(crate) fn add(&mut self, scene: &Scene, system: System, played: Option<Outcome>) {
        let named = format!("{system:?}").to_lowercase();
        match &played {
            Some(outcome) => row(outcome),
            None => println!("{:<10} {named:<9} {NOT_BEGUN}", scene.name),
        }
        self.0.push(Row::of(&format!("{} {named}", scene.name), played));
    }

    /// What came of a scene so far.
    pub(crate) fn of(&self, scene: &Scene) -> impl Iterator<Item = &Outcome> {
        self.0.iter().filter_map(Row::played).filter(move |outcome| outcome.scene.name == scene.name)
    }

    /// Writes all rows so far to accuracy.json.
    pub(crate) fn save(&self, out: &Path) -> Result<()> {
        Ok(std::fs::write(out.join("accuracy.json"), serde_json::to_string_pretty(&self.0)?)?)
    }
}

/// Prints a row: spread between rooms, then the worst room in each column.
fn row(outcome: &Outcome) {
    let Outcome { verdict, scene, stalls, .. } = outcome;
    let spread = verdict.spread_us;
    let damaged: u32 = verdict.rooms.iter().map(|r| r.damaged_blocks).sum();
    let lost: usize = verdict.rooms.iter().map(|r| r.lost_windows).sum();
    let xruns: usize = verdict.rooms.iter().map(|r| r.xruns).sum();
    let first = verdict.rooms.iter().map(|r| r.first_sound_s).try_fold(0.0, |m: f64, s| Some(m.max(s?)));
    let cpu = outcome.rooms.iter().map(|u| u.cpu_percent).fold(0.0, f64::max);
    let rss = outcome.rooms.iter().map(|u| u.rss_kb).max().unwrap_or(0) as f64 / 1024.0;
    println!(
        "{:<10} {:<9} {:>9.2} {:>9.2} {:>9.2} {:>9.2}  {damaged:>7} {lost:>6} {xruns:>5} {:>5}  {cpu:>6.2} {rss:>7.1}  {:>4}, {:>4.0} ms{}",
        scene.name,
        format!("{:?}", outcome.system).to_lowercase(),
        spread.median,
        spread.p95,
        spread.p99,
        spread.max,
        first.map_or("never".into(), |s| format!("{s:.2}")),
        stalls.over_10_ms,
        stalls.worst_ms,
        judgement(outcome),
    );
    outcome.unclean.iter().for_each(|what| println!("           {what}"));
}

/// Within the target, or which part of it is missed.
fn judgement(outcome: &Outcome) -> String {
    let spread = outcome.verdict.spread_us;
    let Some(target) = outcome.scene.target_us.filter(|_| outcome.system == System::Unisono) else {
        return String::new();
    };
    if outcome.verdict.windows == 0 {
        return "  nothing to compare".into();
    }
    let parts = [("median", spread.median), ("p99", spread.p99), ("max", spread.max)];
    let over: Vec<_> = parts
        .iter()
        .zip(target)
        .filter(|((_, is), limit)| is > limit)
        .map(|((name, _), limit)| format!("{name} > {limit}"))
        .collect();
    if over.is_empty() { "  ok".into() } else { format!("  OVER: {}", over.join(", ")) }
}

/// Writes SCENE.svg, a panel for each system that played.
pub(crate) fn plot<'a>(out: &Path, scene: &Scene, outcomes: impl Iterator<Item = &'a Outcome>) -> Result<()> {
    let title = |o: &Outcome| {
        let spread = o.verdict.spread_us;
        format!("{:?}: {}; median {:.1} µs, p99 {:.1} µs", o.system, scene.title, spread.median, spread.p99)
    };
    let panels: Vec<Panel> = outcomes
        .map(|o| Panel { title: title(o), survey: &o.survey, skip_s: o.survey.all_sound_s() + SKIP_S })
        .collect();
    if panels.is_empty() {
        return Ok(());
    }
    plot::draw(&out.join(scene.name).with_extension("svg"), &panels)
}
