use proptest::prelude::*;

use super::*;

fn files(name: &str, text: impl AsRef<[u8]>) -> Vec<String> {
    let places = entries(&Path::new("/music/lists").join(name), text.as_ref());
    let shown = |place: Place| match place {
        Place::File(path) => path.display().to_string(),
        Place::Elsewhere(uri) => format!("<{uri}>"),
    };
    places.into_iter().map(shown).collect()
}

#[test]
fn m3u() {
    let text = "\u{feff}#EXTM3U\r\n#EXTINF:123,Björk - Jóga\r\nJóga.flac\r\n\r\n../a/./b.mp3\n/abs/c.ogg\n\
        sub\\d.flac\nhttp://radio.example/live\nfile:///music/e%20f.flac\n";
    let right = [
        "/music/lists/Jóga.flac",
        "/music/a/b.mp3",
        "/abs/c.ogg",
        "/music/lists/sub/d.flac",
        "<http://radio.example/live>",
        "/music/e f.flac",
    ];
    assert_eq!(files("a.m3u8", text), right);
    assert_eq!(files("A.M3U", b"caf\xe9.mp3\n"), ["/music/lists/café.mp3"]);
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain("é.mp3\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(files("a.m3u", wide), ["/music/lists/é.mp3"]);
}

#[test]
fn pls() {
    let text = "[playlist]\nFile2=b.mp3\nTitle2=B\nfile1 = a.mp3\nFile10=http://x/y\nFilex=z\nNumberOfEntries=3\n";
    assert_eq!(files("a.pls", text), ["/music/lists/a.mp3", "/music/lists/b.mp3", "<http://x/y>"]);
}

#[test]
fn xspf() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
        <playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>
        <track><location>file:///music/a%20&amp;%20b.flac</location><title>A</title></track>
        <track><title>nowhere</title></track>
        <track><location> ../c%C3%A9.mp3 </location></track>
        </trackList></playlist>"#;
    assert_eq!(files("a.xspf", text), ["/music/a & b.flac", "/music/cé.mp3"]);
    assert_eq!(files("a.xspf", "<playlist><track>"), Vec::<String>::new());
}

#[test]
fn lists_end_where_they_get_too_long() {
    assert_eq!(files("a.m3u", "x\n".repeat(MOST_ENTRIES + 5)).len(), MOST_ENTRIES);
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 0..4_usize) {
        let name = format!("x.{}", EXTENSIONS[kind]);
        for place in entries(&Path::new("/music").join(name), &bytes) {
            if let Place::File(path) = place {
                prop_assert!(path.is_absolute());
                prop_assert!(path.components().all(|part| part != Component::ParentDir));
            }
        }
    }

    #[test]
    fn texts_neither(text in r"(?s)((File[0-9]{0,4}=|<track>|<location>|</location>|file://|%[0-9a-f]{0,2}|\\|\.\./|#|[a-zé\n/])){0,60}") {
        for extension in EXTENSIONS {
            entries(&Path::new("/music").join(format!("x.{extension}")), text.as_bytes());
        }
    }

    #[test]
    fn what_is_written_comes_back(names in proptest::collection::vec("[a-zà-ü0-9][a-zà-ü0-9 ]{0,12}[a-z]", 0..20)) {
        let right: Vec<String> = names.iter().map(|name| format!("/music/lists/{name}")).collect();
        prop_assert_eq!(files("a.m3u8", names.join("\n")), right.clone());
        let pls: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("File{}={name}", n + 1)).collect();
        prop_assert_eq!(files("a.pls", pls.join("\r\n")), right.clone());
        let tracks: String =
            names.iter().map(|name| format!("<track><location>{}</location></track>", name.replace(' ', "%20"))).collect();
        prop_assert_eq!(files("a.xspf", format!("<playlist><trackList>{tracks}</trackList></playlist>")), right);
    }
}
