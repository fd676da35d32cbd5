//! The real sender with two stations of one library: found, queued, killed, and going on where it was.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{end, skipped};
use serde_json::{Value, json};
use tempfile::TempDir;
use unisono_sender::client::Target;
use unisono_tests::house::binaries;
use unisono_tests::processes::{Launch, Process};
use unisono_tests::shelf::{Shelf, song};
use unisono_tests::truth;

/// A busy machine may take its time.
const PATIENCE: Duration = Duration::from_secs(60);
const FILES: usize = 120;

/// A sender with the stations `one`, in order, and `two`, shuffled.
struct Stations {
    dir: TempDir,
    api: Target,
}

impl Stations {
    /// None, said loudly, without ffmpeg.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if let Err(error) = Shelf::make(&dir.path().join("music"), FILES) {
            return skipped(&error.to_string());
        }
        let api = Target::Socket(dir.path().join("state/hub.sock"));
        Some(Stations { dir, api })
    }

    fn start(&self) -> Process {
        let (state, music) = (self.dir.path().join("state"), self.dir.path().join("music"));
        let id = std::process::id() % 20_000;
        let port = 20_000 + id * 2;
        let stream = |name: &str, shuffle: bool, port: u32| {
            format!(
                "[[streams]]\nid = \"{name}\"\nport = {port}\n\
                 source = {{ type = \"library\", path = {music:?}, shuffle = {shuffle} }}\n"
            )
        };
        let text = format!(
            "interface = \"lo\"\nstate_dir = {state:?}\nclock_port = 0\n[http]\nlisten = \"127.0.0.1:0\"\n{}{}",
            stream("one", false, port),
            stream("two", true, port + 2),
        );
        let file = common::file(&self.dir, "sender.toml", &text);
        let launch = Launch {
            name: "sender",
            program: &binaries().unwrap().join("unisono-sender"),
            arguments: vec!["--config".into(), file.display().to_string()],
            environment: vec![],
            namespace: None,
            priority: None,
            logs: self.dir.path(),
        };
        Process::start(launch).unwrap()
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.api.get(&format!("/api/v1/{path}")).ok()
    }

    fn wait_for(&self, path: &str, sender: &Process, right: impl Fn(&Value) -> bool) -> Value {
        let found = truth::wait_for(PATIENCE, || self.get(path).filter(|value| right(value)));
        found.unwrap_or_else(|| panic!("{path} is {:#?}\n{}", self.get(path), sender.log()))
    }

    fn queue(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = self.get("streams/one/queue").unwrap_or_default();
        let queued = list.as_array().into_iter().flatten().filter(|next| !next["entry"].is_null());
        queued.map(|next| (text(&next["entry"]), text(&next["title"]))).collect()
    }

    fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        self.api.ask(method, &format!("/api/v1/{path}"), Some(&body)).unwrap()
    }
}

