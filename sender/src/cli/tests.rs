use super::*;

fn run(arguments: &[&str]) -> Result<Command, CliError> {
    command(["unisono-sender"].iter().chain(arguments).map(std::ffi::OsString::from))
}

fn streams(arguments: &[&str]) -> Vec<StreamConfig> {
    match run(arguments).unwrap() {
        Command::Run(run) => run.config.streams,
        other => panic!("a run, not {other:?}"),
    }
}

#[test]
fn nothing_given_plays_the_demo_and_a_directory_the_library() {
    assert_eq!(streams(&[])[0].source, SourceConfig::Demo);
    let streams = streams(&["/srv/music"]);
    assert_eq!((streams[0].id.as_str(), &streams[0].source), ("music", &SourceConfig::library("/srv/music")));
}

#[test]
fn a_wrong_command_line_is_told_in_one_sentence() {
    let complaint = |arguments: &[&str]| run(arguments).unwrap_err().to_string();
    assert!(complaint(&["--cofnig", "x"]).contains("'--cofnig'"));
    assert!(complaint(&["--cofnig", "x"]).contains("'--config'"));
    assert!(complaint(&["a", "b"]).ends_with("see --help"));
    assert!(complaint(&["check-config"]).contains("FILE"));
    for wrong in [&["--cofnig", "x"][..], &["a", "b"], &["check-config"], &["--config"], &["--config", "/no/such"]] {
        assert_eq!(complaint(wrong).lines().count(), 1, "{}", complaint(wrong));
    }
}

#[test]
fn files_are_checked_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sender.toml");
    let name = file.to_str().unwrap();
    fs::write(&file, "ttl = 2\n[[streams]]\nid = 'a'\n").unwrap();
    assert!(matches!(run(&["check-config", name]), Ok(Command::Done)));
    assert_eq!(streams(&["--config", name])[0].id, "a");
    let both = run(&["--config", name, "/srv/music"]).unwrap_err();
    assert!(both.to_string().ends_with("lists streams already: leave MUSIC_DIR out"), "{both}");
    fs::write(&file, "tll = 2\n").unwrap();
    let error = run(&["check-config", name]).unwrap_err().to_string();
    assert!(error.ends_with("sender.toml:1: unknown key \"tll\"; did you mean \"ttl\"?"), "{error}");
}

#[test]
fn ctl_watch_and_completions_are_read() {
    assert!(matches!(run(&["ctl", "volume", "Kitchen", "-12"]), Ok(Command::Ctl(..))));
    assert!(matches!(run(&["ctl", "otherwise", "Kitchen", "radio", "none"]), Ok(Command::Ctl(..))));
    assert!(run(&["ctl", "leave", "Downstairs"]).is_err());
    assert!(matches!(run(&["ctl", "--hub", "http://den:7680", "rooms", "--json"]), Ok(Command::Ctl(..))));
    assert!(matches!(run(&["watch", "--once", "--json"]), Ok(Command::Watch(_))));
    let Err(CliError::Shown(bash)) = run(&["completions", "bash"]) else { panic!("a text") };
    assert!(bash.contains("unisono-sender") && bash.contains("recall") && bash.contains("forget-scene"));
}

#[test]
fn mpd_is_told_what_to_write_where() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sender.toml");
    let pipe = "[[streams]]\nname = \"The \\\"den\\\"\"\nsource = { type = \"pipe\", path = \"/run/unisono/mpd.fifo\", \
                format = \"44100:16:2\" }\n";
    fs::write(&file, pipe).unwrap();
    let Err(CliError::Shown(text)) = run(&["mpd-conf", file.to_str().unwrap()]) else { panic!("text") };
    for line in ["type       \"fifo\"", "name       \"The \\\"den\\\"\"", "path       \"/run/unisono/mpd.fifo\""] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("format     \"44100:16:2\""));
    for format in ["48000:f:2", "44100:8:2"] {
        fs::write(&file, pipe.replace("44100:16:2", format)).unwrap();
        let Err(CliError::Shown(text)) = run(&["mpd-conf", file.to_str().unwrap()]) else { panic!("text") };
        assert!(text.contains(&format!("format     \"{format}\"")), "{text}");
    }
    fs::write(&file, "").unwrap();
    assert!(run(&["mpd-conf", file.to_str().unwrap()]).unwrap_err().to_string().contains("\"pipe\""));
}
