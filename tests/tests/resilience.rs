//! The real programs on a bad network: a switch in user space that loses, delays and cuts. Needs root and a C compiler;
//! skipped, loudly, where there are none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{AUDIBLE_NS, PATIENCE, Playing, end, health};
use unisono_common::control::{Health, Way};
use unisono_tests::house::{Room, reports};
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::switch::impair::{Impairment, Loss};
use unisono_tests::truth;

/// Frames in a packet of the stream.
const PACKET_FRAMES: u64 = 240;

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

/// What a room reports a second from now or later: what is on its way has been played or missed by then.
fn later(room: &Process) -> Health {
    let now = reports(room).len();
    let later = truth::wait_for(PATIENCE, || reports(room).into_iter().nth(now + 1));
    later.unwrap_or_else(|| panic!("it reports no more: {}", room.log()))
}

/// The namespace of a host, by its name.
fn host(playing: &Playing, name: &str) -> String {
    let namespace = playing.house.network().unwrap().host(name).unwrap();
    namespace.file_name().unwrap().to_string_lossy().into_owned()
}

/// Runs `ip` on a host.
fn ip(playing: &Playing, name: &str, command: &str) {
    let run = Command::new("ip").args(["-n", &host(playing, name)]).args(command.split_whitespace()).output().unwrap();
    assert!(run.status.success(), "ip {command}: {}", String::from_utf8_lossy(&run.stderr));
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
        let before = later(&one);
        let switch = playing.house.network().unwrap().switch().unwrap();
        switch.to_host(1, Impairment::losing(0.05));
        switch.from_host(1, Impairment::losing(0.05));
        // Some sixty losses.
        truth::pause(Duration::from_secs(6));
        switch.to_host(1, Impairment::default());
        switch.from_host(1, Impairment::default());
        let after = later(&one);
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
    // What was on its way plays out.
    wait_for_all(&playing, &[&sender, &one], truth::now_ns() + AUDIBLE_NS);
    let by = || truth::wait_for(PATIENCE, || health(&one).filter(|health| health.delivery == Some(Way::Unicast)));
    assert!(by().is_some(), "{}", one.log());
    switch.to_host(1, Impairment::default());
    assert!(one.wait_for_log("packets come by multicast", 3 * PATIENCE), "{}", one.log());
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    end(&mut [&mut one, &mut sender]);
}

#[test]
fn a_room_that_loses_too_much_of_the_group_is_served_by_unicast_too() {
    let _alone = alone();
    let Some(playing) = Playing::impaired(1) else { return };
    let mut sender = playing.start_sender();
    let mut one = receiver(&playing, 1);
    wait_for_all(&playing, &[&sender, &one], 0);
    let switch = playing.house.network().unwrap().switch().unwrap();
    // Some of it is heard, so it is not silence that decides.
    switch.to_host(1, Impairment { multicast_loss: 0.5, ..Impairment::default() });
    assert!(one.wait_for_log("packets come by unicast", PATIENCE), "{}", one.log());
    let told = truth::wait_for(PATIENCE, || health(&one).filter(|health| health.delivery == Some(Way::Unicast)));
    assert!(told.is_some(), "{}", one.log());
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    end(&mut [&mut one, &mut sender]);
}

/// Answers take 160 ms, and packets can wait for 80 ms after they would have come.
#[test]
fn parity_mends_where_asking_takes_too_long() {
    let _alone = alone();
    undisturbed(|| {
        let Some(playing) = Playing::impaired(1) else { return };
        let mut stream = playing.stream();
        stream.source += "\nfec = { columns = 2, rows = 4 }";
        let mut sender = playing.house.start_sender(&stream).unwrap();
        let mut one = receiver(&playing, 1);
        wait_for_all(&playing, &[&sender, &one], 0);
        // Not from the start: a way that long is doubted for half a minute.
        let far = Impairment { delay_ms: 80.0, ..Impairment::default() };
        let switch = playing.house.network().unwrap().switch().unwrap();
        switch.to_host(1, far);
        switch.from_host(1, far);
        // Time for the room to see how far it is now.
        truth::pause(Duration::from_secs(2));
        let before = health(&one).unwrap();
        switch.to_host(1, Impairment { loss: Loss::Random(0.02), ..far });
        // Some thirty losses.
        truth::pause(Duration::from_secs(8));
        switch.to_host(1, far);
        let after = later(&one);
        end(&mut [&mut one, &mut sender]);
        let mended = after.packets_repaired - before.packets_repaired;
        let concealed = (after.frames_concealed - before.frames_concealed) / PACKET_FRAMES;
        // Two of four in one column, or one of them and its parity, are beyond it: one loss in twelve.
        assert!(mended >= 10 && 2 * concealed <= mended, "{mended} mended, {concealed} not: {after:?}");
    });
}

