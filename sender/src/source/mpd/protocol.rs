//! MPD's protocol: lines of `key: value`, a block of bytes now and then, ended by `OK` or `ACK`.
//!
//! What the other side sends is bounded in every way: it may not be an MPD.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{PATIENCE, send_line};

/// The longest line, the most lines of a reply, the largest block of bytes.
const LONGEST_LINE: usize = 16 * 1024;
const MOST_LINES: usize = 2_000;
const LARGEST_BLOCK: usize = 1024 * 1024;

/// Why MPD is not followed, or does not do something.
#[derive(Debug, thiserror::Error)]
pub(super) enum MpdError {
    /// The network.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Something else listens there.
    #[error("it does not speak MPD's protocol ({0})")]
    NotMpd(&'static str),
    /// It answers `ACK`.
    #[error("{0}")]
    Refused(String),
}

/// A connection that can be waited on for a while.
pub(super) trait Link: Read + Write + Send {
    /// How long a read may take.
    fn set_patience(&self, patience: Duration) -> io::Result<()>;
}

/// A reply that ended in `OK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pairs: Vec<(String, String)>,
    pub(super) binary: Option<Vec<u8>>,
}

impl Reply {
    /// The first value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }
}

/// A connection to MPD.
pub(super) struct Connection {
    link: Box<dyn Link>,
    /// Read, and not used yet.
    input: Vec<u8>,
}

impl Connection {
    /// A connection that begins with MPD's greeting.
    pub(super) fn greet(link: Box<dyn Link>) -> Result<Self, MpdError> {
        let mut connection = Self { link, input: Vec::new() };
        let greeting = connection.line()?;
        if greeting.starts_with(b"OK MPD ") { Ok(connection) } else { Err(MpdError::NotMpd("no greeting")) }
    }

    /// Sends a command and reads its reply.
    pub(super) fn ask(&mut self, command: &str) -> Result<Reply, MpdError> {
        self.send(command)?;
        self.reply()
    }

    /// Sends a command.
    pub(super) fn send(&mut self, command: &str) -> Result<(), MpdError> {
        Ok(send_line(&mut *self.link, command)?)
    }

    /// Whether something has come within `patience`.
    pub(super) fn has_input(&mut self, patience: Duration) -> Result<bool, MpdError> {
        if !self.input.is_empty() {
            return Ok(true);
        }
        match self.fill(patience) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a reply.
    pub(super) fn reply(&mut self) -> Result<Reply, MpdError> {
        let mut reply = Reply::default();
        for _ in 0..MOST_LINES {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            if text == "OK" {
                return Ok(reply);
            }
            if let Some(reason) = text.strip_prefix("ACK ") {
                return Err(MpdError::Refused(reason.chars().filter(|c| !c.is_control()).take(200).collect()));
            }
            let (key, value) = text.split_once(": ").ok_or(MpdError::NotMpd("a line without a key"))?;
            if key == "binary" {
                let length = value.parse().ok().filter(|length| *length <= LARGEST_BLOCK);
                reply.binary = Some(self.block(length.ok_or(MpdError::NotMpd("a block that is too large"))?)?);
            } else {
                reply.pairs.push((key.to_owned(), value.chars().filter(|c| !c.is_control()).take(500).collect()));
            }
        }
        Err(MpdError::NotMpd("a reply without end"))
    }

    fn line(&mut self) -> Result<Vec<u8>, MpdError> {
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            if self.input.len() > LONGEST_LINE {
                return Err(MpdError::NotMpd("a line without end"));
            }
            self.fill(PATIENCE)?;
        }
    }

    /// A block of bytes, and the line feed behind it.
    fn block(&mut self, length: usize) -> Result<Vec<u8>, MpdError> {
        while self.input.len() < length + 1 {
            self.fill(PATIENCE)?;
        }
        let block = self.input.drain(..length).collect();
        self.input.remove(0);
        Ok(block)
    }

    fn fill(&mut self, patience: Duration) -> io::Result<()> {
        self.link.set_patience(patience)?;
        let mut piece = [0; 4_096];
        match self.link.read(&mut piece)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has hung up")),
            read => {
                self.input.extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }
}

/// An argument of a command; what would end the line is left out.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.chars().filter(|c| !c.is_control()).flat_map(|c| {
        let escape = ['"', '\\'].contains(&c).then_some('\\');
        escape.into_iter().chain(std::iter::once(c))
    });
    format!("\"{}\"", escaped.collect::<String>())
}
