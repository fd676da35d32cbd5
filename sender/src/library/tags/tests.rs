use std::fs;

use super::*;
use crate::testing::{encode, write_wav};

#[test]
fn all_of_a_files_tags_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    write_wav(&wav, 44_100, 16, 2, &vec![0; 44_100]);
    let meta = [
        ["-metadata", "title=Jóga"],
        ["-metadata", "artist=Björk;Friend"],
        ["-metadata", "album=Homogenic"],
        ["-metadata", "album_artist=Björk"],
        ["-metadata", "track=2/10"],
        ["-metadata", "disc=1"],
        ["-metadata", "date=1997"],
        ["-metadata", "genre=Pop"],
        ["-metadata", "REPLAYGAIN_TRACK_GAIN=-7.03 dB"],
        ["-metadata", "REPLAYGAIN_TRACK_PEAK=0.988"],
    ];
    for name in ["a.flac", "a.mp3", "a.ogg", "a.m4a"] {
        let Some(file) = encode(&wav, name, &meta.concat()) else { return };
        let tags = read(&file).unwrap();
        assert_eq!(tags.title.as_deref(), Some("Jóga"), "{name}");
        assert_eq!((tags.album.as_deref(), tags.album_artist.as_deref()), (Some("Homogenic"), Some("Björk")), "{name}");
        assert_eq!((tags.number, tags.disc, tags.year), (Some(2), Some(1), Some(1997)), "{name}");
        assert_eq!(tags.rate, Some(44_100), "{name}");
        assert!((tags.duration.unwrap().as_secs_f64() - 0.5).abs() < 0.06, "{name}: {:?}", tags.duration);
        if name != "a.m4a" {
            // ffmpeg writes no free-form items into MP4.
            assert_eq!(tags.gains.track.unwrap().db, -7.03, "{name}");
        }
    }
}

#[test]
fn several_artists_are_each_kept() {
    use lofty::tag::{TagItem, TagType};
    let mut tag = Tag::new(TagType::VorbisComments);
    for artist in ["One", "Two"] {
        tag.push(TagItem::new(ItemKey::TrackArtist, lofty::tag::ItemValue::Text(artist.to_owned())));
    }
    let mut tags = Tags::default();
    tags.take(&tag);
    assert_eq!((tags.artist.as_deref(), tags.artists), (Some("One, Two"), vec!["One".to_owned(), "Two".to_owned()]));
}

#[test]
fn huge_tags_are_cut_short_and_files_that_are_none_are_nothing() {
    let mut tag = Tag::new(lofty::tag::TagType::Id3v2);
    tag.insert_text(ItemKey::TrackTitle, "x\n".repeat(100_000));
    let mut tags = Tags::default();
    tags.take(&tag);
    assert!(tags.title.unwrap().chars().count() <= LONGEST_TEXT);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.flac");
    fs::write(&path, "no music").unwrap();
    assert_eq!(read(&path), None);
    let piece = piece(&path);
    assert_eq!((piece.track.title.as_deref(), piece.gains.is_known()), (Some("a"), false));
}

#[test]
fn what_follows_on_an_album() {
    let piece = |album: Option<&str>, disc, number| Piece {
        track: Track {
            album: album.map(str::to_owned),
            path: Some(Path::new("/music/x").join(format!("{disc}-{number}"))),
            ..Track::default()
        },
        place: Some((disc, number)),
        ..Piece::default()
    };
    let second = piece(Some("A"), 1, 2);
    assert!(piece(Some("A"), 1, 3).follows(&second) && piece(Some("A"), 2, 1).follows(&second));
    for other in [piece(Some("A"), 1, 1), piece(Some("A"), 1, 4), piece(Some("B"), 1, 3), piece(None, 1, 3)] {
        assert!(!other.follows(&second), "{other:?}");
    }
    assert!(!Piece::default().follows(&Piece::default()));
}
