//! The piece that plays when there is no music: a minute of chords, bass and plucked notes, without an end. (P)
//!
//! Each note is a few decaying partials, each partial one complex number that turns and shrinks by a constant factor a
//! frame. The score is fixed: the same seed, the same piece, every time.

use std::collections::VecDeque;
use std::f32::consts::{FRAC_PI_2, TAU};
use std::time::Duration;

use super::{Generator, Piece};
use crate::convert::Rng;

/// Beats a minute.
const TEMPO: f32 = 96.0;
const BEATS_A_BAR: usize = 4;
const BARS: usize = 24;
/// Seconds of the whole: 24 bars of four beats at 96 a minute are one minute.
const LENGTH: Duration = Duration::from_secs(60);

/// The chords, a bar each: root and three notes above, as MIDI notes (D minor, then home to F).
const CHORDS: [[u8; 4]; 8] = [
    [38, 57, 62, 65],
    [34, 58, 62, 65],
    [41, 57, 60, 65],
    [36, 55, 60, 64],
    [38, 57, 62, 69],
    [43, 58, 62, 67],
    [34, 58, 65, 70],
    [36, 55, 64, 67],
];

/// What the plucked voice chooses from: D minor pentatonic.
const SCALE: [u8; 10] = [62, 65, 67, 69, 72, 74, 77, 79, 81, 84];

