use super::*;

/// A card whose position moves in steps of `grain`, read every `every_ns`.
fn readings(grain: i64, every_ns: i64, count: i64) -> impl Iterator<Item = Reading> {
    (0..count).map(move |i| {
        let asked = 1_000_000 + i * every_ns;
        let frame = (asked + 400) * 48 / 1_000_000;
        let stamp = LocalTime::from_ns(asked + 800);
        Reading { played: frame / grain * grain, asked: LocalTime::from_ns(asked), stamp }
    })
}

fn true_time(frame: i64) -> i64 {
    frame * 1_000_000 / 48
}

#[test]
fn edges_are_known_to_a_reading_whatever_the_grain() {
    for grain in [1, 8, 48, 240] {
        let mut finder = EdgeFinder::default();
        let edges: Vec<Edge> = readings(grain, 1_000, 20_000).filter_map(|reading| finder.feed(reading)).collect();
        assert_eq!(finder.grain(), Some(grain));
        assert!(edges.len() as i64 > 15 / grain, "{grain}: {}", edges.len());
        for edge in edges {
            let error = edge.at.as_ns() - true_time(edge.frame);
            assert!(error.abs() < 1_500, "grain {grain}: {error} ns");
            assert!(edge.sigma_ns < 1_000.0);
        }
    }
}

#[test]
fn an_interrupted_look_gives_nothing() {
    let mut finder = EdgeFinder::default();
    let mut all: Vec<Reading> = readings(8, 1_000, 3_000).collect();
    finder.feed(all[0]);
    // The thread was away for a millisecond.
    assert_eq!(finder.feed(all[1_100]), None);
    // And while it was asking.
    all[1_300].stamp = all[1_300].stamp + 500_000;
    assert_eq!(finder.feed(all[1_300]), None);
}

#[test]
fn a_drivers_own_stamp_of_the_change_is_taken() {
    let mut finder = EdgeFinder::default();
    let at = |ns| LocalTime::from_ns(ns);
    finder.feed(Reading { played: 0, asked: at(2_000_000), stamp: at(1_000_000) });
    let edge = finder.feed(Reading { played: 240, asked: at(7_000_000), stamp: at(6_000_123) });
    assert_eq!(edge.map(|edge| (edge.frame, edge.at)), Some((240, at(6_000_123))));
    assert_eq!(finder.feed(Reading { played: 240, asked: at(8_000_000), stamp: at(6_000_123) }), None);
}
