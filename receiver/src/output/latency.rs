//! What lies between a card's position and its analog output, for cards that are known.
//!
//! A card's driver tells which frame its DMA has fetched. Behind that there is a FIFO and the DAC's own filter, which no
//! driver counts. In a house of equal cards they are equal and cancel; between unlike cards they are what is left.
//!
//! The table is keyed by driver, card, sample format and rate, and by the board that the card sits on. Every figure in it
//! is an **estimate** from register values and data sheets; none was measured. A room's `latency_us` overrides it and
//! `trim_us` corrects what is left: `docs/accuracy.md` says how to measure.

/// What is known of a card when it is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key<'a> {
    /// Its kernel driver, as `/proc/asound/cards` shows it.
    pub driver: &'a str,
    /// Names of the card and of the device on it.
    pub card: &'a str,
    /// The machine, as its device tree names it: a HAT's driver is the same on every Pi, the bus to it is not.
    pub board: &'a str,
    /// Bits of a sample in the card's ring.
    pub bits: u32,
    /// Frames per second.
    pub rate: u32,
}

/// One known kind of output.
struct Known {
    /// Parts of the driver's or the card's name, lower case; one must fit.
    names: &'static [&'static str],
    /// Parts of the board's name; one must fit, if there are any.
    boards: &'static [&'static str],
    /// What lies behind its position; `None` where nobody can know it.
    path: Option<Path>,
}

/// What a frame passes between a card's position and its analog output.
struct Path {
    fifo: Fifo,
    /// The DAC's interpolation filter, in frames up to 48 kHz. At 88.2 and 96 kHz it is half as long in frames, at 176.4
    /// and 192 kHz a quarter: the DAC oversamples by less.
    filter_frames: f64,
}

/// The interface's FIFO between DMA and DAC.
enum Fifo {
    /// 32-bit words: a stereo frame of 16-bit samples is one, of wider ones two.
    Words(f64),
    /// Frames, whatever their size.
    Frames(f64),
}

/// The PCM512x family with its normal filter: 20 frames.
const PCM512X_FRAMES: f64 = 20.0;

const HATS: &[&str] = &["hifiberry", "pcm5102", "pcm512x", "iqaudio", "allo-boss", "justboom"];

/// The first entry that fits is taken.
const KNOWN: &[Known] = &[
    // RP1's DesignWare I2S: a FIFO for each channel, assumed to be 16 deep, refilled when half empty: 12 on average.
    Known {
        names: HATS,
        boards: &["raspberry pi 5", "raspberry pi compute module 5", "raspberry pi 500"],
        path: Some(Path { fifo: Fifo::Frames(12.0), filter_frames: PCM512X_FRAMES }),
    },
    // bcm2835-i2s of a Pi 0 to 4: DMA refills a FIFO of 64 words whenever it falls below 48.
    Known { names: HATS, boards: &[], path: Some(Path { fifo: Fifo::Words(48.0), filter_frames: PCM512X_FRAMES }) },
    // USB: the driver counts what it has handed to the bus; a device's own buffer differs from one to the next.
    Known { names: &["usb-audio"], boards: &[], path: None },
    // HDMI: a television or an amplifier keeps 10 to 200 ms and tells nobody.
    Known { names: &["vc4", "hdmi"], boards: &[], path: None },
];

/// Nanoseconds from a card's position to its analog output, an estimate; `None` for a card of which nothing is known.
pub fn of_card(key: &Key<'_>) -> Option<i64> {
    let names = format!("{} {}", key.driver, key.card).to_lowercase();
    let board = key.board.to_lowercase();
    let fits = |parts: &[&str], text: &str| parts.iter().any(|part| text.contains(part));
    let known = KNOWN.iter().find(|k| fits(k.names, &names) && (k.boards.is_empty() || fits(k.boards, &board)))?;
    let Path { fifo, filter_frames } = known.path.as_ref()?;
    let fifo_frames = match fifo {
        Fifo::Words(words) if key.bits <= 16 => *words,
        Fifo::Words(words) => words / 2.0,
        Fifo::Frames(frames) => *frames,
    };
    let oversampling = match key.rate {
        ..=50_000 => 1.0,
        50_001..=100_000 => 0.5,
        _ => 0.25,
    };
    Some(((fifo_frames + filter_frames * oversampling) * 1e9 / f64::from(key.rate)) as i64)
}

#[cfg(test)]
mod tests;
