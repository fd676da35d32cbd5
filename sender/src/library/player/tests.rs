use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use unisono_common::config::sender::SourceConfig;

use crate::source::{SourceHandle, State, spawn};
use crate::testing::*;

fn library(path: &Path, shuffle: bool, repeat: bool) -> SourceHandle {
    spawn(&stream("48000:24:2", SourceConfig::Library { path: path.to_owned(), shuffle, repeat })).unwrap()
}

/// A file of `frames` frames that all have one value.
fn write_constant(path: &Path, value: i32, frames: usize) {
    write_wav(path, 48_000, 24, 2, &vec![value; frames * 2]);
}

/// The different values in `samples`, in order, without what fades make.
fn values(samples: &[i32]) -> Vec<i32> {
    let mut values: Vec<i32> =
        samples.chunk_by(|a, b| a == b).filter(|run| run.len() > 2_000).map(|run| run[0]).collect();
    values.dedup();
    values
}

#[test]
fn an_album_cut_into_tracks_plays_as_the_uncut_recording() {
    let dir = tempfile::tempdir().unwrap();
    let samples = noise(24, 150_000, 2, 7);
    for (n, part) in samples.chunks(2 * 37_123).enumerate() {
        let wav = dir.path().join(format!("{n}.wav"));
        write_wav(&wav, 48_000, 24, 2, part);
        if n % 2 == 1 && encode(&wav, &format!("{n}.flac"), &["-bits_per_raw_sample", "24"]).is_some() {
            fs::remove_file(wav).unwrap();
        }
    }
    assert!(play_once(dir.path(), "48000:24:2") == samples);
}

#[test]
fn an_album_of_another_rate_leaves_no_trace_of_its_cuts() {
    let (cut, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let samples = music(24, 130_001, 2, 44_100);
    write_wav(&whole.path().join("all.wav"), 44_100, 24, 2, &samples);
    for (n, part) in samples.chunks(2 * 33_333).enumerate() {
        write_wav(&cut.path().join(format!("{n}.wav")), 44_100, 24, 2, part);
    }
    let (cut, whole) = (play_once(cut.path(), "48000:24:2"), play_once(whole.path(), "48000:24:2"));
    assert_eq!((cut.len(), whole.len()), (2 * 141_498, 2 * 141_498));
    // Only the dither differs.
    let worst = cut.iter().zip(&whole).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(3), "{worst:?}");
}

#[test]
fn files_that_cannot_be_played_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let samples = noise(24, 60_000, 2, 9);
    write_wav(&path("a.wav"), 48_000, 24, 2, &samples);
    let mut expected = samples.clone();
    fs::write(path("b empty.flac"), []).unwrap();
    fs::write(path("c text.mp3"), "these are not the notes you are looking for\n".repeat(100)).unwrap();
    fs::create_dir(path("d folder.flac")).unwrap();
    fs::write(path("e noise.flac"), noise(8, 50_000, 1, 3).iter().map(|&b| b as u8).collect::<Vec<_>>()).unwrap();
    assert!(run("mkfifo", &[&path("f fifo.flac").to_string_lossy()]));
    write_constant(&path("g closed.wav"), 1, 100);
    fs::set_permissions(path("g closed.wav"), fs::Permissions::from_mode(0o0)).unwrap();
    let mut bad = 3;
    match fs::File::open(path("g closed.wav")) {
        Ok(_) => fs::remove_file(path("g closed.wav")).unwrap(), // root
        Err(_) => bad += 1,
    }
    let whole = fs::read(path("a.wav")).unwrap();
    fs::write(path("h cut.wav"), &whole[..whole.len() / 2]).unwrap();
    expected.extend_from_slice(&samples[..(whole.len() / 2 - 68) / 3 / 2 * 2]);
    write_wav(&path("i.wav"), 48_000, 24, 2, &samples);
    expected.extend_from_slice(&samples);

    let mut handle = library(dir.path(), false, false);
    let status = handle.status();
    let taken = take_until(&mut handle, |handle, _| {
        let now = handle.status().snapshot();
        now.state == State::Idle && now.queued.is_zero() && now.counters.frames > 0
    });
    // Of the frames in the cut file, those that share a block with the cut may be lost.
    assert!(taken.starts_with(&samples) && taken.ends_with(&samples));
    assert!(
        taken.len() <= expected.len() && taken.len() + 8_192 > expected.len(),
        "{} {}",
        taken.len(),
        expected.len()
    );
    let counters = status.snapshot().counters;
    assert_eq!((counters.skipped, counters.tracks, counters.underruns), (bad + 1, 3, 0));
}