/// The piece, at one rate.
#[derive(Debug)]
pub struct Demo {
    rate: f32,
    score: Vec<Note>,
    /// Next note of the score, and the frame of the round that is next.
    next: usize,
    frame: usize,
    round: usize,
    sounding: Vec<Voice>,
    echo: VecDeque<[f32; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Note {
    /// In frames from the beginning.
    at: usize,
    pitch: u8,
    level: f32,
    /// 0 is left, 1 is right.
    pan: f32,
    timbre: &'static Timbre,
}

/// How a kind of note sounds.
#[derive(Debug)]
struct Timbre {
    /// Seconds to full level, and to a thousandth of it for the fundamental.
    attack: f32,
    decay: f32,
    /// Levels of the partials; each dies away faster than the one below.
    partials: &'static [f32],
    /// Share that goes to the echo.
    echo: f32,
}

static PAD: Timbre = Timbre { attack: 0.9, decay: 7.0, partials: &[1.0, 0.35, 0.12, 0.05], echo: 0.15 };
static BASS: Timbre = Timbre { attack: 0.02, decay: 2.5, partials: &[1.0, 0.5, 0.15], echo: 0.0 };
static PLUCK: Timbre = Timbre { attack: 0.004, decay: 1.8, partials: &[1.0, 0.4, 0.25, 0.1, 0.06], echo: 0.45 };

#[derive(Debug)]
struct Voice {
    partials: Vec<Partial>,
    gain: [f32; 2],
    echo: f32,
    /// Rises to 1 in steps of `rise`.
    level: f32,
    rise: f32,
    frames_left: usize,
}

/// A decaying sine.
#[derive(Debug)]
struct Partial {
    re: f32,
    im: f32,
    turn_re: f32,
    turn_im: f32,
}

impl Demo {
    /// The piece from its beginning, for frames of `rate`.
    pub fn new(rate: u32) -> Self {
        let rate = rate as f32;
        // The echo comes after three quarters of a beat.
        let echo = vec![[0.0; 2]; (rate * 60.0 / TEMPO * 0.75) as usize].into();
        let length = LENGTH.as_secs() as usize * rate as usize;
        Self { rate, score: score(rate), next: 0, frame: 0, round: length, sounding: Vec::new(), echo }
    }

    fn start_notes(&mut self) {
        while let Some(note) = self.score.get(self.next).filter(|note| note.at <= self.frame) {
            self.sounding.push(Voice::new(note, self.rate));
            self.next += 1;
        }
    }

    fn frame(&mut self) -> [f32; 2] {
        let (mut dry, mut wet) = ([0.0; 2], [0.0; 2]);
        for voice in &mut self.sounding {
            let sample = voice.sample();
            for side in 0..2 {
                dry[side] += sample * voice.gain[side];
                wet[side] += sample * voice.gain[side] * voice.echo;
            }
        }
        let [left, right] = self.echo.pop_front().unwrap_or_default();
        // Each repetition comes from the other side.
        self.echo.push_back([wet[0] + right * 0.4, wet[1] + left * 0.4]);
        [dry[0] + left, dry[1] + right]
    }
}

impl Generator for Demo {
    fn fill(&mut self, block: &mut [f32]) -> Option<Piece> {
        let mut begun = false;
        for frame in block.chunks_exact_mut(2) {
            begun |= self.frame == 0;
            self.start_notes();
            frame.copy_from_slice(&self.frame());
            self.frame += 1;
            if self.frame == self.round {
                (self.frame, self.next) = (0, 0);
            }
        }
        self.sounding.retain(|voice| voice.frames_left > 0);
        begun.then(|| Piece { title: "Unisono demo".to_owned(), duration: Some(LENGTH) })
    }
}

/// All notes, in the order they begin.
fn score(rate: f32) -> Vec<Note> {
    let beat = rate * 60.0 / TEMPO;
    let mut rng = Rng::new(20);
    let mut notes = Vec::new();
    let mut step = 4;
    for bar in 0..BARS {
        let chord = CHORDS[bar % CHORDS.len()];
        let at = |beats: f32| ((bar * BEATS_A_BAR) as f32 + beats) * beat;
        for (n, &pitch) in chord[1..].iter().enumerate() {
            notes.push(note(at(0.0), pitch, 0.11, 0.25 + 0.25 * n as f32, &PAD));
        }
        if bar >= 4 {
            notes.push(note(at(0.0), chord[0], 0.30, 0.5, &BASS));
            notes.push(note(at(2.5), chord[0] + 12 * u8::from(bar % 2 == 1), 0.20, 0.5, &BASS));
        }
        // The melody rests in the first two bars and every fourth one.
        if bar < 2 || bar % 4 == 3 {
            continue;
        }
        for eighth in 0..BEATS_A_BAR * 2 {
            let strong = eighth % 4 == 0;
            let roll = rng.below(100);
            // Steps of up to two notes of the scale, up and down.
            step = (step + rng.below(5)).saturating_sub(2).min(SCALE.len() - 1);
            if strong || roll < 45 {
                let level = if strong { 0.30 } else { 0.20 };
                let pan = 0.3 + 0.4 * rng.below(100) as f32 / 100.0;
                notes.push(note(at(eighth as f32 / 2.0), SCALE[step], level, pan, &PLUCK));
            }
        }
    }
    notes.sort_by_key(|note| note.at);
    notes
}

fn note(at: f32, pitch: u8, level: f32, pan: f32, timbre: &'static Timbre) -> Note {
    Note { at: at as usize, pitch, level, pan, timbre }
}

impl Voice {
    fn new(note: &Note, rate: f32) -> Self {
        let timbre = note.timbre;
        let fundamental = 440.0 * 2f32.powf((f32::from(note.pitch) - 69.0) / 12.0);
        let partials = timbre.partials.iter().enumerate().filter_map(|(n, &level)| {
            let number = (n + 1) as f32;
            let frequency = fundamental * number;
            (frequency < rate * 0.45).then(|| Partial::new(frequency, level, timbre.decay / number.sqrt(), rate))
        });
        let angle = note.pan * FRAC_PI_2;
        Self {
            partials: partials.collect(),
            gain: [angle.cos() * note.level, angle.sin() * note.level],
            echo: timbre.echo,
            level: 0.0,
            rise: 1.0 / (timbre.attack * rate),
            frames_left: (timbre.decay * rate) as usize,
        }
    }

    fn sample(&mut self) -> f32 {
        self.frames_left = self.frames_left.saturating_sub(1);
        self.level = (self.level + self.rise).min(1.0);
        self.level * self.partials.iter_mut().map(Partial::step).sum::<f32>()
    }
}

impl Partial {
    /// A sine of `frequency` Hz that takes `decay` seconds to fall by 60 dB.
    fn new(frequency: f32, level: f32, decay: f32, rate: f32) -> Self {
        let shrink = 10f32.powf(-3.0 / (decay * rate));
        let (sin, cos) = (TAU * frequency / rate).sin_cos();
        Self { re: level, im: 0.0, turn_re: cos * shrink, turn_im: sin * shrink }
    }

    fn step(&mut self) -> f32 {
        let sample = self.im;
        (self.re, self.im) =
            (self.re * self.turn_re - self.im * self.turn_im, self.re * self.turn_im + self.im * self.turn_re);
        sample
    }
}

#[cfg(test)]
mod tests;
