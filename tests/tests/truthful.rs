//! What rooms say of themselves against what comes out of their cards. Needs root and a C compiler; skipped, loudly, where
//! there are none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{PATIENCE, Playing, end};
use unisono_common::control::{Health, State};
use unisono_tests::analysis::{Quantiles, Survey};
use unisono_tests::house::{Room, reports};
use unisono_tests::instruments::{Card, HostClock};
use unisono_tests::namespaces::SERVER_ADDRESS;
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

/// What a room says may be so far from what is heard, in microseconds.
const AGREES_US: f64 = 10.0;

/// How much later room 1 is ordered to play, in microseconds: an error of position that it has to work off.
const TRIM_US: f64 = 150.0;

/// Rate errors of the two rooms' hosts and cards, in ppm.
const HOSTS_PPM: [f64; 2] = [20.0, -15.0];
const CARDS_PPM: [f64; 2] = [40.0, -30.0];

/// True time of what a report tells, in seconds of the survey: it is at most a tenth of a second old.
fn when_s(survey: &Survey, started_ns: i64, report: &Health) -> f64 {
    (started_ns - survey.start_ns) as f64 * 1e-9 + report.uptime_s + survey.times[0]
}

/// By how much room 1 is ahead of room 2 in the survey at `t_s`, in microseconds.
fn ahead_us(survey: &Survey, t_s: f64) -> Option<f64> {
    let after = survey.times.iter().position(|t| *t > t_s)?;
    let at = |i: usize| Some((survey.rooms[0][i]?.position - survey.rooms[1][i]?.position) / survey.rate * 1e6);
    let (before, after_us) = (at(after.checked_sub(1)?)?, at(after)?);
    let part = (t_s - survey.times[after - 1]) / (survey.times[after] - survey.times[after - 1]);
    Some(before + (after_us - before) * part)
}

#[test]
fn rooms_report_what_is_heard() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        let start = |number: usize| {
            let room = Room {
                clock: HostClock { ppm: HOSTS_PPM[number - 1], uptime_s: 100.0 * number as f64, ..Default::default() },
                card: Card { ppm: CARDS_PPM[number - 1], ..Default::default() },
            };
            let name = format!("u{number}");
            let environment = playing.house.environment(&room, &name).unwrap();
            let extra = format!("interface = \"eth0\"\nhub = \"http://{SERVER_ADDRESS}:7680\"");
            playing.house.start_receiver_with(number, "simcard", &name, &extra, environment).unwrap()
        };
        let (mut one, mut two) = (start(1), start(2));
        playing.wait_for_all(&["u1", "u2"], &[&sender, &one, &two]);
        let admitted = truth::wait_for(PATIENCE, || playing.house.ctl(&["admit", "r1"]).ok());
        assert!(admitted.is_some(), "{:?}\n{}", playing.house.ctl(&["rooms"]), one.log());
        truth::pause(Duration::from_secs(8));
        let asked_ns = truth::now_ns();
        playing.house.ctl(&["trim", "r1", &format!("{TRIM_US}")]).unwrap();
        let ordered_ns = truth::now_ns();
        truth::pause(Duration::from_secs(12));
        let told = [&one, &two].map(|room| (room.started_ns(), reports(room)));
        let logs = [&one, &two].map(Process::log).join("\n");
        end(&mut [&mut one, &mut two, &mut sender]);

        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        let [asked_s, ordered_s] =
            [asked_ns, ordered_ns].map(|ns| (ns - survey.start_ns) as f64 * 1e-9 + survey.times[0]);
        let [first, second] = told;
        let late_us = |(started_ns, reports): &(i64, Vec<Health>), t_s: f64| {
            let near = |h: &&Health| (when_s(&survey, *started_ns, h) - t_s).abs() < 0.6;
            reports.iter().find(near).and_then(|h| h.offset_us)
        };
        let mut apart = vec![];
        for report in first.1.iter().filter(|h| h.state == State::Playing && h.uptime_s > 4.0) {
            let t_s = when_s(&survey, first.0, report);
            // Around the order itself nobody can tell on which side of it a report is.
            if (asked_s - 0.3..ordered_s + 0.3).contains(&t_s) {
                continue;
            }
            let trim_us = if t_s > ordered_s { TRIM_US } else { 0.0 };
            let (Some(heard), Some(own), Some(other)) =
                (ahead_us(&survey, t_s), report.offset_us, late_us(&second, t_s))
            else {
                continue;
            };
            apart.push((t_s - ordered_s, heard, own - other + trim_us, heard + own - other + trim_us));
        }
        apart
            .iter()
            .for_each(|(t, heard, said, apart)| println!("{t:+6.1} s: {heard:+7.2} {said:+7.2} {apart:+6.2} us"));
        assert!(apart.len() >= 10, "{} reports\n{logs}", apart.len());
        // A machine that is busy with other tests disturbs now one report, now one window, and never most of them.
        for part in apart.chunks(5) {
            let middle = Quantiles::of(part.iter().map(|(.., apart)| apart.abs()).collect()).median;
            assert!(middle < AGREES_US, "{part:?}; {stalls:?}\n{logs}");
        }
        let settled = apart.last().unwrap().1;
        assert!((settled + TRIM_US).abs() < 2.0 * AGREES_US, "trimmed by {TRIM_US} us it is ahead by {settled} us");
        for (i, (_, reports)) in [&first, &second].into_iter().enumerate() {
            let last = reports.last().unwrap();
            let said = [last.card_ppm.unwrap(), last.clock_ppm.unwrap()];
            let is = [CARDS_PPM[i] - HOSTS_PPM[i], HOSTS_PPM[i]];
            assert!((said[0] - is[0]).abs() < 1.0 && (said[1] - is[1]).abs() < 1.0, "{said:?} is {is:?}");
            assert!(last.clock_sigma_us.is_some_and(|sigma| sigma < AGREES_US), "{last:?}");
        }
    });
}
