use proptest::prelude::*;

use super::*;
use crate::format::RawFormat;

fn parse(text: &str) -> Result<SenderConfig, ConfigError> {
    SenderConfig::parse(Path::new("sender.toml"), text)
}

fn complaint(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_plays_the_demo() {
    let config = parse("").unwrap();
    assert_eq!(config, SenderConfig::default());
    assert_eq!(config.streams[0].id, "music");
    assert_eq!(config.streams[0].source, SourceConfig::Demo);
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        interface = "eth0"
        playout_delay_ms = 400
        state_dir = "/var/lib/unisono"
        clock_port = 7681
        ttl = 4
        [http]
        listen = "127.0.0.1:8080"
        [[streams]]
        id = "radio"
        name = "House radio"
        format = "44100:24:1"
        group = "239.1.2.3"
        port = 6004
        enabled = false
        source = { type = "library", path = "/srv/music", shuffle = true, repeat = false, replay_gain = "auto", crossfade_s = 2.5 }
        [[streams]]
        name = "MPD & Co!"
        idle_after_s = 5
        silence_db = -60
        [streams.source]
        type = "pipe"
        path = "/run/mpd.fifo"
        format = "44100:32:2"
        group = "audio"
        mpd = "localhost"
        mpd_password = "secret"
        [[streams]]
        id = "t"
        source = { type = "tone", signal = "sides", frequency = 1000, level_db = -6.5 }
        "#,
    )
    .unwrap();
    assert_eq!(config.interface.as_deref(), Some("eth0"));
    assert_eq!((config.playout_delay_ms, config.clock_port, config.ttl), (400, 7681, 4));
    assert_eq!(config.http_listen.to_string(), "127.0.0.1:8080");
    let [radio, mpd, tone] = &config.streams[..] else { panic!("three streams") };
    assert_eq!(radio.format.to_string(), "44100:24:1");
    assert_eq!((radio.group, radio.port, radio.enabled), (Some(IpAddr::from([239, 1, 2, 3])), 6004, false));
    let library = SourceConfig::Library {
        path: "/srv/music".into(),
        shuffle: true,
        repeat: false,
        replay_gain: ReplayGain::Auto,
        crossfade_s: 2.5,
    };
    assert_eq!(radio.source, library);
    assert_eq!((mpd.id.as_str(), mpd.name.as_str()), ("mpd-co", "MPD & Co!"));
    let format = "44100:32:2".parse().unwrap();
    let pipe = SourceConfig::Pipe {
        path: "/run/mpd.fifo".into(),
        format,
        latency_ms: SourceConfig::PIPE_LATENCY_MS,
        group: Some("audio".into()),
        mpd: Some("localhost:6600".into()),
        mpd_password: Some("secret".into()),
    };
    assert_eq!(mpd.source, pipe);
    assert_eq!((mpd.idle_after_s, mpd.silence_db), (5, -60.0));
    assert_eq!(tone.source, SourceConfig::Tone { signal: Signal::Sides, frequency: 1000.0, level_db: -6.5 });
}

#[test]
fn a_pipe_without_a_format_takes_the_streams() {
    let config =
        parse("[[streams]]\nformat = '96000:24:2'\nsource = { type = 'pipe', path = '/p', latency_ms = 7 }").unwrap();
    let SourceConfig::Pipe { format, latency_ms, .. } = config.streams[0].source else { panic!("a pipe") };
    assert_eq!((format, latency_ms), (RawFormat::from(config.streams[0].format), 7));
}

