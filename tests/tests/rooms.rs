//! The real programs in a house of network namespaces, through ALSA: host clocks and cards that are off, cards and
//! networks that come and go. Needs root and a C compiler; skipped, loudly, where there are none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{IN_STEP_US, PATIENCE, Playing, assert_undamaged, end};
use unisono_tests::house::{Room, reports};
use unisono_tests::instruments::{Card, HostClock, Unplugged};
use unisono_tests::records::Record;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

fn room(host_ppm: f64, realtime_ms: f64, card_ppm: f64) -> Room {
    Room {
        clock: HostClock { ppm: host_ppm, realtime_ms, uptime_s: 1000.0 + host_ppm, ..Default::default() },
        card: Card { ppm: card_ppm, ..Default::default() },
    }
}

#[test]
fn rooms_whose_clocks_and_cards_are_off_play_in_step() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        let mut one = playing.house.start_receiver(1, &room(20.0, 3_000.0, 40.0), "u1", "").unwrap();
        let mut two = playing.house.start_receiver(2, &room(-15.0, -500.0, -250.0), "u2", "").unwrap();
        for name in ["u1", "u2"] {
            assert!(
                playing.wait_for_sound(name, 0).is_some(),
                "{name}: {}\n{}\n{}",
                sender.log(),
                one.log(),
                two.log()
            );
        }
        truth::pause(Duration::from_secs(6));
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict(survey.all_sound_s() + 1.0);
        assert!(verdict.windows >= 10, "{verdict:?}");
        assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
        assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
    });
}

#[test]
fn a_card_that_vanishes_plays_again_when_it_is_back() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        let mut one = playing.house.start_receiver(1, &room(5.0, 0.0, 10.0), "u1", "volume_db = -12.0").unwrap();
        let mut two = playing.house.start_receiver(2, &room(-5.0, 90.0, -20.0), "u2", "").unwrap();
        playing.wait_for_all(&["u1", "u2"], &[&sender, &one, &two]);
        truth::pause(Duration::from_secs(3));
        let unplugged = Unplugged::pull(&playing.house.record("u1")).unwrap();
        let gone_ns = truth::now_ns();
        truth::pause(Duration::from_secs(1));
        assert!(one.is_running(), "{}", one.log());
        drop(unplugged);
        let back_ns = playing.wait_for_sound("u1", truth::now_ns());
        let back_ns = back_ns.unwrap_or_else(|| panic!("silent after the card came back: {}", one.log()));
        truth::pause(Duration::from_secs(6));
        end(&mut [&mut one, &mut two, &mut sender]);

        // The same share of the other room's level before and after: the volume was kept.
        let [first, second] = ["u1", "u2"].map(|name| Record::open(&playing.house.record(name)).unwrap());
        let share = |from_ns: i64| {
            let rms = |record: &Record| {
                let heard = record.heard(from_ns, 48_000, 48_000.0).expect("a second of sound");
                (heard.iter().map(|x| x * x).sum::<f64>() / heard.len() as f64).sqrt()
            };
            20.0 * (rms(&first) / rms(&second)).log10()
        };
        for from_ns in [gone_ns - 1_500_000_000, back_ns + 1_000_000_000] {
            assert!((share(from_ns) + 12.0).abs() < 0.1, "{} dB", share(from_ns));
        }
        let (survey, _) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict((back_ns - survey.start_ns) as f64 / 1e9 + 3.0);
        assert!(verdict.windows >= 8, "{verdict:?}\n{}", one.log());
        assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
    });
}

#[test]
fn a_room_that_starts_before_its_network_plays_when_that_comes() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let network = playing.house.network().unwrap();
        (1..=2).for_each(|room| network.disconnect(room).unwrap());
        let mut sender = playing.start_sender();
        // One is told which interface is its, the other waits until there is one.
        let mut one = playing.house.start_receiver(1, &room(20.0, 3_000.0, 40.0), "u1", "").unwrap();
        let environment = playing.house.environment(&room(-15.0, 0.0, -30.0), "u2").unwrap();
        let start = |extra| playing.house.start_receiver_with(2, "simcard", "u2", extra, environment);
        let mut two = start("hub = \"none\"").unwrap();
        assert!(two.wait_for_log("waiting for a network", PATIENCE), "{}", two.log());
        // They wait on, and do not end.
        truth::pause(Duration::from_secs(1));
        assert!(one.is_running() && two.is_running(), "{}\n{}", one.log(), two.log());
        (1..=2).for_each(|room| network.connect(room).unwrap());
        playing.wait_for_all(&["u1", "u2"], &[&sender, &one, &two]);
        truth::pause(Duration::from_secs(6));
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, _) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict(survey.all_sound_s() + 3.0);
        assert!(verdict.windows >= 8, "{verdict:?}");
        assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
    });
}