#[test]
fn a_folder_without_music_is_a_failure_until_music_comes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.flac"), "nothing").unwrap();
    let mut handle = library(dir.path(), false, true);
    let failed = |handle: &SourceHandle| matches!(handle.status().snapshot().state, State::Failed(_));
    take_until(&mut handle, |handle, _| failed(handle));
    let State::Failed(reason) = handle.status().snapshot().state else { panic!("not failed") };
    assert!(reason.contains("none of the 1 files"), "{reason}");
    write_constant(&dir.path().join("b.wav"), 5_000, 10_000);
    let taken = take_until(&mut handle, |_, taken| taken.len() >= 10_000);
    assert_eq!(values(&taken), [5_000]);
    assert_eq!(handle.status().snapshot().state, State::Playing);
}

#[test]
fn a_missing_folder_is_an_error_that_says_what_would_be_right() {
    let source = SourceConfig::library("/does/not/exist");
    let error = spawn(&stream("48000:16:2", source)).unwrap_err().to_string();
    assert!(error.contains("/does/not/exist") && error.contains("give a folder"), "{error}");
}

#[test]
fn a_file_that_is_added_plays_in_the_next_round() {
    let dir = tempfile::tempdir().unwrap();
    write_constant(&dir.path().join("1.wav"), 1_000, 20_000);
    let mut handle = library(dir.path(), false, true);
    take_until(&mut handle, |_, taken| taken.len() > 30_000);
    write_constant(&dir.path().join("2.wav"), 2_000, 20_000);
    let taken = take_until(&mut handle, |_, taken| values(taken).ends_with(&[2_000, 1_000]));
    assert_eq!(&values(&taken)[..3], [1_000, 2_000, 1_000]);
    fs::remove_file(dir.path().join("1.wav")).unwrap();
    take_until(&mut handle, |_, taken| taken.len() > 200_000 && taken.ends_with(&[2_000; 90_000]));
}

#[test]
fn next_previous_and_seek_go_where_they_should() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=4 {
        write_constant(&dir.path().join(format!("{n}.wav")), n * 1_000, 480_000);
    }
    let mut handle = library(dir.path(), false, true);
    let control = handle.control();
    let heard = |value: i32| move |_: &SourceHandle, taken: &[i32]| taken.ends_with(&[value; 2_000]);
    take_until(&mut handle, heard(1_000));
    control.next();
    take_until(&mut handle, heard(2_000));
    control.next();
    take_until(&mut handle, heard(3_000));
    control.previous();
    take_until(&mut handle, heard(2_000));
    control.seek(Duration::from_secs(9));
    take_until(&mut handle, |handle, _| {
        handle.status().snapshot().now_playing.is_some_and(|now| now.position >= Duration::from_millis(9_100))
    });
    // A second later the next track begins, without a gap.
    let taken = take_until(&mut handle, heard(3_000));
    assert_eq!(values(&taken), [2_000, 3_000]);
    let now = handle.status().snapshot();
    assert!(now.now_playing.unwrap().track.path.unwrap().ends_with("3.wav"));
    assert_eq!(now.counters.underruns, 0);
}

#[test]
fn shuffle_plays_all_before_any_again() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=6 {
        write_constant(&dir.path().join(format!("{n}.wav")), n * 1_000, 12_000);
    }
    let mut handle = library(dir.path(), true, true);
    let played = values(&take_until(&mut handle, |_, taken| taken.len() >= 2 * 12_000 * 12));
    assert_eq!(played.len(), 12);
    for round in played.chunks(6) {
        let mut sorted = round.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]);
    }
}

#[test]
fn tags_are_shown_and_track_numbers_give_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("x.wav");
    for (value, name, number) in [(1_000, "zebra.flac", "1"), (2_000, "ape.flac", "2")] {
        write_constant(&wav, value, 24_000);
        let (title, track) = (format!("title=Song {number}"), format!("track={number}/2"));
        let tags = ["-metadata", &title, "-metadata", "artist=Someone", "-metadata", "album=Some", "-metadata", &track];
        if encode(&wav, name, &tags).is_none() {
            return;
        }
    }
    fs::remove_file(wav).unwrap();
    let mut handle = library(dir.path(), false, false);
    let mut seen = Vec::new();
    let taken = take_until(&mut handle, |handle, taken| {
        taken.len() > 2 * 30_000 || { handle.status().snapshot().state == State::Idle && taken.len() > 90_000 }
    });
    seen.push(handle.status().snapshot().now_playing.unwrap());
    assert_eq!(values(&taken)[0], 1_000);
    let track = &seen[0].track;
    assert_eq!(
        (track.title.as_deref(), track.artist.as_deref(), track.album.as_deref(), track.duration),
        (Some("Song 2"), Some("Someone"), Some("Some"), Some(Duration::from_millis(500)))
    );
}
