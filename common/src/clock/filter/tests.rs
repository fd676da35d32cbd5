use super::*;
use crate::time::MediaTime;

const MS: i64 = 1_000_000;

fn sample(epoch: u32, at_ns: i64, offset_ns: i64, forth_ns: i64, back_ns: i64) -> Sample {
    let sent = LocalTime::from_ns(at_ns);
    let reached = MediaTime::from_ns(at_ns + forth_ns + offset_ns);
    Sample {
        epoch: ClockEpoch(epoch),
        sent,
        reached,
        answered: reached + 20_000,
        arrived: sent + forth_ns + 20_000 + back_ns,
        sent_source: StampSource::Kernel,
        arrived_source: StampSource::Kernel,
        interleaved: true,
    }
}

#[test]
fn a_perfect_network_gives_a_perfect_map() {
    let mut filter = Filter::new();
    assert!(filter.map().is_none());
    let (offset_ns, ppm) = (1_790_000_000_000 * MS + 123, 40);
    for i in 0..200 {
        let at_ns = i * 50 * MS;
        let _ = filter.take(&sample(1, at_ns, offset_ns + at_ns / 1_000_000 * ppm, 50_000, 50_000));
    }
    let map = filter.map().unwrap();
    let at = LocalTime::from_ns(10_000 * MS);
    let truth = at.as_ns() + offset_ns + at.as_ns() / 1_000_000 * ppm;
    assert!((map.media_at(at).as_ns() - truth).abs() < 50, "{} ns", map.media_at(at).as_ns() - truth);
    assert!((map.rate - 40e-6).abs() < 1e-7, "{}", map.rate);
}

#[test]
fn a_new_epoch_forgets_the_old_one() {
    let mut filter = Filter::new();
    for i in 0..50 {
        let _ = filter.take(&sample(1, i * 50 * MS, 1_000, 50_000, 50_000));
    }
    let map = filter.take(&sample(2, 2_600 * MS, 77_000_000, 50_000, 50_000));
    assert_eq!(map.epoch, ClockEpoch(2));
    assert_eq!(map.offset_ns, 77_000_000);
    assert_eq!(filter.samples(), 1);
}

#[test]
fn a_late_packet_hardly_moves_the_map_and_an_old_one_not_at_all() {
    let mut filter = Filter::new();
    for i in 0..100 {
        let _ = filter.take(&sample(1, i * 50 * MS, 1_000, 50_000, 50_000));
    }
    let before = filter.map().unwrap();
    let _ = filter.take(&sample(1, 5_000 * MS, 1_000, 20_050_000, 50_000));
    let after = filter.map().unwrap();
    let at = LocalTime::from_ns(5_100 * MS);
    assert!((after.media_at(at) - before.media_at(at)).abs() < 1_000);
    let _ = filter.take(&sample(1, 2_000 * MS, 9_000, 50_000, 50_000));
    assert_eq!(filter.map().unwrap(), after);
}

#[test]
fn certainty_grows_with_samples_and_shrinks_without() {
    let mut filter = Filter::new();
    let first = filter.take(&sample(1, 0, 0, 50_000, 50_000));
    for i in 1..100 {
        let _ = filter.take(&sample(1, i * 20 * MS, 0, 50_000 + i % 7 * 900, 50_000));
    }
    let later = filter.map().unwrap();
    assert!(later.sigma_ns < first.sigma_ns / 5.0);
    assert!(later.sigma_at(later.at + 60_000 * MS) > 2.0 * later.sigma_ns);
}
