//! A host's crystal: true time in, what its clock reads out.

use crate::simulation::random::Random;

/// A clock that is off by a few ppm, wanders, and warms up once.
#[derive(Clone, Debug)]
pub(crate) struct Oscillator {
    /// What it reads at each multiple of `STEP_S` of true time, in seconds.
    readings: Vec<f64>,
}

const STEP_S: f64 = 0.01;
/// Random walk of the frequency: 1e-16 s^2/s^3.
const WANDER: f64 = 1e-16;
/// A change of temperature moves the frequency by so much, with this time constant.
const THERMAL_STEP: f64 = 0.6e-6;
const THERMAL_S: f64 = 40.0;

impl Oscillator {
    /// A crystal that starts `frequency` off (1e-6 is 1 ppm), for a run of `length_s`.
    pub(crate) fn new(frequency: f64, length_s: f64, random: &mut Random) -> Self {
        let steps = (length_s / STEP_S) as usize + 200;
        let warms_at_s = random.between(20.0, length_s * 0.6);
        let thermal = if random.chance(0.5) { THERMAL_STEP } else { -THERMAL_STEP };
        let mut readings = Vec::with_capacity(steps);
        let (mut reading, mut wander) = (0.0, 0.0);
        for step in 0..steps {
            readings.push(reading);
            let warm_s = (step as f64 * STEP_S - warms_at_s).max(0.0);
            let warmth = thermal * (1.0 - (-warm_s / THERMAL_S).exp());
            wander += WANDER.sqrt() * STEP_S.sqrt() * random.normal();
            reading += STEP_S * (1.0 + frequency + wander + warmth);
        }
        Self { readings }
    }

    /// What the clock reads at true time `t_s`, both in seconds since the start of the run.
    pub(crate) fn reading(&self, t_s: f64) -> f64 {
        let position = (t_s / STEP_S).clamp(0.0, (self.readings.len() - 2) as f64);
        let (index, part) = (position as usize, position - position.floor());
        self.readings[index] + part * (self.readings[index + 1] - self.readings[index])
    }

    /// The true time at which it reads `reading_s`.
    pub(crate) fn when(&self, reading_s: f64) -> f64 {
        // Its rate is within a thousandth of 1: three corrections leave nothing.
        (0..3).fold(reading_s, |t_s, _| t_s + (reading_s - self.reading(t_s)))
    }
}