#[test]
fn a_room_whose_address_changes_is_mended_at_the_new_one() {
    let _alone = alone();
    let Some(playing) = Playing::impaired(1) else { return };
    let mut sender = playing.start_sender();
    let mut one = receiver(&playing, 1);
    wait_for_all(&playing, &[&sender, &one], 0);
    // As a lease that ends while the link is down: from the old address nothing can be sent any more.
    ip(&playing, "r1", "addr flush dev eth0");
    ip(&playing, "r1", "addr add 10.77.0.77/24 brd + dev eth0");
    let before = health(&one).map_or(0, |health| health.packets_repaired);
    let switch = playing.house.network().unwrap().switch().unwrap();
    switch.to_host(1, Impairment::losing(0.05));
    assert!(one.wait_for_log("asked for from 10.77.0.77", PATIENCE), "{}", one.log());
    let mended = truth::wait_for(PATIENCE, || health(&one).filter(|health| health.packets_repaired >= before + 5));
    assert!(mended.is_some(), "{}", one.log());
    end(&mut [&mut one, &mut sender]);
}

#[test]
fn an_adapter_that_is_plugged_in_again_needs_nobody() {
    let _alone = alone();
    let Some(playing) = Playing::in_namespaces(1) else { return };
    let mut sender = playing.start_sender();
    let mut one = receiver(&playing, 1);
    wait_for_all(&playing, &[&sender, &one], 0);
    plug_in_again(&playing, "r1", 1);
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    end(&mut [&mut one, &mut sender]);
}

#[test]
fn a_sender_s_adapter_that_is_plugged_in_again_needs_nobody() {
    let _alone = alone();
    let Some(playing) = Playing::in_namespaces(1) else { return };
    let mut sender = playing.start_sender();
    let mut one = receiver(&playing, 1);
    wait_for_all(&playing, &[&sender, &one], 0);
    plug_in_again(&playing, "srv", 0);
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    // Who comes now has never heard of it: the announcements and the clock are there too.
    one.stop();
    let _ = std::fs::remove_dir_all(playing.house.room_state(1));
    one = playing.house.start_receiver(1, &Room::default(), "again", "").unwrap();
    assert!(playing.wait_for_sound("again", 0).is_some(), "{}\n{}", sender.log(), one.log());
    end(&mut [&mut one, &mut sender]);
}

#[test]
fn a_sender_whose_address_changes_is_followed_to_the_new_one() {
    let _alone = alone();
    let Some(playing) = Playing::impaired(1) else { return };
    let mut sender = playing.start_sender();
    let mut one = receiver(&playing, 1);
    wait_for_all(&playing, &[&sender, &one], 0);
    ip(&playing, "srv", "addr flush dev eth0");
    ip(&playing, "srv", "addr add 10.77.0.88/24 brd + dev eth0");
    assert!(sender.wait_for_log("address=10.77.0.88", PATIENCE), "{}", sender.log());
    // What was on its way plays out.
    wait_for_all(&playing, &[&sender, &one], truth::now_ns() + AUDIBLE_NS);
    let before = health(&one).map_or(0, |health| health.packets_repaired);
    playing.house.network().unwrap().switch().unwrap().to_host(1, Impairment::losing(0.05));
    let mended = truth::wait_for(PATIENCE, || health(&one).filter(|health| health.packets_repaired >= before + 5));
    assert!(mended.is_some(), "{}\n{}", sender.log(), one.log());
    end(&mut [&mut one, &mut sender]);
}

