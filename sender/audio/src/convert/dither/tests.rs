use super::*;

#[test]
fn a_constant_comes_out_as_its_own_mean() {
    // A third of an LSB is lost without dither and kept with it.
    let mut quantiser = Quantiser::new(16, 1);
    let mean = (0..200_000).map(|_| f64::from(quantiser.quantise(1.0 / 3.0 / 32_768.0))).sum::<f64>() / 200_000.0;
    assert!((mean - 1.0 / 3.0).abs() < 0.01, "{mean}");
}

#[test]
fn the_noise_does_not_depend_on_the_signal() {
    for offset in [0.0, 0.25, 0.5] {
        let mut quantiser = Quantiser::new(16, 2);
        let power =
            (0..200_000).map(|_| (f64::from(quantiser.quantise(offset / 32_768.0)) - offset).powi(2)).sum::<f64>();
        assert!((power / 200_000.0 - 0.25).abs() < 0.005, "{offset}: {}", power / 200_000.0);
    }
}

#[test]
fn the_same_seed_gives_the_same_noise() {
    let run = |seed| {
        let mut quantiser = Quantiser::new(24, seed);
        (0..100).map(|n| quantiser.quantise(f64::from(n) / 100.0)).collect::<Vec<_>>()
    };
    assert!(run(1) == run(1) && run(1) != run(2));
}

#[test]
fn below_is_even() {
    let (mut rng, mut counts) = (Rng::new(3), [0; 7]);
    (0..70_000).for_each(|_| counts[rng.below(7)] += 1);
    assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
}
