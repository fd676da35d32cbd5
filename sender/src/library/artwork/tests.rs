use super::*;
use crate::testing::{encode, run, write_wav};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of a picture";

#[test]
fn only_pictures_leave_and_who_has_one_does_not_get_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cover.jpg");
    fs::write(&path, PNG).unwrap();
    let pictures = Pictures { beside: vec![dir.path().join("gone.jpg"), path.clone()], inside: vec![] };
    let cover = beside(&pictures, None).unwrap();
    assert_eq!((cover.mime, cover.bytes.as_deref()), ("image/png", Some(PNG)));
    let again = beside(&pictures, Some(&format!("\"x\", W/{}", cover.etag))).unwrap();
    assert_eq!((again.etag, again.bytes), (cover.etag, None));
    fs::write(&path, "<script>").unwrap();
    assert_eq!(beside(&pictures, None), None);
    let file = File::create(&path).unwrap();
    file.set_len(LARGEST + 1).unwrap();
    assert_eq!(beside(&pictures, None), None);
}

#[test]
fn the_picture_inside_of_a_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (wav, picture) = (dir.path().join("a.wav"), dir.path().join("p.png"));
    write_wav(&wav, 44_100, 16, 2, &vec![0; 8_820]);
    let art = picture.to_string_lossy().into_owned();
    if !run("ffmpeg", &["-v", "error", "-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1", &art]) {
        return;
    }
    let options = ["-i", &art, "-map", "0:a", "-map", "1:v", "-disposition:v", "attached_pic"];
    let Some(flac) = encode(&wav, "a.flac", &options) else { return };
    let cover = inside(&flac, None).unwrap();
    assert_eq!(cover.mime, "image/png");
    assert_eq!(inside(&wav, None), None);
    assert_eq!(Library::detached().file_cover(&flac, None).unwrap(), cover);
}

#[test]
fn a_small_cover_is_made_once_and_not_sent_to_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cover.png");
    let mut encoder = png::Encoder::new(File::create(&path).unwrap(), 500, 400);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&[90; 500 * 400 * 3]).unwrap();
    let pictures = Pictures { beside: vec![path], inside: vec![] };
    let library = Library::detached();
    let ask =
        |size, known: Option<&str>| library.sized(size, known, |known| beside(&pictures, known).ok_or("none")).unwrap();
    let large = ask(None, None);
    let small = ask(Some(90), None);
    assert_eq!((large.mime, small.mime), ("image/png", "image/jpeg"));
    assert!(small.bytes.as_ref().unwrap().len() < 3_000);
    assert_eq!(ask(Some(96), None), small);
    assert_eq!(library.0.thumbnails.kept.lock().unwrap().len(), 1);
    assert_eq!(ask(Some(96), Some(&small.etag)).bytes, None);
    assert_ne!(ask(Some(320), None).etag, small.etag);
    // Those that are small already, and larger ones than are made, are as they are.
    assert_eq!((ask(Some(640), None), ask(Some(2_000), None)), (large.clone(), large));
}
