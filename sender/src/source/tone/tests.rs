use super::*;
use crate::testing::{db, fit_sine, residual_db};

#[test]
fn the_sine_is_of_its_frequency_and_level_across_blocks() {
    let mut tone = Tone::new(997.0, -20.0, 48_000);
    let mut samples = Vec::new();
    for frames in [1, 480, 13, 4_000, 44_000] {
        let mut block = vec![0.0; frames * 2];
        assert_eq!(tone.fill(&mut block).is_some(), samples.is_empty());
        samples.extend(block.iter().step_by(2).map(|&s| f64::from(s)));
    }
    let (amplitude, _) = fit_sine(&samples, 997.0, 48_000.0);
    assert!((db(amplitude) + 20.0).abs() < 0.001);
    assert!(residual_db(&samples, 997.0, 48_000.0) < -140.0);
}
