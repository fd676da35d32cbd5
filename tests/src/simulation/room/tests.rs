use super::*;

/// Three seeds that never change and one that nobody has seen; what fails names it.
fn figures(family: Family, grain: i64, card_ppm: f64) -> (Figures, u64) {
    let unseen = unisono_host::random::number() >> 16;
    println!("unseen seed: {unseen}");
    let figures = Figures::gather(Conditions { family, grain, card_ppm, length_s: 120.0 }, &[1, 2, 3, unseen]);
    println!("{}", figures.row(family.name()));
    (figures, 4)
}

fn assert_unbroken(figures: Figures, runs: u64) {
    let Figures { starts, splices, laps, missing, .. } = figures;
    assert_eq!((starts, splices, laps, missing), (runs, 0, 0, 0));
}

#[test]
fn a_run_repeats_from_its_seed() {
    let conditions = Conditions { family: Family::Wifi, grain: 8, card_ppm: 50.0, length_s: 10.0 };
    assert_eq!(run(conditions, 5).points, run(conditions, 5).points);
    assert_ne!(run(conditions, 5).points, run(conditions, 6).points);
}

#[test]
fn a_wired_room_stays_within_microseconds_whatever_its_card() {
    for (grain, card_ppm) in [(1, 50.0), (48, 50.0), (240, 250.0)] {
        let (figures, runs) = figures(Family::Wired, grain, card_ppm);
        assert_unbroken(figures, runs);
        assert!(figures.p99_us < 5.0 && figures.max_us < 10.0 && figures.step_us < 1.0, "{figures:?}");
        assert!(figures.modulation_ppm < 0.5, "{figures:?}");
    }
}

#[test]
fn a_room_on_wifi_drifts_slowly_and_never_jumps() {
    let (figures, runs) = figures(Family::Wifi, 8, 50.0);
    assert_unbroken(figures, runs);
    assert!(figures.p99_us < 75.0 && figures.max_us < 200.0 && figures.step_us < 15.0, "{figures:?}");
}
