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
