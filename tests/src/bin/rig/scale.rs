//! What a big house costs its sender: many rooms with the receiver's own clock client and link to the hub, that report as
//! rooms do and play nothing, for audio by multicast costs the same for any number. One sender, 5, 50 and 500 rooms.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use unisono_common::config::receiver::HubConfig;
use unisono_common::control::{Health, State};
use unisono_host::clock;
use unisono_receiver::hub::{self, Event, HubSettings};
use unisono_receiver::timeclient::{self, TimeClientConfig};
use unisono_sender::client::Target;
use unisono_tests::namespaces::SERVER_ADDRESS;
use unisono_tests::processes::{Launch, Process, Usage};
use unisono_tests::threads::{Share, Snapshot};
use unisono_tests::{machine, plot, truth};

use crate::beside;
use crate::run::{Bench, Stage, logs, stop};

/// Rooms of each run.
const ROOMS: [usize; 3] = [5, 50, 500];

/// Hosts that rooms live on: a hub takes so many connections of one address only.
const HOSTS: usize = 10;

/// A room asks for the clock more often while it is new, for 10 s.
const SETTLED: Duration = Duration::from_secs(15);

/// Orders that are given while everything runs, evenly over the time.
const ORDERS: usize = 100;

/// What many rooms may take more of a core than few, in percent, and what a sender may take in memory: so much, and so much
/// for each room, in kilobytes of 1000 bytes.
const MOST_GROWTH_PERCENT: f64 = 2.0;
const MOST_KB: f64 = 67_109.0;
const MOST_KB_A_ROOM: f64 = 50.0;

/// A measured house.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    rooms: usize,
    sender: Usage,
    descriptors: usize,
    threads: usize,
    shares: Vec<Share>,
    /// Round trips of the clock, and orders from the request to the room, in milliseconds: median and 99th percentile.
    clock_ms: [f64; 2],
    orders_ms: [f64; 2],
    orders_lost: usize,
}

/// Measures each size for the bench's duration.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    println!("{}\n", machine::describe());
    println!(
        "| rooms | sender's CPU | memory | descriptors | threads | clock's round trip p50 / p99 | an order p50 / p99 |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut outcomes: Vec<Outcome> = vec![];
    for rooms in ROOMS {
        let outcome = house(bench, rooms)?;
        let Outcome { sender, descriptors, threads, clock_ms, orders_ms, orders_lost, .. } = &outcome;
        let lost = if *orders_lost > 0 { format!(", {orders_lost} of {ORDERS} lost") } else { String::new() };
        println!(
            "| {rooms} | {:.2} % | {:.1} MB | {descriptors} | {threads} | {:.2} / {:.2} ms | {:.1} / {:.1} ms{lost} |",
            sender.cpu_percent,
            sender.rss_kb as f64 * 1.024e-3,
            clock_ms[0],
            clock_ms[1],
            orders_ms[0],
            orders_ms[1],
        );
        outcomes.push(outcome);
    }
    judge(&outcomes);
    if let Some(Outcome { rooms, shares, .. }) = outcomes.last() {
        beside::threads(&format!("sender with {rooms} rooms"), shares);
    }
    std::fs::write(bench.out().join("scale.json"), serde_json::to_string_pretty(&outcomes)?)?;
    let points = |of: fn(&Outcome) -> f64| outcomes.iter().map(|o| (o.rooms as f64, of(o))).collect::<Vec<_>>();
    let curves = [
        ("sender's CPU, % of a core", points(|o| o.sender.cpu_percent)),
        ("sender's memory, MB", points(|o| o.sender.rss_kb as f64 * 1.024e-3)),
        ("sender's descriptors", points(|o| o.descriptors as f64)),
        ("clock's round trip, p99, ms", points(|o| o.clock_ms[1])),
        ("an order's way, p99, ms", points(|o| o.orders_ms[1])),
    ];
    plot::against_rooms(&bench.out().join("scale.svg"), &curves)?;
    println!("\nTable and plot: {}", bench.out().display());
    Ok(())
}

/// Says whether the aims are met.
fn judge(outcomes: &[Outcome]) {
    let verdict = |met: bool| if met { "ok" } else { "OVER" };
    if let (Some(few), Some(many)) = (outcomes.first(), outcomes.last()) {
        let grown = many.sender.cpu_percent - few.sender.cpu_percent;
        println!(
            "\nfrom {} to {} rooms: {grown:+.2} % of a core, aim below {MOST_GROWTH_PERCENT}: {}",
            few.rooms,
            many.rooms,
            verdict(grown < MOST_GROWTH_PERCENT)
        );
    }
    for Outcome { rooms, sender, .. } in outcomes {
        let (kb, most) = (sender.rss_kb as f64 * 1.024, MOST_KB + MOST_KB_A_ROOM * *rooms as f64);
        println!("{rooms} rooms: {:.1} MB, aim below {:.1}: {}", kb * 1e-3, most * 1e-3, verdict(kb < most));
    }
}

