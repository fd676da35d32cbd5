//! The house as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use unisono_common::control::{Channels, Health};
use unisono_host::clock;
use utoipa::ToSchema;

use super::catalogue::{Origin, Playback, StreamFacts};
use super::presence::Presence;
use super::{Hub, State};
use crate::house::room::Room;
use crate::house::trouble::{self, Trouble};
use crate::house::volume;

/// A report older than this is no longer drawn as current, in seconds.
const STALE_S: f64 = 5.0;

/// The whole house.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HouseView {
    /// The hub itself.
    pub hub: HubView,
    /// Rooms, those at the door too, by name.
    pub rooms: Vec<RoomView>,
    /// Streams, this sender's first.
    pub streams: Vec<StreamView>,
    /// Groups, by name.
    pub groups: Vec<GroupView>,
    /// Scenes, by name.
    pub scenes: Vec<SceneView>,
}

/// The hub.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HubView {
    /// Names it for good.
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// Software version.
    pub version: String,
}

/// Where a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// Linked and let in.
    Here,
    /// Linked, and waits to be let in; with `code`.
    AtTheDoor,
    /// Not linked.
    Gone,
}

/// A room.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RoomView {
    /// Given by the room, for good.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Where it is.
    pub presence: Whereabouts,
    /// Digits that tell a room at the door from another; the room shows the same.
    pub code: Option<String>,
    /// Address it dials from.
    pub address: Option<String>,
    /// Its host's name.
    pub host: String,
    /// Its software's version.
    pub software: String,
    /// Its output, in words.
    pub output: String,
    /// Unix time at which it was last here, in seconds; `null` while it is.
    pub last_seen_s: Option<i64>,
    /// Id of the stream it is patched to.
    pub stream: Option<String>,
    /// Ids of the streams it plays while that one is idle, in order.
    pub otherwise: Vec<String>,
    /// Volume in dB.
    pub volume_db: f32,
    /// The same as the travel of a fader, 0 to 1.
    pub volume: f64,
    /// The loudest it may be, in dB.
    pub max_db: f32,
    /// The same as the travel of a fader.
    pub max: f64,
    /// Silent, but in step.
    pub mute: bool,
    /// Later by so many microseconds.
    pub trim_us: i64,
    /// Which channels come out.
    pub channels: Channels,
    /// Id of its group.
    pub group: Option<String>,
    /// Serial of the last orders it was sent.
    pub orders: u64,
    /// How it is now.
    #[serde(flatten)]
    pub now: RoomNow,
}

/// How a room is now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RoomNow {
    /// It has carried out its last orders.
    pub settled: bool,
    /// Its last report.
    pub health: Option<Health>,
    /// Age of that report.
    pub health_age_s: Option<f64>,
    /// What is wrong, in a plain sentence.
    pub trouble: Option<Trouble>,
}

/// A stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StreamView {
    /// Names it for machines.
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// Who sends it.
    pub origin: Origin,
    /// Host that announces it.
    pub sender: String,
    /// `library`, `pipe`, ...; empty for a stream of others.
    pub kind: String,
    /// Whether rooms may play it.
    pub enabled: bool,
    /// Whether it is there; one that a room is patched to but nobody sends is not.
    pub present: bool,
    /// Rate, depth and channels.
    pub format: String,
    /// Group and port.
    pub address: String,
    /// Where its session description is, on this server.
    pub sdp: String,
    /// How it is now.
    #[serde(flatten)]
    pub now: StreamNow,
}

/// How a stream is now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StreamNow {
    /// What its source does.
    pub playback: Playback,
    /// Rooms that are heard on it.
    pub playing_rooms: usize,
    /// Largest less smallest offset of those rooms, in microseconds; `null` below two rooms.
    pub spread_us: Option<f64>,
    /// The worst of that in the last minute.
    pub spread_worst_us: Option<f64>,
    /// From a frame's timestamp to its sound, in milliseconds; while that changes, what it will be.
    pub playout_delay_ms: Option<u32>,
    /// What would be better, by how early or late packets reach the rooms, if anything would.
    pub better_delay_ms: Option<u32>,
}

/// A group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupView {
    /// Names it for machines.
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// Ids of its rooms.
    pub rooms: Vec<String>,
    /// Its level in dB.
    pub volume_db: f32,
    /// The same as the travel of a fader.
    pub volume: f64,
    /// Every room of it is muted.
    pub mute: bool,
}

