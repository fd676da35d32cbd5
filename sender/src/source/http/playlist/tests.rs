use proptest::prelude::*;

use super::*;

const BASE: &str = "https://radio.example.org/lists/all.m3u?x=1";

fn urls(text: &str) -> Vec<String> {
    entries(text, BASE).into_iter().map(|entry| entry.url).collect()
}

#[test]
fn m3u_with_titles_and_relative_paths() {
    let text = "\u{feff}#EXTM3U\r\n#EXTINF:-1,Jazz FM\r\nhttp://a.example.org/jazz\r\n\r\nlow.mp3\n/top.ogg\n//b.example.org/x\nfile:///etc/passwd\n";
    assert_eq!(
        urls(text),
        [
            "http://a.example.org/jazz",
            "https://radio.example.org/lists/low.mp3",
            "https://radio.example.org/top.ogg",
            "https://b.example.org/x"
        ]
    );
    assert_eq!(entries(text, BASE)[0].title.as_deref(), Some("Jazz FM"));
}

#[test]
fn pls_in_the_order_of_its_numbers() {
    let text = "[playlist]\nNumberOfEntries=2\nFile2=http://b.example.org/\nTitle2=B\nFile1=http://a.example.org/\n";
    assert_eq!(urls(text), ["http://a.example.org/", "http://b.example.org/"]);
    assert_eq!(entries(text, BASE)[1].title.as_deref(), Some("B"));
}

#[test]
fn the_episodes_of_a_podcast() {
    let text = r#"<?xml version="1.0"?><rss><channel><title>All</title>
        <item><title><![CDATA[Two & three]]></title><enclosure length="1" type="audio/mpeg" url='http://a.example.org/2.mp3?a=1&amp;b=2'/></item>
        <item><title>No sound</title></item>
        <item><enclosure url="http://a.example.org/1.mp3"/><title>One &amp; only</title></item></channel></rss>"#;
    assert_eq!(urls(text), ["http://a.example.org/2.mp3?a=1&b=2", "http://a.example.org/1.mp3"]);
    let titles: Vec<_> = entries(text, BASE).into_iter().map(|entry| entry.title.unwrap()).collect();
    assert_eq!(titles, ["Two & three", "One & only"]);
}

#[test]
fn lists_are_told_from_sound() {
    assert!(is_list(Some("audio/x-mpegurl"), None) && is_list(Some("text/plain"), Some("m3u")));
    assert!(is_list(Some("application/rss+xml"), None) && !is_list(Some("audio/mpeg"), Some("pls")));
    assert!(!is_list(Some("audio/mpeg"), Some("mp3")) && !is_list(None, None));
    assert!(is_hls("#EXTM3U\n#EXT-X-VERSION:3\nseg.ts\n") && !is_hls("#EXTM3U\n#EXTINF:3,x\na.mp3\n"));
}

proptest! {
    #[test]
    fn any_text_does_no_harm(text: String, tag in "(<item><title>|<enclosure url=|\\[playlist\\]\nFile1=).{0,50}") {
        entries(&text, BASE);
        entries(&tag, BASE);
    }
}
