//! Measures the library: how long a scan of so many files takes, what it needs, and how fast a search answers.
//!
//!     cargo run --release -p unisono-tests --bin library -- --files 100000
//!
//! The files are made first: FLAC and MP3, silence in them, tags of their own, in folders by artist and album.

#![allow(clippy::disallowed_methods, reason = "it times what runs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use lofty::config::ParseOptions;
use lofty::probe::Probe;
use unisono_audio::convert::Rng;
use unisono_sender::library::{Library, Page};
use unisono_tests::shelf::Shelf;

/// Measures how a library is read and searched.
#[derive(Parser)]
struct Arguments {
    /// Files to make.
    #[arg(long, default_value_t = 2_000)]
    files: usize,
    /// Searches to make.
    #[arg(long, default_value_t = 2_000)]
    searches: usize,
    /// Where the files are made; a directory that goes with the program unless it is given. Files that are there serve.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let own = tempfile::tempdir()?;
    let music = arguments.dir.clone().unwrap_or_else(|| own.path().join("music"));
    let made = Instant::now();
    let shelf = Shelf::make(&music, arguments.files)?;
    println!("files          {} in {:.1} s, {:.0} MB", shelf.files, seconds(made), mega(shelf.bytes));

    let state = own.path().join("state");
    std::fs::create_dir(&state)?;
    let rss_before = rss_kb("VmRSS");
    let (library, first) = scan(&state, &music, shelf.files)?;
    println!("scan           {first:.2} s, {:.0} files/s", shelf.files as f64 / first);
    println!("memory         {:.1} MB more at most", (rss_kb("VmHWM").saturating_sub(rss_before)) as f64 / 1e3);
    drop(library);
    let size: u64 = ["library.db", "library.db-wal"]
        .iter()
        .filter_map(|file| std::fs::metadata(state.join(file)).ok())
        .map(|metadata| metadata.len())
        .sum();
    println!("index          {:.1} MB, {:.0} bytes a file", mega(size), size as f64 / shelf.files as f64);
    let (library, again) = scan(&state, &music, shelf.files)?;
    println!("unchanged      {again:.2} s, {:.0} files/s", shelf.files as f64 / again);

    let state = library.0.state()?;
    println!("there are      {} albums, {} artists", state.totals.albums, state.totals.artists);
    search(&library.0, &shelf, arguments.searches)?;
    tags_alone(&shelf);
    ffprobe(&shelf)
}

/// Reads the library from its folder; how long that took.
fn scan(state: &Path, music: &Path, files: usize) -> anyhow::Result<(Open, f64)> {
    let began = Instant::now();
    let library = Library::open(state, &[music.to_owned()]);
    let librarian = library.start()?;
    loop {
        let now = library.state()?;
        if !now.scan.running && now.scan.seen as usize == files && now.totals.tracks as usize == files {
            let seconds = now.scan.seconds;
            return Ok((Open(library, librarian), seconds));
        }
        ensure!(began.elapsed() < Duration::from_secs(3_600), "the scan does not end: {now:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A library with the thread that keeps it.
struct Open(Library, #[allow(dead_code, reason = "held")] unisono_sender::library::Librarian);

/// Types words letter by letter, as people do: titles, artists, albums, and two of them together.
fn search(library: &Library, shelf: &Shelf, count: usize) -> anyhow::Result<()> {
    let mut rng = Rng::new(5);
    let mut times = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    while times.len() < count {
        let words = shelf.words(&mut rng);
        for end in words.char_indices().map(|(at, c)| at + c.len_utf8()).take(12) {
            let typed = &words[..end];
            let began = Instant::now();
            library.search(typed, Page { limit: 50, offset: 0 }).context("search")?;
            let took = began.elapsed();
            if took > slowest.0 {
                slowest = (took, typed.to_owned());
            }
            times.push(took);
        }
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("search         p50 {:.2} ms, p99 {:.2} ms of {}", at(0.5), at(0.99), times.len());
    println!("slowest        {:.2} ms, \"{}\"", slowest.0.as_secs_f64() * 1e3, slowest.1);
    Ok(())
}

/// How fast the library that reads the tags does so alone: no walk, no index, on one processor and on all of them.
fn tags_alone(shelf: &Shelf) {
    let paths: Vec<_> = shelf.paths().collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, processors] {
        let began = Instant::now();
        let read: usize = std::thread::scope(|scope| {
            let shares = paths.chunks(paths.len().div_ceil(threads).max(1));
            let readers: Vec<_> = shares
                .map(|share| scope.spawn(move || share.iter().filter(|path| read_tags(path).is_some()).count()))
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap_or(0)).sum()
        });
        let speed = read as f64 / seconds(began);
        println!("tags alone     {speed:.0} files/s by {threads} threads ({read} of {})", paths.len());
    }
}

/// As the scan reads them.
fn read_tags(path: &Path) -> Option<lofty::file::TaggedFile> {
    let options = ParseOptions::new().read_properties(true).read_cover_art(false);
    Probe::open(path).ok()?.options(options).guess_file_type().ok()?.read().ok()
}

/// How fast the same tags are read by a program for each file.
fn ffprobe(shelf: &Shelf) -> anyhow::Result<()> {
    let some: Vec<_> = shelf.paths().step_by((shelf.files / 100).max(1)).take(100).collect();
    let began = Instant::now();
    for path in &some {
        let arguments = ["-v", "quiet", "-show_format", "-show_streams"];
        let status = Command::new("ffprobe").args(arguments).arg(path).stdout(Stdio::null()).status();
        if status.is_err() {
            println!("ffprobe        is not installed");
            return Ok(());
        }
    }
    println!("ffprobe        {:.0} files/s, one after the other", some.len() as f64 / seconds(began));
    Ok(())
}

fn rss_kb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
