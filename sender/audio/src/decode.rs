//! From a file to PCM: demuxing and decoding by symphonia, Opus by opus-pure, gapless by the frame.
//!
//! Files are strangers. Whatever is in one, reading it ends in blocks of PCM or in a [`FileError`], never in a panic
//! (decoders run inside [`contained`]) and never in endless work without a sound.

mod contain;
mod layout;
mod mp4;
mod opus;

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ALAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{TimeBase, Timestamp};

use crate::convert::{RATES, Samples, Shape};
pub use contain::contained;
use opus::OpusTrack;

/// Packets in a row that may be damaged before a file is given up.
const MOST_DAMAGED: u32 = 500;

/// Why a file is not played, or no further.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system does not give it to us.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a regular file")]
    NotAFile,
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// No container that we know.
    #[error("is not audio in a known format ({0})")]
    Unrecognised(SymphoniaError),
    /// A container without sound.
    #[error("has no audio track")]
    NoAudio,
    /// A codec that we do not have, or parameters it cannot have.
    #[error("cannot be decoded: {0}")]
    Unsupported(String),
    /// The container or the codec's data is broken beyond resynchronising.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// A decoder failed on it in a way it should not; what it decoded before is played.
    #[error("made a decoder fail: {0}")]
    Panicked(String),
}

/// An open audio file, read from front to end.
pub struct AudioFile {
    reader: Box<dyn FormatReader>,
    codec: Codec,
    track_id: u32,
    time_base: Option<TimeBase>,
    shape: Shape,
    frames: Option<u64>,
    exact_length: bool,
    /// Frames of the medium before the first one that sounds (encoder delay).
    lead_in: u64,
    /// Decoded frames still to be dropped.
    skip: u64,
    /// After a seek: the frame of the medium that the next block is to begin with.
    target: Option<u64>,
    /// Frames still to be given out, where the container limits them.
    left: Option<u64>,
    given: u64,
    damaged: u32,
    damaged_in_a_row: u32,
    ints: Vec<i32>,
    floats: Vec<f32>,
}

enum Codec {
    Symphonia { decoder: Box<dyn AudioDecoder>, trims_itself: bool },
    Opus(OpusTrack),
}

/// A piece of decoded PCM.
#[derive(Debug)]
pub struct Block<'a> {
    /// What the samples are; may change between blocks (chained Ogg).
    pub shape: Shape,
    /// Whole frames.
    pub samples: Samples<'a>,
}

