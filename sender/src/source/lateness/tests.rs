use super::*;

/// Pieces of 5 ms, `seconds` of them, of which `waits` wait each time; how often it was cut.
fn cuts(lateness: &mut Lateness, seconds: f64, waits: f64) -> u32 {
    (0..(seconds / 0.005).round() as u32).map(|_| u32::from(lateness.observe(0.005, waits))).sum()
}

#[test]
fn a_card_that_is_late_is_cut_once_it_is_certain() {
    let mut lateness = Lateness::of_clock(0.010);
    assert_eq!(cuts(&mut lateness, 60.0, 0.035), 0);
    assert_eq!(cuts(&mut lateness, 0.245, 0.150), 0, "a hiccup");
    assert_eq!(cuts(&mut lateness, 60.0, 0.012), 0);
    assert_eq!(cuts(&mut lateness, 0.255, 0.150), 1);
    assert_eq!(cuts(&mut lateness, 60.0, 0.012), 0);
}

#[test]
fn a_writer_that_was_never_in_time_is_left_alone() {
    let mut lateness = Lateness::of_writer(0.007);
    assert_eq!(cuts(&mut lateness, 600.0, 0.490), 0);
    assert_eq!(cuts(&mut lateness, 4.0, 0.010), 0);
    assert_eq!(cuts(&mut lateness, 600.0, 0.490), 0, "a moment in time is not yet to keep time");
}

#[test]
fn one_that_no_longer_keeps_time_is_cut_a_few_times_only() {
    let mut lateness = Lateness::of_writer(0.007);
    assert_eq!(cuts(&mut lateness, 6.0, 0.010), 0);
    assert_eq!(cuts(&mut lateness, 600.0, 0.490), CUTS);
    assert_eq!(cuts(&mut lateness, 6.0, 0.010), 0);
    assert_eq!(cuts(&mut lateness, 600.0, 0.490), CUTS);
}

#[test]
fn music_may_wait() {
    assert_eq!(cuts(&mut Lateness::of_any(), 600.0, 0.490), 0);
}