#[test]
fn a_pipe_carries_what_mpd_writes_and_the_wire_what_rtp_does() {
    let raw = |format: &str| format!("[[streams]]\nsource = {{ type = 'pipe', path = '/p', format = '{format}' }}");
    for format in ["44100:8:2", "48000:24:2", "48000:f:2"] {
        let config = parse(&raw(format)).unwrap();
        let SourceConfig::Pipe { format: read, .. } = config.streams[0].source else { panic!("a pipe") };
        assert_eq!(read.to_string(), format);
    }
    let told = complaint(&raw("48000:float:2"));
    assert!(told.contains("sender.toml:2: format") && told.contains("8, 16, 24, 32 or f"), "{told}");
    for (format, right) in [("48000:32:2", "48000:24:2"), ("44100:f:1", "44100:24:1"), ("44100:8:2", "44100:16:2")] {
        let told = complaint(&format!("[[streams]]\nformat = '{format}'"));
        assert!(told.contains("sender.toml:2: format") && told.contains(right), "{told}");
        let source = format!("{{ type = 'rtp', address = '239.1.2.3:5004', format = '{format}' }}");
        let told = complaint(&format!("[[streams]]\nsource = {source}"));
        assert!(told.contains("sender.toml:2: format") && told.contains(right), "{told}");
    }
    let told = complaint("[[streams]]\nformat = '48000:20:2'");
    assert!(told.contains("16 or 24"), "{told}");
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest_known_one() {
    assert_eq!(
        complaint("interface = 'eth0'\nplayout_delay = 3\n"),
        "sender.toml:2: unknown key \"playout_delay\"; did you mean \"playout_delay_ms\"?"
    );
    assert_eq!(
        complaint("[http]\nlissen = '0.0.0.0:1'\n"),
        "sender.toml:2: [http]: unknown key \"lissen\"; did you mean \"listen\"?"
    );
    assert_eq!(
        complaint("[[streams]]\nid='a'\n[[streams]]\nid='b'\nfromat='48000:16:2'\n"),
        "sender.toml:5: [[streams]]: unknown key \"fromat\"; did you mean \"format\"?"
    );
    assert_eq!(
        complaint("wombat = 1"),
        "sender.toml:1: unknown key \"wombat\"; it can be interface, address, identity, playout_delay_ms, state_dir, clock_port, repair_port, unicast_rooms, ttl, http, hub, streams"
    );
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_lines() {
    let error = parse(
        "ttl = 0\nplayout_delay_ms = 'long'\n[[streams]]\nid = 'Größe'\nformat = '48000:32:2'\nport = 5005\ngroup = '10.0.0.1'\n\
         source = { type = 'radoi' }\n[http]\nlisten = 'everywhere'\n",
    )
    .unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 2, 4, 5, 6, 7, 8, 10]);
    let text = error.to_string();
    assert!(text.contains("sender.toml:1: ttl: 0 is out of range, it must be 1 to 255"), "{text}");
    assert!(text.contains("sender.toml:2: playout_delay_ms: this must be a whole number, not a text"), "{text}");
    assert!(text.contains("RTP takes an even port"), "{text}");
}

#[test]
fn a_source_must_be_known_and_complete() {
    let source = |source: &str| complaint(&format!("[[streams]]\nsource = {source}"));
    assert_eq!(
        source("{ type = 'libary', path = 'x' }"),
        "sender.toml:2: type: unknown source \"libary\"; did you mean \"library\"?"
    );
    assert_eq!(
        source("{ path = 'x' }"),
        "sender.toml:2: source: needs the key \"type\": one of library, pipe, command, http, capture, rtp, mix, tone, demo"
    );
    assert_eq!(source("{ type = 'pipe' }"), "sender.toml:2: source: needs the key \"path\": the FIFO to read");
    assert_eq!(source("'demo'"), "sender.toml:2: source: this must be a table, not a text");
}

#[test]
fn groups_are_of_either_family_and_for_audio_alone() {
    for good in ["239.0.1.1", "232.1.1.1", "ff02::77:1", "ff05::77:1", "ff15::1:2:3"] {
        let config = SenderConfig::parse(Path::new("s.toml"), &format!("[[streams]]\nid='a'\ngroup='{good}'")).unwrap();
        assert_eq!(config.streams[0].group, Some(good.parse().unwrap()));
    }
    for bad in ["224.0.0.251", "10.0.0.1", "ff01::77:1", "ff02::fb", "fe80::1", "music"] {
        let said = complaint(&format!("[[streams]]\nid='a'\ngroup='{bad}'"));
        assert!(said.contains(bad) && said.contains("ff15::77:1"), "{said}");
    }
}

