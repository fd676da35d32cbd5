//! The house as metrics, in the text format of Prometheus (OpenMetrics).

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use unisono_common::clock::ptp::Lock;
use unisono_common::control::Health;

use super::Api;
use crate::hub::catalogue::{Bogus, Catalogue};
use crate::hub::view::{HouseView, RoomView, StreamView, Whereabouts};
use crate::repair::Repaired;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    id: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Packets {
    id: String,
    name: String,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)] // They are written as they stand.
enum Fate {
    received,
    lost,
    late,
    repaired,
    duplicate,
    bogus,
}

type FloatGauge = Gauge<f64, AtomicU64>;

/// `/metrics`.
pub async fn scrape(State(api): State<Api>) -> Response {
    let mut text = String::new();
    let registry = registry(&api.hub.view(), api.hub.catalogue());
    if encode(&mut text, &registry).is_err() {
        text.clear();
    }
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}

/// Made anew for each scrape: the figures are the rooms' and the streams', and live with them.
fn registry(house: &HouseView, catalogue: &dyn Catalogue) -> Registry {
    let mut registry = Registry::with_prefix("unisono");
    own(&mut registry, catalogue.bogus());
    repairs(&mut registry, &house.streams, catalogue);
    sources(&mut registry, &house.streams, catalogue);
    rooms(&mut registry, &house.rooms);
    packets(&mut registry, &house.rooms);
    let spread = Family::<Of, FloatGauge>::default();
    let playing = Family::<Of, Gauge>::default();
    registry.register(
        "stream_spread_microseconds",
        "Largest less smallest offset of the stream's rooms",
        spread.clone(),
    );
    registry.register("stream_rooms", "Rooms that are heard on the stream", playing.clone());
    for stream in &house.streams {
        let of = Of { id: stream.id.clone(), name: stream.name.clone() };
        playing.get_or_create(&of).set(stream.now.playing_rooms as i64);
        if let Some(us) = stream.now.spread_us {
            spread.get_or_create(&of).set(us);
        }
    }
    registry
}

/// What came to the sender itself.
fn own(registry: &mut Registry, bogus: Bogus) {
    let counters = [
        ("clock_server_bogus", "Packets to the clock's server that were no requests", bogus.requests),
        ("announcements_bogus", "Packets that were no announcements where streams are announced", bogus.announcements),
        ("repair_bogus", "Packets to the repair port that were no requests", bogus.repairs),
    ];
    for (name, help, count) in counters {
        let counter: Counter = Counter::default();
        counter.inner().store(count, Ordering::Relaxed);
        registry.register(name, help, counter);
    }
}

/// What was sent again of this sender's streams.
fn repairs(registry: &mut Registry, streams: &[StreamView], catalogue: &dyn Catalogue) {
    type Count = fn(&Repaired) -> u64;
    let counters: [(&str, &str, Count); 5] = [
        ("stream_repair_asked", "Lost packets that rooms asked for", |r| r.asked),
        ("stream_repair_to_rooms", "Packets sent again to one room", |r| r.to_rooms),
        ("stream_repair_to_group", "Packets sent again to all rooms", |r| r.to_group),
        ("stream_repair_unanswered", "Requests that could not be answered: too old, too many", |r| r.unanswered),
        ("stream_unicast_packets", "Packets delivered by unicast", |r| r.delivered),
    ];
    for (name, help, reading) in counters {
        let family = Family::<Of, Counter>::default();
        registry.register(name, help, family.clone());
        for (stream, repaired) in streams.iter().filter_map(|s| Some((s, catalogue.repaired(&s.id)?))) {
            let of = Of { id: stream.id.clone(), name: stream.name.clone() };
            family.get_or_create(&of).inner().store(reading(&repaired), Ordering::Relaxed);
        }
    }
}