#[test]
fn a_cable_that_is_pulled_for_a_while_costs_no_more_than_that_while() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        let mut one = playing.house.start_receiver(1, &room(20.0, 0.0, 40.0), "u1", "").unwrap();
        let mut two = playing.house.start_receiver(2, &room(-15.0, 0.0, -30.0), "u2", "").unwrap();
        playing.wait_for_all(&["u1", "u2"], &[&sender, &one, &two]);
        truth::pause(Duration::from_secs(5));
        let network = playing.house.network().unwrap();
        network.disconnect(1).unwrap();
        truth::pause(Duration::from_secs(3));
        let back_ns = truth::now_ns();
        network.connect(1).unwrap();
        assert!(playing.wait_for_sound("u1", back_ns).is_some(), "{}", one.log());
        truth::pause(Duration::from_secs(6));
        let report = reports(&one).pop().unwrap_or_default();
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, _) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict((back_ns - survey.start_ns) as f64 / 1e9 + 3.0);
        assert!(verdict.windows >= 8, "{verdict:?}\n{}", one.log());
        assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
        // It kept its place meanwhile: nothing had to jump.
        assert_eq!(report.reanchors, 0, "{report:?}");
    });
}

/// The same host, whose time of day steps by so many milliseconds while the music plays.
fn stepping(host: Room, ms: f64) -> Room {
    Room { clock: HostClock { step: Some((ms, 8.0)), ..host.clock }, ..host }
}

#[test]
fn nobody_hears_host_time_step() {
    let rooms = [stepping(room(20.0, 3_000.0, 40.0), 2_500.0), stepping(room(-15.0, 0.0, -30.0), -40.0)];
    assert_steps_are_not_heard(None, rooms);
}

#[test]
fn nobody_hears_the_senders_time_step() {
    let sender = stepping(room(0.0, 700.0, 0.0), -2_500.0);
    assert_steps_are_not_heard(Some(sender), [room(20.0, 3_000.0, 40.0), room(-15.0, 0.0, -30.0)]);
}

/// Whoever's time steps, both rooms play in step and undamaged throughout.
fn assert_steps_are_not_heard(host: Option<Room>, [one, two]: [Room; 2]) {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let environment = host.map_or_else(Vec::new, |host| playing.house.environment(&host, "srv").unwrap());
        let mut sender = playing.start_sender_in(environment);
        let mut one = playing.house.start_receiver(1, &one, "u1", "").unwrap();
        let mut two = playing.house.start_receiver(2, &two, "u2", "").unwrap();
        playing.wait_for_all(&["u1", "u2"], &[&sender, &one, &two]);
        truth::pause(Duration::from_secs(13));
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict(survey.all_sound_s() + 1.0);
        assert!(verdict.windows >= 40, "{verdict:?}");
        assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
        assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
    });
}

/// The portable backend: what it reaches is in docs/accuracy.md; in step it must be.
#[test]
fn a_room_that_plays_through_cpal_is_in_step() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        let mut one = playing.house.start_receiver(1, &room(20.0, 3_000.0, 40.0), "u1", "").unwrap();
        let environment = playing.house.environment(&room(-15.0, 0.0, -30.0), "u2").unwrap();
        let mut two = playing.house.start_receiver_on(2, "cpal:default", "u2", "", environment).unwrap();
        playing.wait_for_all(&["u1", "u2"], &[&sender, &one, &two]);
        truth::pause(Duration::from_secs(10));
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        let verdict = survey.verdict(survey.all_sound_s() + 4.0);
        println!("through cpal: {verdict:?}");
        assert!(verdict.windows >= 12, "{verdict:?}\n{}", two.log());
        assert!(verdict.spread_us.p95 < 1_000.0, "{:?}", verdict.spread_us);
        assert_undamaged(&survey, survey.all_sound_s() + 4.0, stalls);
    });
}

#[test]
fn a_hub_that_dies_and_returns_is_not_heard() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        // On a host of its own, so that its end is not that of the music.
        let hub = playing.house.start_hub_on("r2", "den").unwrap();
        let card = playing.house.environment(&Room::default(), "u1").unwrap();
        let extra = "interface = \"eth0\"\nhub = \"http://10.77.0.12:7680\"";
        let mut one = playing.house.start_receiver_with(1, "simcard", "u1", extra, card).unwrap();
        assert!(one.wait_for_log("linked to the hub", PATIENCE), "{}\n{}", one.log(), hub.log());
        playing.wait_for_all(&["u1"], &[&sender, &one, &hub]);
        truth::pause(Duration::from_secs(1));
        hub.signal(libc::SIGKILL);
        assert!(one.wait_for_log("this room plays on", PATIENCE), "{}", one.log());
        truth::pause(Duration::from_secs(2));
        let mut hub = playing.house.start_hub_on("r2", "den").unwrap();
        let links = || (one.log().matches("linked to the hub").count() > 1).then_some(());
        assert!(truth::wait_for(6 * PATIENCE, links).is_some(), "{}\n{}", one.log(), hub.log());
        truth::pause(Duration::from_secs(2));
        end(&mut [&mut one, &mut hub, &mut sender]);
        let (survey, stalls) = playing.survey(&["u1"]);
        assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
    });
}
