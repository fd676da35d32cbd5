//! What is on the wire beside the sound: RTCP as RFC 3550 has it, and announcements of nobody by the thousands.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use unisono_common::rtcp::{self, Item};
use unisono_common::sap::{self, Kind};
use unisono_common::sdp::Session;
use unisono_common::time::{MediaTime, rtp_timestamp};
use unisono_host::clock;
use unisono_host::interface::Interface;
use unisono_host::multicast::{MulticastReceiver, MulticastSender, SendOptions};
use unisono_tests::house::{House, Room};
use unisono_tests::namespaces;
use unisono_tests::stalls::undisturbed;
use unisono_tests::truth;

use crate::common::end;
use crate::{peers, table};

/// Bogus announcements, more than any directory holds.
const BOGUS: u32 = 5_000;

/// The house's stream, as its sender describes it.
fn description(house: &House) -> Session {
    let url = peers::sdp_url(house);
    let path = url.strip_prefix("http://").unwrap();
    let (host, path) = path.split_once('/').unwrap();
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    let ask = || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(host).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Session::parse(answer.split_once("\r\n\r\n")?.1.as_bytes()).ok()
    };
    let there = house.network().unwrap().host("r1").unwrap();
    namespaces::inside(&there, || truth::wait_for(peers::PATIENCE, ask)).unwrap().expect("a description")
}

#[test]
fn reports_are_as_the_standard_has_them() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&[], 1) else { return };
        let mut sender = playing.start_sender();
        let session = description(&playing.house);
        let there = playing.house.network().unwrap().host("r1").unwrap();
        let group = SocketAddr::new(session.address, session.port + 1);
        let heard = namespaces::inside(&there, || {
            let interface = Interface::by_name("eth0").unwrap();
            let mut socket = MulticastReceiver::join(group, &interface).unwrap();
            // A receiver report of a stranger, as GStreamer multicasts them: version 2, type 201, no blocks; and rubbish.
            let options = SendOptions { source_port: 0, ttl: 4, dscp: 0 };
            let stranger = MulticastSender::open(&interface, group.ip(), options).unwrap();
            stranger.send_to(&[0x80, 201, 0, 1, 1, 2, 3, 4], group).unwrap();
            stranger.send_to(&[0xff; 64], group).unwrap();
            let (mut heard, mut buffer) = (vec![], [0; 2048]);
            let end_ns = truth::now_ns() + 8_000_000_000;
            while truth::now_ns() < end_ns {
                let _ = socket.wait(clock::now() + 100_000_000, None);
                while let Ok(Some(received)) = socket.receive(&mut buffer) {
                    let items = rtcp::parse(&buffer[..received.len]).unwrap_or_default();
                    heard.push((received.stamp.at, items));
                }
            }
            heard
        });
        let heard = heard.unwrap();
        end(&mut [&mut sender]);
        let report = |items: &[Item]| {
            items.iter().find_map(|item| if let Item::SenderReport(report) = item { Some(*report) } else { None })
        };
        let reports: Vec<_> = heard.iter().filter_map(|(at, items)| Some((*at, report(items)?, items))).collect();
        assert!(reports.len() >= 4, "{heard:?}");
        let near = MediaTime::from_ns(clock::time_of_day_ns());
        for (_, report, items) in &reports {
            // The pair names one instant.
            let frame = MediaTime::from_ntp(report.ntp, near).to_frame(session.format.rate);
            let apart = rtp_timestamp(frame).wrapping_sub(report.rtp_timestamp) as i32;
            assert!(apart.abs() <= 1, "{apart} frames: {report:?}");
            let is_name =
                |item: &Item| matches!(item, Item::Cname { name, .. } if name.starts_with(playing.house.stream()));
            let named = items.iter().any(is_name);
            assert!(named, "no CNAME: {items:?}");
        }
        let [first, .., last] = &reports[..] else { unreachable!("there are four") };
        assert!(last.1.packets > first.1.packets && last.1.octets > first.1.octets, "{reports:?}");
        let mean_s = (last.0 - first.0) as f64 * 1e-9 / (reports.len() - 1) as f64;
        // By chance from half a second to one and a half (section 6.3.1); a busy machine adds to it.
        assert!((0.5..5.0).contains(&mean_s), "every {mean_s} s");
        let seen = format!(
            "SR with one instant's NTP and RTP time, SDES CNAME, every {mean_s:.2} s in the mean of {}; strangers' RR taken",
            reports.len()
        );
        table::tell("ours to them", "RTCP (RFC 3550)", "", &seen);
    });
}

#[test]
fn thousands_of_bogus_announcements_fill_nothing() {
    undisturbed(|| {
        let Some(playing) = peers::house_with(&[], 1) else { return };
        let mut sender = playing.start_sender();
        let mut room = playing.house.start_receiver(1, &Room::default(), "u1", "").unwrap();
        playing.wait_for_all(&["u1"], &[&sender, &room]);
        let before = [sender.usage().rss_kb, room.usage().rss_kb];
        let there = playing.house.network().unwrap().host("r1").unwrap();
        let flood = || {
            let socket = UdpSocket::bind("10.77.0.11:0").unwrap();
            for n in 0..BOGUS {
                let origin = Ipv4Addr::from(0x0a63_0000 + n);
                let sdp = format!(
                    "v=0\no=- {n} 1 IN IP4 {origin}\ns=Bogus {n}\nc=IN IP4 239.99.0.1/4\nt=0 0\nm=audio 5004 RTP/AVP 127\n\
                     a=rtpmap:127 L16/48000/2\na=tool:{}\n",
                    "x".repeat(500)
                );
                let packet = sap::packet(Kind::Announcement, IpAddr::V4(origin), &sdp);
                for group in [sap::GROUP_LOCAL, sap::GROUP_PULSE] {
                    let _ = socket.send_to(&packet, (group, sap::PORT));
                }
                if n % 50 == 0 {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        namespaces::inside(&there, flood).unwrap();
        // Time to take in what waits in the sockets: what grows by it is measured then.
        truth::pause(Duration::from_secs(2));
        let streams = playing.house.ctl(&["streams"]).unwrap();
        let bogus = streams.matches("Bogus").count();
        let after = [sender.usage().rss_kb, room.usage().rss_kb];
        let grown = [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])];
        let ours = truth::now_ns();
        assert!(playing.wait_for_sound("u1", ours).is_some(), "{}", room.log());
        end(&mut [&mut room, &mut sender]);
        assert!((1..=32).contains(&bogus), "{bogus} bogus streams are listed");
        assert!(grown.iter().all(|kb| *kb < 16 * 1024), "{before:?} to {after:?} kB");
        let seen = format!(
            "{BOGUS} bogus ones: {bogus} listed; sender and room are {} and {} kB larger and play on",
            grown[0], grown[1]
        );
        table::tell("theirs to ours", "SAP announcements", "", &seen);
    });
}
