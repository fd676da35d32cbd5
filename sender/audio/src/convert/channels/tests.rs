use super::*;

fn matrix(from: usize, to: usize) -> Matrix {
    Matrix::new(&Layout::of_count(from), &Layout::of_count(to))
}

fn row(matrix: &Matrix, output: usize) -> Vec<f64> {
    matrix.gains[output][..matrix.inputs].iter().map(|gain| (gain * 1_000.0).round() / 1_000.0).collect()
}

#[test]
fn surround_to_stereo_follows_bs_775() {
    let m = matrix(6, 2);
    // Front 1, centre and surround 0.707 each, all by 2.414 so that the sum is 1; no LFE.
    assert_eq!(row(&m, 0), [0.414, 0.0, 0.293, 0.0, 0.293, 0.0]);
    assert_eq!(row(&m, 1), [0.0, 0.414, 0.293, 0.0, 0.0, 0.293]);
}

#[test]
fn the_order_of_the_container_is_followed() {
    use Speaker::*;
    let vorbis = Layout::new(&[FrontLeft, FrontCentre, FrontRight, BackLeft, BackRight, Lfe]).unwrap();
    let m = Matrix::new(&vorbis, &Layout::of_count(2));
    assert_eq!(row(&m, 0), [0.414, 0.293, 0.0, 0.293, 0.0, 0.0]);
    let same = Matrix::new(&vorbis, &Layout::of_count(6));
    assert_eq!(same.route(), Some(Route([Some(0), Some(2), Some(1), Some(5), Some(3), Some(4), None, None])));
}

#[test]
fn stereo_to_mono_is_the_mean_and_mono_to_stereo_is_both() {
    assert_eq!(row(&matrix(2, 1), 0), [0.5, 0.5]);
    assert_eq!(matrix(1, 2).route(), Some(Route([Some(0), Some(0), None, None, None, None, None, None])));
}

#[test]
fn stereo_in_a_surround_stream_is_in_front() {
    let mut out = Vec::new();
    matrix(2, 6).route().unwrap().copy(&[1, 2, 3, 4], 2, 6, 0, &mut out);
    assert_eq!(out, [1, 2, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0]);
}

#[test]
fn nothing_that_is_heard_is_lost_and_nothing_can_clip() {
    for from in 1..=MAX_CHANNELS {
        for to in 1..=MAX_CHANNELS {
            let m = matrix(from, to);
            for (input, speaker) in Layout::of_count(from).speakers().iter().enumerate() {
                let heard = (0..to).any(|output| m.gains[output][input] > 0.0);
                assert!(heard || *speaker == Speaker::Lfe, "{speaker:?} of {from} in {to}");
            }
            assert!((0..to).all(|output| m.gains[output].iter().sum::<f64>() < 1.000_001), "{from} to {to}");
        }
    }
}

#[test]
fn a_layout_has_one_to_eight_channels() {
    assert!(Layout::new(&[]).is_none() && Layout::new(&[Speaker::FrontLeft; 9]).is_none());
    assert!((1..=8).all(|n| Layout::of_count(n).len() == n));
}
