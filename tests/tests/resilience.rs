//! The real programs on a bad network: a switch in user space that loses, delays and cuts. Needs root and a C compiler;
//! skipped, loudly, where there are none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{PATIENCE, Playing, end, health};
use unisono_common::control::Way;
use unisono_tests::house::Room;
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::switch::impair::Impairment;
use unisono_tests::truth;

fn receiver(playing: &Playing, number: usize) -> Process {
    playing.house.start_receiver(number, &Room::default(), &format!("u{number}"), "").unwrap()
}

fn wait_for_all(playing: &Playing, programs: &[&Process], from_ns: i64) {
    for number in 1..programs.len() {
        let heard = playing.wait_for_sound(&format!("u{number}"), from_ns);
        let logs: Vec<String> = programs.iter().map(|program| program.log()).collect();
        assert!(heard.is_some(), "room {number} is silent:\n{}", logs.join("\n"));
    }
}

/// A house whose packets all pass a switch in this process keeps a processor busy: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn what_is_lost_is_sent_again_and_nobody_hears_of_it() {
    let _alone = alone();
    undisturbed(|| {
        let Some(playing) = Playing::impaired(2) else { return };
        let mut sender = playing.start_sender();
        let (mut one, mut two) = (receiver(&playing, 1), receiver(&playing, 2));
        wait_for_all(&playing, &[&sender, &one, &two], 0);
        truth::pause(Duration::from_secs(1));
        let before = health(&one).unwrap();
        let switch = playing.house.network().unwrap().switch().unwrap();
        switch.to_host(1, Impairment::losing(0.05));
        switch.from_host(1, Impairment::losing(0.05));
        truth::pause(Duration::from_secs(6));
        switch.to_host(1, Impairment::default());
        switch.from_host(1, Impairment::default());
        truth::pause(Duration::from_millis(1_500));
        let after = health(&one).unwrap();
        end(&mut [&mut one, &mut two, &mut sender]);
        assert!(after.packets_repaired >= before.packets_repaired + 20, "{after:?}");
        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        assert_eq!(after.frames_concealed, before.frames_concealed, "{after:?}");
        common::assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
    });
}

#[test]
fn a_room_that_does_not_hear_the_group_is_served_by_unicast_and_moves_back() {
    let _alone = alone();
    let Some(playing) = Playing::impaired(1) else { return };
    let mut sender = playing.start_sender();
    let mut one = receiver(&playing, 1);
    wait_for_all(&playing, &[&sender, &one], 0);
    let switch = playing.house.network().unwrap().switch().unwrap();
    switch.to_host(1, Impairment { multicast_loss: 1.0, ..Impairment::default() });
    assert!(one.wait_for_log("packets come by unicast", PATIENCE), "{}", one.log());
    truth::pause(Duration::from_secs(1));
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    let by = || truth::wait_for(PATIENCE, || health(&one).filter(|health| health.delivery == Some(Way::Unicast)));
    assert!(by().is_some(), "{}", one.log());
    switch.to_host(1, Impairment::default());
    assert!(one.wait_for_log("packets come by multicast", 3 * PATIENCE), "{}", one.log());
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    end(&mut [&mut one, &mut sender]);
}

#[test]
fn ipv6_groups_of_link_and_site_scope_are_heard_and_mended() {
    let _alone = alone();
    for group in ["ff02::77:1", "ff05::77:1"] {
        let Some(playing) = Playing::impaired(1) else { return };
        let mut stream = playing.stream();
        stream.source += &format!("\ngroup = \"{group}\"");
        let mut sender = playing.house.start_sender(&stream).unwrap();
        let mut one = receiver(&playing, 1);
        wait_for_all(&playing, &[&sender, &one], 0);
        let switch = playing.house.network().unwrap().switch().unwrap();
        switch.to_host(1, Impairment::losing(0.05));
        let mended = truth::wait_for(PATIENCE, || health(&one).filter(|health| health.packets_repaired >= 5));
        assert!(mended.is_some(), "{group}: {}", one.log());
        // A switch that does not carry the group: the same stream by unicast, and IPv4.
        switch.to_host(1, Impairment { multicast_loss: 1.0, ..Impairment::default() });
        assert!(one.wait_for_log("packets come by unicast", PATIENCE), "{group}: {}", one.log());
        wait_for_all(&playing, &[&sender, &one], truth::now_ns());
        end(&mut [&mut one, &mut sender]);
    }
}

