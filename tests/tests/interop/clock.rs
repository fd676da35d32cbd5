//! chrony follows our clock.

use std::net::{IpAddr, SocketAddr};

use unisono_common::config::DEFAULT_CLOCK_PORT;
use unisono_common::time::TAI_MINUS_UTC_S;
use unisono_host::clock;
use unisono_receiver::timeclient::{self, TimeClientConfig};
use unisono_tests::house::Room;
use unisono_tests::instruments::HostClock;
use unisono_tests::namespaces::{self, SERVER_ADDRESS};
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

use crate::common::end;
use crate::{peers, table};

/// How far the sender's time of day is off: something to be seen.
const OFF_MS: f64 = 300.0;

/// By how much the clock of the sender is ahead of this host's time of day, in microseconds: as a room measures it.
fn measured_us() -> f64 {
    let server = SocketAddr::new(SERVER_ADDRESS.parse::<IpAddr>().unwrap(), DEFAULT_CLOCK_PORT);
    let client = timeclient::spawn(TimeClientConfig { server, interface: None, priority: 50 }).unwrap();
    let locked = || (client.status().locked && client.status().samples > 40).then_some(());
    truth::wait_for(peers::PATIENCE, locked).unwrap_or_else(|| panic!("{:?}", client.status()));
    let map = client.reader().read().unwrap();
    // The narrowest of some readings, as the two clocks can't be read at once.
    let read = |_| {
        let (before, day_ns, after) = (clock::now(), clock::time_of_day_ns(), clock::now());
        let ahead_ns = map.media_at(before + (after - before) / 2).as_ns() - TAI_MINUS_UTC_S * 1_000_000_000 - day_ns;
        (after - before, ahead_ns)
    };
    (0..50).map(read).min().unwrap().1 as f64 * 1e-3
}

#[test]
fn chrony_measures_what_rooms_measure() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["chronyd"], 1) else { return };
        let host = Room { clock: HostClock { realtime_ms: OFF_MS, ..Default::default() }, ..Default::default() };
        let environment = playing.house.environment(&host, "srv").unwrap();
        let mut sender = playing.start_sender_in(environment);
        assert!(sender.wait_for_log("sender starts", peers::PATIENCE), "{}", sender.log());
        let namespace = playing.house.network().unwrap().host("r1").unwrap();
        let ours_us = namespaces::inside(&namespace, measured_us).unwrap();
        let server = format!("server {SERVER_ADDRESS} port {DEFAULT_CLOCK_PORT} iburst minpoll -4 maxpoll 0");
        let pid_file = format!("pidfile {}", playing.house.record("chronyd.pid").display());
        let arguments = ["-Q", "-t", "20", "-u", "root", &server, &pid_file, "bindcmdaddress /", "cmdport 0"];
        let log = peers::run(&playing.house, "r1", "chronyd", "chronyd", &arguments);
        end(&mut [&mut sender]);
        let said = log.lines().find_map(|line| line.split_once("System clock wrong by ")?.1.split_once(" seconds"));
        let theirs_us = said.and_then(|(seconds, _)| seconds.parse::<f64>().ok()).unwrap_or_else(|| panic!("{log}"));
        let theirs_us = theirs_us * 1e6;
        assert!((theirs_us - ours_us).abs() < 50.0, "chrony says {theirs_us} us, we say {ours_us} us\n{log}");
        let apart = (theirs_us - ours_us).abs();
        let seen = format!("`chronyd -Q` and a room agree on {:.3} ms within {apart:.1} us", ours_us * 1e-3);
        table::tell("our clock to them", "chrony", "chrony", &seen);
    });
}
