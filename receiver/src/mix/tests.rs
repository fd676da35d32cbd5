use super::*;

#[test]
fn full_volume_changes_no_bit() {
    let mut gain = Gain::new(1.0, 48_000);
    let frames: Vec<f32> = (0..200).map(|i| (i as f32 * 0.37).sin()).collect();
    let mut out = frames.clone();
    gain.apply(&mut out, 2);
    assert_eq!(out, frames);
}

#[test]
fn volume_ramps_and_arrives() {
    let mut gain = Gain::new(1.0, 48_000);
    gain.set(0.1);
    let mut out = vec![1.0; 4_800];
    gain.apply(&mut out, 1);
    assert!(out.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 1e-3), "no jump");
    assert_eq!(out.last(), Some(&0.1));
}

#[test]
fn channels_go_where_the_mode_says() {
    let content = [0.5, -0.25, 0.5, -0.25];
    for (mode, expected) in [
        (ChannelMode::Stereo, [0.5, -0.25]),
        (ChannelMode::Left, [0.5, 0.5]),
        (ChannelMode::Right, [-0.25, -0.25]),
        (ChannelMode::Mono, [0.125, 0.125]),
    ] {
        let mut out = [0.0; 4];
        map_channels(&content, 2, mode, &mut out, 2);
        assert_eq!(out[..2], expected, "{mode:?}");
        let mut wide = [0.0; 8];
        map_channels(&content, 2, mode, &mut wide, 4);
        assert_eq!(wide[4..], [expected[0], expected[1], 0.0, 0.0]);
    }
    let mut mono = [0.0; 2];
    map_channels(&[0.5], 1, ChannelMode::Stereo, &mut mono, 2);
    assert_eq!(mono, [0.5, 0.5]);
}

#[test]
fn a_tail_and_a_fade_in_keep_the_power_of_unlike_sounds() {
    let mut tail = Tail::new(480, 1);
    tail.begin(|out| out.fill(1.0));
    let mut fade = FadeIn::new(480);
    fade.begin();
    let (mut old, mut new) = (vec![0.0; 600], vec![1.0; 600]);
    tail.mix_into(&mut old);
    fade.apply(&mut new, 1);
    for (a, b) in old.iter().zip(&new) {
        assert!((a * a + b * b - 1.0).abs() < 1e-3);
    }
    assert!(old[480..].iter().all(|&x| x == 0.0) && new[480..].iter().all(|&x| x == 1.0));
}

#[test]
fn a_chirp_begins_and_ends_in_silence() {
    let mut chirp = Chirp::new(48_000);
    let mut out = vec![0.0; 48_000 * 2];
    chirp.mix_into(&mut out, 2);
    assert!(out.iter().all(|&x| x == 0.0));
    chirp.begin();
    chirp.mix_into(&mut out, 2);
    assert!(out.iter().any(|&x| x > 0.2) && out.iter().all(|&x| x.abs() <= 0.26));
    assert!(out.chunks_exact(2).map(|f| f[0]).collect::<Vec<_>>().windows(2).all(|p| (p[0] - p[1]).abs() < 0.08));
    assert_eq!(out.last(), Some(&0.0));
}

#[test]
fn a_chirp_and_what_it_sounds_over_stay_below_the_most() {
    for most in [0.0, 0.01, 0.1, 0.5, 1.0] {
        let mut chirp = Chirp::new(48_000);
        chirp.set_most(most);
        chirp.begin();
        let mut out = vec![most; 48_000 * 2];
        chirp.mix_into(&mut out, 2);
        assert!(out.iter().all(|x| x.abs() <= most * 1.000_01), "{most}");
        assert_eq!(out.last(), Some(&most));
        chirp.begin();
        out.fill(0.0);
        chirp.mix_into(&mut out, 2);
        let peak = out.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        assert!(peak <= most.min(0.25) && peak >= most.min(0.25) * 0.95, "{most}: {peak}");
    }
}

#[test]
fn wakefulness_leaves_sound_alone_and_silence_never_zero() {
    let mut samples = vec![0.0; 4_800];
    samples[7] = 0.5;
    Wakefulness::default().apply(&mut samples);
    assert_eq!(samples[7], 0.5);
    assert!(samples.iter().all(|sample| *sample != 0.0 && (sample.abs() < 2e-5 || *sample == 0.5)));
    let mean = samples.iter().filter(|sample| **sample != 0.5).sum::<f32>() / 4_800.0;
    assert!(mean.abs() < 1e-6, "{mean}");
}