#[test]
#[ignore = "half a minute during which nothing may be damaged: a quiet machine, ./test --all"]
fn a_new_playout_delay_is_taken_by_all_rooms_together_and_nobody_hears_it() {
    let _alone = alone();
    undisturbed(|| {
        let Some(playing) = Playing::impaired(2) else { return };
        let mut sender = playing.start_sender();
        let (mut one, mut two) = (receiver(&playing, 1), receiver(&playing, 2));
        wait_for_all(&playing, &[&sender, &one, &two], 0);
        let file = playing.dir.path().join("sender.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("playout_delay_ms = 250", "playout_delay_ms = 251")).unwrap();
        sender.signal(libc::SIGHUP);
        for room in [&mut one, &mut two] {
            assert!(room.wait_for_log("the playout delay goes to 251 ms", PATIENCE), "{}", room.log());
        }
        // The change begins 16 s after the news, and takes 5 s a millisecond.
        truth::pause(Duration::from_secs(24));
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        common::assert_undamaged(&survey, survey.all_sound_s() + 1.0, stalls);
    });
}

#[test]
fn a_switch_that_begins_to_ask_who_listens_is_answered() {
    let _alone = alone();
    let Some(playing) = Playing::in_namespaces(2) else { return };
    let mut sender = playing.start_sender();
    let mut one = playing.house.start_receiver(1, &Room::default(), "u1", "delivery = \"multicast\"\n").unwrap();
    wait_for_all(&playing, &[&sender, &one], 0);
    let network = playing.house.network().unwrap();
    // Nobody lives in room 2: when the switch knows who listens, the stream stops coming there.
    let to_nobody = || {
        let before = network.received(2).unwrap();
        truth::pause(Duration::from_secs(1));
        network.received(2).unwrap() - before
    };
    assert!(to_nobody() > 100, "the switch carries groups everywhere");
    network.snoop(true).unwrap();
    let knows = truth::wait_for(4 * PATIENCE, || (to_nobody() < 50).then_some(()));
    assert!(knows.is_some(), "the switch does not learn who listens");
    // Several times the time after which it forgets who does not answer.
    truth::pause(Duration::from_secs(8));
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    assert!(to_nobody() < 50);
    end(&mut [&mut one, &mut sender]);
}

#[test]
fn a_link_that_was_down_needs_nobody() {
    let _alone = alone();
    let Some(playing) = Playing::impaired(1) else { return };
    let mut sender = playing.start_sender();
    let mut one = receiver(&playing, 1);
    wait_for_all(&playing, &[&sender, &one], 0);
    let network = playing.house.network().unwrap();
    network.plug(1, false).unwrap();
    truth::pause(Duration::from_secs(4));
    network.plug(1, true).unwrap();
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    end(&mut [&mut one, &mut sender]);
}

#[test]
fn of_two_senders_with_one_stream_each_says_so_and_a_room_stays_with_its_own() {
    let _alone = alone();
    undisturbed(|| {
        let Some(playing) = Playing::impaired(2) else { return };
        let mut sender = playing.start_sender();
        let mut one = receiver(&playing, 1);
        wait_for_all(&playing, &[&sender, &one], 0);
        let tone = unisono_tests::house::Stream { source: "{ type = \"tone\" }".into(), ..playing.stream() };
        let mut other = playing.house.start_sender_on("r2", "other", &tone, "").unwrap();
        for program in [&mut sender, &mut other] {
            assert!(program.wait_for_log("has a stream with the id \"lab\" too", PATIENCE), "{}", program.log());
        }
        truth::pause(Duration::from_secs(2));
        end(&mut [&mut one, &mut other, &mut sender]);
        let (survey, stalls) = playing.survey(&["u1"]);
        common::assert_undamaged(&survey, 1.0, stalls);
    });
}
