use std::fs;

use crate::testing::*;

#[test]
fn an_album_cut_into_tracks_plays_as_the_uncut_recording() {
    let dir = tempfile::tempdir().unwrap();
    let samples = noise(24, 150_000, 2, 7);
    for (n, part) in samples.chunks(2 * 37_123).enumerate() {
        let wav = dir.path().join(format!("{n}.wav"));
        write_wav(&wav, 48_000, 24, 2, part);
        if n % 2 == 1 && encode(&wav, &format!("{n}.flac"), &["-bits_per_raw_sample", "24"]).is_some() {
            fs::remove_file(wav).unwrap();
        }
    }
    assert!(play_once(dir.path(), "48000:24:2") == samples);
}
