//! What lies between a card's position and its analog output, for cards that are known.
//!
//! A card's driver tells which frame its DMA has fetched. Behind that there is a FIFO and the DAC's own filter, which no
//! driver counts. In a house of equal cards they are equal and cancel; between unlike cards they are what is left.
//!
//! The figures are estimates from register values and data sheets, not measurements, but where marked; a room's
//! `latency_us` overrides them and `trim_us` corrects what is left. `docs/accuracy.md` says how to measure.

/// One known kind of output.
struct Known {
    /// Part of the driver's or card's name, lower case.
    name: &'static str,
    /// Frames in the interface's FIFO, for 32-bit and for 16-bit samples.
    fifo_frames: [f64; 2],
    /// Frames of the DAC's interpolation filter.
    filter_frames: f64,
}

/// I2S FIFO of a Pi 0 to 4: DMA refills it at 48 of 64 words; a 32-bit stereo frame is two words, a 16-bit one is one.
const PI_FIFO: [f64; 2] = [24.0, 48.0];

const KNOWN: &[Known] = &[
    Known { name: "hifiberry", fifo_frames: PI_FIFO, filter_frames: 20.0 },
    Known { name: "pcm5102", fifo_frames: PI_FIFO, filter_frames: 20.0 },
    Known { name: "pcm512x", fifo_frames: PI_FIFO, filter_frames: 20.0 },
    Known { name: "iqaudio", fifo_frames: PI_FIFO, filter_frames: 20.0 },
    Known { name: "allo-boss", fifo_frames: PI_FIFO, filter_frames: 20.0 },
    Known { name: "justboom", fifo_frames: PI_FIFO, filter_frames: 20.0 },
];

/// Nanoseconds from a card's position to its analog output: of the first entry whose name is part of `names` (the
/// card's and its driver's), for samples of `bits` at `rate` Hz. Zero for a card that is not known.
pub fn of_card(names: &str, bits: u32, rate: u32) -> i64 {
    let names = names.to_lowercase();
    let Some(known) = KNOWN.iter().find(|known| names.contains(known.name)) else { return 0 };
    let fifo = known.fifo_frames[usize::from(bits <= 16)];
    ((fifo + known.filter_frames) * 1e9 / f64::from(rate)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hifiberry_has_its_fifo_and_filter() {
        assert_eq!(of_card("snd_rpi_hifiberry_dacplus HiFiBerry DAC+", 32, 48_000), 916_666);
        assert_eq!(of_card("snd_rpi_hifiberry_dac", 16, 48_000), 1_416_666);
    }

    #[test]
    fn an_unknown_card_has_none() {
        assert_eq!(of_card("USB Audio", 24, 48_000), 0);
    }
}
