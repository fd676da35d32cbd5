use std::io::Write;

use unisono_common::config::sender::SourceConfig;

use super::*;
use crate::testing::*;

#[test]
fn a_pipe_gives_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.fifo");
    let format: Format = "48000:16:2".parse().unwrap();
    let mut handle = spawn(&stream("48000:16:2", SourceConfig::Pipe { path: path.clone(), format })).unwrap();
    let samples = noise(16, 100_000, 2, 3);
    let bytes: Vec<u8> = samples.iter().flat_map(|&s| (s as i16).to_le_bytes()).collect();
    let writer = thread::spawn(move || std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all(&bytes));
    let taken = take_until(&mut handle, |_, taken| taken.len() >= samples.len());
    writer.join().unwrap().unwrap();
    assert!(taken == samples);
}
