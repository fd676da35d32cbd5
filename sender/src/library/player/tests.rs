use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use unisono_common::config::sender::{ReplayGain, SourceConfig};

use crate::library::{Library, Page, Parts, When};
use crate::source::{SourceHandle, State};
use crate::testing::*;

fn library(path: &Path, shuffle: bool, repeat: bool) -> Playing {
    let source = SourceConfig::Library {
        path: path.to_owned(),
        shuffle,
        repeat,
        replay_gain: ReplayGain::Off,
        crossfade_s: 0.0,
    };
    Playing::start(&stream("48000:24:2", source))
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
fn a_folder_that_comes_later_plays_and_can_be_driven() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (late, elsewhere) = (dir.path().join("late"), dir.path().join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    for n in 1..=3 {
        write_constant(&elsewhere.join(format!("{n}.wav")), n * 1_000, 480_000);
    }
    let library = Library::open(state.path(), &[]);
    let _librarian = library.start().unwrap();
    let stream = stream("48000:24:2", SourceConfig::library(&late));
    let mut handle = crate::source::keep_trying(&stream, &loopback(), &library).unwrap();
    let now = handle.status().snapshot();
    assert!(matches!(&now.state, State::Failed(reason) if reason.contains("give a folder")), "{now:?}");
    fs::rename(&elsewhere, &late).unwrap();
    let heard = |value: i32| move |_: &SourceHandle, taken: &[i32]| taken.ends_with(&[value; 2_000]);
    take_until(&mut handle, heard(1_000));
    let page = Page { limit: 5, offset: 0 };
    let three = library.search("3", page).unwrap().iter().map(|track| track.id.clone()).collect();
    let parts = Parts { tracks: three, when: When::Now, ..Parts::default() };
    assert_eq!(library.enqueue("test", &parts).unwrap().0.entries.len(), 1);
    take_until(&mut handle, heard(3_000));
}

#[test]
fn a_disk_that_goes_uses_up_nothing_of_the_round() {
    let dir = tempfile::tempdir().unwrap();
    let (root, disk) = (dir.path().join("root"), dir.path().join("disk"));
    fs::create_dir(&root).unwrap();
    for n in 1..=6 {
        write_constant(&root.join(format!("{n}.wav")), n * 1_000, 24_000);
    }
    let mut handle = library(&root, false, true);
    let known = handle.library.clone();
    let is_known = || known.listing(&root).is_some_and(|listing| listing.complete && listing.keys.len() == 6);
    until("all files are known", is_known);
    let mut taken = take_until(&mut handle, |_, taken| taken.ends_with(&[1_000; 2_000]));
    fs::rename(&root, &disk).unwrap();
    fs::create_dir(&root).unwrap();
    let waits = |now: State| matches!(now, State::Failed(reason) if reason.contains("its disk is mounted"));
    taken.extend(take_until(&mut handle, |handle, _| waits(handle.status().snapshot().state)));
    fs::remove_dir(&root).unwrap();
    fs::rename(&disk, &root).unwrap();
    taken.extend(take_until(&mut handle, |_, taken| taken.ends_with(&[6_000; 2_000])));
    assert_eq!(values(&taken), [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]);
    assert_eq!(handle.status().snapshot().counters.skipped, 0);
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

fn tagged(dir: &Path, value: i32, frames: usize, name: &str, tags: &[&str]) -> bool {
    let wav = dir.join(".x.wav");
    write_constant(&wav, value, frames);
    let options: Vec<&str> = tags.iter().flat_map(|tag| ["-metadata", tag]).collect();
    encode(&wav, name, &options).is_some()
}

fn with(path: &Path, replay_gain: ReplayGain, crossfade_s: f64) -> SourceConfig {
    SourceConfig::Library { path: path.to_owned(), shuffle: false, repeat: false, replay_gain, crossfade_s }
}

#[test]
fn one_piece_fades_into_the_next_sample_by_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (4_000_000, -3_000_000);
    write_constant(&dir.path().join("1.wav"), a, 100_000);
    write_constant(&dir.path().join("2.wav"), b, 100_000);
    let out = play_to_the_end(&stream("48000:24:2", with(dir.path(), ReplayGain::Off, 0.5)));
    assert_eq!(out.len(), 2 * (200_000 - 24_000));
    for (n, frame) in out.chunks(2).enumerate() {
        let at = ((n as f64 + 0.5 - 76_000.0) / 24_000.0).clamp(0.0, 1.0) * std::f64::consts::FRAC_PI_2;
        let right = f64::from(a) * at.cos() + f64::from(b) * at.sin();
        assert!(frame.iter().all(|&s| (f64::from(s) - right).abs() <= 1.5), "{n}: {frame:?} {right}");
    }
}

#[test]
fn an_album_stays_whole_even_where_others_fade() {
    let dir = tempfile::tempdir().unwrap();
    for (n, value) in [(1, 1_000), (2, 2_000)] {
        if !tagged(dir.path(), value, 60_000, &format!("{n}.flac"), &["album=A", &format!("track={n}")]) {
            return;
        }
    }
    let out = play_to_the_end(&stream("48000:24:2", with(dir.path(), ReplayGain::Off, 1.0)));
    assert!(out == [vec![1_000; 120_000], vec![2_000; 120_000]].concat());
}

#[test]
fn replay_gain_of_tags_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let tags = ["REPLAYGAIN_TRACK_GAIN=-6.5 dB", "REPLAYGAIN_ALBUM_GAIN=-12 dB"];
    if !tagged(dir.path(), 4_000_000, 60_000, "1.flac", &tags) {
        return;
    }
    for (mode, gain_db) in [(ReplayGain::Off, 0.0), (ReplayGain::Track, -6.5), (ReplayGain::Auto, -12.0)] {
        let out = play_to_the_end(&stream("48000:24:2", with(dir.path(), mode, 0.0)));
        assert_eq!(out.len(), 120_000);
        let mean = out.iter().map(|&s| f64::from(s)).sum::<f64>() / out.len() as f64;
        assert!((db(mean / 4_000_000.0) - gain_db).abs() < 0.000_1, "{mode:?}: {}", db(mean / 4_000_000.0));
    }
}

