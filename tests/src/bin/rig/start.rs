//! A receiver that starts while the stream plays: how soon does it sound, and how far off is it then? And a sender: how soon
//! does it send?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use unisono_host::interface::Interface;
use unisono_host::multicast::MulticastReceiver;
use unisono_tests::analysis::{Finder, Quantiles};
use unisono_tests::feeder::Feeder;
use unisono_tests::house::Stream;
use unisono_tests::records::Record;
use unisono_tests::signals::{self, NOISE_PERIOD, Signal};
use unisono_tests::stalls::Watch;
use unisono_tests::{AUDIBLE, namespaces, truth};

use crate::attempts::DISTURBED_MS;
use crate::run::{Bench, stop};
use crate::scenes;

/// Windows are short, for the first sound is what matters.
const WINDOW_S: f64 = 0.05;

/// The fade-in, which carries too little energy to be placed.
const FADE_S: f64 = 0.01;

/// What each start is watched for, in seconds.
const WATCHED: Duration = Duration::from_secs(8);

/// One start.
#[derive(Clone, Copy, Debug, Serialize)]
struct Start {
    /// The room was never here before: it has no identity, no orders and no description of the stream.
    new: bool,
    /// The longest stall of the machine meanwhile, in milliseconds; 0: none of over 10 ms.
    stall_ms: f64,
    /// From the start of the process to the first sound, in milliseconds.
    first_sound_ms: f64,
    /// Offset from the room that has played all along, in microseconds: at the first sound, the largest until 3 s after it,
    /// and the largest from then on.
    at_first_us: f64,
    until_3_s_us: f64,
    after_3_s_us: f64,
}

/// Starts room 2 again and again while room 1 plays; every other time it has nothing remembered.
pub(crate) fn measure(bench: &Bench, times: usize) -> Result<()> {
    let signal = Arc::new(signals::noise(48_000, NOISE_PERIOD, scenes::SEED));
    let scene = scenes::all(2).into_iter().find(|s| s.name == "drift").context("there is a scene named drift")?;
    let stage = bench.stage("start", 2)?;
    let fifo = stage.dir.join("in.fifo");
    let feeder = Feeder::start(&fifo, signal.clone(), 2)?;
    let source = format!("{{ type = \"pipe\", path = {fifo:?}, format = \"48000:16:2\" }}");
    let stream = Stream { format: "48000:16:2", source, playout_delay_ms: bench.delay_ms };
    let mut lasting =
        vec![stage.house.start_sender(&stream)?, stage.house.start_receiver(1, &scene.rooms[0], "u1", &bench.extra)?];
    truth::pause(Duration::from_secs(8));
    let mut started = vec![];
    let watch = Watch::start();
    for i in 0..times {
        let (name, new) = (format!("u2-{i}"), i % 2 == 0);
        let state = stage.house.room_state(2);
        if new && state.exists() {
            std::fs::remove_dir_all(state)?;
        }
        // It finds the hub by itself, as in a house; by announcements alone it would wait for the next.
        let extra = format!("interface = \"eth0\"\n{}", bench.extra);
        let environment = stage.house.environment(&scene.rooms[1], &name)?;
        let process = stage.house.start_receiver_with(2, "simcard", &name, &extra, environment)?;
        started.push((name, new, process.started_ns()));
        truth::pause(WATCHED);
        stop(&mut [process]).iter().for_each(|what| println!("start {i}: {what}"));
        anyhow::ensure!(!truth::interrupted(), "ended before the last start");
    }
    let (_, stalls) = watch.finish_with_each();
    stop(&mut lasting).iter().for_each(|what| println!("{what}"));
    drop(feeder);
    let reference = Record::open(&stage.dir.join("u1"))?;
    println!(
        "{:>10} {:>16} {:>14} {:>14} {:>14} {:>10}",
        "start", "first sound ms", "error then us", "worst to 3 s", "worst after", "stall ms"
    );
    let mut starts = vec![];
    for (i, (name, new, started_ns)) in started.iter().enumerate() {
        let record = Record::open(&stage.dir.join(name))?;
        let how = if *new { format!("{i} new") } else { i.to_string() };
        let Some(start) = judge(&signal, &reference, &record, *started_ns) else {
            println!("{how:>10} never sounded with room 1");
            continue;
        };
        let meanwhile = *started_ns..*started_ns + WATCHED.as_nanos() as i64;
        let within = stalls.iter().filter(|stall| meanwhile.contains(&stall.end_ns));
        let start = Start { new: *new, stall_ms: within.map(|stall| stall.ms).fold(0.0, f64::max), ..start };
        println!(
            "{how:>10} {:>16.0} {:>14.2} {:>14.2} {:>14.2} {:>10.0}",
            start.first_sound_ms, start.at_first_us, start.until_3_s_us, start.after_3_s_us, start.stall_ms
        );
        starts.push(start);
    }
    // What a machine that stands still does to a start is no figure of the programs'.
    for (new, title) in [(false, "known"), (true, "new")] {
        let of = starts.iter().filter(|start| start.new == new && start.stall_ms <= DISTURBED_MS);
        let of = of.copied().collect::<Vec<_>>();
        summary(title, &of, bench.delay_ms);
    }
    let sender = sender(bench, times)?;
    println!("sender: first packet after {:.0} ms in the median, worst {:.0} ms", sender.median, sender.max);
    std::fs::write(bench.out().join("start.json"), serde_json::to_string_pretty(&starts)?)?;
    bench.put_away(&stage, &signal)
}

