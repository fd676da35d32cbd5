use std::fs;

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
    for name in ["a.opus", "a.ogg", "a.mp4", "a.mka"] {
        let Some(path) = encode(&wav, name, &["-c:a", "libopus", "-b:a", "256k"]) else { continue };
        let decoded = decode_all(&path);
        // Symphonia does not tell what Matroska says of the padding in the last packet.
        let padding = if name == "a.mka" { 2 * 960 } else { 0 };
        assert!((samples.len()..=samples.len() + padding).contains(&decoded.len()), "{name}: {}", decoded.len());
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
        (1e-4, encode(&wav, "aac.m4a", &["-c:a", "aac", "-aac_pns", "0"])),
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

#[test]
fn damaged_files_end_in_audio_or_in_an_error_and_never_in_a_panic_or_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    write_wav(&wav, 44_100, 16, 2, &music(16, 22_050, 2, 44_100));
    let originals = [
        Some(wav.clone()),
        encode(&wav, "a.flac", &[]),
        encode(&wav, "a.aiff", &[]),
        encode(&wav, "alac.m4a", &["-c:a", "alac"]),
        encode(&wav, "aac.m4a", &["-c:a", "aac"]),
        encode(&wav, "a.aac", &["-c:a", "aac"]),
        encode(&wav, "a.mp3", &["-c:a", "libmp3lame"]),
        encode(&wav, "a.ogg", &["-c:a", "libvorbis"]),
        encode(&wav, "a.opus", &["-c:a", "libopus"]),
        encode(&wav, "a.mka", &["-c:a", "flac"]),
        encode(&wav, "a.caf", &["-c:a", "pcm_s16be"]),
    ];
    let mut rng = crate::convert::Rng::new(2);
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for original in originals.into_iter().flatten() {
        let bytes = fs::read(&original).unwrap();
        let damaged = dir.path().join("damaged").with_extension(original.extension().unwrap());
        for round in 0..40 {
            let mut bytes = bytes.clone();
            // Headers are where damage is interesting: every other one goes there.
            let reach = if round % 2 == 0 { bytes.len() } else { bytes.len().min(600) };
            for _ in 0..1 << rng.below(7) {
                bytes[rng.below(reach)] = rng.next_u64() as u8;
            }
            if round % 5 == 0 {
                bytes.truncate(rng.below(bytes.len()));
            }
            fs::write(&damaged, bytes).unwrap();
            let outcome = match play_through(&damaged) {
                Ok(frames) => {
                    assert!(frames < 48_000 * 600, "{} round {round}: {frames} frames", original.display());
                    "plays".to_owned()
                }
                Err(FileError::Panicked(panic)) => format!("contained panic: {panic}"),
                Err(error) => error.to_string(),
            };
            *outcomes.entry(format!("{} {outcome}", original.extension().unwrap().display())).or_default() += 1;
        }
    }
    println!("{outcomes:#?}");
}

#[test]
fn damage_in_the_middle_costs_no_more_than_its_packets() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    let samples = music(16, 480_000, 2, 48_000);
    write_wav(&wav, 48_000, 16, 2, &samples);
    let files = [
        encode(&wav, "a.flac", &[]),
        encode(&wav, "a.mp3", &["-c:a", "libmp3lame"]),
        encode(&wav, "a.ogg", &["-c:a", "libvorbis"]),
        encode(&wav, "a.opus", &["-c:a", "libopus"]),
        encode(&wav, "a.m4a", &["-c:a", "aac"]),
    ];
    for path in files.into_iter().flatten() {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0x55);
        fs::write(&path, bytes).unwrap();
        let mut file = AudioFile::open(&path).unwrap();
        let frames = decode_rest(&mut file).len() / 2;
        // An Ogg page, a second of Opus, is the largest unit that is lost as a whole.
        assert!((480_000 - 60_000..=480_000).contains(&frames), "{}: {frames}", path.display());
    }
}

fn play_through(path: &Path) -> Result<u64, FileError> {
    let mut file = AudioFile::open(path)?;
    let mut converter = crate::convert::Converter::new(unisono_common::format::Format::DEFAULT, 1);
    let (mut out, mut frames) = (Vec::new(), 0);
    while let Some(block) = file.next_block()? {
        converter.feed(&block.shape, block.samples, &mut out);
        frames += out.len() as u64 / 2;
        out.clear();
    }
    let _ = file.seek(1_000);
    while file.next_block()?.is_some() {}
    Ok(frames)
}

/// Measured by hand, in release: `cargo test --release -p unisono-sender --lib -- --ignored --nocapture costs`.
#[test]
#[ignore = "a measurement"]
fn decoding_flac_for_a_stream_costs_little_more_than_symphonia_alone() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    for (bits, stream) in [(16, "48000:16:2"), (24, "48000:24:2")] {
        let mut samples = music(bits, 48_000 * 60, 2, 48_000);
        samples.iter_mut().zip(noise(bits - 7, 48_000 * 60, 2, 1)).for_each(|(s, n)| *s += n);
        write_wav(&wav, 48_000, bits, 2, &samples);
        let Some(flac) = encode(&wav, "a.flac", &[]) else { return };
        let bare = (0..5).map(|_| cpu_ms(|| bare_decode(&flac))).fold(f64::MAX, f64::min);
        let ours = (0..5).map(|_| cpu_ms(|| stream_decode(&flac, stream))).fold(f64::MAX, f64::min);
        println!("60 s of {bits}-bit FLAC: symphonia alone {bare:.1} ms, as a source {ours:.1} ms: {:.2}", ours / bare);
    }
}

fn bare_decode(path: &Path) {
    let source = MediaSourceStream::new(Box::new(File::open(path).unwrap()), Default::default());
    let probe = symphonia::default::get_probe();
    let mut reader = probe.probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default()).unwrap();
    let track = reader.default_track(TrackType::Audio).unwrap();
    let Some(CodecParameters::Audio(params)) = &track.codec_params else { panic!("no audio") };
    let options = AudioDecoderOptions::default();
    let mut decoder = symphonia::default::get_codecs().make_audio_decoder(params, &options).unwrap();
    while let Some(packet) = reader.next_packet().unwrap() {
        std::hint::black_box(decoder.decode(&packet).unwrap());
    }
}

/// All a library does to a file, and the queue's two ends.
fn stream_decode(path: &Path, format: &str) {
    let format: unisono_common::format::Format = format.parse().unwrap();
    let mut file = AudioFile::open(path).unwrap();
    let mut converter = crate::convert::Converter::new(format, 1);
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(96_000);
    let (mut pcm, mut packet) = (Vec::new(), [0; 480]);
    while let Some(block) = file.next_block().unwrap() {
        pcm.clear();
        converter.feed(&block.shape, block.samples, &mut pcm);
        producer.push_entire_slice(&pcm).unwrap();
        while consumer.pop_entire_slice(&mut packet).is_ok() {
            std::hint::black_box(&packet);
        }
    }
}

/// CPU time of this thread for `work`, in milliseconds.
fn cpu_ms(work: impl FnOnce()) -> f64 {
    let now = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a valid timespec.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
    };
    let start = now();
    work();
    now() - start
}