/// A scene.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SceneView {
    /// Names it for machines.
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// The house stands like this now.
    pub current: bool,
}

/// What changes every second: the data of the `now` event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NowView {
    /// By room id; only rooms that are here.
    pub rooms: BTreeMap<String, RoomNow>,
    /// By stream id.
    pub streams: BTreeMap<String, StreamNow>,
}

/// The last minutes of a room; all lists are as long as each other, the oldest first.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct HistoryView {
    /// How long ago, in seconds.
    pub age_s: Vec<f64>,
    /// How late, in microseconds.
    pub offset_us: Vec<Option<f64>>,
    /// Share of packets lost, 0 to 1.
    pub loss_ratio: Vec<f64>,
}

impl Hub {
    /// The whole house.
    pub fn view(&self) -> HouseView {
        house(self, &self.state())
    }

    /// The last minutes of a room, if it is here.
    pub fn history(&self, id: &str) -> HistoryView {
        let state = self.state();
        let now = clock::now();
        let samples = state.present.get(id).map(|there| &there.history).into_iter().flatten();
        let mut view = HistoryView::default();
        for sample in samples {
            view.age_s.push(seconds(now - sample.at));
            view.offset_us.push(sample.offset_us);
            view.loss_ratio.push(sample.loss_ratio);
        }
        view
    }
}

