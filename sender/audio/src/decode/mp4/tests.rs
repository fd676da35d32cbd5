use std::io::Cursor;

use super::*;

fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

/// A moov with one sound track: movie and medium time scales, edits of (duration, media time).
fn movie(movie_scale: u32, scale: u32, edits: &[(u32, i32)], more: &[u8]) -> Vec<u8> {
    let scaled = |scale: u32| [&[0; 12][..], &scale.to_be_bytes(), &[0; 80]].concat();
    let mut list = [&[0; 4][..], &(edits.len() as u32).to_be_bytes()].concat();
    for (duration, time) in edits {
        list.extend([duration.to_be_bytes(), time.to_be_bytes(), [0, 1, 0, 0]].concat());
    }
    let handler = atom(b"hdlr", &[&[0; 8][..], b"soun", &[0; 12]].concat());
    let media = atom(b"mdia", &[atom(b"mdhd", &scaled(scale)), handler].concat());
    let track = atom(b"trak", &[atom(b"edts", &atom(b"elst", &list)), media].concat());
    let moov = atom(b"moov", &[atom(b"mvhd", &scaled(movie_scale)), track, more.to_vec()].concat());
    [atom(b"ftyp", b"M4A \0\0\0\0"), atom(b"free", &[0; 100]), moov].concat()
}

fn frames(file: Vec<u8>, rate: u32, medium: Option<u64>) -> Option<(u64, Option<u64>)> {
    let mut file = Cursor::new(file);
    let edit = Edit::read(&mut file);
    assert_eq!(file.position(), 0);
    edit.map(|edit| edit.frames(rate, medium))
}

#[test]
fn an_edit_list_in_milliseconds_means_the_end_of_the_medium() {
    let file = movie(1_000, 44_100, &[(1_501, 1_024)], &[]);
    assert_eq!(frames(file, 44_100, Some(1_024 + 66_213)), Some((1_024, Some(66_213))));
}

#[test]
fn an_edit_list_that_ends_earlier_is_obeyed() {
    let file = movie(44_100, 44_100, &[(0, -1), (66_213, 2_112)], &[]);
    assert_eq!(frames(file, 44_100, Some(2_112 + 67_584)), Some((2_112, Some(66_213))));
}

#[test]
fn an_itunes_comment_is_obeyed_first() {
    let text = b" 00000000 00000840 000001CA 000000000003F31F 00000000 00000000";
    let name = atom(b"name", b"\0\0\0\0iTunSMPB");
    let data = atom(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], &text[..]].concat());
    let comment = atom(b"----", &[atom(b"mean", b"\0\0\0\0com.apple.iTunes"), name, data].concat());
    let meta = atom(b"meta", &[&[0; 4][..], &atom(b"ilst", &comment)].concat());
    let file = movie(1_000, 44_100, &[(5_000, 1_024)], &atom(b"udta", &meta));
    assert_eq!(frames(file, 44_100, Some(300_000)), Some((0x840, Some(0x3f31f))));
}

#[test]
fn a_list_of_several_edits_is_none_of_ours() {
    assert_eq!(frames(movie(1_000, 44_100, &[(100, 0), (100, 9)], &[]), 44_100, None), None);
    assert_eq!(frames(b"fLaC0000000000000000".to_vec(), 44_100, None), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_walked_to_an_end(
        mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        at in 0usize..400, value in proptest::num::u8::ANY, rate in 1u32..200_000,
    ) {
        let mut file = movie(1_000, 44_100, &[(1_501, 1_024)], &[]);
        let place = at % file.len();
        file[place] = value;
        frames(file, rate, Some(1));
        bytes.splice(0..0, atom(b"ftyp", b"M4A "));
        frames(bytes, rate, None);
    }
}
