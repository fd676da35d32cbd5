//! A library of any size, made: FLAC and MP3 files with tags of their own, in folders by artist and album.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use unisono_audio::convert::Rng;

/// Pieces of an album, and albums of an artist.
const PIECES: usize = 12;
const ALBUMS: usize = 5;

/// The library: what is in file `n` follows from `n`.
#[derive(Debug)]
pub struct Shelf {
    root: PathBuf,
    /// How many files there are.
    pub files: usize,
    /// How large they are together.
    pub bytes: u64,
}

/// What the tags of a file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Song {
    /// Title.
    pub title: String,
    /// Artist.
    pub artist: String,
    /// Album.
    pub album: String,
    /// Number on the album, from 1.
    pub number: usize,
    /// Year.
    pub year: usize,
}

impl Shelf {
    /// Makes `files` files below `root`; those that are there are left alone. Needs ffmpeg, for the sound in them.
    pub fn make(root: &Path, files: usize) -> anyhow::Result<Self> {
        fs::create_dir_all(root)?;
        let flac = sound(root, "flac", &["-sample_fmt", "s16"])?;
        let mp3 = sound(root, "mp3", &["-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0"])?;
        let mut shelf = Shelf { root: root.to_owned(), files, bytes: 0 };
        for n in 0..files {
            let path = shelf.path(n);
            if n % PIECES == 0
                && let Some(folder) = path.parent()
            {
                fs::create_dir_all(folder)?;
            }
            let song = song(n);
            let bytes = if is_flac(n) { tagged_flac(&flac, &song)? } else { tagged_mp3(&mp3, &song) };
            shelf.bytes += bytes.len() as u64;
            if !path.exists() {
                fs::write(&path, bytes)?;
            }
        }
        Ok(shelf)
    }

    /// Where file `n` is.
    pub fn path(&self, n: usize) -> PathBuf {
        let Song { artist, album, number, .. } = song(n);
        let extension = if is_flac(n) { "flac" } else { "mp3" };
        let artist_number = n / PIECES / ALBUMS;
        self.root
            .join(format!("{artist} {artist_number}"))
            .join(format!("{} {album}", n / PIECES % ALBUMS))
            .join(format!("{number:02}.{extension}"))
    }

    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        (0..self.files).map(|n| self.path(n))
    }

    /// What somebody may look for in it.
    pub fn words(&self, rng: &mut Rng) -> String {
        let song = song(rng.below(self.files));
        let first = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        match rng.below(4) {
            0 => song.title,
            1 => song.artist,
            2 => song.album,
            _ => format!("{} {}", first(&song.artist), first(&song.title)),
        }
    }
}

fn is_flac(n: usize) -> bool {
    n / PIECES % 10 < 7
}

/// What the tags of file `n` say.
pub fn song(n: usize) -> Song {
    let of = |what: u64, which: usize| Rng::new(what << 40 | which as u64);
    let (album, artist) = (n / PIECES, n / PIECES / ALBUMS);
    Song {
        title: name(&mut of(1, n), 3),
        artist: name(&mut of(2, artist), 2),
        album: name(&mut of(3, album), 2),
        number: n % PIECES + 1,
        year: 1950 + of(4, album).below(75),
    }
}

/// One to `most` words, some of them with accents; as in real libraries, a few words are everywhere.
fn name(rng: &mut Rng, most: usize) -> String {
    const COMMON: [&str; 8] = ["the", "of", "love", "in", "a", "you", "night", "and"];
    const BEGIN: [&str; 16] = ["b", "st", "l", "m", "gr", "s", "tr", "n", "k", "d", "fl", "v", "h", "p", "r", "j"];
    const VOWEL: [&str; 8] = ["a", "o", "e", "i", "u", "é", "ö", "ai"];
    const END: [&str; 8] = ["", "n", "r", "st", "l", "m", "ck", "d"];
    let mut words = Vec::new();
    for _ in 0..=rng.below(most) {
        if rng.below(3) == 0 {
            words.push(COMMON[rng.below(COMMON.len())].to_owned());
            continue;
        }
        let syllables = (0..=rng.below(2)).map(|_| {
            [BEGIN[rng.below(BEGIN.len())], VOWEL[rng.below(VOWEL.len())], END[rng.below(END.len())]].concat()
        });
        words.push(syllables.collect::<String>());
    }
    words.join(" ")
}

