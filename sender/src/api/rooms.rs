//! Rooms, and which stream each plays.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Body, Problem};
use super::{Api, written};
use crate::house::Refusal;
use crate::house::room::RoomChange;
use crate::hub::view::{HistoryView, RoomView};

/// What a room plays, or should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Id of the stream; `null` is silence.
    pub stream: Option<String>,
}

/// Every room, those at the door too.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "rooms", responses((status = 200, body = Vec<RoomView>)))]
pub async fn list(State(api): State<Api>) -> Json<Vec<RoomView>> {
    Json(api.hub.view().rooms)
}

/// One room.
#[utoipa::path(get, path = "/api/v1/rooms/{id}", tag = "rooms", params(("id" = String, Path)),
    responses((status = 200, body = RoomView), (status = 404, body = Problem)))]
pub async fn one(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<RoomView>, Problem> {
    let rooms = api.hub.view().rooms.into_iter();
    Ok(Json(rooms.into_iter().find(|room| room.id == id).ok_or_else(|| Refusal::missing("room", &id))?))
}

/// Changes name, volume, maximum, mute, trim, channels or the streams of a room that stand in for an idle one.
#[utoipa::path(patch, path = "/api/v1/rooms/{id}", tag = "rooms", params(("id" = String, Path)),
    request_body = RoomChange,
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    Body(change): Body<RoomChange>,
) -> Result<StatusCode, Problem> {
    let ((), disk) = api.hub.change(|house| house.change_room(&id, &change))?;
    written(disk).await
}

/// Forgets a room, or turns one away that is at the door: it may not knock again for an hour. A room that was let in
/// stays when a stranger that shows its id is turned away.
#[utoipa::path(delete, path = "/api/v1/rooms/{id}", tag = "rooms", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn forget(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    written(api.hub.forget(&id)?).await
}

/// Offset and losses of the last five minutes.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/history", tag = "rooms", params(("id" = String, Path)),
    responses((status = 200, body = HistoryView)))]
pub async fn history(State(api): State<Api>, Path(id): Path<String>) -> Json<HistoryView> {
    Json(api.hub.history(&id))
}

/// Makes a room chirp, also one at the door. One that is not here, or has no sound card, can't.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/identify", tag = "rooms", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn identify(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    api.hub.identify(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a room in that waits at the door.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/admit", tag = "rooms", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn admit(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    written(api.hub.admit(&id)?).await
}

/// Which room plays what: stream ids by room id.
#[utoipa::path(get, path = "/api/v1/subscriptions", tag = "rooms",
    responses((status = 200, body = BTreeMap<String, Option<String>>)))]
pub async fn subscriptions(State(api): State<Api>) -> Json<BTreeMap<String, Option<String>>> {
    Json(api.hub.house(|house| house.rooms.iter().map(|(id, room)| (id.clone(), room.stream.clone())).collect()))
}

/// Patches a room to a stream, or to silence; the rooms of its group follow.
#[utoipa::path(put, path = "/api/v1/subscriptions/{room}", tag = "rooms", params(("room" = String, Path)),
    request_body = Subscription, responses((status = 204), (status = 404, body = Problem)))]
pub async fn patch(
    State(api): State<Api>,
    Path(room): Path<String>,
    Body(subscription): Body<Subscription>,
) -> Result<StatusCode, Problem> {
    let stream = known(&api, subscription)?;
    let ((), disk) = api.hub.change(|house| house.patch(&room, stream.as_deref()))?;
    written(disk).await
}

/// Patches every room to one stream, or to silence.
#[utoipa::path(put, path = "/api/v1/subscriptions", tag = "rooms", request_body = Subscription,
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn patch_everywhere(
    State(api): State<Api>,
    Body(subscription): Body<Subscription>,
) -> Result<StatusCode, Problem> {
    let stream = known(&api, subscription)?;
    let change = |house: &mut crate::house::House| {
        house.patch_everywhere(stream.as_deref());
        Ok(())
    };
    let ((), disk) = api.hub.change(change)?;
    written(disk).await
}

fn known(api: &Api, subscription: Subscription) -> Result<Option<String>, Problem> {
    match subscription.stream {
        Some(id) if api.hub.stream(&id).is_none() => Err(Problem::no_such_stream(&id)),
        stream => Ok(stream),
    }
}