#[test]
fn two_streams_under_one_id_or_in_one_group_are_refused() {
    assert!(complaint("[[streams]]\nid='a'\n[[streams]]\nid='a'").contains("two streams have the id \"a\""));
    let shared = complaint("[[streams]]\nid='a'\ngroup='239.0.1.1'\n[[streams]]\nid='b'\ngroup='239.0.1.1'");
    assert!(shared.contains("share the group 239.0.1.1"), "{shared}");
    assert!(complaint("streams = []").contains("the list is empty"));
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let text = complaint("ttl = 4\ninterface = eth0\n");
    assert!(text.starts_with("sender.toml:2: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_toml_makes_it_panic(key in "(interface|ttl|streams|http|clock_port|state_dir)", value in "(-?[0-9]{1,20}|'[^']{0,20}'|true|[0-9]\\.5|\\[\\]|\\{\\}|\\[\\{source=\\{type='tone', level_db=nan\\}\\}\\])") {
        let _ = parse(&format!("{key} = {value}"));
    }
}

#[test]
fn every_source_is_read() {
    let config = parse(
        r#"
        [[streams]]
        id = "radio"
        source = { type = "http", url = "https://radio.example.org/jazz.m3u" }
        [[streams]]
        id = "shell"
        source = { type = "command", command = "ffmpeg -i x | cat", format = "44100:16:2" }
        [[streams]]
        id = "words"
        source = { type = "command", command = ["cat", "/dev/zero"] }
        [[streams]]
        id = "tv"
        source = { type = "capture", device = "hw:CARD=CODEC", latency_ms = 10 }
        [[streams]]
        id = "heard"
        source = { type = "rtp", session = "Studio" }
        [[streams]]
        id = "group"
        source = { type = "rtp", address = "239.1.2.3:5004", format = "48000:24:2", latency_ms = 30 }
        [[streams]]
        id = "all"
        source = { type = "mix", streams = ["tv", "radio"], duck_db = -60, hold_ms = 0 }
        "#,
    )
    .unwrap();
    let source = |id: &str| config.streams.iter().find(|stream| stream.id == id).unwrap().source.clone();
    let SourceConfig::Command { command, format } = source("shell") else { panic!("a command") };
    assert_eq!((command.join(" "), format.rate), ("sh -c ffmpeg -i x | cat".to_owned(), 44_100));
    assert!(matches!(source("words"), SourceConfig::Command { command, .. } if command.len() == 2));
    assert!(matches!(source("tv"), SourceConfig::Capture { latency_ms: 10, .. }));
    assert!(matches!(source("heard"), SourceConfig::Rtp { from: RtpFrom::Announced(name), .. } if name == "Studio"));
    assert!(matches!(source("group"), SourceConfig::Rtp { from: RtpFrom::Address { .. }, latency_ms: 30 }));
    assert!(matches!(source("all"), SourceConfig::Mix { streams, .. } if streams == ["tv", "radio"]));
    assert_eq!(config.streams.iter().map(|s| s.source.kind()).filter(|kind| *kind == "command").count(), 2);
}

#[test]
fn sources_that_cannot_be_are_told() {
    let source = |text: &str| complaint(&format!("[[streams]]\nid = \"a\"\nsource = {{ {text} }}"));
    assert!(source("type = \"htp\"").contains("did you mean \"http\"?"));
    assert!(source("type = \"http\", url = \"ftp://x\"").contains("http:// or https://"));
    assert!(source("type = \"command\", command = []").contains("ffmpeg"));
    assert!(source("type = \"rtp\"").contains("\"session\""));
    assert!(source("type = \"pipe\", path = \"/x\", mpd = \"host:port\"").contains("HOST:PORT"));
    assert!(source("type = \"tone\", signal = \"pnk\"").contains("did you mean \"pink\"?"));
    assert!(source("type = \"mix\", streams = [\"b\"]").contains("is not there"));
    let mixed = |format: &str, other: &str| {
        complaint(&format!(
            "[[streams]]\nid = \"b\"\nformat = \"{format}\"\nsource = {{ {other} }}\n\
             [[streams]]\nid = \"a\"\nsource = {{ type = \"mix\", streams = [\"b\"] }}"
        ))
    };
    assert!(mixed("44100:16:2", "type = \"demo\"").contains("give both the same"));
    assert!(mixed("48000:16:2", "type = \"mix\", streams = [\"a\"]").contains("is a mix itself"));
}

#[test]
fn the_aes67_profile_brings_its_format_and_its_clock() {
    let stream = |text: &str| parse(&format!("[[streams]]\n{text}")).map(|config| config.streams[0].clone());
    let aes67 = stream("profile = \"aes67\"").unwrap();
    assert_eq!((aes67.profile, aes67.format.to_string()), (Profile::Aes67 { domain: 0 }, "48000:24:2".to_owned()));
    assert_eq!((aes67.packet_frames(), aes67.format.payload_type()), (48, 98));
    let eight = stream("profile = \"aes67\"\nptp_domain = 127\nformat = \"48000:24:8\"").unwrap();
    assert_eq!((eight.profile.ptp_domain(), eight.format.channels), (Some(127), 8));
    let plain = stream("profile = \"unisono\"").unwrap();
    assert_eq!((plain.profile, plain.packet_frames()), (Profile::Unisono, 240));
    let wrong = |text: &str| complaint(&format!("[[streams]]\n{text}"));
    for (text, complaints) in [
        ("profile = \"aes76\"", vec!["sender.toml:2", "profile: unknown \"aes76\"", "aes67"]),
        ("profile = \"aes67\"\nptp_domain = 128", vec!["sender.toml:3", "ptp_domain", "0 to 127"]),
        ("ptp_domain = 1", vec!["sender.toml:2", "ptp_domain", "profile = \"aes67\""]),
        ("profile = \"aes67\"\nptp_domian = 1", vec!["sender.toml:3", "ptp_domain"]),
        ("profile = \"aes67\"\nformat = \"44100:16:2\"", vec!["sender.toml:3", "48000:24:2"]),
        ("profile = \"aes67\"\ngroup = \"ff15::77:1\"", vec!["sender.toml:3", "IPv4"]),
    ] {
        let told = wrong(text);
        assert!(complaints.iter().all(|part| told.contains(part)), "{text}: {told}");
    }
    let mix = wrong(
        "id = \"a\"\nprofile = \"aes67\"\n[[streams]]\nid = \"b\"\nformat = \"48000:24:2\"\n\
         source = { type = \"mix\", streams = [\"a\"] }",
    );
    assert!(mix.contains("profile"), "{mix}");
}
