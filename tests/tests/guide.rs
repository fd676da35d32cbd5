//! The documents say what is so: the boot test runs each command of the installation guide, or it is known why not; the
//! commands and places that any of them names are there; their pieces of configuration, and the examples, are right.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use unisono_tests::guide::{COMMANDS, commands, configurations};
use unisono_tests::house::binaries;

/// Documents with pieces of configuration, and the program that these are for.
const GUIDES: [(&str, &str); 6] = [
    ("install.md", "unisono-receiver"),
    ("troubleshooting.md", "unisono-receiver"),
    ("aes67.md", "unisono-sender"),
    ("interop.md", "unisono-sender"),
    ("library.md", "unisono-sender"),
    ("standby.md", "unisono-sender"),
];

/// What the packages bring along.
const EXAMPLES: [(&str, &str); 4] = [
    ("docs/examples/sender.toml", "unisono-sender"),
    ("docs/examples/receiver.toml", "unisono-receiver"),
    ("systemd/sender.toml", "unisono-sender"),
    ("systemd/receiver.toml", "unisono-receiver"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn docs() -> PathBuf {
    root().join("docs")
}

/// All documents but the transcript of the boot test: what stands there was said by machines.
fn documents() -> Vec<PathBuf> {
    let folders = [root(), docs(), docs().join("adr")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|is| is == "md") && !path.ends_with("boot.md")).collect()
}

fn check_config(program: &str, file: &Path, whose: &str) {
    let output = Command::new(binaries().unwrap().join(program)).arg("check-config").arg(file).output().unwrap();
    assert!(output.status.success(), "{whose}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_command_is_run_by_a_machine_or_it_is_known_why_not() {
    let text = fs::read_to_string(docs().join("install.md")).unwrap();
    let known: Vec<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    assert_eq!(commands(&text), known);
}

#[test]
fn every_piece_of_configuration_is_right() {
    let dir = tempfile::tempdir().unwrap();
    for (guide, program) in GUIDES {
        let blocks = configurations(&fs::read_to_string(docs().join(guide)).unwrap());
        for block in &blocks {
            check_config(program, &common::file(&dir, "given.toml", block), &format!("{guide}:\n{block}"));
        }
        assert!(!blocks.is_empty() || guide == "troubleshooting.md", "{guide}");
    }
}

/// As they are, and with all that waits in them for its `#` to be taken away.
#[test]
fn every_example_is_right_and_each_of_its_keys_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let told = fs::read_to_string(docs().join("configuration.md")).unwrap();
    let told: HashSet<&str> = told.split(|c: char| !c.is_ascii_lowercase() && c != '_').collect();
    for (example, program) in EXAMPLES {
        check_config(program, &root().join(example), example);
        let text = fs::read_to_string(root().join(example)).unwrap();
        let whole: String = text.lines().map(|line| format!("{}\n", uncommented(line))).collect();
        check_config(program, &common::file(&dir, "whole.toml", &whole), example);
        for key in whole.lines().flat_map(keys) {
            assert!(told.contains(key), "{example}: configuration.md does not tell of \"{key}\"");
        }
    }
}

/// A line without the `#` that stands right before a table or a key.
fn uncommented(line: &str) -> &str {
    let code = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()));
    code.unwrap_or(line)
}

/// The keys in a line, those of tables in it too: the words before each ` = `.
fn keys(line: &str) -> Vec<&str> {
    let code = line.split('#').next().unwrap_or_default();
    let mut before: Vec<&str> = code.split(" = ").collect();
    before.pop();
    before.into_iter().filter_map(|part| part.rsplit(|c: char| " {,".contains(c)).next()).collect()
}

#[test]
fn every_command_of_our_programs_is_there() {
    let mut seen = 0;
    for document in documents() {
        for command in commands_of_ours(&fs::read_to_string(&document).unwrap()) {
            let (subcommands, options) = parts(&command[1..]);
            let mut help = Command::new(binaries().unwrap().join(&command[0]));
            let help = help.arg("help").args(&subcommands).output().unwrap();
            assert!(help.status.success(), "{}: there is no {command:?}", document.display());
            let text = String::from_utf8_lossy(&help.stdout);
            for option in options {
                assert!(text.contains(option), "{}: {command:?} has no {option}", document.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen}");
}

/// The commands in blocks of code and in the running text, as words.
fn commands_of_ours(text: &str) -> Vec<Vec<String>> {
    let (blocks, prose): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("    "));
    let prose = prose.join("\n");
    let spans = prose.split('`').skip(1).step_by(2);
    let lines = blocks.into_iter().map(|line| line.split(" #").next().unwrap_or_default());
    lines.chain(spans).filter_map(command_of_ours).collect()
}

/// A command of one of our programs; `ctl` alone is the sender's.
fn command_of_ours(code: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> =
        code.split_whitespace().skip_while(|word| *word == "sudo").map(str::to_owned).collect();
    if words.first()? == "ctl" {
        words.insert(0, "unisono-sender".to_owned());
    }
    matches!(words.first()?.as_str(), "unisono-sender" | "unisono-receiver").then_some(words)
}

/// The subcommands that a command begins with, and its options.
fn parts(words: &[String]) -> (Vec<&str>, Vec<&str>) {
    let words: Vec<&str> = words.iter().map(String::as_str).take_while(|word| *word != ">>").collect();
    let depth = match words.as_slice() {
        ["ctl", request, ..] if !request.starts_with('-') => 2,
        [word, ..] if word.starts_with(|c: char| c.is_ascii_lowercase()) => 1,
        _ => 0,
    };
    let options = words.iter().copied().filter(|word| word.starts_with("--")).collect();
    (words[..depth].to_vec(), options)
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {link}", document.display());
            let found = anchor.is_empty() || anchors(&file).iter().any(|known| known == anchor);
            assert!(found, "{}: {link}", document.display());
        }
    }
}

/// What the headings of a document are linked by.
fn anchors(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(anchor).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}