/// What came to streams that are taken from other senders.
fn sources(registry: &mut Registry, streams: &[StreamView], catalogue: &dyn Catalogue) {
    let family = Family::<Of, Counter>::default();
    registry.register("stream_source_bogus", "Packets that came for another sender's and were none", family.clone());
    for (stream, bogus) in streams.iter().filter_map(|s| Some((s, catalogue.source_bogus(&s.id)?))) {
        let of = Of { id: stream.id.clone(), name: stream.name.clone() };
        family.get_or_create(&of).inner().store(bogus, Ordering::Relaxed);
    }
}

fn rooms(registry: &mut Registry, rooms: &[RoomView]) {
    let up = Family::<Of, Gauge>::default();
    registry.register("room_up", "Whether the room is linked to the hub", up.clone());
    for room in rooms {
        up.get_or_create(&of(room)).set(i64::from(room.presence == Whereabouts::Here));
    }
    type Reading = fn(&Health) -> Option<f64>;
    let gauges: [(&str, &str, Reading); 7] = [
        ("room_offset_microseconds", "How late the DAC is against the shared clock", |h| h.offset_us),
        ("room_clock_sigma_microseconds", "Deviation of the clock's estimate", |h| h.clock_sigma_us),
        ("room_clock_rtt_microseconds", "Round trip of the clock exchange", |h| h.rtt_us),
        ("room_ptp_locked", "1: a PTP grandmaster is followed; 0: it is not heard", |h| {
            h.ptp.map(|lock| f64::from(lock == Lock::Locked))
        }),
        ("room_card_ppm", "How fast the card runs against the clock", |h| h.card_ppm),
        ("room_buffer_milliseconds", "Audio held between network and DAC", |h| h.buffer_ms),
        ("room_loss_ratio", "Share of packets lost in the last minute", |h| Some(h.loss_ratio)),
    ];
    for (name, help, reading) in gauges {
        let family = Family::<Of, FloatGauge>::default();
        registry.register(name, help, family.clone());
        for (room, value) in rooms.iter().filter_map(|room| Some((room, reading(room.now.health.as_ref()?)?))) {
            family.get_or_create(&of(room)).set(value);
        }
    }
    type Count = fn(&Health) -> u64;
    let counters: [(&str, &str, Count); 4] = [
        ("room_xruns", "Times that the card ran dry", |h| h.xruns),
        ("room_reanchors", "Times that playing was put back in place by a jump", |h| h.reanchors),
        ("room_laps", "Times that the buffer was overrun", |h| h.laps),
        ("room_concealed_frames", "Frames faded over for want of their packet", |h| h.frames_concealed),
    ];
    for (name, help, reading) in counters {
        let family = Family::<Of, Counter>::default();
        registry.register(name, help, family.clone());
        for (room, health) in rooms.iter().filter_map(|room| Some((room, room.now.health.as_ref()?))) {
            family.get_or_create(&of(room)).inner().store(reading(health), Ordering::Relaxed);
        }
    }
}

fn packets(registry: &mut Registry, rooms: &[RoomView]) {
    let family = Family::<Packets, Counter>::default();
    registry.register_with_unit(
        "room",
        "Packets of the room's stream, by their fate",
        Unit::Other("packets".into()),
        family.clone(),
    );
    for (room, health) in rooms.iter().filter_map(|room| Some((room, room.now.health.as_ref()?))) {
        let fates = [
            (Fate::received, health.packets_received),
            (Fate::lost, health.packets_lost),
            (Fate::late, health.packets_late),
            (Fate::repaired, health.packets_repaired),
            (Fate::duplicate, health.packets_duplicate),
            (Fate::bogus, health.packets_bogus),
        ];
        for (fate, count) in fates {
            let Of { id, name } = of(room);
            family.get_or_create(&Packets { id, name, fate }).inner().store(count, Ordering::Relaxed);
        }
    }
}

fn of(room: &RoomView) -> Of {
    Of { id: room.id.clone(), name: room.name.clone() }
}
