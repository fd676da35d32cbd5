//! The hub's HTTP API, under `/api/v1`, and what stands before it.
//!
//! - [`serve`]: connections, bounded in number, size and patience;
//! - [`door`]: who may look and who may change;
//! - [`problem`]: errors on the wire (RFC 9457);
//! - [`rooms`], [`streams`], [`library`], [`queue`], [`groups`], [`scenes`], [`session`]: the resources;
//! - [`announce`]: a sound file for rooms;
//! - [`events`]: the house as server-sent events;
//! - [`metrics`]: for Prometheus;
//! - [`page`]: the web page itself;
//! - [`link`]: the rooms' WebSocket.
//!
//! The OpenAPI document is made from these handlers and their types; `docs/openapi.json` is checked to be the same.

pub mod announce;
mod document;
pub mod door;
pub mod events;
pub mod groups;
pub mod library;
pub mod link;
pub mod metrics;
pub mod page;
pub mod problem;
pub mod queue;
pub mod rooms;
pub mod scenes;
pub mod serve;
pub mod session;
pub mod streams;

use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router, middleware};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::hub::Hub;
use crate::hub::view::HouseView;
use crate::library::Library;
use door::Door;
use problem::Problem;

/// Largest request body, in bytes. The largest real one, a group of every room, has about 5 kB.
const MAX_BODY: usize = 64 * 1024;

/// What every handler works on.
#[derive(Clone)]
pub struct Api {
    /// The hub.
    pub hub: Hub,
    /// The music, and what streams play of it.
    pub library: Library,
    /// Who may look and who may change.
    pub door: Arc<Door>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Unisono",
        description = "The house: rooms, streams, which room plays which, how loud. Levels are in dB, 0 is full and \
                       -60 is silence; `volume` and `max` are the same as the travel of a fader, 0 to 1. Errors are \
                       problem details (RFC 9457). Changing anything needs the cookie of a sign-in, or the sign-in \
                       link's token as a bearer token."
    ),
    tags(
        (name = "house"), (name = "rooms"), (name = "streams"), (name = "queue"), (name = "library"),
        (name = "groups"), (name = "scenes"), (name = "session")
    )
)]
struct Document;

/// All routes, with the door before them.
pub fn router(api: Api) -> Router {
    let (routes, document) = routes().split_for_parts();
    let document: Arc<str> = pretty(document).into();
    let json = [("content-type", "application/json")];
    let openapi = get(move || async move { (json, document.to_string()) });
    routes
        .route("/api/v1/openapi.json", openapi)
        .route("/api/v1/receivers/link", get(link::upgrade))
        .route(unisono_host::probe::PATH, get(crate::doctor::probe::send))
        .route("/streams/{file}", get(streams::file))
        .route("/streams/{id}/artwork", get(streams::artwork))
        .route("/sign-in", get(session::sign_in_link))
        .route("/metrics", get(metrics::scrape))
        .merge(page::router())
        .fallback(problem::no_such_place)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(api.clone(), door::guard))
        .with_state(api)
}

/// The OpenAPI document, as it is committed.
pub fn openapi() -> String {
    pretty(routes().split_for_parts().1)
}

fn pretty(document: utoipa::openapi::OpenApi) -> String {
    document::complete(document).to_pretty_json().unwrap_or_default() + "\n"
}

fn routes() -> OpenApiRouter<Api> {
    let limit = axum::extract::DefaultBodyLimit::max(announce::MAX_FILE);
    let announcements = OpenApiRouter::new().routes(routes!(announce::announce)).layer(limit);
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(house))
        .routes(routes!(health))
        .routes(routes!(events::events))
        .routes(routes!(rooms::list))
        .routes(routes!(rooms::one, rooms::change, rooms::forget))
        .routes(routes!(rooms::history))
        .routes(routes!(rooms::identify))
        .routes(routes!(rooms::admit))
        .routes(routes!(rooms::subscriptions, rooms::patch_everywhere))
        .routes(routes!(rooms::patch))
        .merge(announcements)
        .routes(routes!(streams::list))
        .routes(routes!(streams::one, streams::change))
        .routes(routes!(streams::playback, streams::act))
        .routes(routes!(streams::reload))
        .routes(routes!(queue::list, queue::add, queue::clear))
        .routes(routes!(queue::reorder, queue::remove))
        .routes(routes!(queue::play))
        .routes(routes!(queue::player, queue::change_player))
        .routes(routes!(library::state))
        .routes(routes!(library::scan))
        .routes(routes!(library::search))
        .routes(routes!(library::track))
        .routes(routes!(library::track_artwork))
        .routes(routes!(library::albums))
        .routes(routes!(library::album))
        .routes(routes!(library::album_artwork))
        .routes(routes!(library::artists))
        .routes(routes!(library::artist))
        .routes(routes!(library::folders))
        .routes(routes!(library::folder))
        .routes(routes!(library::playlists))
        .routes(routes!(library::playlist))
        .routes(routes!(groups::list, groups::form))
        .routes(routes!(groups::change, groups::dissolve))
        .routes(routes!(scenes::list, scenes::keep))
        .routes(routes!(scenes::rewrite, scenes::forget))
        .routes(routes!(scenes::recall))
        .routes(routes!(session::show, session::sign_in, session::sign_out))
        .routes(routes!(session::set_password))
        .routes(routes!(session::new_link))
}

/// The whole house at once: what a page needs to draw itself.
#[utoipa::path(get, path = "/api/v1/house", tag = "house", responses((status = 200, body = HouseView)))]
async fn house(axum::extract::State(api): axum::extract::State<Api>) -> Json<HouseView> {
    Json(api.hub.view())
}

/// Whether the hub is well, for watchdogs and load balancers; says nothing about the house.
#[utoipa::path(get, path = "/api/v1/health", tag = "house", responses((status = 200, body = Alive)))]
async fn health() -> Json<Alive> {
    Json(Alive { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// A hub that answers.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct Alive {
    /// `ok`.
    #[schema(value_type = String)]
    status: &'static str,
    /// Software version.
    #[schema(value_type = String)]
    version: &'static str,
}

/// Waits until a change is on the disk, and answers that it is done.
async fn written(written: tokio::sync::oneshot::Receiver<()>) -> Result<axum::http::StatusCode, Problem> {
    written.await.map_err(|_| Problem::not_kept())?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// An id for something new.
fn new_id() -> String {
    format!("{:016x}", unisono_host::random::number())
}

#[cfg(test)]
mod tests;
