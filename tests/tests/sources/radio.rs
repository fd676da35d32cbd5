//! Debian's `icecast2` on this machine, fed by ffmpeg.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use unisono_host::clock;
use unisono_tests::processes::Process;
use unisono_tests::station::{Station, Tap, free_port};
use unisono_tests::truth;

use crate::{PATIENCE, have, ms, run, start, tone};

fn icecast(dir: &Path, port: u16) -> Process {
    // As root it wants to be somebody else.
    let owner =
        "<security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>";
    let conf = format!(
        "<icecast><limits><clients>20</clients><sources>3</sources><burst-size>65535</burst-size></limits>\
         <authentication><source-password>hackme</source-password><admin-user>admin</admin-user>\
         <admin-password>hackme</admin-password></authentication><hostname>127.0.0.1</hostname>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
         <paths><logdir>{0}</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>\
         </paths><logging><errorlog>-</errorlog><accesslog>-</accesslog><loglevel>3</loglevel></logging>{owner}</icecast>",
        dir.display()
    );
    let file = dir.join("icecast.xml");
    std::fs::write(&file, conf).unwrap();
    start(dir, "icecast", "icecast2", &["-c", file.to_str().unwrap()])
}

/// A station that plays a tone at the pace of time.
fn broadcast(dir: &Path, port: u16, mount: &str, codec: &[&str]) -> Process {
    let source = ["-v", "warning", "-re", "-f", "lavfi", "-i", "sine=frequency=500:sample_rate=44100", "-ac", "2"];
    let about = ["-ice_name", "Radio Sine", "-metadata", "title=Five Hundred", "-metadata", "artist=Hertz"];
    let url = format!("icecast://source:hackme@127.0.0.1:{port}/{mount}");
    start(dir, &mount.replace('.', "-"), "ffmpeg", &[&source[..], &about, codec, &[&*url]].concat())
}

#[test]
fn a_radio_station_is_played_with_its_titles_and_found_again() {
    if !have(&["icecast2", "ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let port = free_port().unwrap();
    let server = icecast(dir.path(), port);
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    assert!(truth::wait_for(PATIENCE, listens).is_some(), "{}", server.log());
    let mut mp3 = broadcast(
        dir.path(),
        port,
        "radio.mp3",
        &["-c:a", "libmp3lame", "-b:a", "128k", "-content_type", "audio/mpeg", "-f", "mp3"],
    );
    let _ogg = broadcast(
        dir.path(),
        port,
        "radio.ogg",
        &["-c:a", "libvorbis", "-content_type", "application/ogg", "-f", "ogg"],
    );
    // Icecast itself offers a playlist of each mount.
    let streams = format!(
        "[[streams]]\nid = \"mp3@\"\nsource = {{ type = \"http\", url = \"http://127.0.0.1:{port}/radio.mp3.m3u\" }}\n\
         [[streams]]\nid = \"ogg@\"\nsource = {{ type = \"http\", url = \"http://127.0.0.1:{port}/radio.ogg\" }}\n"
    );
    let began = clock::now();
    let station = Station::start(dir.path(), &streams).unwrap();
    let taps = ["mp3", "ogg"].map(|name| (name, Tap::open(station.group(name)).unwrap()));
    for (name, tap) in &taps {
        let Some(heard) = tap.wait_for_sound(began, PATIENCE) else {
            panic!("{name} is silent: {}\n{}\n{}", station.playback(name), station.process.log(), server.log())
        };
        println!("http: {name} is heard {:.0} ms after the sender was started", ms(began, heard));
    }
    // Titles are told to the server by its own interface; ffmpeg does not.
    let mut admin = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        admin,
        "GET /admin/metadata?mount=/radio.mp3&mode=updinfo&song=Hertz+-+Five+Hundred HTTP/1.0\r\nAuthorization: Basic \
         c291cmNlOmhhY2ttZQ==\r\n\r\n"
    )
    .unwrap();
    let title = station.wait_for("mp3", PATIENCE, |now| now["title"] == "Five Hundred" && now["artist"] == "Hertz");
    assert!(title.is_some(), "{}\n{}", station.playback("mp3"), station.process.log());

    // The station goes off the air and comes back.
    mp3.stop();
    let failed = station.wait_for("mp3", PATIENCE, |now| now["state"] == "failed");
    assert!(failed.is_some_and(|now| now["reason"].as_str().is_some_and(|reason| !reason.is_empty())));
    let gone = clock::now();
    let _mp3 = broadcast(
        dir.path(),
        port,
        "radio.mp3",
        &["-c:a", "libmp3lame", "-b:a", "128k", "-content_type", "audio/mpeg", "-f", "mp3"],
    );
    let back = station.wait_for("mp3", PATIENCE, |now| now["state"] == "playing");
    assert!(back.is_some(), "{}\n{}", station.playback("mp3"), station.process.log());
    println!("http: a station that returns is heard again after {:.0} ms", ms(gone, clock::now()));
    let (_, ogg) = &taps[1];
    // The other one has not noticed.
    station.assert_unbroken(ogg);
    assert_eq!(station.playback("ogg")["state"], "playing");
}

/// Serves files and redirects, one request a connection, until it is dropped.
struct Files {
    port: u16,
}

impl Files {
    fn serve(files: Vec<(&'static str, &'static str, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut head = [0; 2048];
                let length = stream.read(&mut head).unwrap_or(0);
                let request = String::from_utf8_lossy(&head[..length]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let found = files.iter().find(|(name, ..)| *name == path);
                let _ = match found {
                    Some((_, "redirect", to)) => {
                        let to = String::from_utf8_lossy(to);
                        write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
                    }
                    // As the first Shoutcast does it.
                    Some((_, "icy", body)) => stream
                        .write_all(b"ICY 200 OK\r\nicy-name:Old Timer\r\ncontent-type:audio/mpeg\r\n\r\n")
                        .and_then(|()| stream.write_all(body)),
                    Some((_, "chunked", body)) => write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
                    )
                    .and_then(|()| {
                        for chunk in body.chunks(999) {
                            write!(stream, "{:x}\r\n", chunk.len())?;
                            stream.write_all(chunk)?;
                            stream.write_all(b"\r\n")?;
                        }
                        stream.write_all(b"0\r\n\r\n")
                    }),
                    // Breaks off in the middle, and gives the rest to whoever asks for it.
                    Some((_, "broken", body)) => {
                        let request = request.to_lowercase();
                        let range = request.split_once("range: bytes=").and_then(|(_, rest)| rest.split_once('-'));
                        let (status, from, to) = match range.and_then(|(from, _)| from.parse::<usize>().ok()) {
                            Some(from) => ("206 Partial Content", from, body.len()),
                            None => ("200 OK", 0, body.len() / 2),
                        };
                        write!(
                            stream,
                            "HTTP/1.1 {status}\r\nContent-Type: audio/mpeg\r\nContent-Range: bytes {from}-{}/{}\r\n\
                             Content-Length: {}\r\n\r\n",
                            body.len() - 1,
                            body.len(),
                            body.len() - from
                        )
                        .and_then(|()| stream.write_all(&body[from..to]))
                    }
                    Some((_, mime, body)) => write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Type: {mime}\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    )
                    .and_then(|()| stream.write_all(body)),
                    None => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
                };
            }
        });
        Files { port }
    }
}

