use proptest::prelude::*;

use super::*;

fn fader(frames: usize) -> Fader {
    let mut fader = Fader::new("48000:24:2".parse().unwrap(), 1);
    fader.set_length(frames);
    fader
}

#[test]
fn without_a_fade_everything_passes_at_once_as_it_is() {
    let (mut fader, mut out) = (fader(0), Vec::new());
    fader.feed(&[1, 2, 3, 4], &mut out);
    fader.cross(&mut out);
    fader.feed(&[5, 6], &mut out);
    assert_eq!(out, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn every_sample_of_a_fade_is_where_it_should_be() {
    let (mut fader, mut out) = (fader(1_000), Vec::new());
    let (a, b) = (4_000_000_i32, -3_000_000_i32);
    fader.feed(&vec![a; 2 * 5_000], &mut out);
    assert_eq!(out.len(), 2 * 4_000, "a fade's length is held back");
    fader.cross(&mut out);
    // In blocks that don't fit it.
    vec![b; 2 * 4_000].chunks(2 * 333).for_each(|block| fader.feed(block, &mut out));
    fader.flush(&mut out);
    assert_eq!(out.len(), 2 * 8_000);
    assert!(out[..2 * 4_000].iter().all(|&s| s == a) && out[2 * 5_000..].iter().all(|&s| s == b));
    for (n, frame) in out[2 * 4_000..2 * 5_000].chunks(2).enumerate() {
        let (sin, cos) = (((n as f64 + 0.5) / 1_000.0) * FRAC_PI_2).sin_cos();
        let right = f64::from(a) * cos + f64::from(b) * sin;
        assert!(frame.iter().all(|&s| (f64::from(s) - right).abs() <= 1.5), "{n}: {frame:?} {right}");
    }
}

#[test]
fn a_short_piece_fades_no_longer_than_its_half() {
    let (mut fader, mut out) = (fader(1_000), Vec::new());
    fader.feed(&[1_000; 2 * 600], &mut out);
    fader.cross(&mut out);
    assert_eq!(out, [1_000; 2 * 300]);
    // And one that is shorter than what fades under it loses nothing of that.
    fader.feed(&[0; 2 * 100], &mut out);
    fader.flush(&mut out);
    assert_eq!(out.len(), 2 * 600);
}

#[test]
fn a_skip_leaves_nothing_behind() {
    let (mut fader, mut out) = (fader(100), Vec::new());
    fader.feed(&[9; 2 * 300], &mut out);
    fader.cross(&mut out);
    fader.clear();
    out.clear();
    fader.feed(&[7; 2 * 300], &mut out);
    fader.flush(&mut out);
    assert_eq!(out, [7; 2 * 300]);
}

proptest! {
    /// Whatever the lengths, each piece gives its frames, less what lies under the next one.
    #[test]
    fn no_frame_is_lost(length in 0..50_usize, pieces in proptest::collection::vec(0..120_usize, 1..6)) {
        let (mut fader, mut out) = (fader(length), Vec::new());
        for (n, &piece) in pieces.iter().enumerate() {
            if n > 0 {
                fader.cross(&mut out);
            }
            vec![1; 2 * piece].chunks(14).for_each(|block| fader.feed(block, &mut out));
        }
        fader.flush(&mut out);
        prop_assert!(out.len() % 2 == 0);
        prop_assert!(out.len() / 2 <= pieces.iter().sum::<usize>());
        let most_lost: usize = pieces.iter().map(|piece| piece / 2).sum();
        prop_assert!(out.len() / 2 + most_lost >= pieces.iter().sum::<usize>());
    }
}
