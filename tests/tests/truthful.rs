//! What rooms say of themselves against what comes out of their cards. Needs root and a C compiler; skipped, loudly, where
//! there are none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::time::Duration;

use common::{IN_STEP_US, PATIENCE, Playing, end, health};
use unisono_common::control::{Health, State};
use unisono_tests::analysis::{Quantiles, Survey};
use unisono_tests::house::{Room, reports};
use unisono_tests::instruments::{Card, HostClock};
use unisono_tests::namespaces::SERVER_ADDRESS;
use unisono_tests::processes::Process;
use unisono_tests::records::Record;
use unisono_tests::stalls::undisturbed;
use unisono_tests::{AUDIBLE, truth};

/// What a room says may be so far from what is heard, in microseconds.
const AGREES_US: f64 = 10.0;

/// How much later room 1 is ordered to play, in microseconds: an error of position that it has to work off.
const TRIM_US: f64 = 150.0;

/// Rate errors of the two rooms' hosts and cards, in ppm.
const HOSTS_PPM: [f64; 2] = [20.0, -15.0];
const CARDS_PPM: [f64; 2] = [40.0, -30.0];

/// How long a room is made to stand still: far longer than what its card holds.
const STOPPED: Duration = Duration::from_millis(500);

/// When a room was started, in true time, and what it has reported since.
type Told = (i64, Vec<Health>);

fn told(room: &Process) -> Told {
    (room.started_ns(), reports(room))
}

fn room(number: usize) -> Room {
    Room {
        clock: HostClock { ppm: HOSTS_PPM[number - 1], uptime_s: 100.0 * number as f64, ..Default::default() },
        card: Card { ppm: CARDS_PPM[number - 1], ..Default::default() },
    }
}

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

/// Of each report of room 1 that can be judged: when it was, in seconds of the survey, by how much the room was heard to be
/// ahead, and how late it was by both rooms' word, in microseconds.
fn heard_and_said(survey: &Survey, [first, second]: &[Told; 2]) -> Vec<(f64, f64, f64)> {
    let late_us = |t_s: f64| {
        let near = |h: &&Health| (when_s(survey, second.0, h) - t_s).abs() < 0.6;
        second.1.iter().find(near).and_then(|h| h.offset_us)
    };
    let playing = first.1.iter().filter(|h| h.state == State::Playing && h.uptime_s > 4.0);
    let judged = playing.filter_map(|report| {
        let t_s = when_s(survey, first.0, report);
        Some((t_s, ahead_us(survey, t_s)?, report.offset_us? - late_us(t_s)?))
    });
    judged.collect()
}

/// Silences of more than a tenth of a second that the card put out between two instants of true time, in seconds.
fn holes_s(record: &Record, from_ns: i64, until_ns: i64) -> Vec<f64> {
    let [segment] = &record.segments[..] else { panic!("the card was started {} times", record.segments.len()) };
    let frame = |ns: i64| segment.first as i64 + ((ns - segment.start_ns) as f64 * 1e-9 * segment.rate) as i64;
    let samples = record.samples(frame(from_ns), (frame(until_ns) - frame(from_ns)) as usize);
    let loud = samples.iter().enumerate().filter(|(_, x)| x.abs() > AUDIBLE).map(|(i, _)| i);
    let loud: Vec<usize> = loud.collect();
    loud.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / segment.rate).filter(|s| *s > 0.1).collect()
}

