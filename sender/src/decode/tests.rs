use super::*;
use crate::testing::*;

/// 1.5 s and a few frames more, so that nothing is a whole number of packets.
const FRAMES: usize = 66_213;

#[test]
fn lossless_formats_decode_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    for bits in [16, 24] {
        let samples = noise(bits, FRAMES, 2, 1);
        let wav = dir.path().join("a.wav");
        write_wav(&wav, 44_100, bits, 2, &samples);
        let top: Vec<i32> = samples.iter().map(|s| s << (32 - bits)).collect();
        let pcm = if bits == 16 { "pcm_s16be" } else { "pcm_s24be" };
        let alac_format = if bits == 16 { "s16p" } else { "s32p" };
        let files = [
            Some(wav.clone()),
            encode(&wav, "a.flac", &["-bits_per_raw_sample", if bits == 16 { "16" } else { "24" }]),
            encode(&wav, "a.aiff", &["-c:a", pcm]),
            encode(&wav, "a.m4a", &["-c:a", "alac", "-sample_fmt", alac_format]),
            encode(&wav, "a.ogg", &["-c:a", "flac"]),
            encode(&wav, "a.mka", &["-c:a", "flac"]),
        ];
        for path in files.into_iter().flatten() {
            let file = AudioFile::open(&path).unwrap();
            assert_eq!((file.shape().rate, file.shape().bits), (44_100, Some(bits)), "{}", path.display());
            assert!(decode_all(&path) == top, "{} at {bits} bits", path.display());
        }
    }
}

#[test]
fn lossy_formats_have_exactly_the_frames_that_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    let samples = music(16, FRAMES, 2, 44_100);
    write_wav(&wav, 44_100, 16, 2, &samples);
    let files = [
        ("a.mp3", encode(&wav, "a.mp3", &["-c:a", "libmp3lame", "-b:a", "320k"])),
        ("a.m4a", encode(&wav, "a.m4a", &["-c:a", "aac", "-b:a", "320k"])),
        ("a.ogg", encode(&wav, "a.ogg", &["-c:a", "libvorbis", "-q:a", "9"])),
    ];
    for (name, path) in files {
        let Some(path) = path else { continue };
        let decoded = decode_all(&path);
        assert_eq!(decoded.len(), samples.len(), "{name}");
        assert!(snr(&samples, &decoded) > 25.0, "{name}: {} dB, so not aligned", snr(&samples, &decoded));
    }
}

#[test]
fn opus_loses_its_pre_skip_and_padding() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    let samples = music(16, 72_071, 2, 48_000);
    write_wav(&wav, 48_000, 16, 2, &samples);
    for name in ["a.opus", "a.ogg", "a.m4a", "a.mka"] {
        let Some(path) = encode(&wav, name, &["-c:a", "libopus", "-b:a", "256k"]) else { continue };
        let decoded = decode_all(&path);
        assert_eq!(decoded.len(), samples.len(), "{name}");
        assert!(snr(&samples, &decoded) > 20.0, "{name}: {} dB, so not aligned", snr(&samples, &decoded));
    }
}

#[test]
fn a_seek_lands_on_the_frame() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    write_wav(&wav, 44_100, 16, 2, &music(16, FRAMES * 3, 2, 44_100));
    let files = [
        (0.0, Some(wav.clone())),
        (0.0, encode(&wav, "a.flac", &[])),
        (0.0, encode(&wav, "alac.m4a", &["-c:a", "alac"])),
        (1e-4, encode(&wav, "a.mp3", &["-c:a", "libmp3lame"])),
        (1e-4, encode(&wav, "aac.m4a", &["-c:a", "aac"])),
        (1e-4, encode(&wav, "a.ogg", &["-c:a", "libvorbis"])),
        (1e-2, encode(&wav, "a.opus", &["-c:a", "libopus"])),
    ];
    for (tolerance, path) in files {
        let Some(path) = path else { continue };
        let whole = decode_all(&path);
        let mut file = AudioFile::open(&path).unwrap();
        for frame in [100_000, 5, 65_000] {
            file.seek(frame).unwrap();
            let rest = decode_rest(&mut file);
            let expected = &whole[frame as usize * 2..];
            assert_eq!(rest.len(), expected.len(), "{} at {frame}", path.display());
            // After the first packets, which the decoder of a lossy format begins without its history.
            let from = if tolerance == 0.0 { 0 } else { 8_000.min(expected.len()) };
            let worst = expected[from..].iter().zip(&rest[from..]).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            assert!(f64::from(worst) <= tolerance * 2e9, "{} at {frame}: {worst}", path.display());
        }
    }
}

/// Of `decoded` (at the top of 32 bits) against the 16-bit original, in dB.
fn snr(original: &[i32], decoded: &[i32]) -> f64 {
    let (mut signal, mut error) = (0.0, 0.0);
    for (o, d) in original.iter().zip(decoded) {
        let (o, d) = (f64::from(*o), f64::from(*d) / 65_536.0);
        signal += o * o;
        error += (o - d) * (o - d);
    }
    10.0 * (signal / error).log10()
}