impl AudioFile {
    /// Opens a file and finds its audio.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        contained(|| Self::open_uncontained(path)).unwrap_or_else(|panic| Err(FileError::Panicked(panic)))
    }

    fn open_uncontained(path: &Path) -> Result<Self, FileError> {
        let mut file = open_regular(path)?;
        let edit = mp4::Edit::read(&mut file);
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        Self::begin(Box::new(file), &hint, edit)
    }

    /// Finds the audio in what can only be read onwards: a station, a download.
    pub fn from_stream(
        stream: Box<dyn Read + Send + Sync>,
        mime: Option<&str>,
        extension: Option<&str>,
    ) -> Result<Self, FileError> {
        let mut hint = Hint::new();
        mime.map(|mime| hint.mime_type(mime));
        extension.map(|extension| hint.with_extension(extension));
        contained(|| Self::begin(Box::new(ReadOnlySource::new(stream)), &hint, None))
            .unwrap_or_else(|panic| Err(FileError::Panicked(panic)))
    }

    fn begin(source: Box<dyn MediaSource>, hint: &Hint, edit: Option<mp4::Edit>) -> Result<Self, FileError> {
        let source = MediaSourceStream::new(source, Default::default());
        let reader = symphonia::default::get_probe()
            .probe(hint, source, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| match error {
                SymphoniaError::IoError(e) if e.kind() != io::ErrorKind::UnexpectedEof => FileError::Io(e),
                error => FileError::Unrecognised(error),
            })?;
        let track = reader.default_track(TrackType::Audio).ok_or(FileError::NoAudio)?.clone();
        let (codec, shape) = Codec::new(&track)?;
        let mut file = Self {
            reader,
            codec,
            track_id: track.id,
            time_base: track.time_base,
            shape,
            frames: None,
            exact_length: false,
            lead_in: 0,
            skip: 0,
            target: None,
            left: None,
            given: 0,
            damaged: 0,
            damaged_in_a_row: 0,
            ints: Vec::new(),
            floats: Vec::new(),
        };
        file.set_length(&track, edit);
        Ok(file)
    }

    /// Lead-in and length, from the container's edit list, the codec's header or the track's own count.
    fn set_length(&mut self, track: &Track, edit: Option<mp4::Edit>) {
        let medium = track.num_frames.or_else(|| {
            let duration = track.duration?;
            Some(self.to_frames(duration.get()))
        });
        match (edit, &self.codec) {
            (Some(edit), _) => {
                let (lead_in, length) = edit.frames(self.shape.rate, medium);
                (self.lead_in, self.frames, self.left) = (lead_in, length, length);
            }
            (None, Codec::Opus(opus)) => {
                self.lead_in = opus.pre_skip();
                self.frames = medium.map(|n| n.saturating_sub(self.lead_in));
            }
            (None, _) => self.frames = medium,
        }
        self.skip = self.lead_in;
        self.exact_length = self.shape.bits.is_some();
    }

    /// What the next block will be, as far as is known.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Frames in the file where it says so.
    pub fn frames(&self) -> Option<u64> {
        self.frames
    }

    /// Packets that could not be decoded, and were left out.
    pub fn damaged(&self) -> u32 {
        self.damaged
    }

    /// After the end: frames that a lossless file promised and did not have.
    pub fn missing(&self) -> u64 {
        self.frames.filter(|_| self.exact_length).map_or(0, |frames| frames.saturating_sub(self.given))
    }

    /// The next block, or `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, FileError> {
        match contained(|| self.decode_next()) {
            Ok(Ok(true)) => Ok(Some(self.block())),
            Ok(Ok(false)) => Ok(None),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(FileError::Panicked(panic)),
        }
    }

    /// The block that [`next_block`](Self::next_block) gave last.
    pub fn block(&self) -> Block<'_> {
        Block { shape: self.shape, samples: self.samples() }
    }

    fn samples(&self) -> Samples<'_> {
        if self.shape.bits.is_some() { Samples::Int(&self.ints) } else { Samples::Float(&self.floats) }
    }

    /// Goes to `frame`: the next block begins with it.
    pub fn seek(&mut self, frame: u64) -> Result<(), FileError> {
        contained(|| self.seek_uncontained(frame)).unwrap_or_else(|panic| Err(FileError::Panicked(panic)))
    }

    fn seek_uncontained(&mut self, frame: u64) -> Result<(), FileError> {
        let medium = frame + self.lead_in;
        let target = medium.saturating_sub(self.preroll());
        let to = SeekTo::Timestamp { ts: Timestamp::new(self.to_ticks(target)), track_id: self.track_id };
        let seek = self.reader.seek(SeekMode::Accurate, to);
        seek.map_err(|error| FileError::Damaged(format!("cannot seek: {error}")))?;
        self.codec.reset();
        // It lands earlier, and some decoders (Vorbis) give nothing for the packet it lands on.
        self.target = Some(medium);
        self.left = self.left.and(self.frames).map(|frames| frames.saturating_sub(frame));
        self.given = frame;
        Ok(())
    }

    /// Frames that must be decoded before those that are right.
    fn preroll(&self) -> u64 {
        match &self.codec {
            Codec::Opus(_) => 3_840, // RFC 7845 section 4.6: 80 ms
            _ if self.shape.bits.is_none() => 4_096,
            _ => 0,
        }
    }

    /// Decodes into `ints` or `floats` until there is something; false at the end.
    fn decode_next(&mut self) -> Result<bool, FileError> {
        while self.left != Some(0) {
            let packet = match self.reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(false),
                // A file that was cut off ends where it ends.
                Err(SymphoniaError::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(SymphoniaError::ResetRequired) => {
                    self.next_chain()?;
                    continue;
                }
                Err(SymphoniaError::DecodeError(reason)) => {
                    self.count_damage(reason)?;
                    continue;
                }
                Err(SymphoniaError::IoError(e)) => return Err(FileError::Io(e)),
                Err(error) => return Err(FileError::Damaged(error.to_string())),
            };
            if packet.track_id != self.track_id {
                continue;
            }
            match self.decode(&packet) {
                Ok(frames) if frames > 0 => {
                    self.damaged_in_a_row = 0;
                    self.given += frames;
                    return Ok(true);
                }
                Ok(_) => {}
                Err(reason) => self.count_damage(&reason)?,
            }
        }
        Ok(false)
    }

    fn count_damage(&mut self, reason: &str) -> Result<(), FileError> {
        self.damaged += 1;
        self.damaged_in_a_row += 1;
        if self.damaged_in_a_row > MOST_DAMAGED { Err(FileError::Damaged(reason.to_owned())) } else { Ok(()) }
    }

    /// Decodes one packet and trims it; how many frames are left of it.
    fn decode(&mut self, packet: &Packet) -> Result<u64, String> {
        let (start, end) = (self.to_frames(packet.trim_start.get()), self.to_frames(packet.trim_end.get()));
        let trims = match &mut self.codec {
            Codec::Opus(opus) => {
                opus.decode(&packet.data, &mut self.floats)?;
                (start, end)
            }
            Codec::Symphonia { decoder, trims_itself } => {
                let audio = decoder.decode(packet).map_err(|e| e.to_string())?;
                let bits = decoder_bits(&audio, self.shape.bits);
                self.shape = Shape { bits, ..layout::shape(audio.spec())? };
                match bits {
                    Some(_) => audio.copy_to_vec_interleaved(&mut self.ints),
                    None => audio.copy_to_vec_interleaved(&mut self.floats),
                }
                if *trims_itself { (0, 0) } else { (start, end) }
            }
        };
        let decoded = if self.shape.bits.is_some() { self.ints.len() } else { self.floats.len() };
        if decoded > 0
            && let Some(target) = self.target.take()
        {
            let pts = packet.pts.get();
            let begins = self.to_frames(pts.max(0) as u64) + start.saturating_sub(self.to_frames((-pts).max(0) as u64));
            self.skip = target.saturating_sub(begins);
        }
        Ok(self.trim(trims.0, trims.1))
    }

    /// Drops `start` and `end` frames of the block, what is still to be skipped, and what is beyond the end.
    fn trim(&mut self, start: u64, end: u64) -> u64 {
        let channels = self.shape.layout.len();
        let samples = if self.shape.bits.is_some() { self.ints.len() } else { self.floats.len() };
        let frames = ((samples / channels) as u64).saturating_sub(end);
        let skipped = self.skip.min(frames.saturating_sub(start));
        self.skip -= skipped;
        let from = (start + skipped).min(frames);
        let kept = self.left.map_or(frames - from, |left| left.min(frames - from));
        self.left = self.left.map(|left| left - kept);
        let range = from as usize * channels..(from + kept) as usize * channels;
        if self.shape.bits.is_some() {
            keep(&mut self.ints, range)
        } else {
            keep(&mut self.floats, range)
        }
        kept
    }

    /// A chained stream begins: the same file goes on with a new track.
    fn next_chain(&mut self) -> Result<(), FileError> {
        let track = self.reader.default_track(TrackType::Audio).ok_or(FileError::NoAudio)?.clone();
        (self.codec, self.shape) = Codec::new(&track)?;
        (self.track_id, self.time_base) = (track.id, track.time_base);
        self.skip = if let Codec::Opus(opus) = &self.codec { opus.pre_skip() } else { 0 };
        self.exact_length = false;
        Ok(())
    }

    /// Units of the track's time base as frames, to the nearest.
    fn to_frames(&self, ticks: u64) -> u64 {
        let Some(base) = self.time_base else { return ticks };
        let (numer, denom) = (u128::from(base.numer.get()), u128::from(base.denom.get()));
        let frames = (u128::from(ticks) * numer * u128::from(self.shape.rate) + denom / 2) / denom;
        frames.try_into().unwrap_or(u64::MAX)
    }

    fn to_ticks(&self, frames: u64) -> i64 {
        let Some(base) = self.time_base else { return frames as i64 };
        let scale = u128::from(base.numer.get()) * u128::from(self.shape.rate);
        let ticks = u128::from(frames) * u128::from(base.denom.get()) / scale.max(1);
        ticks.try_into().unwrap_or(i64::MAX)
    }
}