/// Silence, as ffmpeg encodes it.
fn sound(root: &Path, extension: &str, options: &[&str]) -> anyhow::Result<Vec<u8>> {
    let path = root.join(format!(".sound.{extension}"));
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=2"]).args(options);
    let status = command.args(["-map_metadata", "-1"]).arg(&path).stdin(Stdio::null()).status().context("ffmpeg")?;
    ensure!(status.success(), "ffmpeg makes no {extension}: {status}");
    Ok(fs::read(&path)?)
}

/// The sound with a Vorbis comment (RFC 9639 section 8.6) in place of all metadata but the stream's own.
fn tagged_flac(sound: &[u8], song: &Song) -> anyhow::Result<Vec<u8>> {
    let mut audio = 4;
    loop {
        let header = sound.get(audio..audio + 4).context("a FLAC file without sound")?;
        audio += 4 + (usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]));
        if header[0] & 0x80 != 0 {
            break;
        }
    }
    let mut comment = Vec::new();
    let mut text = |text: String| {
        comment.extend((text.len() as u32).to_le_bytes());
        comment.extend(text.into_bytes());
    };
    text("unisono".to_owned());
    let mut fields = fields(song);
    comment.extend((fields.len() as u32).to_le_bytes());
    for (name, value) in fields.drain(..) {
        let field = format!("{name}={value}");
        comment.extend((field.len() as u32).to_le_bytes());
        comment.extend(field.into_bytes());
    }
    // "fLaC" and STREAMINFO, which is always first and 34 bytes long.
    let mut file = sound[..4 + 4 + 34].to_vec();
    file[4] &= 0x7f;
    file.push(0x84);
    file.extend(&(comment.len() as u32).to_be_bytes()[1..]);
    file.extend(comment);
    file.extend(&sound[audio..]);
    Ok(file)
}

fn fields(song: &Song) -> Vec<(&'static str, String)> {
    vec![
        ("TITLE", song.title.clone()),
        ("ARTIST", song.artist.clone()),
        ("ALBUM", song.album.clone()),
        ("ALBUMARTIST", song.artist.clone()),
        ("TRACKNUMBER", song.number.to_string()),
        ("DATE", song.year.to_string()),
        ("GENRE", "Test".to_owned()),
    ]
}

/// The sound behind an ID3v2.4 tag.
fn tagged_mp3(sound: &[u8], song: &Song) -> Vec<u8> {
    const NAMES: [&str; 7] = ["TIT2", "TPE1", "TALB", "TPE2", "TRCK", "TDRC", "TCON"];
    // 28 bits, seven in each byte.
    let syncsafe = |n: usize| [n >> 21, n >> 14, n >> 7, n].map(|byte| byte as u8 & 0x7f);
    let mut frames = Vec::new();
    for (name, (_, value)) in NAMES.iter().zip(fields(song)) {
        frames.extend(name.as_bytes());
        frames.extend(syncsafe(value.len() + 1));
        // No flags; UTF-8.
        frames.extend([0, 0, 3]);
        frames.extend(value.into_bytes());
    }
    let mut file = b"ID3\x04\x00\x00".to_vec();
    file.extend(syncsafe(frames.len()));
    file.extend(frames);
    file.extend(sound);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_play_and_say_what_they_should() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = match Shelf::make(dir.path(), 121) {
            Ok(shelf) => shelf,
            Err(error) => {
                eprintln!("SKIPPED: {error}");
                return;
            }
        };
        for n in [0, 11, 85, 120] {
            let mut file = unisono_audio::decode::AudioFile::open(&shelf.path(n)).unwrap();
            assert!(file.next_block().unwrap().is_some());
        }
        let state = tempfile::tempdir().unwrap();
        let library = unisono_sender::library::Library::open(state.path(), &[dir.path().to_owned()]);
        let _librarian = library.start().unwrap();
        let right = |n: usize| {
            let Song { title, artist, .. } = song(n);
            let page = unisono_sender::library::Page { limit: 500, offset: 0 };
            let found = library.search(&format!("{title} {artist}"), page).unwrap_or_default();
            found.iter().any(|track| track.title.as_ref() == Some(&title) && track.artist.as_ref() == Some(&artist))
        };
        let waited = crate::truth::wait_for(std::time::Duration::from_secs(60), || {
            let state = library.state().ok()?;
            (!state.scan.running && state.totals.tracks == 121).then_some(state)
        });
        let state = waited.unwrap();
        assert_eq!((state.totals.albums, state.scan.unreadable), (11, 0), "{state:?}");
        assert!((0..121).all(right));
    }
}
