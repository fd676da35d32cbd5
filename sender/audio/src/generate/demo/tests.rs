use super::*;
use crate::testing::db;

fn render(rate: u32, seconds: u32) -> Vec<f32> {
    let mut demo = Demo::new(rate);
    let mut all = vec![0.0; (rate * seconds * 2) as usize];
    all.chunks_mut(960).for_each(|block| drop(demo.fill(block)));
    all
}

#[test]
fn the_piece_is_loud_enough_and_never_clips() {
    for rate in [48_000, 96_000] {
        let all = render(rate, 125);
        let peak = all.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        assert!((0.35..0.95).contains(&peak), "{rate} Hz: peak {peak}");
        for second in all.chunks((rate * 2 * 5) as usize) {
            let rms = (second.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / second.len() as f64).sqrt();
            assert!((-36.0..-12.0).contains(&db(rms)), "{rate} Hz: {:.1} dB", db(rms));
        }
    }
}

#[test]
fn the_piece_is_the_same_every_time_and_says_when_it_begins() {
    assert!(render(8_000, 3) == render(8_000, 3));
    let mut demo = Demo::new(8_000);
    let begins: Vec<usize> = (0..1_300)
        .filter(|_| demo.fill(&mut [0.0; 1_600]).is_some_and(|piece| piece.title == "Unisono demo"))
        .collect();
    assert_eq!(begins, [0, 600, 1_200]);
}
