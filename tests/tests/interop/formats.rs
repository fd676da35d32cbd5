//! Every rate, depth and number of channels, from a program through our sender to a program, bit for bit.

use std::path::Path;

use unisono_common::format::{Depth, Format};
use unisono_tests::house::Stream;
use unisono_tests::processes::Process;
use unisono_tests::stalls::undisturbed;

use crate::common::end;
use crate::{peers, table};

const FORMATS: [&str; 10] = [
    "44100:16:1",
    "44100:16:2",
    "48000:16:1",
    "48000:16:8",
    "88200:16:2",
    "44100:24:2",
    "48000:24:6",
    "88200:24:3",
    "96000:24:2",
    "96000:24:8",
];

/// After so many frames the signal repeats.
const PERIOD: usize = 1 << 14;

/// Seconds of signal, and seconds that are recorded.
const LASTS_S: usize = 40;
const RECORDED_S: &str = "2";

/// One sample: the first channel counts frames, so that the place of a record is known, and each other one is unlike all
/// others. None is 0.
fn sample(frame: usize, channel: usize, depth: Depth) -> i32 {
    let frame = frame % PERIOD;
    let value = match channel {
        0 => frame as i32 + 1,
        _ => (((frame * 8 + channel).wrapping_mul(0x9e37_79b1) >> 8) as i32 % 0x7fff) | 1,
    };
    value << (depth.bits() - 16)
}

fn bytes(value: i32, depth: Depth) -> impl Iterator<Item = u8> {
    value.to_le_bytes().into_iter().take(depth.bytes())
}

fn signal(format: Format, path: &Path) {
    let channels = usize::from(format.channels);
    let frame = |n: usize| (0..channels).flat_map(move |channel| bytes(sample(n, channel, format.depth), format.depth));
    let period: Vec<u8> = (0..PERIOD).flat_map(frame).collect();
    std::fs::write(path, period.repeat(LASTS_S * format.rate as usize / PERIOD)).unwrap();
}

/// Frames of a record that are the signal's, from the first that sounds to the end.
fn exact(format: Format, record: &[u8]) -> Result<usize, String> {
    let width = format.depth.bytes();
    let frames: Vec<&[u8]> = record.chunks_exact(format.frame_bytes()).collect();
    let first = frames.iter().position(|frame| frame.iter().any(|byte| *byte != 0)).ok_or("silence")?;
    // The upper 16 bits of the first sample.
    let upper = &frames[first][width - 2..width];
    let place = usize::from(u16::from_le_bytes([upper[0], upper[1]])) - 1;
    for (n, frame) in frames[first..].iter().enumerate() {
        let wanted = (0..usize::from(format.channels))
            .flat_map(|channel| bytes(sample(place + n, channel, format.depth), format.depth));
        if !frame.iter().copied().eq(wanted) {
            return Err(format!("frame {n} of {} differs: {frame:?}", frames.len() - first));
        }
    }
    Ok(frames.len() - first)
}

#[test]
fn every_format_arrives_bit_for_bit() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&["ffmpeg"], 1) else { return };
        let house = &playing.house;
        let formats = FORMATS.map(|text| text.parse::<Format>().unwrap());
        let source = |format: Format| {
            let path = house.record(&format!("{format}.pcm"));
            signal(format, &path);
            format!("{{ type = \"command\", command = [\"cat\", {path:?}], format = \"{format}\" }}")
        };
        let (first, rest) = formats.split_first().unwrap();
        let text = format!("{first}");
        let mut configuration =
            house.sender_configuration(&Stream { format: &text, source: source(*first), playout_delay_ms: 250 });
        for (i, format) in rest.iter().enumerate() {
            let source = source(*format);
            configuration += &format!("\n[[streams]]\nid = \"f{}\"\nformat = \"{format}\"\nsource = {source}\n", i + 1);
        }
        let mut sender = house.start_sender_as(&configuration, vec![]).unwrap();
        assert!(sender.wait_for_log("sender starts", peers::PATIENCE), "{}", sender.log());
        let record = |i: usize, format: &Format| -> Process {
            let id = if i == 0 { house.stream().to_owned() } else { format!("f{i}") };
            let url = peers::sdp_url(house).replace(house.stream(), &id);
            let (codec, raw) = if format.depth == Depth::S16 { ("pcm_s16le", "s16le") } else { ("pcm_s24le", "s24le") };
            let out = house.record(&format!("{i}.raw"));
            let arguments = ["-v", "error", "-nostdin", "-protocol_whitelist", "http,tcp,udp,rtp", "-i", &url];
            let output = ["-t", RECORDED_S, "-c:a", codec, "-f", raw, out.to_str().unwrap()];
            peers::start(house, "r1", &format!("ffmpeg{i}"), "ffmpeg", &[&arguments[..], &output].concat())
        };
        let mut shown = vec![];
        for (i, format) in formats.iter().enumerate() {
            let mut ffmpeg = record(i, format);
            let status = ffmpeg.wait(peers::PATIENCE);
            assert!(status.is_some_and(|status| status.success()), "{format}: {}", ffmpeg.log());
            let recorded = std::fs::read(house.record(&format!("{i}.raw"))).unwrap();
            let frames =
                exact(*format, &recorded).unwrap_or_else(|error| panic!("{format}: {error}\n{}", sender.log()));
            assert!(frames > format.rate as usize / 2, "{format}: {frames} frames");
            shown.push(format.to_string());
        }
        end(&mut [&mut sender]);
        table::tell("ours to them", "ffmpeg, every format", "ffmpeg", &format!("bit for bit: {}", shown.join(", ")));
    });
}
