use super::*;
use crate::testing::noise;

const PACKET: usize = 480;
const RATE: u32 = 48_000;

fn mixdown(duck_db: f64) -> Mixdown {
    Mixdown::new(Rules::new(duck_db, 20, 100, RATE), &[1, 2], 2, 16, PACKET)
}

/// Runs `packets` packets with these inputs, and returns the last one and who was heard in it.
fn run(mix: &mut Mixdown, packets: usize, first: &[i32], second: &[i32]) -> (Vec<i32>, Option<usize>) {
    let (mut out, mut heard) = (vec![0; PACKET], None);
    for _ in 0..packets {
        heard = mix.mix(|key| (key <= 2).then_some(if key == 1 { first } else { second }), &mut out);
    }
    (out, heard)
}

#[test]
fn what_is_alone_passes_bit_for_bit() {
    let (silence, music) = (vec![0; PACKET], noise(16, PACKET / 2, 2, 1));
    let mut mix = mixdown(-20.0);
    assert_eq!(run(&mut mix, 3, &silence, &music), (music.clone(), Some(1)));
    assert_eq!(run(&mut mix, 3, &music, &silence), (music, Some(0)));
    assert_eq!(run(&mut mix, 30, &silence, &silence), (silence, None));
}

#[test]
fn the_lower_one_dips_while_the_upper_one_sounds_and_returns() {
    let (bell, music, silence) = (vec![1_000; PACKET], vec![10_000; PACKET], vec![0; PACKET]);
    let mut mix = mixdown(-20.0);
    run(&mut mix, 10, &silence, &music);
    let (first, heard) = run(&mut mix, 1, &bell, &music);
    assert_eq!(heard, Some(0));
    assert!(first[0] > 10_900 && first[PACKET - 1] < first[0], "it dips without a jump: {} {}", first[0], first[479]);
    let (later, _) = run(&mut mix, 12, &bell, &music);
    assert!(later.iter().all(|&s| (1_998..=2_002).contains(&s)), "bell in full, music at a tenth: {}", later[0]);
    let (held, heard) = run(&mut mix, 10, &silence, &music);
    assert!(heard == Some(0) && held[0] < 1_100, "a pause in the bell does not bring the music up");
    let (back, heard) = run(&mut mix, 250, &silence, &music);
    assert_eq!((back, heard), (music, Some(1)), "bit for bit again");
}

#[test]
fn switching_without_ducking_silences_what_is_below() {
    let (tv, music) = (noise(16, PACKET / 2, 2, 3), vec![10_000; PACKET]);
    let mut mix = mixdown(SILENT_DB);
    assert_eq!(run(&mut mix, 30, &tv, &music), (tv, Some(0)));
}

#[test]
fn inputs_that_are_missing_or_too_loud_do_no_harm() {
    let loud = vec![32_000; PACKET];
    let mut mix = mixdown(0.0);
    let (out, _) = run(&mut mix, 3, &loud, &loud);
    assert!(out.iter().all(|&s| s == 32_767));
    let mut out = vec![7; PACKET];
    assert_eq!(mix.mix(|_| None, &mut out), Some(0), "it holds its place for a moment");
    assert!(out.iter().all(|&s| s == 0));
}
