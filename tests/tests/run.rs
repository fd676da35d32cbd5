//! `./run` as a newcomer types it: builds, plays a folder of real files, ends on Ctrl-C. It builds in release mode and takes
//! minutes, so it is run by hand: `cargo test -p unisono-tests --test run -- --ignored`.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use unisono_tests::album::{Album, FRAMES, RATE};
use unisono_tests::analysis::survey;
use unisono_tests::records::Record;
use unisono_tests::{AUDIBLE, truth};

/// How long it plays.
const PLAYED: Duration = Duration::from_secs(60);

#[test]
#[ignore = "builds in release mode and plays for a minute"]
fn run_plays_a_folder_in_two_rooms_and_ends_on_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let album = Album::create(&dir.path().join("album"), false).unwrap();
    let records = dir.path().join("records");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut run = Command::new(root.join("run"))
        .arg(&album.dir)
        .env("RECORD", &records)
        .env("PORT", "17680")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let both = ["Kitchen", "Study"].map(|name| records.join(name));
    let sounds = || both.iter().all(|r| Record::open(r).is_ok_and(|r| r.first_sound(0, AUDIBLE).is_some()));
    let begun = truth::wait_for(Duration::from_secs(1_200), || sounds().then_some(()));
    assert!(begun.is_some(), "no sound after 20 minutes");
    truth::pause(PLAYED);
    // SAFETY: only numbers; the group is that of the child, which has not been waited for.
    unsafe { libc::kill(-(run.id() as libc::pid_t), libc::SIGINT) };
    let status = truth::wait_for(Duration::from_secs(10), || run.try_wait().unwrap());
    assert!(status.is_some_and(|status| status.success()), "{status:?}");

    let records = both.map(|record| Record::open(&record).unwrap());
    let survey = survey(&album.signal(), &records);
    let verdict = survey.verdict(survey.all_sound_s() + 2.0);
    println!("{verdict:#?}");
    let round_s = album.seconds();
    assert!(verdict.windows as f64 * 0.25 > 2.0 * round_s, "{} windows", verdict.windows);
    for room in &verdict.rooms {
        // Lossy files differ at their edges; a gap or a jump would be more than that.
        let seams = (2.0 * PLAYED.as_secs_f64() * f64::from(RATE) / FRAMES as f64) as u32;
        assert!(room.lost_windows == 0 && room.xruns == 0 && room.damaged_blocks < 8 * seams, "{room:?}");
    }
    assert!(verdict.spread_us.p95 < common::IN_STEP_US, "{:?}", verdict.spread_us);
}