#[test]
fn what_has_no_tags_is_measured_and_then_played_at_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    // EBU Tech 3341: a stereo sine whose peak is at -30 dB has -30 LUFS.
    let scale = 10_f64.powf(-30.0 / 20.0) * 8_388_607.0;
    let sine = |n: usize| (scale * (std::f64::consts::TAU * 997.0 * n as f64 / 48_000.0).sin()) as i32;
    let samples: Vec<i32> = (0..48_000 * 2 * 3).map(|n| sine(n / 2)).collect();
    write_wav(&dir.path().join("a.wav"), 48_000, 24, 2, &samples);
    let source = SourceConfig::Library {
        path: dir.path().to_owned(),
        shuffle: false,
        repeat: true,
        replay_gain: ReplayGain::Track,
        crossfade_s: 0.0,
    };
    let mut handle = Playing::start(&stream("48000:24:2", source));
    let loudest = |taken: &[i32]| taken.iter().rev().take(9_600).map(|s| s.abs()).max().unwrap_or(0);
    let right = |taken: &[i32]| (db(f64::from(loudest(taken)) / 8_388_608.0) + 18.0).abs() < 0.1;
    take_until(&mut handle, |_, taken| taken.len() > 9_600 && right(taken));
    assert_eq!(handle.library.state().unwrap().to_measure, 0);
}

#[test]
fn what_is_queued_plays_first_and_now_means_now() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=5 {
        write_constant(&dir.path().join(format!("{n}.wav")), n * 1_000, 480_000);
    }
    let mut handle = library(dir.path(), false, true);
    let heard = |value: i32| move |_: &SourceHandle, taken: &[i32]| taken.ends_with(&[value; 2_000]);
    take_until(&mut handle, heard(1_000));
    let found = |title: &str| {
        let page = Page { limit: 5, offset: 0 };
        handle.library.search(title, page).unwrap().iter().map(|track| track.id.clone()).collect::<Vec<_>>()
    };
    let (four, five) = (found("4"), found("5"));
    let library = handle.library.clone();
    let add =
        |tracks: Vec<String>, when| library.enqueue("test", &Parts { tracks, when, ..Parts::default() }).unwrap().0;
    add(four, When::End);
    let added = add(five, When::Now);
    assert_eq!(added.entries.len(), 1);
    take_until(&mut handle, heard(5_000));
    let upcoming = library.queue("test", Page { limit: 3, offset: 0 }).unwrap();
    let titles: Vec<_> = upcoming.iter().map(|next| (next.track.title.as_deref(), next.entry.is_some())).collect();
    assert_eq!(titles, [(Some("4"), true), (Some("2"), false), (Some("3"), false)]);
    handle.control().next();
    take_until(&mut handle, heard(4_000));
    handle.control().next();
    take_until(&mut handle, heard(2_000));
    handle.control().previous();
    take_until(&mut handle, heard(4_000));
    assert!(matches!(library.play_entry("test", "999"), Err(super::super::LibraryError::NoEntry(_))));
}

#[test]
fn a_stream_that_starts_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        write_constant(&dir.path().join(format!("{n}.wav")), n * 1_000, 480_000);
    }
    let stream = stream("48000:24:2", SourceConfig::library(dir.path()));
    for start in 0..2 {
        let library = Library::open(state.path(), &[]);
        let _librarian = library.start().unwrap();
        let mut handle = crate::source::spawn(&stream, &loopback(), &library).unwrap();
        if start == 0 {
            take_until(&mut handle, |_, taken| taken.ends_with(&[1_000; 2_000]));
            handle.control().next();
            take_until(&mut handle, |handle, _| {
                let now = handle.status().snapshot().now_playing;
                now.is_some_and(|now| now.track.title.as_deref() == Some("2") && now.position.as_secs_f64() > 4.0)
            });
            let status = handle.status();
            drop(handle);
            while status.is_alive() {
                std::thread::sleep(Duration::from_millis(5));
            }
        } else {
            take_until(&mut handle, |_, taken| taken.ends_with(&[2_000; 2_000]));
            let now = handle.status().snapshot().now_playing.unwrap();
            assert!((3.9..6.0).contains(&now.position.as_secs_f64()), "{now:?}");
            let taken = take_until(&mut handle, |_, taken| taken.ends_with(&[3_000; 2_000]));
            assert_eq!(values(&taken), [2_000, 3_000]);
        }
    }
}
