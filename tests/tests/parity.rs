//! GStreamer's `rtpst2022-1-fecdec` computes what was lost from the sender's parity: it is SMPTE 2022-1. Skipped, loudly, where
//! there is no gst-launch-1.0.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use unisono_common::fec::{Encoder, Matrix};
use unisono_common::rtp::{HEADER_LEN, Header};
use unisono_tests::truth;

const SSRC: u32 = 0x1122_3344;
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends with the test.
struct Launched(Child);

impl Drop for Launched {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0; HEADER_LEN];
    let timestamp = u32::from(sequence) * 240;
    Header { payload_type: 127, sequence, timestamp, ssrc: SSRC }.write(&mut packet).unwrap();
    packet.extend((0..960).map(|i: u16| (sequence.wrapping_mul(31) ^ i) as u8));
    packet
}

fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Whether a socket of this host is bound to a UDP port.
fn is_bound(port: u16) -> bool {
    let of = |family| std::fs::read_to_string(format!("/proc/net/{family}")).unwrap_or_default();
    (of("udp") + &of("udp6")).contains(&format!(":{port:04X} "))
}

#[test]
fn gstreamer_computes_a_burst_from_our_parity() {
    let (media, parity) = (free_port(), free_port());
    let heard = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let source = |port| format!("udpsrc address=127.0.0.1 port={port} caps=application/x-rtp");
    let pipeline = format!(
        "rtpst2022-1-fecdec name=fec ! udpsink host=127.0.0.1 port={} sync=false async=false {} ! fec.sink {} ! fec.fec_0",
        heard.local_addr().unwrap().port(),
        source(media),
        source(parity),
    );
    let launch = Command::new("gst-launch-1.0").arg("-q").args(pipeline.split(' ')).stdin(Stdio::null()).spawn();
    let Ok(launched) = launch.map(Launched) else {
        return eprintln!("SKIPPED: gst-launch-1.0 isn't there (Debian: apt install gstreamer1.0-tools)");
    };
    let listens = truth::wait_for(PATIENCE, || (is_bound(media) && is_bound(parity)).then_some(()));
    assert!(listens.is_some(), "gst-launch-1.0 does not listen");

    // Three matrices; of the second a burst is lost, as long as there are columns.
    let matrix = Matrix::new(5, 4).unwrap();
    let mut encoder = Encoder::new(matrix, SSRC);
    let to = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let first: u32 = 65_520;
    let sent: Vec<u16> = (0..60).map(|i| (first + i) as u16).collect();
    let lost = &sent[27..32];
    for &sequence in &sent {
        let packet = packet(sequence);
        if !lost.contains(&sequence) {
            heard.send_to(&packet, to(media)).unwrap();
        }
        if let Some(parity_packet) = encoder.push(&packet) {
            heard.send_to(parity_packet, to(parity)).unwrap();
        }
        truth::pause(Duration::from_millis(2));
    }

    heard.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut came: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut buffer = [0; 2_048];
    let all = truth::wait_for(PATIENCE, || {
        while let Ok(length) = heard.recv(&mut buffer) {
            came.insert(u16::from_be_bytes([buffer[2], buffer[3]]), buffer[..length].to_vec());
        }
        (came.len() == sent.len()).then_some(())
    });
    drop(launched);
    assert!(all.is_some(), "{} of {} packets came", came.len(), sent.len());
    for &sequence in lost {
        // The SSRC is not in the parity, and GStreamer leaves it 0.
        let (came, sent) = (&came[&sequence], packet(sequence));
        assert!(came[..8] == sent[..8] && came[HEADER_LEN..] == sent[HEADER_LEN..], "packet {sequence}: {came:?}");
    }
}
