//! One long run. A machine that stands still for longer than the pipe and the rooms hold takes sound from all of them; what
//! is left when that is taken out is the programs' own doing, and must be nothing.

use std::sync::Arc;

use anyhow::{Context, Result};
use unisono_tests::analysis::{Fix, Survey};
use unisono_tests::signals::{self, NOISE_PERIOD};
use unisono_tests::stalls::Stall;

use crate::report;
use crate::run::{Bench, SKIP_S, System};
use crate::scenes::{self, Scene};

/// A change of position from one window to the next beyond what correlation can't tell, in microseconds, that the other rooms
/// do not make.
const STEP_US: f64 = 20.0;
/// What all rooms make: a source that is stretched by 1000 ppm at most, as one is that waits longer than it should.
const STRETCHED_US: f64 = 300.0;
/// So long after a stall, beside the playout delay, its traces may be heard: the pipe is filled anew, rooms find back.
const AFTER_MS: f64 = 2_000.0;
/// Windows are a quarter of a second, known by their middle.
const HALF_WINDOW_MS: f64 = 125.0;

/// Plays the scene once, and tells what is wrong in it with a stall of the machine just before, and without.
pub(crate) fn measure(bench: &Bench, scene: &Scene) -> Result<()> {
    let signal = Arc::new(signals::noise(48_000, NOISE_PERIOD, scenes::SEED));
    let mut table = report::Table::begin();
    table.add(scene, System::Unisono, Some(bench.run(System::Unisono, scene, &signal)?));
    table.save(bench.out())?;
    report::plot(bench.out(), scene, table.of(scene))?;
    let outcome = table.of(scene).next().context("a scene was played")?;
    let after_ms = f64::from(bench.delay_ms) + AFTER_MS;
    let (mut explained, mut unexplained) = (Faults::default(), Faults::default());
    for (room, starts) in outcome.survey.starts.iter().enumerate() {
        let again = starts.last_start_ns.filter(|_| starts.starts > 1);
        if let Some(at_ns) = again {
            let faults = if follows(at_ns, after_ms, &outcome.each_stall) { &mut explained } else { &mut unexplained };
            faults.starts += 1;
        }
        for (at_ns, window) in faulty(&outcome.survey, room, outcome.survey.all_sound_s() + SKIP_S) {
            let is_explained = follows(at_ns, after_ms, &outcome.each_stall);
            if !is_explained && (window.damaged > 0 || window.lost) {
                let at_s = (at_ns - outcome.survey.start_ns) as f64 * 1e-9;
                println!("room {}, {at_s:.2} s: {} damaged blocks, lost: {}", room + 1, window.damaged, window.lost);
            }
            let faults = if is_explained { &mut explained } else { &mut unexplained };
            faults.add(&window);
        }
    }
    let late = outcome.latency_ms;
    println!("from the pipe to the DAC: median {:.1} ms, p99 {:.1}, max {:.1}", late.median, late.p99, late.max);
    println!("just after a stall of the machine ({} of over 10 ms): {explained}", outcome.each_stall.len());
    println!("without one: {unexplained}");
    anyhow::ensure!(unexplained == Faults::default(), "damage that no stall of the machine explains");
    Ok(())
}

/// What is wrong in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    damaged: u32,
    lost: bool,
    step: bool,
}

/// What is wrong in many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Faults {
    windows: usize,
    damaged: u32,
    lost: usize,
    steps: usize,
    starts: usize,
}

impl Faults {
    fn add(&mut self, window: &Window) {
        self.windows += 1;
        self.damaged += window.damaged;
        self.lost += usize::from(window.lost);
        self.steps += usize::from(window.step);
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Faults { windows, damaged, lost, steps, starts } = self;
        write!(
            f,
            "{damaged} damaged blocks, {lost} lost windows, {steps} steps ({windows} windows), {starts} \
             cards started again"
        )
    }
}

/// The windows of a room in which something is wrong, by the true time of their middle.
fn faulty(survey: &Survey, room: usize, skip_s: f64) -> Vec<(i64, Window)> {
    let fixes = &survey.rooms[room];
    let heard = |fix: &Option<Fix>| fix.is_some();
    // Before the first and after the last nothing was played.
    let (Some(first), Some(last)) = (fixes.iter().position(heard), fixes.iter().rposition(heard)) else {
        return vec![];
    };
    let skip = survey.times.iter().position(|t| *t >= skip_s).unwrap_or(last).max(first + 1);
    let mut found = vec![];
    for (i, fix) in fixes.iter().enumerate().take(last).skip(skip) {
        let damaged = fix.map_or(0, |fix| fix.damaged);
        let window = Window { damaged, lost: fix.is_none(), step: steps(survey, room, i) };
        if window.damaged > 0 || window.lost || window.step {
            found.push((survey.start_ns + ((survey.times[i] - survey.times[0]) * 1e9) as i64, window));
        }
    }
    found
}

/// Whether a room's position changed beyond what time passed in window `i`, unlike that of the others.
fn steps(survey: &Survey, room: usize, i: usize) -> bool {
    let of = |room: usize| step_us(survey, survey.rooms[room][i - 1], survey.rooms[room][i], i);
    let Some(own) = of(room) else { return false };
    let others: Vec<f64> = (0..survey.rooms.len()).filter(|other| *other != room).filter_map(of).collect();
    let together = others.iter().any(|other| (own - other).abs() <= STEP_US);
    own.abs() > if together { STRETCHED_US } else { STEP_US }
}

/// By how much the position changed beyond what time passed.
fn step_us(survey: &Survey, before: Option<Fix>, now: Option<Fix>, i: usize) -> Option<f64> {
    let passed_s = survey.times[i] - survey.times[i - 1];
    Some(((now?.position - before?.position) / survey.rate - passed_s) * 1e6)
}

/// Whether a stall ended at most `after_ms` before.
fn follows(at_ns: i64, after_ms: f64, stalls: &[Stall]) -> bool {
    stalls.iter().any(|stall| {
        let since_ms = (at_ns - stall.end_ns) as f64 * 1e-6;
        (-stall.ms - HALF_WINDOW_MS..after_ms).contains(&since_ms)
    })
}
