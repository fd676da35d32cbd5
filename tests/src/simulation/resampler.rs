//! What each quality of the receiver's resampler costs: CPU time of this machine for a second of stereo sound.

use unisono_common::config::receiver::Quality;
use unisono_receiver::resample::Resampler;

use crate::threads::own_cpu_ns;

/// Sound that is resampled each time, in seconds.
const SECONDS: usize = 20;

/// Times; the cheapest counts, which others have disturbed least.
const TIMES: usize = 5;

const CHUNK: usize = 480;
const DEVICE_RATE: u32 = 48_000;
const RATES: [u32; 3] = [48_000, 44_100, 96_000];

/// The table of all qualities.
pub fn table(mut line: impl FnMut(String)) {
    line("| quality | 48 kHz to 48 kHz | 44.1 kHz to 48 kHz | 96 kHz to 48 kHz |\n|---|---|---|---|".to_owned());
    for (name, quality) in
        [("low", Quality::Low), ("normal", Quality::Normal), ("high", Quality::High), ("slip", Quality::Slip)]
    {
        let cells: Vec<String> = RATES.iter().map(|&rate| cost(quality, rate)).collect();
        line(format!("| `{name}` | {} |", cells.join(" | ")));
    }
}

/// Milliseconds of CPU for a second of sound, as text.
fn cost(quality: Quality, rate: u32) -> String {
    let Ok(mut resampler) = Resampler::new(quality, rate, DEVICE_RATE, 2, CHUNK) else { return "not possible".into() };
    let step = resampler.nominal_step() * (1.0 + 40e-6);
    let input: Vec<f32> = (0..resampler.max_input() * 2).map(|i| (i as f32 * 0.01).sin() * 0.3).collect();
    let mut out = vec![0.0; CHUNK * 2];
    let mut once = || {
        let begun_ns = own_cpu_ns();
        for _ in 0..SECONDS * DEVICE_RATE as usize / CHUNK {
            let wanted = resampler.plan(CHUNK, step, 0.0);
            resampler.process(&input[..wanted * 2], &mut out);
        }
        std::hint::black_box(&out);
        own_cpu_ns() - begun_ns
    };
    let least_ns = (0..TIMES).map(|_| once()).min().unwrap_or_default();
    format!("{:.2} ms", least_ns as f64 / SECONDS as f64 / 1e6)
}
