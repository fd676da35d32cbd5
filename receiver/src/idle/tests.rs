use super::*;

fn at(seconds: i64) -> LocalTime {
    LocalTime::from_ns(seconds * 1_000_000_000)
}

#[test]
fn a_room_plays_at_the_first_sound_and_idles_long_after_the_last() {
    let mut idleness = Idleness::new(10);
    assert_eq!(idleness.note(None, at(100)), None);
    assert_eq!(idleness.note(Some(at(101)), at(101)), Some(Change::Plays));
    assert_eq!(idleness.note(Some(at(105)), at(105)), None);
    assert_eq!(idleness.note(None, at(110)), None, "a stream that is left does not make the last sound earlier");
    assert_eq!(idleness.note(Some(at(103)), at(115)), None);
    assert_eq!(idleness.note(Some(at(105)), at(116)), Some(Change::Idles));
    assert_eq!(idleness.note(Some(at(105)), at(117)), None);
    assert!(idleness.idles());
    assert_eq!(idleness.note(Some(at(118)), at(118)), Some(Change::Plays));
    assert!(!idleness.idles());
}

#[test]
fn a_room_that_never_had_anything_idles_too() {
    let mut idleness = Idleness::new(10);
    assert_eq!(idleness.note(None, at(100)), None);
    assert_eq!(idleness.note(None, at(110)), None);
    assert_eq!(idleness.note(None, at(111)), Some(Change::Idles));
    assert_eq!(idleness.note(None, at(112)), None);
}

#[test]
fn hooks_run_in_order_and_know_their_room() {
    let dir = std::env::temp_dir().join(format!("unisono-hooks-{}", unisono_host::random::number()));
    let append = |word: &str| Some(format!("echo {word} $UNISONO_ROOM >> {}", dir.display()));
    let config = IdleConfig { on_play: append("play"), on_idle: append("idle"), ..IdleConfig::default() };
    let hooks = Hooks::new(&config, "Den").unwrap();
    hooks.run(Change::Plays);
    hooks.run(Change::Idles);
    let until = clock::now() + 20_000_000_000;
    let mut text = String::new();
    while text.lines().count() < 2 && clock::now() < until {
        text = std::fs::read_to_string(&dir).unwrap_or_default();
        thread::sleep(Duration::from_millis(5));
    }
    std::fs::remove_file(&dir).unwrap();
    assert_eq!(text, "play Den\nidle Den\n");
}
