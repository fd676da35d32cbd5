use super::*;

fn run(from: u32, to: u32, frames: usize, block: usize) -> usize {
    let mut converter = RateConverter::new(from, to, 2);
    let (input, mut out) = (vec![0.5; frames * 2], Vec::new());
    for part in input.chunks(block * 2) {
        converter.feed(part, &mut out);
    }
    converter.finish(&mut out);
    out.len() / 2
}

#[test]
fn n_frames_become_the_nearest_to_n_times_the_ratio() {
    for (from, to) in [(44_100, 48_000), (48_000, 44_100), (96_000, 48_000), (44_099, 48_000), (11_025, 192_000)] {
        for frames in [1, 2, 1_000, 20_011] {
            let expected = (frames as f64 * f64::from(to) / f64::from(from)).round() as usize;
            assert_eq!(run(from, to, frames, 701), expected, "{frames} from {from} to {to}");
        }
    }
}

#[test]
fn it_starts_afresh_after_finish() {
    let mut converter = RateConverter::new(44_100, 48_000, 1);
    let input: Vec<f64> = (0..5_000).map(|n| f64::from(n % 100) / 100.0).collect();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    converter.feed(&input, &mut first);
    converter.finish(&mut first);
    converter.feed(&input, &mut second);
    converter.finish(&mut second);
    assert!(first == second);
}