#[test]
fn rooms_report_what_is_heard() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        let start = |number: usize| {
            let name = format!("u{number}");
            let environment = playing.house.environment(&room(number), &name).unwrap();
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
        let told = [&one, &two].map(told);
        let logs = [&one, &two].map(Process::log).join("\n");
        end(&mut [&mut one, &mut two, &mut sender]);

        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        let [asked_s, ordered_s] =
            [asked_ns, ordered_ns].map(|ns| (ns - survey.start_ns) as f64 * 1e-9 + survey.times[0]);
        let mut apart = vec![];
        for (t_s, heard, late) in heard_and_said(&survey, &told) {
            // Around the order itself nobody can tell on which side of it a report is.
            if (asked_s - 0.3..ordered_s + 0.3).contains(&t_s) {
                continue;
            }
            let said = late + if t_s > ordered_s { TRIM_US } else { 0.0 };
            apart.push((t_s - ordered_s, heard, said, heard + said));
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
        for (i, (_, reports)) in told.iter().enumerate() {
            let last = reports.last().unwrap();
            let said = [last.card_ppm.unwrap(), last.clock_ppm.unwrap()];
            let is = [CARDS_PPM[i] - HOSTS_PPM[i], HOSTS_PPM[i]];
            assert!((said[0] - is[0]).abs() < 1.0 && (said[1] - is[1]).abs() < 1.0, "{said:?} is {is:?}");
            assert!(last.clock_sigma_us.is_some_and(|sigma| sigma < AGREES_US), "{last:?}");
            // As a veth's driver stamps what it takes over, and the kernel what comes in.
            assert_eq!(last.stamps, "kernel", "{last:?}");
        }
    });
}

#[test]
fn a_room_that_stood_still_reports_what_its_card_did() {
    undisturbed(|| {
        let Some(playing) = Playing::in_namespaces(2) else { return };
        let mut sender = playing.start_sender();
        let start = |number| playing.house.start_receiver(number, &room(number), &format!("u{number}"), "").unwrap();
        let (mut one, mut two) = (start(1), start(2));
        playing.wait_for_all(&["u1", "u2"], &[&sender, &one, &two]);
        truth::pause(Duration::from_secs(6));
        let before = health(&one).unwrap();
        let stopped_ns = truth::now_ns();
        one.signal(libc::SIGSTOP);
        truth::pause(STOPPED);
        one.signal(libc::SIGCONT);
        truth::pause(Duration::from_secs(12));
        let (after, until_ns) = (health(&one).unwrap(), truth::now_ns());
        let told = [&one, &two].map(told);
        let log = one.log();
        end(&mut [&mut one, &mut two, &mut sender]);

        let record = Record::open(&playing.house.record("u1")).unwrap();
        let holes = holes_s(&record, stopped_ns - 100_000_000, until_ns);
        // What the card held rode over the beginning.
        assert!(holes.first().is_some_and(|s| (0.3..1.0).contains(s)), "{holes:?}\n{log}");
        let counted = |health: &Health| [health.laps, health.xruns, health.reanchors];
        let [laps, xruns, reanchors] = [0, 1, 2].map(|i| counted(&after)[i] - counted(&before)[i]);
        // It ran dry as often as there are holes, never stopped, and began anew in its place: nothing jumped.
        assert_eq!((laps, xruns, reanchors), (holes.len() as u64, holes.len() as u64, 0), "{holes:?}\n{log}");
        assert_eq!(record.xruns(), 0);

        let (survey, stalls) = playing.survey(&["u1", "u2"]);
        let settled_s = (stopped_ns - survey.start_ns) as f64 * 1e-9 + survey.times[0] + STOPPED.as_secs_f64() + 3.0;
        let later = heard_and_said(&survey, &told).into_iter().filter(|(t_s, ..)| *t_s > settled_s);
        let apart: Vec<f64> = later.map(|(_, heard, said)| (heard + said).abs()).collect();
        println!("after it stood still: {apart:.2?} us between ear and report");
        assert!(apart.len() >= 5, "{} reports\n{log}", apart.len());
        assert!(Quantiles::of(apart.clone()).median < AGREES_US, "{apart:?}; {stalls:?}\n{log}");
        let verdict = survey.verdict(settled_s);
        assert!(verdict.spread_us.max < IN_STEP_US, "{:?}", verdict.spread_us);
    });
}
