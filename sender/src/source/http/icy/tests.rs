use proptest::prelude::*;

use super::*;

/// Sound with metadata after every `interval` bytes of it.
fn interleaved(sound: &[u8], interval: usize, metadata: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, part) in sound.chunks(interval).enumerate() {
        out.extend_from_slice(part);
        if part.len() == interval {
            let text = metadata.get(n).copied().unwrap_or_default();
            let length = text.len().div_ceil(16);
            out.push(length as u8);
            out.extend_from_slice(text);
            out.resize(out.len() + length * 16 - text.len(), 0);
        }
    }
    out
}

#[test]
fn sound_and_titles_come_apart_wherever_they_are_cut() {
    let sound: Vec<u8> = (0..5_000_u32).map(|n| (n * 31) as u8).collect();
    let bytes =
        interleaved(&sound, 1_000, &[b"StreamTitle='A'Ha - Take On Me';StreamUrl='';", b"", b"StreamTitle='x';"]);
    for piece in [1, 7, 999, 10_000] {
        let (mut icy, mut out, mut titles) = (Deinterleaver::new(1_000), Vec::new(), Vec::new());
        bytes.chunks(piece).for_each(|part| titles.extend(icy.feed(part, &mut out)));
        assert!(out == sound);
        assert_eq!(titles.last().unwrap(), "x");
        assert!(piece > 5_000 || titles == ["A'Ha - Take On Me", "x"]);
    }
}

#[test]
fn titles_are_read_as_they_are_written() {
    assert_eq!(stream_title(b"StreamTitle='Caf\xe9';").unwrap(), "Caf\u{e9}");
    assert_eq!(stream_title(b"StreamTitle='no end\0\0").unwrap(), "no end");
    assert_eq!(stream_title(b"StreamUrl='x';"), None);
    let known = track("Miles Davis - So What", Some("Jazz FM"));
    assert_eq!((known.artist.as_deref(), known.title.as_deref()), (Some("Miles Davis"), Some("So What")));
    assert_eq!(track("", Some("Jazz FM")).title.as_deref(), Some("Jazz FM"));
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes: Vec<u8>, interval in 1_usize..50) {
        let mut out = Vec::new();
        Deinterleaver::new(interval).feed(&bytes, &mut out);
        prop_assert!(out.len() <= bytes.len());
        stream_title(&bytes);
    }
}
