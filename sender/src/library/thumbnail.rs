//! Small pictures of covers, for pages that show many at once. (P)
//!
//! Baseline and progressive JPEG and PNG are what covers are; another kind of picture has no small one, and is shown as
//! it is. The average of all pixels that fall on one is what a photograph becomes when it is made small.

use std::io::Cursor;

use jpeg_encoder::{ColorType, Encoder};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

/// A picture of more pixels is left as it is: it would take hundreds of megabytes.
const MOST_PIXELS: usize = 16_000_000;
const QUALITY: u8 = 82;

/// Pixels row by row, each of `channels` bytes: grey or red, green, blue, and how far it is opaque.
struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    bytes: Vec<u8>,
}

/// A picture as a JPEG of at most `size` pixels either way. `None`: it is as small already, or can't be read.
pub(super) fn thumbnail(picture: &[u8], size: u16) -> Option<Vec<u8>> {
    let pixels = if picture.starts_with(&[0xff, 0xd8]) { jpeg(picture) } else { png(picture) }?;
    let longest = pixels.width.max(pixels.height);
    if longest <= usize::from(size) {
        return None;
    }
    let scaled = |side: usize| (side * usize::from(size) / longest).max(1);
    let (width, height) = (scaled(pixels.width), scaled(pixels.height));
    let mut small = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            small.extend(pixels.mean(part(x, width, pixels.width), part(y, height, pixels.height)));
        }
    }
    let mut out = Vec::new();
    let encoder = Encoder::new(&mut out, QUALITY);
    encoder.encode(&small, width.try_into().ok()?, height.try_into().ok()?, ColorType::Rgb).ok()?;
    Some(out)
}

/// Which of `many` fall on the one of `few` at `at`.
fn part(at: usize, few: usize, many: usize) -> std::ops::Range<usize> {
    at * many / few..(at + 1) * many / few
}

impl Pixels {
    /// The colour of a part, over white.
    fn mean(&self, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> [u8; 3] {
        let count = (columns.len() * rows.len()).max(1) as u64;
        let mut sum = [0_u64; 3];
        for y in rows {
            let row = (y * self.width + columns.start) * self.channels..(y * self.width + columns.end) * self.channels;
            for pixel in self.bytes.get(row).unwrap_or_default().chunks_exact(self.channels) {
                let (rgb, opaque) = match *pixel {
                    [grey] => ([grey; 3], 255),
                    [grey, opaque] => ([grey; 3], opaque),
                    [r, g, b] => ([r, g, b], 255),
                    [r, g, b, opaque] => ([r, g, b], opaque),
                    _ => ([255; 3], 255),
                };
                let (opaque, white) = (u64::from(opaque), 255 - u64::from(opaque));
                sum.iter_mut().zip(rgb).for_each(|(sum, c)| *sum += (u64::from(c) * opaque + 255 * white) / 255);
            }
        }
        sum.map(|sum| (sum / count) as u8)
    }
}

fn jpeg(picture: &[u8]) -> Option<Pixels> {
    let mut decoder = JpegDecoder::new(ZCursor::new(picture));
    decoder.decode_headers().ok()?;
    let info = decoder.info()?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    if width * height > MOST_PIXELS {
        return None;
    }
    let bytes = decoder.decode().ok()?;
    Pixels::new(width, height, bytes)
}

fn png(picture: &[u8]) -> Option<Pixels> {
    let limits = png::Limits { bytes: MOST_PIXELS * 4 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(picture), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    if width.checked_mul(height)? > MOST_PIXELS {
        return None;
    }
    let mut bytes = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut bytes).ok()?;
    bytes.truncate(frame.buffer_size());
    Pixels::new(width, height, bytes)
}

impl Pixels {
    fn new(width: usize, height: usize, bytes: Vec<u8>) -> Option<Self> {
        let channels = bytes.len() / (width * height).max(1);
        (width > 0 && height > 0 && (1..=4).contains(&channels)).then_some(Pixels { width, height, channels, bytes })
    }
}

#[cfg(test)]
mod tests;
