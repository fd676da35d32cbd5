use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use unisono_common::config::sender::{Signal, SourceConfig};

use super::*;
use crate::testing::{loopback, music, noise, spawn, stream, take_until, until};

fn pipe(path: &Path, written: &str, stream_format: &str) -> Result<SourceHandle, SourceError> {
    let format = written.parse().unwrap();
    spawn(&stream(stream_format, SourceConfig::pipe(path, format)))
}

fn bytes(samples: &[i32]) -> Vec<u8> {
    samples.iter().flat_map(|&s| (s as i16).to_le_bytes()).collect()
}

/// Writes in a thread, as a program of its own would.
fn write(path: &Path, bytes: Vec<u8>) -> thread::JoinHandle<std::io::Result<()>> {
    let path = path.to_owned();
    thread::spawn(move || OpenOptions::new().write(true).open(path)?.write_all(&bytes))
}

fn idle(handle: &SourceHandle) -> bool {
    let now = handle.status().snapshot();
    now.state == State::Idle && now.queued.is_zero()
}

#[test]
fn a_pipe_gives_what_is_written_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let mut handle = pipe(&path, "48000:16:2", "48000:16:2").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let samples = noise(16, 100_000, 2, 3);
    let writer = write(&path, bytes(&samples));
    let taken = take_until(&mut handle, |handle, taken| taken.len() >= samples.len() && idle(handle));
    writer.join().unwrap().unwrap();
    assert!(taken == samples);
    let now = handle.status().snapshot();
    assert_eq!((now.counters.underruns, now.counters.dropped_bytes), (0, 0));
}

#[test]
fn writers_come_and_go_in_the_middle_of_a_frame() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let mut handle = pipe(&path, "48000:16:2", "48000:16:2").unwrap();
    let samples = noise(16, 10_000, 2, 3);
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut with_a_rest = bytes(&samples);
        with_a_rest.extend([1, 2, 3]);
        let writer = write(&path, with_a_rest);
        all.extend(take_until(&mut handle, |handle, taken| taken.len() >= samples.len() && idle(handle)));
        writer.join().unwrap().unwrap();
    }
    assert!(all == [&samples[..], &samples, &samples].concat());
    assert_eq!(handle.status().snapshot().counters.dropped_bytes, 9);
}

#[test]
fn a_writer_that_falls_silent_is_stalled_and_then_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let mut handle = pipe(&path, "48000:16:2", "48000:16:2").unwrap();
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    let samples = noise(16, 5_000, 2, 3);
    // Odd pieces, and less than the prebuffer at the end of each turn.
    for _ in 0..2 {
        bytes(&samples).chunks(777).for_each(|part| writer.write_all(part).unwrap());
        let taken = take_until(&mut handle, |handle, taken| {
            let now = handle.status().snapshot();
            taken.len() >= samples.len() && now.state == State::Stalled && now.queued.is_zero()
        });
        assert!(taken == samples);
    }
    drop(writer);
    take_until(&mut handle, |handle, _| idle(handle));
}

#[test]
fn a_pipe_of_another_rate_is_converted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let mut handle = pipe(&path, "44100:16:2", "48000:24:2").unwrap();
    let writer = write(&path, bytes(&music(16, 44_100, 2, 44_100)));
    let taken = take_until(&mut handle, |handle, taken| !taken.is_empty() && idle(handle));
    writer.join().unwrap().unwrap();
    assert_eq!(taken.len(), 96_000);
}

#[test]
fn a_pipe_of_8_bits_or_of_floating_point_gives_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let samples = noise(8, 20_000, 2, 3);
    let play = |name: &str, format: &str, bytes: Vec<u8>| {
        let path = dir.path().join(name);
        let mut handle = pipe(&path, format, "48000:16:2").unwrap();
        let writer = write(&path, bytes);
        let taken = take_until(&mut handle, |handle, taken| !taken.is_empty() && idle(handle));
        writer.join().unwrap().unwrap();
        (taken, handle.status().snapshot().counters.clipped)
    };
    let expected: Vec<i32> = samples.iter().map(|sample| sample << 8).collect();
    let (eight, _) = play("eight", "48000:8:2", samples.iter().map(|&sample| sample as u8).collect());
    assert!(eight == expected);
    let full_scale = |sample: &i32| *sample as f32 / 128.0;
    let mut floats: Vec<f32> = samples.iter().map(full_scale).collect();
    floats.extend([f32::NAN, f32::NEG_INFINITY, 1.5, -2.0]);
    let (taken, clipped) = play("float", "48000:f:2", floats.iter().flat_map(|sample| sample.to_le_bytes()).collect());
    let (sound, rest) = taken.split_at(expected.len());
    // Dithered.
    assert!(sound.iter().zip(&expected).all(|(taken, wanted)| (taken - wanted).abs() <= 1));
    assert!(rest.len() == 4 && rest[..2].iter().all(|sample| sample.abs() <= 1) && rest[2..] == [32_767, -32_768]);
    assert!(clipped >= 2, "{clipped}");
}

#[test]
fn a_fast_writer_is_held_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let handle = pipe(&path, "48000:16:2", "48000:16:2").unwrap();
    let writer = write(&path, bytes(&noise(16, 480_000, 2, 3)));
    let queued = || handle.status().snapshot().queued;
    until("it is read ahead", || queued() >= Duration::from_millis(150));
    // The thread would read on at once if it did.
    thread::sleep(Duration::from_millis(50));
    assert!(queued() < Duration::from_millis(175) && !writer.is_finished());
    drop(handle);
    assert!(writer.join().unwrap().is_err(), "its pipe is broken");
}

