//! Two real rooms, recorded by one stereo interface: how far apart are they?

use std::path::Path;

use anyhow::{Context, Result};
use unisono_audio::convert::Samples;
use unisono_audio::decode::AudioFile;
use unisono_tests::analysis::{Finder, Quantiles};
use unisono_tests::signals::Signal;

/// Length of the pieces that are compared, in seconds, and the most of a recording that is looked at.
const PIECE_S: f64 = 0.5;
const MOST_S: usize = 120;

/// Prints by how much the right channel of a recording is later than the left one.
pub(crate) fn measure(recording: &Path) -> Result<()> {
    let (left, right) = channels(recording)?;
    let (rate, length) = (f64::from(left.rate), (PIECE_S * f64::from(left.rate)) as usize);
    let mut finder = Finder::new(&left, length);
    let mut late_us = vec![];
    // The first and the last piece might be found where the recording is cut.
    for (i, piece) in right.chunks_exact(length).enumerate().skip(1) {
        let middle = (i * length) as f64 + (length - 1) as f64 / 2.0;
        if middle + 2.0 * length as f64 > left.samples.len() as f64 {
            break;
        }
        if let Some(fix) = finder.locate(piece, Some(middle)) {
            late_us.push((middle - fix.position) / rate * 1e6);
        }
    }
    anyhow::ensure!(
        !late_us.is_empty(),
        "{}: nothing in the right channel is found in the left one",
        recording.display()
    );
    let pieces = late_us.len();
    let median = Quantiles::of(late_us.clone()).median;
    let apart = Quantiles::of(late_us.iter().map(|us| (us - median).abs()).collect());
    println!("The right channel is {median:+.1} us later than the left one ({pieces} pieces of {PIECE_S} s,");
    println!("95 % of them within {:.1} us of that). Trim of the room on the right: {:+.0}", apart.p95, -median);
    Ok(())
}

fn channels(recording: &Path) -> Result<(Signal, Vec<f64>)> {
    let name = || recording.display().to_string();
    let mut file = AudioFile::open(recording).with_context(name)?;
    let shape = file.shape();
    anyhow::ensure!(shape.layout.len() == 2, "{}: two channels are needed, one of each room", name());
    let (mut left, mut right) = (vec![], vec![]);
    while let Some(block) = file.next_block().with_context(name)?
        && left.len() < MOST_S * shape.rate as usize
    {
        let mut take = |a: f64, b: f64| {
            left.push(a as f32);
            right.push(b);
        };
        match block.samples {
            Samples::Int(all) => {
                let scale = f64::from(i32::MIN).abs();
                all.chunks_exact(2).for_each(|f| take(f64::from(f[0]) / scale, f64::from(f[1]) / scale));
            }
            Samples::Float(all) => all.chunks_exact(2).for_each(|f| take(f64::from(f[0]), f64::from(f[1]))),
        }
    }
    Ok((Signal { rate: shape.rate, samples: left }, right))
}
