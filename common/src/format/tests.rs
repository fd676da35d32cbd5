use super::*;

fn format(text: &str) -> Format {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_default_stream_is_240_frames_a_packet_on_type_127() {
    assert_eq!(format("48000:16:2"), Format::DEFAULT);
    assert_eq!((Format::DEFAULT.packet_frames(), Format::DEFAULT.payload_type()), (240, 127));
}

#[test]
fn every_format_fits_into_a_packet() {
    for rate in [44_100, 48_000, 88_200, 96_000, 192_000] {
        for bits in [16, 24] {
            for channels in 1..=8 {
                let f = format(&format!("{rate}:{bits}:{channels}"));
                assert!(f.packet_frames() >= rate / 4_000, "{f}: {}", f.packet_frames());
                assert!(f.packet_frames() as usize * f.frame_bytes() <= MAX_PAYLOAD, "{f}");
            }
        }
    }
}

#[test]
fn known_profiles() {
    assert_eq!((format("48000:24:2").packet_frames(), format("48000:24:2").payload_type()), (192, 98));
    assert_eq!((format("44100:16:2").packet_frames(), format("44100:16:2").payload_type()), (220, 10));
}

#[test]
fn pipes_carry_more_than_packets() {
    for text in ["44100:8:2", "48000:16:1", "96000:24:6", "192000:32:8", "48000:f:2"] {
        let raw: RawFormat = text.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(raw.to_string(), text);
        assert_eq!(RawFormat::from(raw.nearest()) == raw, text.parse::<Format>().is_ok(), "{text}");
    }
    let nearest = |text: &str| text.parse::<RawFormat>().map(|raw| raw.nearest().to_string());
    assert_eq!(nearest("44100:8:1").as_deref(), Ok("44100:16:1"));
    assert_eq!(nearest("48000:f:2").as_deref(), Ok("48000:24:2"));
}

#[test]
fn errors_say_what_would_be_right() {
    for (text, part) in
        [("48000", "three parts"), ("1:16:2", "rate"), ("48000:32:2", "16 or 24"), ("48000:16:9", "channels")]
    {
        let message = text.parse::<Format>().expect_err(text).to_string();
        assert!(message.contains(part) && message.contains("48000:16:2"), "{message}");
    }
    let message = "48000:20:2".parse::<RawFormat>().expect_err("20 bits").to_string();
    assert!(message.contains("8, 16, 24, 32 or f") && message.contains("48000:16:2"), "{message}");
}