/// From the start of a sender's process to its first packet at a room, in milliseconds.
fn sender(bench: &Bench, times: usize) -> Result<Quantiles> {
    let stage = bench.stage("start-sender", 1)?;
    let room = stage.house.network().and_then(|network| network.host("r1")).context("a house has rooms")?;
    let group = SocketAddr::from(([239, 77, 7, 7], 5004));
    let join = || anyhow::Ok(MulticastReceiver::join(group, &Interface::by_name("eth0")?)?);
    let mut socket = namespaces::inside(&room, join)??;
    let source = format!("{{ type = \"tone\" }}\ngroup = \"{}\"", group.ip());
    let stream = Stream { format: "48000:16:2", source, playout_delay_ms: bench.delay_ms };
    let (mut taken, mut buffer) = (vec![], [0; 2_048]);
    for _ in 0..times {
        let mut process = stage.house.start_sender(&stream)?;
        let heard = truth::wait_for(Duration::from_secs(10), || socket.receive(&mut buffer).ok()?);
        heard.with_context(|| format!("the sender sends nothing:\n{}", process.log()))?;
        taken.push((truth::now_ns() - process.started_ns()) as f64 / 1e6);
        process.stop();
        truth::pause(Duration::from_millis(500));
        while let Ok(Some(_)) = socket.receive(&mut buffer) {}
    }
    Ok(Quantiles::of(taken))
}

fn judge(signal: &Signal, reference: &Record, record: &Record, started_ns: i64) -> Option<Start> {
    let rate = f64::from(signal.rate);
    let length = (WINDOW_S * rate) as usize;
    let mut finder = Finder::new(signal, length);
    let first_ns = record.first_sound(i64::MIN, AUDIBLE)?;
    let end_ns = record.segments.last()?.end_ns();
    let (mut errors, mut hint) = (vec![], None);
    let mut t_ns = first_ns + (FADE_S * 1e9) as i64;
    while t_ns + ((WINDOW_S + FADE_S) * 1e9) as i64 * 2 < end_ns {
        let own = reference.heard(t_ns, length, rate).and_then(|sound| finder.locate(&sound, hint));
        hint = own.map(|fix| fix.position);
        let other = record.heard(t_ns, length, rate).and_then(|sound| finder.locate(&sound, hint));
        if let (Some(own), Some(other)) = (own, other) {
            errors.push(((t_ns - first_ns) as f64 / 1e9, (other.position - own.position) / rate * 1e6));
        }
        hint = hint.map(|p| p + WINDOW_S * rate);
        t_ns += (WINDOW_S * 1e9) as i64;
    }
    let worst = |from: f64, to: f64| {
        let within = errors.iter().filter(|(t, _)| (from..to).contains(t));
        within.map(|(_, e)| e.abs()).fold(0.0, f64::max)
    };
    Some(Start {
        new: false,
        stall_ms: 0.0,
        first_sound_ms: (first_ns - started_ns) as f64 / 1e6,
        at_first_us: errors.first()?.1,
        until_3_s_us: worst(0.0, 3.0),
        after_3_s_us: worst(3.0, f64::MAX),
    })
}

fn summary(title: &str, starts: &[Start], delay_ms: u32) {
    let of = |value: fn(&Start) -> f64| Quantiles::of(starts.iter().map(value).collect());
    let first = of(|s| s.first_sound_ms);
    println!(
        "{title} room, first sound: median {:.0} ms, worst {:.0} ms (playout delay {delay_ms} ms); error then: worst {:.1} us; \
         to 3 s: worst {:.1} us; after: worst {:.1} us",
        first.median,
        first.max,
        of(|s| s.at_first_us.abs()).max,
        of(|s| s.until_3_s_us).max,
        of(|s| s.after_3_s_us).max
    );
}