#[test]
fn podcasts_lists_redirects_and_servers_of_all_ages() {
    if !have(&["ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (wav, mp3) = (dir.path().join("t.flac"), dir.path().join("t.mp3"));
    tone(&wav, 441, 4, "Episode");
    run("ffmpeg", &["-v", "error", "-y", "-i", wav.to_str().unwrap(), mp3.to_str().unwrap()]);
    let sound = std::fs::read(&mp3).unwrap();
    let long = dir.path().join("long.mp3");
    tone(&long, 600, 12, "Long");
    let feed = "<rss><channel><item><title>Episode 2</title><enclosure url=\"two.mp3\"/></item>\
                <item><title>Episode 1</title><enclosure url=\"/moved\"/></item></channel></rss>";
    let files = Files::serve(vec![
        ("/feed", "application/rss+xml", feed.into()),
        ("/two.mp3", "audio/mpeg", sound.clone()),
        ("/moved", "redirect", "/chunked".into()),
        ("/chunked", "chunked", sound.clone()),
        ("/broken", "broken", std::fs::read(&long).unwrap()),
        ("/old", "icy", sound),
    ]);
    let port = files.port;
    let stream = |id: &str, path: &str| {
        format!(
            "[[streams]]\nid = \"{id}@\"\nsource = {{ type = \"http\", url = \"http://127.0.0.1:{port}{path}\" }}\n"
        )
    };
    let streams = stream("feed", "/feed") + &stream("old", "/old") + &stream("none", "/none");
    let streams = streams + &stream("broken", "/broken");
    let station = Station::start(dir.path(), &streams).unwrap();
    let tap = Tap::open(station.group("feed")).unwrap();
    let broken = Tap::open(station.group("broken")).unwrap();
    let episode = |title: &str| {
        let found = station.wait_for("feed", PATIENCE, |now| now["title"] == title);
        assert!(found.is_some(), "{title}: {}\n{}", station.playback("feed"), station.process.log());
    };
    episode("Episode 2");
    assert!(
        station.wait_for("old", PATIENCE, |now| now["title"] == "Old Timer").is_some(),
        "{}",
        station.process.log()
    );
    episode("Episode 1");
    assert!(tap.wait_for_sound(clock::now(), PATIENCE).is_some());
    let idle = station.wait_for("feed", PATIENCE, |now| now["state"] == "idle");
    assert!(idle.is_some(), "{}", station.playback("feed"));
    let none = station.wait_for("none", PATIENCE, |now| now["state"] == "failed").unwrap();
    assert!(none["reason"].as_str().unwrap().contains("404"), "{none}");
    assert!(tap.wait_for_silence(clock::now(), PATIENCE).is_some(), "its packets do not go on");
    // Twelve seconds, of which six came in the first answer, and two may have gone by before it was listened to.
    let loud = || broken.packets().iter().filter(|heard| heard.samples.iter().any(|s| s.abs() > 100)).count();
    let rest = truth::wait_for(PATIENCE, || (loud() >= 10 * 200).then_some(()));
    assert!(rest.is_some(), "{} packets of {}\n{}", loud(), station.playback("broken"), station.process.log());
    station.assert_unbroken(&tap);
}
