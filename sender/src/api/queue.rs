//! Queues: what a stream that plays a library plays next, and how.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::library::asked;
use super::problem::{Body, Params, Problem};
use super::{Api, written};
use crate::library::{Added, Library, LibraryError, MannerChange, Page, Parts, QueueState, QueuedTrack};

/// Which part of a queue is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// How many at most: 100 unless it is given, never more than 1000.
    pub limit: Option<u32>,
    /// How many entries are left out before.
    pub offset: u32,
}

/// Where an entry goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Its new place in the queue, counted from 0; one beyond the end is the end.
    pub to: usize,
}

/// What a stream plays next: its queue, then up to 20 pieces that come of its library when the queue is empty.
#[utoipa::path(get, path = "/api/v1/streams/{id}/queue", tag = "queue", params(("id" = String, Path), Part),
    responses((status = 200, body = Vec<QueuedTrack>), (status = 404, body = Problem)))]
pub async fn list(
    State(api): State<Api>,
    Path(id): Path<String>,
    Params(part): Params<Part>,
) -> Result<Json<Vec<QueuedTrack>>, Problem> {
    let page = Page { limit: part.limit.unwrap_or(100).min(1_000), offset: part.offset };
    asked_of(&api, id, move |library, id| library.queue(id, page)).await.map(Json)
}

/// Puts pieces, albums, artists, folders or playlists into a stream's queue.
#[utoipa::path(post, path = "/api/v1/streams/{id}/queue", tag = "queue", params(("id" = String, Path)),
    request_body = Parts,
    responses((status = 200, body = Added), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn add(
    State(api): State<Api>,
    Path(id): Path<String>,
    Body(parts): Body<Parts>,
) -> Result<Json<Added>, Problem> {
    let (added, disk) = asked_of(&api, id, move |library, id| library.enqueue(id, &parts)).await?;
    written(disk).await?;
    Ok(Json(added))
}

/// Empties a stream's queue.
#[utoipa::path(delete, path = "/api/v1/streams/{id}/queue", tag = "queue", params(("id" = String, Path)),
    responses((status = 204)))]
pub async fn clear(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    written(asked_of(&api, id, move |library, id| library.clear_queue(id)).await?).await
}

/// Moves an entry to another place in the queue.
#[utoipa::path(patch, path = "/api/v1/streams/{id}/queue/{entry}", tag = "queue",
    params(("id" = String, Path), ("entry" = String, Path)), request_body = Move,
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn reorder(
    State(api): State<Api>,
    Path((id, entry)): Path<(String, String)>,
    Body(wanted): Body<Move>,
) -> Result<StatusCode, Problem> {
    written(asked_of(&api, id, move |library, id| library.move_entry(id, &entry, wanted.to)).await?).await
}

/// Takes an entry out of the queue.
#[utoipa::path(delete, path = "/api/v1/streams/{id}/queue/{entry}", tag = "queue",
    params(("id" = String, Path), ("entry" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn remove(State(api): State<Api>, Path((id, entry)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    written(asked_of(&api, id, move |library, id| library.remove_entry(id, &entry)).await?).await
}

/// Plays an entry of the queue now; what is before it in the queue stays there.
#[utoipa::path(post, path = "/api/v1/streams/{id}/queue/{entry}/play", tag = "queue",
    params(("id" = String, Path), ("entry" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn play(State(api): State<Api>, Path((id, entry)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    written(asked_of(&api, id, move |library, id| library.play_entry(id, &entry)).await?).await
}

/// How a stream plays its queue and its library.
#[utoipa::path(get, path = "/api/v1/streams/{id}/player", tag = "queue", params(("id" = String, Path)),
    responses((status = 200, body = QueueState)))]
pub async fn player(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<QueueState>, Problem> {
    asked_of(&api, id, move |library, id| library.queue_state(id)).await.map(Json)
}

/// Changes how a stream plays: shuffle, repeat, crossfade, loudness. It is kept, and goes over the configuration.
#[utoipa::path(patch, path = "/api/v1/streams/{id}/player", tag = "queue", params(("id" = String, Path)),
    request_body = MannerChange, responses((status = 204)))]
pub async fn change_player(
    State(api): State<Api>,
    Path(id): Path<String>,
    Body(change): Body<MannerChange>,
) -> Result<StatusCode, Problem> {
    written(asked_of(&api, id, move |library, id| library.change_manner(id, &change)).await?).await
}

/// Asks about the queue of a stream.
async fn asked_of<T: Send + 'static>(
    api: &Api,
    id: String,
    ask: impl FnOnce(&Library, &str) -> Result<T, LibraryError> + Send + 'static,
) -> Result<T, Problem> {
    // Of a stream that is not there nothing else is to be said.
    api.hub.stream(&id).ok_or_else(|| Problem::no_such_stream(&id))?;
    asked(api, move |library| ask(library, &id)).await
}
