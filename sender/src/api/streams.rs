//! Streams: what there is, what each plays, and its description.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::library::Size;
use super::problem::{self, Params, Problem};
use super::{Api, written};
use crate::hub::catalogue::{Action, Playback};
use crate::hub::view::StreamView;
use crate::listen::{Container, ListenError};
use crate::live::Applied;

/// A change of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamChange {
    /// Whether it is sent. A stream that is off keeps its rooms, which are silent, and its place in what it plays.
    pub enabled: bool,
}

/// Every stream, this sender's first, then those heard of others.
#[utoipa::path(get, path = "/api/v1/streams", tag = "streams", responses((status = 200, body = Vec<StreamView>)))]
pub async fn list(State(api): State<Api>) -> Json<Vec<StreamView>> {
    Json(api.hub.view().streams)
}

/// One stream.
#[utoipa::path(get, path = "/api/v1/streams/{id}", tag = "streams", params(("id" = String, Path)),
    responses((status = 200, body = StreamView), (status = 404, body = Problem)))]
pub async fn one(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<StreamView>, Problem> {
    let mut streams = api.hub.view().streams.into_iter();
    Ok(Json(streams.find(|stream| stream.id == id).ok_or_else(|| Problem::no_such_stream(&id))?))
}

/// Switches a stream on or off.
#[utoipa::path(patch, path = "/api/v1/streams/{id}", tag = "streams", params(("id" = String, Path)),
    request_body = StreamChange, responses((status = 204), (status = 404, body = Problem)))]
pub async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    problem::Body(change): problem::Body<StreamChange>,
) -> Result<StatusCode, Problem> {
    written(api.hub.switch(&id, change.enabled)?).await
}

/// Reads the configuration file anew: streams that have changed in it are changed, the others play on untouched.
#[utoipa::path(post, path = "/api/v1/reload", tag = "streams",
    responses((status = 200, body = Applied), (status = 422, body = Problem)))]
pub async fn reload(State(api): State<Api>) -> Result<Json<Applied>, Problem> {
    let reload = tokio::task::spawn_blocking(move || {
        let applied = api.hub.catalogue().reload();
        // Rooms hear of new streams at once.
        api.hub.tick();
        applied
    });
    let refused = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration", detail);
    let applied = reload.await.map_err(|error| refused(error.to_string()))?;
    Ok(Json(applied.map_err(|error| refused(error.to_string()))?))
}

/// What a stream plays now.
#[utoipa::path(get, path = "/api/v1/streams/{id}/playback", tag = "streams", params(("id" = String, Path)),
    responses((status = 200, body = Playback), (status = 404, body = Problem)))]
pub async fn playback(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Playback>, Problem> {
    Ok(Json(api.hub.catalogue().playback(&id).ok_or_else(|| Problem::no_such_stream(&id))?))
}

/// Plays, pauses, skips or seeks, where the stream's source can.
#[utoipa::path(post, path = "/api/v1/streams/{id}/playback", tag = "streams", params(("id" = String, Path)),
    request_body = Action,
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn act(
    State(api): State<Api>,
    Path(id): Path<String>,
    problem::Body(action): problem::Body<Action>,
) -> Result<StatusCode, Problem> {
    if let Action::Seek { position_s } = action
        && !(0.0..=1e6).contains(&position_s)
    {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", "position_s must be 0 to 1000000"));
    }
    api.hub.act(&id, action)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A browser that opens such a file makes a page around it, under the rules that came with the file: those of our own page
/// allow no media.
const OPENED_ALONE: &str = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// `/streams/ID.sdp`: a stream's session description, for any player that speaks RTP; `/streams/ID.flac` and
/// `/streams/ID.wav`: the stream itself, out of step with the rooms, for whatever speaks only HTTP.
pub async fn file(State(api): State<Api>, Path(file): Path<String>) -> Result<Response, Problem> {
    let (id, suffix) = file.rsplit_once('.').unwrap_or((&file, ""));
    let container = match suffix {
        "flac" => Container::Flac,
        "wav" => Container::Wav,
        "sdp" => {
            // One without a description waits for its clock.
            let stream = api.hub.stream(id).filter(|stream| !stream.sdp.is_empty());
            let stream = stream.ok_or_else(|| Problem::no_such_stream(id))?;
            return Ok(([(header::CONTENT_TYPE, "application/sdp")], stream.sdp).into_response());
        }
        _ => return Err(Problem::no_such_stream(&file)),
    };
    let listening = api.hub.catalogue().listen(id, container).map_err(|error| match error {
        ListenError::NoStream(id) => Problem::no_such_stream(&id),
        busy => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", busy.to_string()),
    })?;
    let headers = [
        (header::CONTENT_TYPE, container.media_type().to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::LINK, format!("</streams/{id}.sdp>; rel=\"alternate\"; type=\"application/sdp\"; title=\"in step\"")),
        (HeaderName::from_static("x-unisono-in-step"), "no".to_owned()),
        (header::CONTENT_SECURITY_POLICY, OPENED_ALONE.to_owned()),
    ];
    Ok((headers, Body::from_stream(listening)).into_response())
}

/// `/streams/ID/artwork`: the cover of what a stream plays; `?size=` as of the library's covers.
pub async fn artwork(
    State(api): State<Api>,
    Path(id): Path<String>,
    Params(Size { size }): Params<Size>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = super::library::known(&headers);
    let find = move || {
        let (library, catalogue) = (&api.library, api.hub.catalogue());
        library.sized(size, known.as_deref(), |known| catalogue.artwork(&id, known).ok_or(()))
    };
    let artwork = tokio::task::spawn_blocking(find).await;
    let missing = || Problem::new(StatusCode::NOT_FOUND, "missing", "what this stream plays has no cover");
    Ok(super::library::picture(artwork.ok().and_then(Result::ok).ok_or_else(missing)?))
}
