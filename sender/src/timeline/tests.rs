use super::*;

#[test]
fn packets_begin_at_multiples_and_are_due_at_their_end() {
    let now = MediaTime::from_ns(1_000_000_007_000_000);
    let mut timeline = Timeline::new(48_000, 240, now);
    assert_eq!(timeline.due(), MediaTime::from_ns(1_000_000_010_000_000));
    let frame = timeline.advance();
    assert_eq!(frame, 1_000_000_005 * 48);
    assert_eq!(timeline.advance(), frame + 240);
    assert_eq!(timeline.due(), MediaTime::from_ns(1_000_000_020_000_000));
}

#[test]
fn two_runs_agree_on_which_packet_holds_what() {
    let first = Timeline::new(44_100, 220, MediaTime::from_ns(123_456_789_000));
    let mut second = Timeline::new(44_100, 220, MediaTime::from_ns(120_000_000_000));
    second.skip_to(MediaTime::from_ns(123_456_789_000));
    assert_eq!(first, second);
}

#[test]
fn skipping_leaves_out_whole_packets_only_and_never_goes_back() {
    let mut timeline = Timeline::new(48_000, 240, MediaTime::from_ns(0));
    assert_eq!(timeline.skip_to(MediaTime::from_ns(24_999_999)), 4);
    assert_eq!(timeline.due(), MediaTime::from_ns(25_000_000));
    assert_eq!(timeline.skip_to(MediaTime::from_ns(1)), 0);
    assert_eq!(timeline.due(), MediaTime::from_ns(25_000_000));
}
