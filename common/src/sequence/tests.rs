use proptest::prelude::*;

use super::*;

#[test]
fn extends_over_the_wrap_in_both_directions() {
    let mut extender = Extender::default();
    let arrived = [65_534, 0, 65_535, 1, 65_533];
    assert_eq!(arrived.map(|n| extender.extend(n)), [65_534, 65_536, 65_535, 65_537, 65_533]);
    assert_eq!(extender.highest(), Some(65_537));
}

#[test]
fn follows_from_the_frame() {
    assert_eq!(of_frame(0, 240), 0);
    assert_eq!(of_frame(240 * 65_537, 240), 1);
    assert_eq!(of_frame(-240, 240), 65_535);
}

proptest! {
    #[test]
    fn unwrap_is_nearest_and_keeps_the_low_bits(sequence: u16, near in -1_i64 << 40..1 << 40) {
        let extended = unwrap(sequence, near);
        prop_assert_eq!(extended as u16, sequence);
        prop_assert!((extended - near).abs() <= 32_768);
    }
}
