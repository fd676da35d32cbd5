//! One file, played once: an announcement.

use std::path::{Path, PathBuf};
use std::time::Duration;

use unisono_common::format::Format;

use super::Source;
use super::queue::{Interrupt, QueueWriter, Sizes};
use super::status::State;
use unisono_audio::convert::Converter;
use unisono_audio::decode::{AudioFile, FileError, contained};

/// A file and the way from it to the queue.
pub(super) struct Clip {
    path: PathBuf,
    converter: Converter,
    pcm: Vec<i32>,
}

impl Clip {
    pub(super) const SIZES: Sizes =
        Sizes { capacity: Duration::from_millis(1_000), prebuffer: Duration::from_millis(50) };

    pub(super) fn new(path: &Path, format: Format) -> Self {
        Self { path: path.to_owned(), converter: super::converter(format), pcm: Vec::new() }
    }

    fn play(&mut self, writer: &mut QueueWriter) -> Result<Option<FileError>, Interrupt> {
        let mut file = match AudioFile::open(&self.path) {
            Ok(file) => file,
            Err(error) => return Ok(Some(error)),
        };
        writer.set_state(State::Playing);
        loop {
            self.pcm.clear();
            let (converter, pcm) = (&mut self.converter, &mut self.pcm);
            match file.next_block() {
                Ok(Some(block)) => match contained(|| converter.feed(&block.shape, block.samples, pcm)) {
                    Ok(()) => writer.push(&self.pcm)?,
                    Err(panic) => return Ok(Some(FileError::Panicked(panic))),
                },
                Ok(None) => break,
                Err(error) => return Ok(Some(error)),
            }
        }
        self.pcm.clear();
        self.converter.finish(&mut self.pcm);
        writer.push(&self.pcm)?;
        Ok(None)
    }
}

impl Source for Clip {
    fn run(mut self: Box<Self>, mut writer: QueueWriter) {
        let played = self.play(&mut writer);
        writer.set_draining(true);
        match played {
            Ok(None) | Err(_) => writer.set_state(State::Idle),
            Ok(Some(error)) => writer.set_state(State::Failed(error.to_string())),
        }
    }
}