fn house(bench: &Bench, rooms: usize) -> Result<Outcome> {
    let stage = bench.stage(&format!("scale-{rooms}"), HOSTS)?;
    let mut sender = stage.house.start_hub_on("srv", "sender")?;
    let target = Target::Socket(stage.dir.join("state-sender").join("hub.sock"));
    let ready = truth::wait_for(Duration::from_secs(20), || target.get("/api/v1/health").ok());
    ensure!(ready.is_some(), "the hub does not answer:\n{}", sender.log());
    let mut members = vec![];
    for host in 0..HOSTS.min(rooms) {
        members.push(launch(&stage, host, rooms / HOSTS.min(rooms))?);
    }
    let ids = || {
        let listed = target.get("/api/v1/rooms").ok()?;
        let online = listed.as_array()?.iter().filter(|room| room["presence"] == "here");
        let ids: Vec<String> = online.filter_map(|room| Some(room["id"].as_str()?.to_owned())).collect();
        (ids.len() == rooms).then_some(ids)
    };
    let ids = truth::wait_for(Duration::from_secs(60), ids);
    let ids = ids.with_context(|| format!("not all {rooms} rooms appear:\n{}\n{}", sender.log(), logs(&members)))?;
    truth::pause(SETTLED);
    sender.reset_usage();
    let before = Snapshot::of(sender.id());
    let begun = given(&target, &ids, bench.duration)?;
    let (usage, shares) = (sender.usage(), Snapshot::of(sender.id()).since(&before));
    let proc = Path::new("/proc").join(sender.id().to_string());
    let count = |what: &str| std::fs::read_dir(proc.join(what)).map_or(0, |entries| entries.count());
    let (descriptors, threads) = (count("fd"), count("task"));
    truth::pause(Duration::from_secs(1));
    for member in &mut members {
        member.stop();
    }
    let text: String = members.iter().map(Process::log).collect();
    let unclean = stop(std::slice::from_mut(&mut sender));
    ensure!(unclean.is_empty(), "{}", unclean.join("\n"));
    let orders: Vec<f64> = arrived(&text, &begun).collect();
    let trips: Vec<f64> = fields(&text, "trip").filter_map(|rest| rest.parse().ok()).collect();
    ensure!(!trips.is_empty() && !orders.is_empty(), "nothing was measured:\n{}", logs(&members));
    Ok(Outcome {
        rooms,
        sender: usage,
        descriptors,
        threads,
        shares,
        clock_ms: quantiles(trips),
        orders_lost: begun.len() - orders.len(),
        orders_ms: quantiles(orders),
    })
}

/// Gives orders, each with a level of its own; when each was given, by room and level.
fn given(target: &Target, ids: &[String], over: Duration) -> Result<HashMap<String, i64>> {
    let mut begun = HashMap::new();
    for order in 0..ORDERS {
        let room = &ids[order * 7 % ids.len()];
        let level = -20.0 - order as f32 * 0.25;
        begun.insert(key(room, level), truth::now_ns());
        target.ask(
            "PATCH",
            &format!("/api/v1/rooms/{room}"),
            Some(&json!({ "volume_db": level })) as Option<&Value>,
        )?;
        truth::pause(over / ORDERS as u32);
    }
    Ok(begun)
}

fn key(room: &str, level: f32) -> String {
    format!("{room} {level:.2}")
}

/// Milliseconds that the orders took that arrived.
fn arrived<'a>(text: &'a str, begun: &'a HashMap<String, i64>) -> impl Iterator<Item = f64> {
    fields(text, "order").filter_map(|rest| {
        let (key, at_ns) = rest.rsplit_once(' ')?;
        Some((at_ns.parse::<i64>().ok()? - begun.get(key)?) as f64 / 1e6)
    })
}

fn fields<'a>(text: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(' '))
}

fn quantiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.99].map(|q| values[((values.len() - 1) as f64 * q) as usize])
}

fn launch(stage: &Stage, host: usize, count: usize) -> Result<Process> {
    let program = std::env::current_exe()?;
    let state = stage.dir.join(format!("members-{host}"));
    let arguments = ["members", "--count", &count.to_string(), "--state", &state.display().to_string()];
    let launch = Launch {
        name: &format!("members-{host}"),
        program: &program,
        arguments: arguments.map(String::from).to_vec(),
        environment: vec![],
        namespace: None,
        priority: None,
        logs: &stage.dir,
    };
    stage.house.launch(launch, &format!("r{}", host + 1))
}

/// Lives as `count` rooms of a house whose hub and clock are at the server, until the user ends it; tells of each order
/// when it came, and of the clock every second how long it took.
pub(crate) fn live(count: usize, state: &Path) -> Result<()> {
    let rooms = (0..count).map(|i| Room::open(i, state)).collect::<Result<Vec<_>>>()?;
    let mut told = clock::now();
    while !truth::interrupted() {
        for room in &rooms {
            while let Ok(event) = room.hub.events().try_recv() {
                if let Event::Orders(orders) = event {
                    println!("order {} {}", key(room.hub.room_id(), orders.volume_db), truth::now_ns());
                }
            }
        }
        if clock::now() - told > 1_000_000_000 {
            told = clock::now();
            rooms.iter().for_each(|room| println!("trip {:.4}", room.clock.status().round_trip_us / 1e3));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

struct Room {
    hub: hub::Hub,
    clock: timeclient::TimeClient,
}

impl Room {
    fn open(number: usize, state: &Path) -> Result<Room> {
        let state_dir = state.join(number.to_string());
        std::fs::create_dir_all(&state_dir)?;
        let settings = HubSettings {
            hub: HubConfig::Url(format!("http://{SERVER_ADDRESS}:7680")),
            interface: None,
            state_dir,
            room: format!("{} {number}", state.display()),
            output: "none".into(),
            stream: Some("sender".into()),
            volume_db: -20.0,
            trim_us: 0,
        };
        let health = Health { state: State::Playing, stream: Some("sender".into()), ..Health::default() };
        let server = format!("{SERVER_ADDRESS}:{}", unisono_common::clock::DEFAULT_PORT).parse()?;
        let config = TimeClientConfig { server, interface: None, priority: 0 };
        Ok(Room { hub: hub::spawn(settings, Arc::new(move || health.clone())), clock: timeclient::spawn(config)? })
    }
}
