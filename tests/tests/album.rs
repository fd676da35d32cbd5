//! A library of real files of every format, played by the real programs: every frame of every file arrives.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{PATIENCE, end, skipped};
use unisono_common::control::State;
use unisono_tests::album::{Album, AlbumError, DAMAGED, FRAMES, UNPLAYABLE};
use unisono_tests::house::{House, Stream, binaries, reports};
use unisono_tests::processes::Process;
use unisono_tests::records::Record;
use unisono_tests::stalls::{Watch, undisturbed};
use unisono_tests::truth;

/// None, said loudly, where there is no encoder.
fn album(dir: &Path, damaged: bool) -> Option<Album> {
    match Album::create(dir, damaged) {
        Err(AlbumError::NoEncoder(error)) => skipped(&format!("ffmpeg: {error}")),
        album => Some(album.unwrap()),
    }
}

/// Plays, and knows the clock as well as it will.
fn settled(receiver: &Process) -> bool {
    let reports = reports(receiver);
    reports.iter().rev().take(2).all(|h| h.state == State::Playing && h.uptime_s > 6.0) && reports.len() > 2
}

#[test]
fn every_frame_of_every_file_is_played_in_both_rooms() {
    undisturbed(|| {
        let dir = tempfile::tempdir().unwrap();
        let Some(album) = album(&dir.path().join("album"), true) else { return };
        let music = dir.path().join("music");
        std::fs::create_dir(&music).unwrap();
        let id = format!("album-{}", std::process::id());
        let house = House::on_loopback(&id, dir.path(), &binaries().unwrap()).unwrap();
        let source = format!("{{ type = \"library\", path = {music:?}, repeat = false }}");
        let stream = Stream { format: "48000:24:2", source, playout_delay_ms: 1000 };
        let watch = Watch::start();
        let mut sender = house.start_sender(&stream).unwrap();
        // Cards as true as the sender's clock, and no resampler: what comes out is what was sent, bit for bit.
        let start = |number: usize, name: &str| {
            let device = format!("sim:record={}", house.record(name).display());
            house.start_receiver_on(number, &device, name, "quality = \"slip\"", vec![]).unwrap()
        };
        let (mut one, mut two) = (start(1, "u1"), start(2, "u2"));
        let ready = truth::wait_for(3 * PATIENCE, || (settled(&one) && settled(&two)).then_some(()));
        assert!(ready.is_some(), "{}\n{}\n{}", sender.log(), one.log(), two.log());
        // Only now is there something to play, so that no room can have missed its beginning.
        std::fs::rename(&album.dir, music.join("album")).unwrap();

        let sound = |name: &str| Record::open(&house.record(name)).ok()?.first_sound(0, unisono_tests::AUDIBLE);
        let begun_ns = truth::wait_for(2 * PATIENCE, || sound("u1").max(sound("u2")));
        let begun_ns = begun_ns.unwrap_or_else(|| panic!("silence: {}\n{}\n{}", sender.log(), one.log(), two.log()));
        let end_ns = begun_ns + ((album.seconds() + 1.0) * 1e9) as i64;
        truth::pause(Duration::from_nanos((end_ns - truth::now_ns()).max(0) as u64));
        end(&mut [&mut one, &mut two, &mut sender]);

        let stalls = watch.finish();
        let log = sender.log();
        for name in UNPLAYABLE.iter().chain(&DAMAGED) {
            let told: Vec<&str> = log.lines().filter(|line| line.contains("WARN") && line.contains(name)).collect();
            assert_eq!(told.len(), 1, "{name}: {told:?}\n{log}");
        }
        let [one, two] = ["u1", "u2"].map(|name| Record::open(&house.record(name)).unwrap().frames());
        let begin = |frames: &[[i32; 2]]| frames.iter().position(|f| *f != [0, 0]).unwrap_or(0);
        let (first, second) = (&one[begin(&one)..], &two[begin(&two)..]);
        let common = first.len().min(second.len());
        let alike = common > (album.seconds() as usize - 1) * FRAMES && first[..common] == second[..common];
        let wrong: Vec<String> = [&one, &two].into_iter().filter_map(|frames| album.check(frames).err()).collect();
        assert!(wrong.is_empty(), "{wrong:?}; {stalls:?}\n{log}");
        assert!(alike, "the rooms differ: {} and {} frames", first.len(), second.len());
    });
}
