use super::*;

const MS: i64 = 1_000_000;

fn link(impairment: Impairment) -> Link {
    let mut link = Link::new(7, 1);
    link.set(impairment);
    link
}

/// Passes a packet each 5 ms; the share that arrives, and the arrivals.
fn run(link: &mut Link, packets: i64, multicast: bool) -> (f64, Vec<i64>) {
    let arrivals: Vec<i64> =
        (0..packets).flat_map(|i| link.pass(i * 5 * MS, 1_000, multicast).into_iter().flatten()).collect();
    (arrivals.len() as f64 / packets as f64, arrivals)
}

#[test]
fn a_good_link_does_nothing_and_one_that_is_down_passes_nothing() {
    let (share, arrivals) = run(&mut link(Impairment::default()), 100, true);
    assert_eq!(share, 1.0);
    assert!(arrivals.iter().enumerate().all(|(i, at)| *at == i as i64 * 5 * MS));
    assert_eq!(run(&mut link(Impairment { down: true, ..Impairment::default() }), 100, false).0, 0.0);
}

#[test]
fn losses_have_the_share_that_was_asked_for_and_repeat_from_their_seed() {
    let (share, first) = run(&mut link(Impairment::losing(0.1)), 20_000, false);
    assert!((share - 0.9).abs() < 0.01, "{share}");
    assert_eq!(run(&mut link(Impairment::losing(0.1)), 20_000, false).1, first);
    let wifi = Impairment { multicast_loss: 0.3, ..Impairment::default() };
    assert_eq!(run(&mut link(wifi), 1_000, false).0, 1.0);
    assert!((run(&mut link(wifi), 20_000, true).0 - 0.7).abs() < 0.02);
    let burst = Loss::GilbertElliott { to_bad: 0.01, to_good: 0.1, lost: 0.5 };
    let (share, _) = run(&mut link(Impairment { loss: burst, ..Impairment::default() }), 100_000, false);
    assert!((share - (1.0 - 0.5 * 0.01 / 0.11)).abs() < 0.01, "{share}");
}

#[test]
fn a_burst_takes_everything_once_a_period() {
    let loss = Loss::Bursts { every_ms: 2_000, length_ms: 50 };
    let mut link = link(Impairment { loss, ..Impairment::default() });
    let lost: Vec<i64> = (0..60_000).filter(|ms| link.pass(ms * MS, 100, false) == [None; 2]).collect();
    assert_eq!(lost.len(), 30 * 50);
    let beginnings = lost.windows(2).filter(|w| w[1] - w[0] > 1).count() + 1;
    assert_eq!(beginnings, 30);
}

#[test]
fn jitter_reorders_only_where_it_may() {
    let jitter = Impairment { delay_ms: 2.0, jitter_ms: 80.0, ..Impairment::default() };
    let (_, arrivals) = run(&mut link(jitter), 1_000, false);
    assert!(arrivals.is_sorted());
    let (_, arrivals) = run(&mut link(Impairment { reorders: true, ..jitter }), 1_000, false);
    assert!(!arrivals.is_sorted());
    let on_the_way = |(i, at): (usize, &i64)| at - i as i64 * 5 * MS;
    assert!(arrivals.iter().enumerate().map(on_the_way).all(|ns| (2 * MS..=82 * MS).contains(&ns)));
}

#[test]
fn a_slow_link_queues_and_then_drops() {
    // 8 kbit of packet each 5 ms on 0.8 Mbit/s: half of it fits.
    let mut link = link(Impairment { rate: Some(800_000), ..Impairment::default() });
    let (share, arrivals) = run(&mut link, 2_000, false);
    assert!((share - 0.5).abs() < 0.03, "{share}");
    assert!(arrivals.windows(2).all(|w| w[1] - w[0] >= 10 * MS - 1));
    let twice = Impairment { duplicated: 1.0, ..Impairment::default() };
    assert_eq!(run(&mut self::link(twice), 10, false).0, 2.0);
}
