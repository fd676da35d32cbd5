use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use proptest::prelude::*;

use super::super::queue::{Sizes, queue};
use super::*;

/// A link that gives these bytes, in pieces, and swallows what is sent.
struct Script(Vec<u8>, usize);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0.drain(..n);
        Ok(n)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Link for Script {
    fn set_patience(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

fn connection(bytes: &[u8], piece: usize) -> Result<Connection, MpdError> {
    Connection::greet(Box::new(Script([b"OK MPD 0.23.5\n", bytes].concat(), piece)))
}

#[test]
fn replies_are_read_whatever_pieces_they_come_in() {
    for piece in [1, 3, 4_096] {
        let bytes = b"state: play\nelapsed: 1.5\nOK\nsize: 3\nbinary: 3\n\nOK\nOK\nACK [50@0] {play} No such song\n";
        let mut mpd = connection(bytes, piece).unwrap();
        let status = mpd.ask("status").unwrap();
        assert_eq!((status.get("state"), status.get("Elapsed")), (Some("play"), Some("1.5")));
        assert_eq!(mpd.ask("albumart").unwrap().binary.unwrap(), b"\nOK");
        assert!(mpd.ask("play 9").unwrap_err().to_string().contains("No such song"));
        assert!(matches!(mpd.ask("status"), Err(MpdError::Io(_))));
    }
    assert!(matches!(Connection::greet(Box::new(Script(b"220 smtp\n".to_vec(), 9))), Err(MpdError::NotMpd(_))));
}

#[test]
fn arguments_cannot_break_out_of_their_quotes() {
    assert_eq!(quoted("a \"b\"\\c\nstop"), "\"a \\\"b\\\"\\\\cstop\"");
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes: Vec<u8>, piece in 1_usize..100) {
        if let Ok(mut mpd) = connection(&bytes, piece) {
            while mpd.reply().is_ok() {}
        }
    }
}

/// Plays the part of MPD for one connection; the commands that came, without the questions that are always asked.
fn serve(listener: &TcpListener, commands: usize) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    let (mut out, mut heard) = (stream.try_clone().unwrap(), Vec::new());
    out.write_all(b"OK MPD 0.23.5\n").unwrap();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let answer: &[u8] = match line.as_str() {
            "status" => b"state: play\nelapsed: 2.0\nduration: 200.0\nOK\n",
            "currentsong" => b"file: a/b.flac\nTitle: So What\nArtist: Miles Davis\nOK\n",
            "idle player" => b"",
            line if line.starts_with("readpicture") => b"size: 4\nbinary: 4\n\x89PNG\nOK\n",
            _ => b"OK\n",
        };
        if !["status", "currentsong", "idle player", "noidle"].contains(&&*line) && !line.starts_with("readpicture") {
            heard.push(line);
        }
        out.write_all(answer).unwrap();
        if heard.len() == commands {
            break;
        }
    }
    heard
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let until = clock::now() + 20_000_000_000;
    while !done() {
        assert!(clock::now() < until, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn mpd_is_shown_and_driven_and_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sizes = Sizes { capacity: Duration::from_millis(100), prebuffer: Duration::ZERO };
    let (writer, handle) = queue("48000:16:2".parse().unwrap(), sizes);
    let (status, control) = (handle.status(), handle.control());
    Mpd::new(&address, Some("secret")).start(writer.status());
    for _ in 0..2 {
        let server = {
            let listener = listener.try_clone().unwrap();
            thread::spawn(move || serve(&listener, 6))
        };
        wait_for("what it plays is shown", || status.snapshot().artwork.is_some());
        let now = status.snapshot();
        let playing = now.now_playing.unwrap();
        assert_eq!(playing.track.title.as_deref(), Some("So What"));
        assert!(playing.position >= Duration::from_secs(2) && playing.position < Duration::from_secs(60));
        assert_eq!((status.artwork().unwrap().mime, now.can), ("image/png", CAN));
        control.pause();
        control.play();
        control.next();
        control.seek(Duration::from_millis(1_500));
        control.previous();
        let heard = server.join().unwrap();
        assert_eq!(heard[..5], ["password \"secret\"", "pause 1", "pause 0", "next", "seekcur 1.500"]);
        assert!(["previous", "seekcur 0"].contains(&&*heard[5]));
        wait_for("that it is gone is seen", || status.snapshot().can == CAN_ALONE);
        assert_eq!(status.snapshot().now_playing, None);
    }
    drop(handle);
}
