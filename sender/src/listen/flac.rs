//! FLAC (RFC 9639) of unknown length, block by block, by flacenc.

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::config;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Fill, FrameBuf};
use unisono_common::format::Format;

use super::Wrap;

/// Frames in a block: a twelfth of a second at 48 kHz, as everybody uses.
const BLOCK: usize = 4096;

/// What is said in every such file.
const NOTE: &str = "DESCRIPTION=Unisono over HTTP: not in step with the rooms";

pub(super) struct Flac {
    format: Format,
    title: String,
    config: Verified<config::Encoder>,
    info: StreamInfo,
    block: FrameBuf,
    /// Samples of the block that is being filled.
    waiting: Vec<i32>,
    /// Blocks so far.
    blocks: usize,
}

impl Flac {
    /// A file called `name`; None for a format that FLAC has no place for.
    pub(super) fn new(format: Format, name: &str) -> Option<Self> {
        let channels = usize::from(format.channels);
        let mut config = config::Encoder::default();
        config.block_size = BLOCK;
        // Fixed predictors: a tenth of the work for a few percent more bytes.
        config.subframe_coding.use_lpc = false;
        Some(Flac {
            format,
            title: format!("TITLE={name}"),
            config: config.into_verified().ok()?,
            info: StreamInfo::new(format.rate as usize, channels, format.depth.bits() as usize).ok()?,
            block: FrameBuf::with_size(channels, BLOCK).ok()?,
            waiting: Vec::new(),
            blocks: 0,
        })
    }
}

impl Wrap for Flac {
    fn head(&self) -> Vec<u8> {
        let Format { rate, depth, channels } = self.format;
        let mut head = b"fLaC".to_vec();
        // STREAMINFO (section 8.2): sizes of frames, the number of samples and their checksum are unknown, which is 0.
        head.extend_from_slice(&[0, 0, 0, 34]);
        head.extend_from_slice(&[(BLOCK as u16).to_be_bytes(), (BLOCK as u16).to_be_bytes()].concat());
        head.extend_from_slice(&[0; 6]);
        let shape = u64::from(rate) << 44 | u64::from(channels - 1) << 41 | u64::from(depth.bits() - 1) << 36;
        head.extend_from_slice(&shape.to_be_bytes());
        head.extend_from_slice(&[0; 16]);
        // The Vorbis comment (section 8.6), little-endian inside, is the last block of metadata.
        let counted = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let vendor = concat!("unisono ", env!("CARGO_PKG_VERSION"));
        let comment = [counted(vendor), 2_u32.to_le_bytes().to_vec(), counted(&self.title), counted(NOTE)].concat();
        head.push(0x84);
        head.extend_from_slice(&(comment.len() as u32).to_be_bytes()[1..]);
        head.extend_from_slice(&comment);
        head
    }

    fn put(&mut self, samples: &[i32], out: &mut Vec<u8>) -> bool {
        self.waiting.extend_from_slice(samples);
        let length = BLOCK * usize::from(self.format.channels);
        while self.waiting.len() >= length {
            let mut bits = ByteSink::new();
            let written = self.block.fill_interleaved(&self.waiting[..length]).is_ok()
                && flacenc::encode_fixed_size_frame(&self.config, &self.block, self.blocks, &self.info)
                    .is_ok_and(|frame| frame.write(&mut bits).is_ok());
            if !written {
                return false;
            }
            out.extend_from_slice(bits.as_slice());
            self.waiting.drain(..length);
            self.blocks += 1;
        }
        true
    }
}