fn id_of(stations: &Stations, n: usize) -> String {
    let words = format!("{} {} {}", song(n).title, song(n).artist, song(n).album);
    let query: String = words.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let found = stations.get(&format!("library/search?limit=200&q={query}")).unwrap();
    let file = Path::new("music").join(format!("{:02}", song(n).number));
    let number = file.file_name().unwrap().to_string_lossy().into_owned();
    let right = |track: &&Value| track["file"].as_str().is_some_and(|path| path.contains(&format!("/{number}.")));
    found.as_array().unwrap().iter().find(right).unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_queue_survives_a_kill_and_each_station_is_its_own() {
    let Some(stations) = Stations::new() else { return };
    let mut sender = stations.start();
    let done = |library: &Value| library["scan"]["running"] == false && library["tracks"] == FILES;
    stations.wait_for("library", &sender, done);
    for stream in ["one", "two"] {
        stations.wait_for(&format!("streams/{stream}/playback"), &sender, |now| now["state"] == "playing");
    }
    // The pieces last two seconds: what is queued must wait, so it is held.
    stations.ask("POST", "streams/one/playback", json!({"action": "pause"}));
    let pieces: Vec<String> = [40, 80, 100].map(|n| id_of(&stations, n)).to_vec();
    let added = stations.ask("POST", "streams/one/queue", json!({"tracks": pieces}));
    assert_eq!(added["entries"].as_array().unwrap().len(), 3);
    stations.ask("PATCH", "streams/one/player", json!({"crossfade_s": 0.5}));
    let before = stations.queue();
    let last = before.last().unwrap().0.clone();
    stations.ask("PATCH", &format!("streams/one/queue/{last}"), json!({"to": 0}));
    let queued = stations.queue();
    assert_eq!(queued[0].0, last, "{queued:?}");
    let heard = stations.wait_for("streams/one/playback", &sender, |now| now["title"].is_string())["title"].clone();
    // Answered means kept.
    sender.signal(libc::SIGKILL);
    assert!(sender.wait(PATIENCE).is_some());

    let mut sender = stations.start();
    stations.wait_for("streams/one/playback", &sender, |now| now["title"].is_string());
    let manner = stations.wait_for("streams/one/player", &sender, |player| player["crossfade_s"] == 0.5);
    assert_eq!(manner["shuffle"], false);
    // What was heard is heard again, then what was queued, in its order; nothing is lost, nothing comes twice.
    let mut titles: Vec<Value> = vec![];
    let wanted: Vec<&str> = queued.iter().map(|(_, title)| title.as_str()).collect();
    truth::wait_for(PATIENCE, || {
        let title = stations.get("streams/one/playback")?["title"].clone();
        if title.is_string() && titles.last() != Some(&title) {
            titles.push(title);
        }
        (titles.last()? == wanted.last()? || titles.len() > 8).then_some(())
    });
    assert_eq!(titles[0], heard, "{titles:?}\n{}", sender.log());
    let rest: Vec<&str> = titles[1..].iter().filter_map(Value::as_str).collect();
    // What was decoded ahead when it was killed comes before them, as it would have.
    assert!(rest.ends_with(&wanted) && rest.len() <= wanted.len() + 1, "{titles:?} {wanted:?}");
    let two = stations.get("streams/two/player").unwrap();
    assert_eq!((&two["shuffle"], &two["queued"]), (&json!(true), &json!(0)));
    changes_are_found(&stations, &sender);
    end(&mut [&mut sender]);
}

/// A file that comes while the sender plays is found and, once it has gone, forgotten; playlists of each kind lead to
/// their pieces.
fn changes_are_found(stations: &Stations, sender: &Process) {
    let music = stations.dir.path().join("music");
    let has = |files: usize| move |library: &Value| library["scan"]["running"] == false && library["tracks"] == files;
    std::fs::write(music.join("Zwölf Räume.mp3"), "no sound in it yet").unwrap();
    stations.wait_for("library", sender, has(FILES + 1));
    let found = stations.get("library/search?q=zwolf").unwrap();
    assert_eq!(found[0]["title"], "Zwölf Räume", "{found}");

    let piece = stations.get(&format!("library/tracks/{}", id_of(stations, 40))).unwrap();
    let file = piece["file"].as_str().unwrap();
    let xspf = format!("<track><location>{file}</location></track>");
    let lists = [
        ("a.m3u", format!("#EXTM3U\n{file}\ngone.flac\n")),
        ("b.pls", format!("[playlist]\nFile1={file}\nNumberOfEntries=1\n")),
        ("c.xspf", format!("<playlist xmlns=\"http://xspf.org/ns/0/\"><trackList>{xspf}</trackList></playlist>")),
    ];
    for (name, text) in &lists {
        std::fs::write(music.join(name), text).unwrap();
    }
    let all = |found: &Value| found.as_array().is_some_and(|found| found.len() == lists.len());
    let found = stations.wait_for("library/playlists", sender, all);
    let ids: Vec<&Value> = found.as_array().unwrap().iter().map(|list| &list["id"]).collect();
    let added = stations.ask("POST", "streams/two/queue", json!({ "playlists": ids }));
    assert_eq!(added["entries"].as_array().map(Vec::len), Some(lists.len()), "{added}");
    std::fs::remove_file(music.join("Zwölf Räume.mp3")).unwrap();
    stations.wait_for("library", sender, has(FILES));
}
