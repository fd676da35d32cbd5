//! Opus: symphonia demuxes it, opus-pure decodes it; pre-skip and gain (RFC 7845) are ours.

use opus_pure::OpusMSDecoder;

use crate::convert::{Layout, Shape, Speaker};

/// The longest Opus packet, 120 ms at 48 kHz.
const LONGEST_PACKET: usize = 5_760;

/// The decoder of one Opus track; always 48 kHz.
pub(super) struct OpusTrack {
    decoder: OpusMSDecoder,
    channels: usize,
    pre_skip: u16,
    gain: f32,
}

impl OpusTrack {
    /// From the identification header (RFC 7845 section 5.1), which every container carries.
    pub(super) fn new(header: Option<&[u8]>) -> Result<Self, String> {
        let header = header.ok_or("Opus without its header")?;
        let header = header.strip_prefix(b"OpusHead").unwrap_or(header);
        let [_version, channels, skip_low, skip_high, _, _, _, _, gain_low, gain_high, family, ..] = header else {
            return Err("an Opus header that is too short".to_owned());
        };
        let channels = usize::from(*channels);
        let decoder = OpusMSDecoder::new(48_000, channels, *family).map_err(|e| e.to_string())?;
        let gain_db = f32::from(i16::from_le_bytes([*gain_low, *gain_high])) / 256.0;
        Ok(Self {
            decoder,
            channels,
            pre_skip: u16::from_le_bytes([*skip_low, *skip_high]),
            gain: 10f32.powf(gain_db / 20.0),
        })
    }

    /// Frames before the first one that sounds.
    pub(super) fn pre_skip(&self) -> u64 {
        self.pre_skip.into()
    }

    /// 48 kHz, channels in Vorbis order (RFC 7845 section 5.1.1.2).
    pub(super) fn shape(&self) -> Shape {
        use Speaker::*;
        let speakers: &[Speaker] = match self.channels {
            3 => &[FrontLeft, FrontCentre, FrontRight],
            4 => &[FrontLeft, FrontRight, BackLeft, BackRight],
            5 => &[FrontLeft, FrontCentre, FrontRight, BackLeft, BackRight],
            6 => &[FrontLeft, FrontCentre, FrontRight, BackLeft, BackRight, Lfe],
            7 => &[FrontLeft, FrontCentre, FrontRight, SideLeft, SideRight, BackCentre, Lfe],
            8 => &[FrontLeft, FrontCentre, FrontRight, SideLeft, SideRight, BackLeft, BackRight, Lfe],
            _ => &[],
        };
        let layout = Layout::new(speakers).unwrap_or_else(|| Layout::of_count(self.channels));
        Shape { rate: 48_000, layout, bits: None }
    }

    /// Decodes one packet into `out`, which it replaces.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), String> {
        out.clear();
        out.resize(LONGEST_PACKET * self.channels, 0.0);
        let frames = self.decoder.decode(packet, LONGEST_PACKET, out).map_err(|e| e.to_string());
        out.truncate(*frames.as_ref().unwrap_or(&0) * self.channels);
        if self.gain != 1.0 {
            out.iter_mut().for_each(|s| *s *= self.gain);
        }
        frames.map(|_| ())
    }

    /// After a seek.
    pub(super) fn reset(&mut self) {
        // Its only error is an impossible configuration.
        let _ = self.decoder.reset_state();
    }
}
