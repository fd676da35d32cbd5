use super::*;

/// 48 kHz stereo: 480 frames of capacity, 96 of prebuffer.
fn small() -> (QueueWriter, SourceHandle) {
    queue(Format::DEFAULT, Sizes { capacity: Duration::from_millis(10), prebuffer: Duration::from_millis(2) })
}

fn frames(value: i32, count: usize) -> Vec<i32> {
    vec![value; count * 2]
}

fn take(handle: &mut SourceHandle, count: usize) -> Vec<i32> {
    let mut out = frames(-7, count);
    let taken = handle.take(&mut out);
    assert!(out[taken * 2..].iter().all(|&s| s == -7), "what is not filled is left alone");
    out.truncate(taken * 2);
    out
}

#[test]
fn nothing_comes_out_before_the_prebuffer_is_full() {
    let (mut writer, mut handle) = small();
    assert!(take(&mut handle, 48).is_empty());
    writer.push(&frames(5, 95)).unwrap();
    assert!(take(&mut handle, 48).is_empty());
    writer.push(&frames(5, 1)).unwrap();
    assert_eq!(take(&mut handle, 48), frames(5, 48));
    assert_eq!(take(&mut handle, 48), frames(5, 48));
    assert_eq!(handle.status().snapshot().counters.underruns, 0);
}

#[test]
fn a_starved_queue_fades_out_waits_for_the_prebuffer_and_fades_in() {
    let (mut writer, mut handle) = small();
    writer.push(&frames(1_000, 100)).unwrap();
    take(&mut handle, 60);
    let last = take(&mut handle, 60);
    assert_eq!(last.len(), 80);
    assert!(last[0] > 950 && last[78] < 50 && last.windows(2).all(|w| w[1] <= w[0]), "{last:?}");
    assert_eq!(handle.status().snapshot().counters.underruns, 1);
    writer.push(&frames(1_000, 90)).unwrap();
    assert!(take(&mut handle, 60).is_empty());
    writer.push(&frames(1_000, 90)).unwrap();
    let first = take(&mut handle, 60);
    assert!(first[0] < 50 && first[118] > 950, "{first:?}");
    assert_eq!(take(&mut handle, 60), frames(1_000, 60));
}

#[test]
fn what_is_complete_plays_to_its_last_frame_untouched() {
    let (mut writer, mut handle) = small();
    writer.push(&frames(1_000, 50)).unwrap();
    assert!(take(&mut handle, 40).is_empty());
    writer.set_draining(true);
    assert_eq!(take(&mut handle, 40), frames(1_000, 40));
    assert_eq!(take(&mut handle, 40), frames(1_000, 10));
    assert!(take(&mut handle, 40).is_empty());
    assert_eq!(handle.status().snapshot().counters.underruns, 0);
}

#[test]
fn pause_fades_out_and_play_goes_on_where_it_was() {
    let (mut writer, mut handle) = small();
    writer.push(&(0..960).map(|i| 10_000 + i / 2).collect::<Vec<_>>()).unwrap();
    take(&mut handle, 100);
    handle.control().pause();
    let faded = take(&mut handle, 100);
    assert!(faded.len() == 200 && faded[0] > 9_900 && faded[198] < 100);
    assert!(take(&mut handle, 100).is_empty());
    assert!(handle.status().snapshot().paused);
    handle.control().play();
    let resumed = take(&mut handle, 100);
    assert!(resumed[0] < 100 && resumed[199] > 10_000);
    assert_eq!(take(&mut handle, 1), vec![10_300, 10_300]);
}

#[test]
fn a_flush_fades_out_and_drops_what_was_queued() {
    let (mut writer, mut handle) = small();
    writer.push(&frames(1_000, 300)).unwrap();
    take(&mut handle, 48);
    writer.flush();
    writer.push(&frames(2_000, 150)).unwrap();
    let faded = take(&mut handle, 48);
    assert!(faded[94] < 100 && faded.iter().all(|&s| s <= 1_000));
    let first = take(&mut handle, 48);
    assert!(first[0] < 100 && first[94] > 1_900);
    assert_eq!(take(&mut handle, 48), frames(2_000, 48));
}

#[test]
fn now_playing_is_what_is_heard_and_not_what_is_queued() {
    let (mut writer, mut handle) = small();
    let track = |title: &str| Some(Track { title: Some(title.to_owned()), ..Track::default() });
    let now =
        |handle: &SourceHandle| handle.status().snapshot().now_playing.map(|n| (n.track.title.unwrap(), n.position));
    writer.begin_track(track("one"), Duration::from_secs(10));
    writer.push(&frames(1, 240)).unwrap();
    writer.begin_track(track("two"), Duration::ZERO);
    writer.push(&frames(1, 240)).unwrap();
    take(&mut handle, 96);
    assert_eq!(now(&handle), Some(("one".to_owned(), Duration::from_millis(10_002))));
    take(&mut handle, 192);
    assert_eq!(now(&handle), Some(("two".to_owned(), Duration::from_millis(1))));
    writer.begin_track(None, Duration::ZERO);
    writer.push(&frames(1, 96)).unwrap();
    take(&mut handle, 240);
    assert_eq!(now(&handle), None);
}

#[test]
fn a_full_queue_holds_the_writer_until_there_is_space_or_it_is_told_to_stop() {
    let (mut writer, mut handle) = small();
    let thread = std::thread::spawn(move || {
        let first = writer.push(&frames(3, 1_000));
        (first, writer.push(&frames(3, 10_000)))
    });
    let mut taken = 0;
    while taken < 2_000 {
        taken += take(&mut handle, 48).len() / 2;
    }
    handle.control().next();
    drop(handle);
    let (first, second) = thread.join().unwrap();
    assert!(first.is_ok() && second.is_err());
}

#[test]
fn commands_reach_the_writer() {
    let (mut writer, handle) = small();
    handle.control().next();
    handle.control().seek(Duration::from_secs(3));
    assert_eq!(writer.check(), Err(Interrupt::Next));
    assert_eq!(writer.wait(Duration::from_secs(60)), Err(Interrupt::Seek(Duration::from_secs(3))));
    assert_eq!(writer.check(), Ok(()));
    let control = handle.control();
    drop(handle);
    assert_eq!(writer.wait(Duration::from_secs(60)), Err(Interrupt::Stop));
    control.next();
    assert_eq!(writer.check(), Err(Interrupt::Stop));
}

#[test]
fn play_ends_a_pause_of_before_the_program_could_be_driven() {
    let (_writer, handle) = small();
    handle.control().pause();
    let (wishes, asked) = channel();
    handle.status().set_remote(Some(wishes), &["play"]);
    assert!(handle.status().snapshot().paused);
    handle.control().play();
    assert_eq!(asked.try_recv(), Ok(Wish::Play));
    assert!(!handle.status().snapshot().paused);
}
