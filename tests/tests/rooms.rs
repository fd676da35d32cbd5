//! The real programs in a house of network namespaces, through ALSA: host clocks and cards that are off, a card that
//! vanishes. Needs root and a C compiler; skipped, loudly, where there are none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{IN_STEP_US, Playing, assert_undamaged, end};
use unisono_tests::house::Room;
use unisono_tests::instruments::{Card, HostClock, Unplugged};
use unisono_tests::truth;

fn room(host_ppm: f64, realtime_ms: f64, card_ppm: f64) -> Room {
    Room {
        clock: HostClock { ppm: host_ppm, realtime_ms, uptime_s: 1000.0 + host_ppm, ..Default::default() },
        card: Card { ppm: card_ppm, ..Default::default() },
    }
}

#[test]
fn rooms_whose_clocks_and_cards_are_off_play_in_step() {
    let Some(playing) = Playing::in_namespaces(2) else { return };
    let mut sender = playing.start_sender();
    let mut one = playing.house.start_receiver(1, &room(20.0, 3_000.0, 40.0), "u1", "").unwrap();
    let mut two = playing.house.start_receiver(2, &room(-15.0, -500.0, -250.0), "u2", "").unwrap();
    for name in ["u1", "u2"] {
        assert!(playing.wait_for_sound(name, 0).is_some(), "{name}: {}\n{}\n{}", sender.log(), one.log(), two.log());
    }
    truth::pause(Duration::from_secs(6));
    end(&mut [&mut one, &mut two, &mut sender]);
    let (survey, stalls) = playing.survey(&["u1", "u2"]);
    let verdict = survey.verdict(survey.all_sound_s() + 1.0);
    assert!(verdict.windows >= 10, "{verdict:?}");
    assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
    assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
}

#[test]
fn a_card_that_vanishes_plays_again_when_it_is_back() {
    let Some(playing) = Playing::in_namespaces(1) else { return };
    let mut sender = playing.start_sender();
    let mut receiver = playing.house.start_receiver(1, &room(5.0, 0.0, 10.0), "u1", "").unwrap();
    assert!(playing.wait_for_sound("u1", 0).is_some(), "{}\n{}", sender.log(), receiver.log());
    truth::pause(Duration::from_secs(1));
    let unplugged = Unplugged::pull(&playing.house.record("u1")).unwrap();
    truth::pause(Duration::from_secs(1));
    assert!(receiver.is_running(), "{}", receiver.log());
    drop(unplugged);
    let back_ns = truth::now_ns();
    assert!(playing.wait_for_sound("u1", back_ns).is_some(), "silent after the card came back: {}", receiver.log());
    end(&mut [&mut receiver, &mut sender]);
}
