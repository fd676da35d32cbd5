//! What is measured: the scenes.

use serde::Serialize;
use unisono_tests::house::Room;
use unisono_tests::instruments::{Card, HostClock};

/// Seed of the test noise.
pub(crate) const SEED: u64 = 7;

/// Rate errors of the rooms' cards and hosts in ppm; more rooms go round again.
pub(crate) const CARDS_PPM: [f64; 3] = [40.0, -30.0, 10.0];
const WILD_CARDS_PPM: [f64; 3] = [250.0, -250.0, 0.0];
const HOSTS_PPM: [f64; 3] = [20.0, -15.0, 5.0];

/// A house and what is expected of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scene {
    /// Short, for the command line and file names.
    pub(crate) name: &'static str,
    /// In words.
    pub(crate) title: String,
    /// The rooms.
    pub(crate) rooms: Vec<Room>,
    /// Every CPU is kept busy by other processes.
    pub(crate) load: bool,
    /// What becomes of the packets to each room.
    pub(crate) link: Link,
    /// Spread that Unisono shall stay below, in microseconds: median, p99, max. None for scenes beside the table.
    pub(crate) target_us: Option<[f64; 3]>,
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Link {
    /// They arrive.
    Good,
    /// netem delays them, with these options.
    Delayed(&'static str),
    /// So many of a thousand are lost.
    Lossy(u32),
}

/// Every scene.
pub(crate) fn all(rooms: usize) -> Vec<Scene> {
    let scene = |name, title: &str, rooms, target_us| Scene {
        name,
        title: title.into(),
        rooms,
        load: false,
        link: Link::Good,
        target_us,
    };
    let off = off(rooms, CARDS_PPM);
    let mut all = vec![
        scene("equal", "host clocks equal, cards +40/-30/+10 ppm", cards(rooms, CARDS_PPM), Some([3.0, 10.0, 20.0])),
        scene(
            "drift",
            "host clocks +20/-15/+5 ppm and seconds apart, same cards",
            off.clone(),
            Some([3.0, 10.0, 20.0]),
        ),
        scene("wild", "the same, cards +250/-250/0 ppm", self::off(rooms, WILD_CARDS_PPM), Some([10.0, 20.0, 40.0])),
    ];
    all.extend(grains(rooms));
    let mut load =
        scene("load", "host clocks off, every CPU loaded by other processes", off.clone(), Some([10.0, 25.0, 50.0]));
    load.load = true;
    all.push(load);
    let mut usb = off.clone();
    usb.iter_mut().for_each(|room| room.card = Card { queue: 288, grain: 48, ..room.card });
    all.push(scene("usb", "host clocks off, cards on USB: 6 ms queued, delay in steps of 1 ms", usb, None));
    let mut step = off.clone();
    step[0].clock.step = Some((2_500.0, 20.0));
    all.push(scene("step", "host clocks off; after 20 s room 1's CLOCK_REALTIME steps by 2.5 s", step, None));
    let mut jitter = scene("jitter", "host clocks off, packets 1 to 5 ms late", off.clone(), None);
    jitter.link = Link::Delayed("delay 3ms 2ms");
    all.push(jitter);
    let mut loss = scene("loss", "host clocks off, 1 % of the packets lost", off, None);
    loss.link = Link::Lossy(10);
    all.push(loss);
    all
}

/// Host clocks off, cards whose pointer moves by 1, 8, 48 and 240 frames at a time.
pub(crate) fn grains(rooms: usize) -> Vec<Scene> {
    [("grain-1", 1), ("grain-8", 8), ("grain-48", 48), ("grain-240", 240)]
        .map(|(name, grain)| {
            let mut rooms = off(rooms, CARDS_PPM);
            rooms.iter_mut().for_each(|room| room.card.grain = grain);
            let title = format!("host clocks off, card pointers in steps of {grain} frames");
            Scene { name, title, rooms, load: false, link: Link::Good, target_us: Some([10.0, 20.0, 40.0]) }
        })
        .to_vec()
}

fn cards(rooms: usize, ppm: [f64; 3]) -> Vec<Room> {
    let room = |i: usize| Room { card: Card { ppm: ppm[i % 3], ..Card::default() }, ..Room::default() };
    (0..rooms).map(room).collect()
}

/// The same, on hosts whose clocks are off.
pub(crate) fn off(rooms: usize, ppm: [f64; 3]) -> Vec<Room> {
    let clock = |i: usize| HostClock {
        ppm: HOSTS_PPM[i % 3],
        slew_ppm: [0.0, 3.0, -8.0][i % 3],
        realtime_ms: 777.0 * (i + 1) as f64 * [1.0, -3.0][i % 2],
        uptime_s: 1_234.5 * (i + 1) as f64,
        step: None,
    };
    cards(rooms, ppm).into_iter().enumerate().map(|(i, room)| Room { clock: clock(i), ..room }).collect()
}