#[test]
fn a_pipe_that_is_removed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let mut handle = pipe(&path, "48000:16:2", "48000:16:2").unwrap();
    fs::remove_file(&path).unwrap();
    until("the pipe is made again", || path.exists());
    let samples = noise(16, 10_000, 2, 4);
    let writer = write(&path, bytes(&samples));
    assert!(take_until(&mut handle, |handle, taken| !taken.is_empty() && idle(handle)) == samples);
    writer.join().unwrap().unwrap();
}

#[test]
fn what_cannot_be_a_pipe_is_an_error_that_says_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let missing = dir.path().join("missing/in.fifo");
    for (path, hint) in [(&file, "not a FIFO"), (&missing, "RuntimeDirectory"), (&dir.path().to_owned(), "not a FIFO")]
    {
        let error = pipe(path, "48000:16:2", "48000:16:2").unwrap_err().to_string();
        assert!(error.contains(hint) && error.contains(&*path.to_string_lossy()), "{error}");
    }
}

#[test]
fn what_is_not_there_yet_has_failed_until_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late/in.fifo");
    let source = SourceConfig::pipe(&path, "48000:16:2".parse().unwrap());
    let mut handle = keep_trying(&stream("48000:16:2", source), &loopback(), &Library::detached()).unwrap();
    let now = handle.status().snapshot();
    assert!(matches!(&now.state, State::Failed(reason) if reason.contains("RuntimeDirectory")), "{now:?}");
    fs::create_dir(dir.path().join("late")).unwrap();
    until("the pipe is made", || path.exists());
    let samples = noise(16, 10_000, 2, 4);
    let writer = write(&path, bytes(&samples));
    assert!(take_until(&mut handle, |handle, taken| !taken.is_empty() && idle(handle)) == samples);
    writer.join().unwrap().unwrap();
}

#[test]
fn a_pipe_belongs_to_the_group_that_is_named() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    // Its own group is one that any user may give it to.
    let own = fs::metadata(dir.path()).unwrap().gid();
    let groups = fs::read_to_string("/etc/group").unwrap();
    let numbered = |line: &&str| line.split(':').nth(2) == Some(&*own.to_string());
    let name = groups.lines().find(numbered).and_then(|line| line.split(':').next()).unwrap();
    let opened = |path: &Path, group: &str| {
        let (path, group, format) = (path.to_owned(), Some(group.to_owned()), "48000:16:2".parse().unwrap());
        let latency_ms = SourceConfig::PIPE_LATENCY_MS;
        let source = SourceConfig::Pipe { path, format, latency_ms, group, mpd: None, mpd_password: None };
        spawn(&stream("48000:16:2", source))
    };
    let path = dir.path().join("in.fifo");
    let _handle = opened(&path, name).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.gid(), metadata.permissions().mode() & 0o777), (own, 0o660));
    let error = opened(&dir.path().join("other.fifo"), "nobody-has-this-group").unwrap_err().to_string();
    assert!(error.contains("/etc/group"), "{error}");
    // Root may give it to any.
    if own == 0 && groups.lines().any(|line| line.starts_with("audio:")) {
        let path = dir.path().join("audio.fifo");
        let _handle = opened(&path, "audio").unwrap();
        assert_ne!(fs::metadata(&path).unwrap().gid(), own);
    }
}

#[test]
fn demo_and_tone_play_and_end_when_dropped() {
    for source in [SourceConfig::Demo, SourceConfig::Tone { signal: Signal::Sine, frequency: 440.0, level_db: -12.0 }] {
        let mut handle = spawn(&stream("48000:16:2", source)).unwrap();
        let taken = take_until(&mut handle, |_, taken| taken.len() > 96_000);
        assert!(taken.iter().any(|&s| s > 1_000) && taken.iter().all(|&s| s < 32_767));
        let status = handle.status();
        let now = status.snapshot();
        assert_eq!((now.state, now.counters.underruns, now.counters.clipped), (State::Playing, 0, 0));
        assert!(now.now_playing.unwrap().track.title.is_some_and(|t| t == "Unisono demo" || t.contains("440")));
        drop(handle);
        while status.is_alive() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Measured by hand, on a machine that is left alone: `cargo test -p unisono-sender --lib -- --ignored paced`.
#[test]
#[ignore = "takes 60 s of real time"]
#[allow(clippy::disallowed_methods)]
fn a_writer_at_its_own_pace_neither_starves_nor_loses_a_frame() {
    use std::time::Instant;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let mut handle = pipe(&path, "48000:16:2", "48000:16:2").unwrap();
    let samples = noise(16, 48_000 * 60, 2, 4);
    let data = bytes(&samples);
    let begun = Instant::now();
    let writer = thread::spawn(move || {
        let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
        let begun = Instant::now();
        for (n, piece) in data.chunks(3_840).enumerate() {
            pipe.write_all(piece).unwrap();
            // 100 ms ahead, 20 ms at a time.
            let due = Duration::from_millis((n as u64 * 20).saturating_sub(80));
            thread::sleep(due.saturating_sub(begun.elapsed()));
        }
        begun
    });
    let (mut taken, mut packet, mut first) = (Vec::new(), [0; 480], None);
    let mut ticks = 0;
    while taken.len() < samples.len() {
        let frames = handle.take(&mut packet);
        taken.extend_from_slice(&packet[..frames * 2]);
        if frames > 0 && first.is_none() {
            first = Some(Instant::now());
        }
        ticks += 1;
        thread::sleep(Duration::from_millis(5 * ticks).saturating_sub(begun.elapsed()));
    }
    let latency = first.unwrap() - writer.join().unwrap();
    println!("first frame {:.1} ms after the first write, underruns {}", latency.as_secs_f64() * 1e3, {
        handle.status().snapshot().counters.underruns
    });
    assert!(taken == samples && handle.status().snapshot().counters.underruns == 0);
}
