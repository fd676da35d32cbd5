use super::*;
use proptest::prelude::*;

/// Uniform noise in -1..1 from a counter: enough to dither an estimate, and the same every time.
fn noise(i: i64) -> f64 {
    let x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn edge(frame: i64, ppm: f64, noise_ns: f64) -> Edge {
    let at = frame as f64 * 1e9 / 48_000.0 / (1.0 + ppm * 1e-6) + noise_ns;
    Edge { frame, at: LocalTime::from_ns(1_000_000_000 + at.round() as i64), sigma_ns: 1_000.0 }
}

#[test]
fn a_second_of_edges_gives_rate_and_time_to_a_fraction_of_a_microsecond() {
    for ppm in [-250.0, 0.0, 40.0, 250.0] {
        let mut clock = DacClock::new(48_000);
        for i in 0..100 {
            clock.observe(edge(i * 480, ppm, 1_000.0 * noise(i)));
        }
        let map = clock.map().expect("locked");
        let ahead = 100 * 480 + 3_840;
        assert!((map.time_of(ahead) - edge(ahead, ppm, 0.0).at).abs() < 500, "{ppm} ppm");
        assert!((map.rate_error() * 1e6 - ppm).abs() < 1.0, "{ppm} ppm: {}", map.rate_error() * 1e6);
        assert!(map.sigma_ns(ahead) < 500.0);
        assert!((map.frame_at(map.time_of(ahead)) - ahead).abs() <= 1);
    }
}

#[test]
fn a_wrong_edge_is_not_believed_and_ten_are() {
    let mut clock = DacClock::new(48_000);
    for i in 0..100 {
        clock.observe(edge(i * 480, 0.0, 0.0));
    }
    assert_eq!(clock.observe(edge(48_000, 0.0, 3e6)), Observed::Rejected);
    assert_eq!(clock.observe(edge(48_480, 0.0, 0.0)), Observed::Taken);
    let last = (0..10).map(|i| clock.observe(edge(49_000 + i * 480, 0.0, 5e6))).last();
    assert_eq!(last, Some(Observed::Restarted));
}

#[test]
fn the_rate_follows_a_card_that_warms_up() {
    let mut clock = DacClock::new(48_000);
    let (mut frame, mut at) = (0, 0.0);
    for i in 0..6_000 {
        // 0.6 ppm over 40 s, then steady.
        let ppm = 0.6 * (f64::from(i) / 400.0).min(1.0);
        frame += 4_800;
        at += 1e8 / (1.0 + ppm * 1e-6);
        let sigma_ns = 500.0;
        clock.observe(Edge { frame, at: LocalTime::from_ns((at + 500.0 * noise(frame)) as i64), sigma_ns });
        let map = clock.map();
        if let Some(map) = map.filter(|_| i > 100) {
            let error = map.time_of(frame) - LocalTime::from_ns(at as i64);
            assert!(error.abs() < 1_000, "{error} ns at edge {i}");
        }
    }
}

proptest! {
    #[test]
    fn any_edges_leave_it_finite(edges in prop::collection::vec((any::<i32>(), any::<i32>(), 0.0..1e9), 0..60)) {
        let mut clock = DacClock::new(44_100);
        for (frame, at, sigma_ns) in edges {
            clock.observe(Edge { frame: frame.into(), at: LocalTime::from_ns(at.into()), sigma_ns });
            if let Some(map) = clock.map() {
                prop_assert!(map.period_ns().is_finite() && map.sigma_ns(i64::from(frame) + 480).is_finite());
            }
        }
    }
}
