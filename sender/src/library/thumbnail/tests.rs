use proptest::prelude::*;

use super::*;

/// A picture whose left half is of one colour and whose right half of another.
fn halves(width: u32, height: u32, [left, right]: [[u8; 4]; 2], color: png::ColorType) -> Vec<u8> {
    let pixel = |n: u32| if n % width < width / 2 { left } else { right };
    let bytes = (0..width * height).flat_map(|n| pixel(n).into_iter().take(color.samples())).collect::<Vec<u8>>();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    out
}

/// Width, height, and the colours in the middle of both halves.
fn seen(picture: &[u8]) -> (usize, usize, [[u8; 3]; 2]) {
    let pixels = jpeg(picture).unwrap();
    let (w, h) = (pixels.width, pixels.height);
    let at = |x: usize| pixels.mean(x..x + 1, h / 2..h / 2 + 1);
    (w, h, [at(w / 4), at(w * 3 / 4)])
}

fn near(seen: [u8; 3], wanted: [u8; 3]) -> bool {
    seen.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 12)
}

#[test]
fn a_picture_becomes_small_and_keeps_its_shape_and_colours() {
    let picture = halves(600, 300, [[200, 30, 30, 255], [30, 30, 200, 255]], png::ColorType::Rgb);
    let small = thumbnail(&picture, 96).unwrap();
    let (w, h, [left, right]) = seen(&small);
    assert_eq!((w, h), (96, 48));
    assert!(near(left, [200, 30, 30]) && near(right, [30, 30, 200]), "{left:?} {right:?}");
    // A JPEG, which it is now, as well.
    let (w, h, [left, right]) = seen(&thumbnail(&small, 32).unwrap());
    assert_eq!((w, h), (32, 16));
    assert!(near(left, [200, 30, 30]) && near(right, [30, 30, 200]), "{left:?} {right:?}");
}

#[test]
fn what_shows_through_is_white_and_grey_stays_grey() {
    let picture = halves(200, 200, [[10, 10, 10, 0], [10, 200, 10, 255]], png::ColorType::Rgba);
    let (.., [left, right]) = seen(&thumbnail(&picture, 96).unwrap());
    assert!(near(left, [255; 3]) && near(right, [10, 200, 10]), "{left:?} {right:?}");
    let picture = halves(200, 200, [[40; 4], [180; 4]], png::ColorType::Grayscale);
    let (.., [left, right]) = seen(&thumbnail(&picture, 96).unwrap());
    assert!(near(left, [40; 3]) && near(right, [180; 3]), "{left:?} {right:?}");
}

#[test]
fn the_narrowest_picture_has_a_pixel_left() {
    let (w, h, _) = seen(&thumbnail(&halves(1, 2_000, [[0; 4]; 2], png::ColorType::Rgb), 96).unwrap());
    assert_eq!((w, h), (1, 96));
}

#[test]
fn a_small_one_stays_and_a_huge_one_is_not_touched() {
    assert_eq!(thumbnail(&halves(96, 50, [[0; 4]; 2], png::ColorType::Rgb), 96), None);
    // Its header alone.
    let mut huge = Vec::new();
    png::Encoder::new(&mut huge, 65_536, 65_536).write_header().unwrap();
    assert_eq!(thumbnail(&huge, 96), None);
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), jpeg: bool) {
        let head: &[u8] = if jpeg { &[0xff, 0xd8, 0xff] } else { b"\x89PNG\r\n\x1a\n" };
        let _ = unisono_audio::decode::contained(|| thumbnail(&[head, &bytes].concat(), 96));
    }

    #[test]
    fn a_torn_or_damaged_picture_does_no_harm(at in 0..600_usize, value: u8, end in 0..600_usize) {
        let mut picture = halves(120, 120, [[200, 30, 30, 255], [30, 30, 200, 255]], png::ColorType::Rgb);
        let mut small = thumbnail(&picture, 100).unwrap();
        for picture in [&mut picture, &mut small] {
            let length = picture.len();
            picture[at % length] = value;
            picture.truncate(1 + end % length);
            let _ = unisono_audio::decode::contained(|| thumbnail(picture, 96));
        }
    }
}
