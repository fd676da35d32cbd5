//! Scenes: the whole patch with volumes, kept and recalled.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::groups::Made;
use super::problem::{Body, Problem};
use super::{Api, new_id, written};
use crate::house::Refusal;
use crate::hub::view::SceneView;

/// A scene to be kept: the house as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScene {
    /// 1 to 64 characters.
    pub name: String,
}

/// Every scene.
#[utoipa::path(get, path = "/api/v1/scenes", tag = "scenes", responses((status = 200, body = Vec<SceneView>)))]
pub async fn list(State(api): State<Api>) -> Json<Vec<SceneView>> {
    Json(api.hub.view().scenes)
}

/// Keeps the house as it stands.
#[utoipa::path(post, path = "/api/v1/scenes", tag = "scenes", request_body = NewScene,
    responses((status = 201, body = Made), (status = 422, body = Problem)))]
pub async fn keep(State(api): State<Api>, Body(scene): Body<NewScene>) -> Result<(StatusCode, Json<Made>), Problem> {
    let id = new_id();
    let ((), disk) = api.hub.change(|house| house.keep_scene(&id, &scene.name))?;
    written(disk).await?;
    Ok((StatusCode::CREATED, Json(Made { id })))
}

/// Writes the house as it stands over a scene.
#[utoipa::path(put, path = "/api/v1/scenes/{id}", tag = "scenes", params(("id" = String, Path)),
    request_body = NewScene,
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn rewrite(
    State(api): State<Api>,
    Path(id): Path<String>,
    Body(scene): Body<NewScene>,
) -> Result<StatusCode, Problem> {
    let ((), disk) = api.hub.change(|house| match house.scenes.contains_key(&id) {
        true => house.keep_scene(&id, &scene.name),
        false => Err(Refusal::missing("scene", &id)),
    })?;
    written(disk).await
}

/// Forgets a scene.
#[utoipa::path(delete, path = "/api/v1/scenes/{id}", tag = "scenes", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn forget(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let ((), disk) = api.hub.change(|house| house.forget_scene(&id))?;
    written(disk).await
}

/// Puts the house as it stood.
#[utoipa::path(post, path = "/api/v1/scenes/{id}/recall", tag = "scenes", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn recall(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let ((), disk) = api.hub.change(|house| house.recall_scene(&id))?;
    written(disk).await
}
