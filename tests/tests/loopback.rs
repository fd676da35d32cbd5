//! The real programs on loopback, rooms on simulated cards: what is put in comes out, in step.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{IN_STEP_US, PATIENCE, Playing, assert_undamaged, end};
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

const BOTH: [&str; 2] = ["u1", "u2"];

#[test]
fn two_rooms_play_every_frame_in_step() {
    undisturbed(|| {
        let playing = Playing::on_loopback("step");
        let mut sender = playing.start_sender();
        let (mut one, mut two) = (playing.start_receiver(1, 40.0), playing.start_receiver(2, -30.0));
        playing.wait_for_all(&BOTH, &[&sender, &one, &two]);
        truth::pause(Duration::from_secs(5));
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, stalls) = playing.survey(&BOTH);
        let verdict = survey.verdict(survey.all_sound_s() + 1.0);
        assert!(verdict.windows >= 12, "{} windows: {}\n{}\n{}", verdict.windows, sender.log(), one.log(), two.log());
        assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
        assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
    });
}

/// Two rooms play, the sender goes as `go` makes it, comes back as `come` makes it, and they play in step again.
fn goes_and_comes_back(name: &str, go: impl Fn(&Playing, &mut Process), come: impl Fn(&Playing, &mut Process)) {
    let playing = Playing::on_loopback(name);
    let mut sender = playing.start_sender();
    let (mut one, mut two) = (playing.start_receiver(1, 0.0), playing.start_receiver(2, 100.0));
    playing.wait_for_all(&BOTH, &[&sender, &one, &two]);
    truth::pause(Duration::from_secs(2));
    go(&playing, &mut sender);
    // Until what was on its way has been heard, and silence after it.
    truth::pause(Duration::from_secs(1));
    let gone_ns = truth::now_ns();
    come(&playing, &mut sender);
    let logs = |rooms: [&Process; 2]| rooms.map(Process::log).join("\n");
    for name in BOTH {
        assert!(playing.wait_for_sound(name, gone_ns).is_some(), "{name}: {}\n{}", sender.log(), logs([&one, &two]));
    }
    truth::pause(Duration::from_secs(5));
    end(&mut [&mut one, &mut two, &mut sender]);
    let (survey, _) = playing.survey(&BOTH);
    let again_s = (gone_ns - survey.start_ns) as f64 / 1e9;
    let at = |s: f64| survey.times.iter().position(|t| *t > s).unwrap();
    assert!(survey.rooms.iter().all(|room| room[at(again_s - 0.3)].is_none()), "it never was silent");
    let verdict = survey.verdict(again_s + 3.0);
    assert!(verdict.windows >= 6, "{} windows: {}\n{}", verdict.windows, sender.log(), logs([&one, &two]));
    assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
}

#[test]
fn a_sender_that_is_restarted_is_followed_again() {
    undisturbed(|| {
        goes_and_comes_back(
            "restart",
            |_, sender| end(&mut [sender]),
            |playing, sender| *sender = playing.start_sender(),
        );
    });
}

#[test]
fn a_sender_that_died_without_a_word_is_followed_again() {
    undisturbed(|| {
        let kill = |_: &Playing, sender: &mut Process| {
            sender.signal(libc::SIGKILL);
            assert!(sender.wait(PATIENCE).is_some());
        };
        goes_and_comes_back("killed", kill, |playing, sender| *sender = playing.start_sender());
    });
}

#[test]
fn a_stream_that_is_paused_is_silent_and_goes_on_in_step() {
    undisturbed(|| {
        let order = |playing: &Playing, what: &str| {
            playing.house.ctl(&[what, playing.house.stream()]).unwrap();
        };
        goes_and_comes_back("pause", |p, _| order(p, "pause"), |p, _| order(p, "play"));
    });
}

/// Announcements are seconds apart; a room that is started again does not wait for one.
#[test]
fn a_room_remembers_what_it_played() {
    undisturbed(|| {
        let playing = Playing::on_loopback("again");
        let (mut sender, mut room) = (playing.start_sender(), playing.start_receiver(1, 0.0));
        playing.wait_for_all(&["u1"], &[&sender, &room]);
        end(&mut [&mut room, &mut sender]);
        let mut room = playing.start_receiver(1, 0.0);
        // There is nobody to announce anything.
        let tuned = || (room.log().matches("tuned to").count() >= 2).then_some(());
        assert!(truth::wait_for(PATIENCE, tuned).is_some(), "{}", room.log());
        let started_ns = room.started_ns();
        let mut sender = playing.start_sender();
        assert!(playing.wait_for_sound("u1", started_ns).is_some(), "{}\n{}", sender.log(), room.log());
        end(&mut [&mut room, &mut sender]);
    });
}