/// Takes a host's adapter away, for longer than its packets wait to be played, and gives it back: to the kernel that is
/// another one, with another number. Port and room are of the same number; 0 is the server.
fn plug_in_again(playing: &Playing, name: &str, number: usize) {
    let shown = Command::new("ip").args(["-n", &host(playing, name), "-j", "link", "show", "eth0"]).output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    // What is engraved in it stays.
    let mac = links[0]["address"].as_str().unwrap();
    ip(playing, name, "link del eth0");
    truth::pause(Duration::from_secs(3));
    let switch = host(playing, "sw");
    ip(playing, name, &format!("link add eth0 address {mac} type veth peer name port{number} netns {switch}"));
    ip(playing, "sw", &format!("link set port{number} master br0 up"));
    playing.house.network().unwrap().connect(number).unwrap();
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
    assert_late_querier_is_answered("");
}

#[test]
fn a_switch_that_begins_to_ask_who_listens_to_ipv6_is_answered() {
    assert_late_querier_is_answered("\ngroup = \"ff05::77:1\"");
}

/// `more` is added to the stream.
fn assert_late_querier_is_answered(more: &str) {
    let _alone = alone();
    let Some(playing) = Playing::in_namespaces(2) else { return };
    let mut stream = playing.stream();
    stream.source += more;
    let mut sender = playing.house.start_sender(&stream).unwrap();
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
    // Longer than its packets wait to be played, and than it waits before it joins again.
    truth::pause(Duration::from_secs(4));
    network.plug(1, true).unwrap();
    wait_for_all(&playing, &[&sender, &one], truth::now_ns());
    end(&mut [&mut one, &mut sender]);
}

/// The contract's figures: rooms play again at most a second after a killed sender serves again, and a killed room 500 ms and
/// the playout delay after it was started.
#[test]
#[ignore = "figures of wall-clock time: a quiet machine, ./test --all"]
fn who_is_killed_plays_again_in_time() {
    let _alone = alone();
    undisturbed(|| {
        let Some(playing) = Playing::impaired(2) else { return };
        let mut sender = playing.start_sender();
        let (mut one, mut two) = (receiver(&playing, 1), receiver(&playing, 2));
        wait_for_all(&playing, &[&sender, &one, &two], 0);
        truth::pause(Duration::from_secs(2));
        let kill = |program: &mut Process| {
            program.signal(libc::SIGKILL);
            assert!(program.wait(PATIENCE).is_some());
            // What was on its way plays out.
            truth::pause(Duration::from_secs(1));
        };
        let switch = playing.house.network().unwrap().switch().unwrap();
        let media = || switch.traffic(|flow| flow.from == 0 && flow.destination == 5004).packets;
        kill(&mut sender);
        let before = media();
        sender = playing.start_sender();
        assert!(truth::wait_for(PATIENCE, || (media() > before).then_some(())).is_some(), "{}", sender.log());
        let serves_ns = truth::now_ns();
        let sounds = |name: &str| playing.wait_for_sound(name, serves_ns).map(|ns| ns - serves_ns);
        let rooms = ["u1", "u2"].map(sounds);
        let in_time = |ns: &Option<i64>, most_ms: i64| ns.is_some_and(|ns| ns <= most_ms * 1_000_000);
        println!("a sender that was killed serves again: rooms sound {rooms:?} ns after its first packet");
        assert!(rooms.iter().all(|room| in_time(room, 1_000)), "{rooms:?}\n{}\n{}", one.log(), two.log());

        truth::pause(Duration::from_secs(3));
        kill(&mut one);
        one = playing.house.start_receiver(1, &Room::default(), "again", "").unwrap();
        let sounds = playing.wait_for_sound("again", 0).map(|ns| ns - one.started_ns());
        println!("a room that was killed is started again: it sounds {sounds:?} ns after that");
        assert!(in_time(&sounds, 750), "{sounds:?}\n{}", one.log());
        truth::pause(Duration::from_secs(3));
        end(&mut [&mut one, &mut two, &mut sender]);
        let (survey, _) = playing.survey(&["u1", "u2", "again"]);
        let verdict = survey.verdict((serves_ns - survey.start_ns) as f64 / 1e9 + 2.0);
        assert!(verdict.windows >= 12 && verdict.spread_us.p95 < common::IN_STEP_US, "{verdict:?}");
    });
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
