//! Groups: rooms that follow each other.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Body, Problem};
use super::{Api, new_id, written};
use crate::house::group::GroupChange;
use crate::hub::view::GroupView;

/// A group to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// 1 to 64 characters.
    pub name: String,
    /// Ids of its rooms, two or more; the others follow what the first one plays.
    pub rooms: Vec<String>,
}

/// The id of something new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Made {
    /// Its id.
    pub id: String,
}

/// Every group.
#[utoipa::path(get, path = "/api/v1/groups", tag = "groups", responses((status = 200, body = Vec<GroupView>)))]
pub async fn list(State(api): State<Api>) -> Json<Vec<GroupView>> {
    Json(api.hub.view().groups)
}

/// Makes a group; its rooms leave the groups they were in.
#[utoipa::path(post, path = "/api/v1/groups", tag = "groups", request_body = NewGroup,
    responses((status = 201, body = Made), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn form(State(api): State<Api>, Body(group): Body<NewGroup>) -> Result<(StatusCode, Json<Made>), Problem> {
    let id = new_id();
    let ((), disk) = api.hub.change(|house| house.form_group(&id, &group.name, &group.rooms))?;
    written(disk).await?;
    Ok((StatusCode::CREATED, Json(Made { id })))
}

/// Changes name, rooms, volume or mute of a group.
#[utoipa::path(patch, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)),
    request_body = GroupChange,
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    Body(change): Body<GroupChange>,
) -> Result<StatusCode, Problem> {
    let ((), disk) = api.hub.change(|house| house.change_group(&id, &change))?;
    written(disk).await
}

/// Dissolves a group; its rooms stay as they are.
#[utoipa::path(delete, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn dissolve(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let ((), disk) = api.hub.change(|house| house.dissolve_group(&id))?;
    written(disk).await
}
