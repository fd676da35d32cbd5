use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<ReceiverConfig, ConfigError> {
    ReceiverConfig::parse(Path::new("receiver.toml"), text)
}

fn complaint(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), ReceiverConfig::default());
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        room = "Kitchen"
        interface = "eth0"
        state_dir = "/tmp/state"
        hub = "http://pi.local:7680/"
        stream = "radio"
        volume_db = -12
        trim_us = -350
        quality = "slip"
        [output]
        device = "hw:CARD=sndrpihifiberry"
        buffer_ms = 80
        latency_us = 400
        mixer = "Digital"
        max_volume_db = -6.5
        keep_awake = true
        "#,
    )
    .unwrap();
    assert_eq!(config.room.as_deref(), Some("Kitchen"));
    assert_eq!(config.hub, HubConfig::Url("http://pi.local:7680".into()));
    assert_eq!((config.volume_db, config.trim_us, config.quality), (Some(-12.0), -350, Quality::Slip));
    let device = Some(OutputDevice::Alsa("hw:CARD=sndrpihifiberry".into()));
    let expected = OutputConfig {
        device,
        buffer_ms: Some(80),
        latency_us: Some(400),
        mixer: Some("Digital".into()),
        max_volume_db: Some(-6.5),
        keep_awake: true,
    };
    assert_eq!(config.output, expected);
}

#[test]
fn devices_are_told_apart() {
    let device = |text: &str| text.parse::<OutputDevice>();
    assert_eq!(device("cpal:default"), Ok(OutputDevice::Cpal("default".into())));
    assert_eq!(device("sim"), Ok(OutputDevice::Sim(SimDevice::default())));
    assert_eq!(device("simple"), Ok(OutputDevice::Alsa("simple".into())));
    let sim = SimDevice { ppm: -40.5, grain: 48, record: Some("/tmp/r1".into()) };
    let text = "sim:ppm=-40.5,grain=48,record=/tmp/r1";
    assert_eq!(device(text), Ok(OutputDevice::Sim(sim)));
    assert_eq!(device(text).unwrap().to_string(), text);
    for wrong in ["", "cpal:", "sim:pmm=4", "sim:ppm=many", "sim:grain=0", "sim:record=", "sim:ppm=nan"] {
        assert!(device(wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        complaint("[output]\ndevice = 'sim:pmm=4'"),
        "receiver.toml:2: device: sim: unknown \"pmm\"; did you mean \"ppm\"?"
    );
}

#[test]
fn wrong_values_are_told() {
    assert_eq!(complaint("quality = 'hi'"), "receiver.toml:1: quality: unknown \"hi\"; did you mean \"high\"?");
    assert!(complaint("hub = 'https://x'").contains("write \"auto\", \"none\" or \"http://HOST:PORT\""));
    assert!(complaint("\nrooom = 'x'").starts_with("receiver.toml:2: unknown key \"rooom\"; did you mean \"room\"?"));
    assert!(complaint("volume_db = 3").contains("from -100 to 0"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = text.parse::<OutputDevice>();
    }
}