pub(super) fn house(hub: &Hub, state: &State) -> HouseView {
    let kept = &state.kept.house;
    let mut rooms: Vec<_> = kept.rooms.values().map(|room| room_view(state, room)).collect();
    rooms.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    let mut groups: Vec<_> = kept.groups.iter().map(|(id, group)| group_view(state, id, group)).collect();
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    let scene = |(id, scene): (&String, _)| scene_view(state, id, scene);
    let mut scenes: Vec<_> = kept.scenes.iter().map(scene).collect();
    scenes.sort_by(|one, other| one.name.cmp(&other.name));
    HouseView {
        hub: HubView { id: hub.id(), name: hub.name().to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        rooms,
        streams: streams(hub, state),
        groups,
        scenes,
    }
}

pub(super) fn now(hub: &Hub, state: &State) -> NowView {
    let inside = state.present.iter().filter(|(_, there)| there.inside);
    let rooms = inside.filter_map(|(id, there)| {
        let room = state.kept.house.rooms.get(id)?;
        Some((id.clone(), room_now(room, Some(there))))
    });
    let streams = state.streams.iter().map(|stream| (stream.id.clone(), stream_now(hub, state, stream)));
    NowView { rooms: rooms.collect(), streams: streams.collect() }
}

fn room_view(state: &State, room: &Room) -> RoomView {
    let there = state.present.get(&room.id);
    let presence = match there {
        Some(there) if there.inside => Whereabouts::Here,
        Some(_) => Whereabouts::AtTheDoor,
        None => Whereabouts::Gone,
    };
    let group = state.kept.house.groups.iter().find(|(_, group)| group.distances_db.contains_key(&room.id));
    RoomView {
        id: room.id.clone(),
        name: room.name.clone(),
        presence,
        code: there.filter(|there| !there.inside).map(|there| there.code.clone()),
        address: there.map(|there| there.link.address.ip().to_string()),
        host: room.host.clone(),
        software: room.software.clone(),
        output: room.output.clone(),
        last_seen_s: there.is_none().then_some(room.last_seen_s),
        stream: room.stream.clone(),
        otherwise: room.otherwise.clone(),
        volume_db: room.volume_db,
        volume: volume::to_travel(room.volume_db),
        max_db: room.max_db,
        max: volume::to_travel(room.max_db),
        mute: room.mute,
        trim_us: room.trim_us,
        channels: room.channels,
        group: group.map(|(id, _)| id.clone()),
        orders: there.and_then(|there| there.orders.as_ref()).map_or(0, |orders| orders.serial),
        now: room_now(room, there),
    }
}

fn room_now(room: &Room, there: Option<&Presence>) -> RoomNow {
    let report = there.and_then(|there| there.health.as_ref());
    let ordered = there.and_then(|there| there.orders.as_ref()).map(|orders| orders.serial);
    let age = report.map(|(_, at)| seconds(clock::now() - *at));
    RoomNow {
        settled: ordered.is_some() && ordered == report.map(|(health, _)| health.orders),
        health: report.map(|(health, _)| health.clone()),
        health_age_s: age,
        trouble: report.and_then(|(health, _)| trouble::of(&room.name, health)),
    }
}

/// The streams there are, and those that rooms wait for.
fn streams(hub: &Hub, state: &State) -> Vec<StreamView> {
    let mut views: Vec<_> = state.streams.iter().map(|stream| stream_view(hub, state, stream, true)).collect();
    let house = &state.kept.house;
    for id in house.rooms.values().filter_map(|room| room.stream.as_deref()) {
        if views.iter().all(|view| view.id != id) {
            let away = StreamFacts {
                id: id.to_owned(),
                name: id.to_owned(),
                origin: Origin::Heard,
                sender: String::new(),
                format: String::new(),
                address: String::new(),
                sdp: String::new(),
                playout_delay_ms: None,
                kind: String::new(),
            };
            views.push(stream_view(hub, state, &away, false));
        }
    }
    views
}

fn stream_view(hub: &Hub, state: &State, stream: &StreamFacts, present: bool) -> StreamView {
    StreamView {
        id: stream.id.clone(),
        name: stream.name.clone(),
        origin: stream.origin,
        sender: stream.sender.clone(),
        kind: stream.kind.clone(),
        enabled: !state.kept.house.disabled.contains(&stream.id),
        present,
        format: stream.format.clone(),
        address: stream.address.clone(),
        sdp: format!("/streams/{}.sdp", stream.id),
        now: stream_now(hub, state, stream),
    }
}

fn stream_now(hub: &Hub, state: &State, stream: &StreamFacts) -> StreamNow {
    let id = &stream.id;
    let offsets = offsets(state, id);
    StreamNow {
        playback: hub.catalogue().playback(id).unwrap_or_default(),
        playing_rooms: offsets.len(),
        spread_us: spread(&offsets),
        spread_worst_us: state.spreads.worst(id),
        playout_delay_ms: stream.playout_delay_ms,
        better_delay_ms: stream.playout_delay_ms.and_then(|delay_ms| state.spares.better_delay_ms(id, delay_ms)),
    }
}

/// The least time that packets of each stream have been early by, in its rooms.
pub(super) fn spares(state: &State) -> BTreeMap<String, Option<f64>> {
    let least = |id: &str| reports(state, id).filter_map(|health| health.spare_ms).reduce(f64::min);
    state.streams.iter().map(|stream| (stream.id.clone(), least(&stream.id))).collect()
}

/// How far the rooms of each stream are apart now.
pub(super) fn spreads(state: &State) -> BTreeMap<String, Option<f64>> {
    state.streams.iter().map(|stream| (stream.id.clone(), spread(&offsets(state, &stream.id)))).collect()
}

/// Offsets of the rooms that are heard on a stream, as far as they are current.
fn offsets(state: &State, stream: &str) -> Vec<f64> {
    reports(state, stream).filter_map(|health| health.offset_us).collect()
}

/// What the rooms on a stream report of themselves, as far as it is current.
fn reports<'a>(state: &'a State, stream: &'a str) -> impl Iterator<Item = &'a Health> {
    let reports = state.present.values().filter_map(|there| there.health.as_ref());
    let current = reports.filter(|(_, at)| seconds(clock::now() - *at) < STALE_S);
    current.map(|(health, _)| health).filter(move |health| health.stream.as_deref() == Some(stream))
}

/// The largest less the smallest; `None` below two.
fn spread(offsets: &[f64]) -> Option<f64> {
    let largest = offsets.iter().copied().reduce(f64::max)?;
    let smallest = offsets.iter().copied().reduce(f64::min)?;
    (offsets.len() > 1).then_some(largest - smallest)
}

fn group_view(state: &State, id: &str, group: &crate::house::group::Group) -> GroupView {
    let rooms: Vec<String> = group.rooms().map(str::to_owned).collect();
    let muted = |id: &String| state.kept.house.rooms.get(id).is_some_and(|room| room.mute);
    GroupView {
        id: id.to_owned(),
        name: group.name.clone(),
        volume_db: group.level_db,
        volume: volume::to_travel(group.level_db),
        mute: rooms.iter().all(muted),
        rooms,
    }
}

fn scene_view(state: &State, id: &str, scene: &crate::house::scene::Scene) -> SceneView {
    SceneView { id: id.to_owned(), name: scene.name.clone(), current: state.kept.house.stands_as(scene) }
}

fn seconds(ns: i64) -> f64 {
    (ns as f64 / 1e6).round() / 1e3
}
