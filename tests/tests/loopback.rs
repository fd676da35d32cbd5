//! The real programs on loopback, rooms on simulated cards: what is put in comes out, in step.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{IN_STEP_US, Playing, assert_undamaged, end};
use unisono_tests::processes::Process;
use unisono_tests::truth;

/// Waits until both rooms sound, and some more.
fn play(playing: &Playing, programs: &[&Process], seconds: u64) {
    for name in ["u1", "u2"] {
        let logs = || programs.iter().map(|p| p.log()).collect::<Vec<_>>().join("\n");
        assert!(playing.wait_for_sound(name, 0).is_some(), "{name} is silent:\n{}", logs());
    }
    truth::pause(Duration::from_secs(seconds));
}

#[test]
fn two_rooms_play_every_frame_in_step() {
    let playing = Playing::on_loopback("step");
    let mut sender = playing.start_sender();
    let (mut one, mut two) = (playing.start_receiver(1, 40.0), playing.start_receiver(2, -30.0));
    play(&playing, &[&sender, &one, &two], 5);
    end(&mut [&mut one, &mut two, &mut sender]);
    let (survey, stalls) = playing.survey(&["u1", "u2"]);
    let verdict = survey.verdict(survey.all_sound_s() + 1.0);
    assert!(verdict.windows >= 12, "{} windows: {}\n{}\n{}", verdict.windows, sender.log(), one.log(), two.log());
    assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
    assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
}

#[test]
fn a_sender_that_is_restarted_is_followed_again() {
    let playing = Playing::on_loopback("restart");
    let mut sender = playing.start_sender();
    let (mut one, mut two) = (playing.start_receiver(1, 0.0), playing.start_receiver(2, 100.0));
    play(&playing, &[&sender, &one, &two], 2);
    end(&mut [&mut sender]);
    let restarted_ns = truth::now_ns();
    let mut sender = playing.start_sender();
    truth::pause(Duration::from_secs(6));
    end(&mut [&mut one, &mut two, &mut sender]);
    let (survey, _) = playing.survey(&["u1", "u2"]);
    let again_s = (restarted_ns - survey.start_ns) as f64 / 1e9;
    let verdict = survey.verdict(again_s + 3.0);
    assert!(verdict.windows >= 6, "{} windows: {}\n{}\n{}", verdict.windows, sender.log(), one.log(), two.log());
    assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
}