impl Codec {
    fn new(track: &Track) -> Result<(Self, Shape), FileError> {
        let Some(CodecParameters::Audio(params)) = &track.codec_params else { return Err(FileError::NoAudio) };
        if params.codec == CODEC_ID_OPUS {
            let opus = OpusTrack::new(params.extra_data.as_deref()).map_err(FileError::Unsupported)?;
            let shape = opus.shape();
            return Ok((Codec::Opus(opus), shape));
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .map_err(|error| FileError::Unsupported(format!("{error} ({})", params.codec)))?;
        let trims_itself = [CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_VORBIS].contains(&params.codec);
        let shape = shape_of(decoder.codec_params())?;
        Ok((Codec::Symphonia { decoder, trims_itself }, shape))
    }

    fn reset(&mut self) {
        match self {
            Codec::Symphonia { decoder, .. } => decoder.reset(),
            Codec::Opus(opus) => opus.reset(),
        }
    }
}

/// What the container says of the PCM; the first packet may know better.
fn shape_of(params: &AudioCodecParameters) -> Result<Shape, FileError> {
    let rate = params.sample_rate.unwrap_or(48_000);
    if !RATES.contains(&rate) {
        return Err(FileError::Unsupported(format!("{rate} frames a second")));
    }
    let layout = match &params.channels {
        Some(channels) => layout::layout(channels).map_err(FileError::Unsupported)?,
        None => crate::convert::Layout::of_count(2),
    };
    // Only ALAC keeps its depth to itself: in the sixth byte of its configuration.
    let alac = params.extra_data.as_ref().filter(|_| params.codec == CODEC_ID_ALAC).and_then(|config| config.get(5));
    Ok(Shape { rate, layout, bits: params.bits_per_sample.or(alac.map(|&bits| bits.into())) })
}

/// Significant bits of a decoder's output: what the container says, and no more than the buffer can hold.
fn decoder_bits(audio: &GenericAudioBufferRef<'_>, declared: Option<u32>) -> Option<u32> {
    use GenericAudioBufferRef as B;
    let holds = match audio {
        B::U8(_) | B::S8(_) => 8,
        B::U16(_) | B::S16(_) => 16,
        B::U24(_) | B::S24(_) => 24,
        B::U32(_) | B::S32(_) => 32,
        B::F32(_) | B::F64(_) => return None,
    };
    Some(declared.filter(|&bits| bits > 0).map_or(holds, |bits| bits.min(holds)))
}

fn keep<T>(samples: &mut Vec<T>, range: std::ops::Range<usize>) {
    samples.truncate(range.end);
    samples.drain(..range.start);
}

/// Opens a regular file, without waiting for the other end of anything that only looks like one.
fn open_regular(path: &Path) -> Result<File, FileError> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile);
    }
    if metadata.len() == 0 {
        return Err(FileError::Empty);
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
