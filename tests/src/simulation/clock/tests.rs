use super::network::Family;
use super::report::{Figures, RunFigures, faults};
use super::{FAULT_S, Fault, Scenario, run};

/// Eight seeds that never change and four that nobody has seen; what fails names them.
fn seeds() -> Vec<u64> {
    let unseen = unisono_host::random::number() >> 16;
    println!("unseen seeds: {unseen} to {}", unseen + 3);
    (100..108).chain(unseen..unseen + 4).collect()
}

fn figures(scenario: Scenario) -> Figures {
    Figures::gather(scenario, &seeds())
}

#[test]
fn a_run_repeats_from_its_seed() {
    let scenario = Scenario { length_s: 20.0, ..Scenario::of(Family::Wifi) };
    assert_eq!(run(scenario, 5).points, run(scenario, 5).points);
    assert_ne!(run(scenario, 5).points, run(scenario, 6).points);
}

#[test]
fn wired_rooms_are_well_within_a_microsecond() {
    let wired = figures(Scenario::of(Family::Wired));
    assert!(wired.settled_rms() < 0.5, "{}", wired.row("wired"));
    assert_eq!(wired.failed_early(), 0, "{}", wired.row("wired"));
    assert!(figures(Scenario::of(Family::WiredUser)).settled_rms() < 2.5);
}

#[test]
fn wireless_rooms_hold_the_target() {
    for family in [Family::Wifi, Family::Lognormal, Family::PowerSave, Family::Crowded, Family::Powerline] {
        let figures = figures(Scenario::of(family));
        let row = figures.row(family.name());
        // Unseen seeds are free to be unlucky: one run may be above where fixed ones show none.
        assert!(figures.failed_late() <= 1, "{row}");
        assert!(figures.settled(0.99) < 50.0, "{row}");
    }
}

#[test]
fn a_full_link_is_recovered_from_once_it_clears() {
    let saturated = figures(Scenario::of(Family::Saturated));
    // Full for 20 s of each minute, at worst from the start.
    assert!(saturated.worst(|run| run.converged_s) < 40.0, "{}", saturated.row("saturated"));
    assert!(saturated.settled(0.99) < 50.0, "{}", saturated.row("saturated"));
}

#[test]
fn loss_and_odd_crystals_change_little() {
    for (name, scenario) in faults().into_iter().filter(|(_, scenario)| scenario.fault.is_none()) {
        let figures = figures(scenario);
        assert!(
            figures.settled(0.99) < if scenario.family == Family::Wired { 2.0 } else { 50.0 },
            "{}",
            figures.row(name)
        );
    }
}

#[test]
fn a_path_that_grows_both_ways_costs_tens_of_microseconds_at_most() {
    let wired = Scenario { fault: Some(Fault::Path(400.0, 400.0)), ..Scenario::of(Family::Wired) };
    let figures = figures(wired);
    assert!(figures.settled(1.0) < 60.0, "{}", figures.row("longer path"));
}

#[test]
fn half_of_what_grows_one_way_is_lost_and_no_more() {
    let wired = Scenario { fault: Some(Fault::Path(0.0, 400.0)), ..Scenario::of(Family::Wired) };
    let trace = run(wired, 1);
    let last = trace.points.last().unwrap();
    assert!((last.error_us.abs() - 200.0).abs() < 10.0, "{last:?}");
}

#[test]
fn after_a_restart_the_new_clock_is_known_within_seconds() {
    let wifi = Scenario { fault: Some(Fault::Restart), ..Scenario::of(Family::Wifi) };
    for seed in seeds() {
        let trace = run(wifi, seed);
        let bias_us = RunFigures::of(&trace, 150.0).bias_us;
        let late = |p: &&super::Point| p.t_s > FAULT_S + 4.0 && (p.error_us - bias_us).abs() > 300.0;
        assert_eq!(trace.points.iter().find(late), None, "seed {seed}");
    }
}
