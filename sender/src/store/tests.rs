use super::*;
use crate::house::room::{Admission, RoomChange};
use unisono_common::control::Hello;

fn hello(id: &str) -> Hello {
    Hello { room_id: id.into(), room: id.into(), ..Hello::default() }
}

fn kept() -> Kept {
    let mut house = House::default();
    for id in ["a", "b"] {
        house.greet(&hello(id), Admission::LetIn, Some("radio")).unwrap();
    }
    house.form_group("g", "Down", &["a".into(), "b".into()]).unwrap();
    house.keep_scene("s", "Evening").unwrap();
    house.enable_stream("tv", false);
    Kept { house, secrets: Secrets::default() }
}

fn wait(written: oneshot::Receiver<()>) {
    written.blocking_recv().unwrap();
}

#[test]
fn what_is_kept_is_read_and_what_is_gone_stays_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("house.db");
    let (store, empty) = Store::open(&path).unwrap();
    assert_eq!(empty, Kept::default());
    wait(store.keep(kept()));
    drop(store);
    let (store, read) = Store::open(&path).unwrap();
    assert_eq!(read, kept());
    let mut fewer = kept();
    fewer.house.forget("b").unwrap();
    wait(store.keep(fewer.clone()));
    drop(store);
    assert_eq!(Store::open(&path).unwrap().1, fewer);
}

#[test]
fn a_file_that_is_no_database_is_put_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("house.db");
    std::fs::write(&path, "once upon a time there was a house ".repeat(100)).unwrap();
    let (store, read) = Store::open(&path).unwrap();
    assert_eq!(read, Kept::default());
    assert!(path.with_extension("broken").exists());
    wait(store.keep(kept()));
}

#[test]
fn a_newer_file_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("house.db");
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Newer { found: 99, .. })));
}

/// The child of [`killed_at_any_instant_the_house_is_whole`]: counts up in the house until it is killed.
#[test]
#[ignore = "run by the test that kills it"]
fn counts_until_killed() {
    use std::io::Write;
    let path = PathBuf::from(std::env::var_os("UNISONO_STORE").unwrap());
    let (store, mut kept) = Store::open(&path).unwrap();
    for count in kept.house.rooms.get("a").map_or(0, |room| room.trim_us) + 1.. {
        for id in ["a", "b"] {
            kept.house.greet(&hello(id), Admission::LetIn, None).unwrap();
            let change = RoomChange { trim_us: Some(count), ..RoomChange::default() };
            kept.house.change_room(id, &change).unwrap();
        }
        wait(store.keep(kept.clone()));
        let mut out = std::io::stdout().lock();
        writeln!(out, "kept {count}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn killed_at_any_instant_the_house_is_whole() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("house.db");
    let mut promised = 0;
    for round in 0..10_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::counts_until_killed", "--ignored", "--nocapture"])
            .env("UNISONO_STORE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let counts = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| line.rsplit_once("kept ").and_then(|(_, count)| count.parse::<i64>().ok()));
        promised = counts.take(1 + round as usize % 5).last().unwrap();
        child.kill().unwrap();
        // What it still managed to promise before it died counts too.
        for line in lines.map_while(Result::ok) {
            promised = line.rsplit_once("kept ").and_then(|(_, count)| count.parse().ok()).unwrap_or(promised);
        }
        child.wait().unwrap();
        let (_, kept) = Store::open(&path).unwrap();
        let trims: Vec<i64> = kept.house.rooms.values().map(|room| room.trim_us).collect();
        assert!(trims == [promised; 2] || trims == [promised + 1; 2], "{promised} was promised, {trims:?} is there");
    }
    assert!(promised >= 10);
}
