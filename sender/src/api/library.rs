//! The library: what there is, by words, album, artist, folder and playlist; and its covers.
//!
//! The index is on a disk, so every question is asked on a thread that may wait.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::problem::{Params, Problem};
use crate::library::{
    AlbumDetail, AlbumView, ArtistDetail, ArtistView, Cover, FolderDetail, FolderView, Library, LibraryError,
    LibraryState, Page, PlaylistDetail, PlaylistView, TrackView,
};

/// A longer list is not given at once.
const LONGEST_PAGE: u32 = 500;

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// Words to find: each is the beginning of one, in any order; accents and case don't count. Without any, all.
    pub q: String,
    /// How many at most: 50 unless it is given, never more than 500.
    pub limit: Option<u32>,
    /// How many are left out before.
    pub offset: u32,
}

/// Which part of a list of albums is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AlbumSearch {
    /// Words to find in title and artist, as in `/library/search`.
    pub q: String,
    /// Id of an artist: only albums with a piece of theirs, by year.
    pub artist: Option<String>,
    /// How many at most: 50 unless it is given, never more than 500.
    pub limit: Option<u32>,
    /// How many are left out before.
    pub offset: u32,
}

/// How large a picture is wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Size {
    /// Pixels that it is shown with either way: a JPEG of 96, 320 or 640 is enough then. Without, it is as in the file.
    pub size: Option<u32>,
}

fn page(limit: Option<u32>, offset: u32) -> Page {
    Page { limit: limit.unwrap_or(50).min(LONGEST_PAGE), offset }
}

/// How much there is in the library, and how its reading goes.
#[utoipa::path(get, path = "/api/v1/library", tag = "library",
    responses((status = 200, body = LibraryState), (status = 409, body = Problem)))]
pub async fn state(State(api): State<Api>) -> Result<Json<LibraryState>, Problem> {
    asked(&api, Library::state).await.map(Json)
}

/// Reads all folders again. Not needed as a rule: changes are seen as they happen, on local disks.
#[utoipa::path(post, path = "/api/v1/library/scan", tag = "library",
    responses((status = 202), (status = 409, body = Problem)))]
pub async fn scan(State(api): State<Api>) -> Result<StatusCode, Problem> {
    asked(&api, Library::rescan).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Finds pieces in the library: those that fit by their title come first. Without words, none.
#[utoipa::path(get, path = "/api/v1/library/search", tag = "library", params(Search),
    responses((status = 200, body = Vec<TrackView>), (status = 409, body = Problem)))]
pub async fn search(State(api): State<Api>, Params(search): Params<Search>) -> Result<Json<Vec<TrackView>>, Problem> {
    asked(&api, move |library| library.search(&search.q, page(search.limit, search.offset))).await.map(Json)
}

/// One piece.
#[utoipa::path(get, path = "/api/v1/library/tracks/{id}", tag = "library", params(("id" = String, Path)),
    responses((status = 200, body = TrackView), (status = 404, body = Problem)))]
pub async fn track(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<TrackView>, Problem> {
    asked(&api, move |library| library.track(&id)).await.map(Json)
}

/// Albums, in alphabetical order or as they fit.
#[utoipa::path(get, path = "/api/v1/library/albums", tag = "library", params(AlbumSearch),
    responses((status = 200, body = Vec<AlbumView>), (status = 409, body = Problem)))]
pub async fn albums(
    State(api): State<Api>,
    Params(search): Params<AlbumSearch>,
) -> Result<Json<Vec<AlbumView>>, Problem> {
    let AlbumSearch { q, artist, limit, offset } = search;
    asked(&api, move |library| library.albums(&q, artist.as_deref(), page(limit, offset))).await.map(Json)
}

/// One album and its pieces.
#[utoipa::path(get, path = "/api/v1/library/albums/{id}", tag = "library", params(("id" = String, Path)),
    responses((status = 200, body = AlbumDetail), (status = 404, body = Problem)))]
pub async fn album(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<AlbumDetail>, Problem> {
    asked(&api, move |library| library.album(&id)).await.map(Json)
}

/// Artists, in alphabetical order or as they fit.
#[utoipa::path(get, path = "/api/v1/library/artists", tag = "library", params(Search),
    responses((status = 200, body = Vec<ArtistView>), (status = 409, body = Problem)))]
pub async fn artists(State(api): State<Api>, Params(search): Params<Search>) -> Result<Json<Vec<ArtistView>>, Problem> {
    asked(&api, move |library| library.artists(&search.q, page(search.limit, search.offset))).await.map(Json)
}

/// One artist, their albums and pieces.
#[utoipa::path(get, path = "/api/v1/library/artists/{id}", tag = "library", params(("id" = String, Path)),
    responses((status = 200, body = ArtistDetail), (status = 404, body = Problem)))]
pub async fn artist(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<ArtistDetail>, Problem> {
    asked(&api, move |library| library.artist(&id)).await.map(Json)
}

/// The folders of the libraries themselves.
#[utoipa::path(get, path = "/api/v1/library/folders", tag = "library",
    responses((status = 200, body = Vec<FolderView>), (status = 409, body = Problem)))]
pub async fn folders(State(api): State<Api>) -> Result<Json<Vec<FolderView>>, Problem> {
    asked(&api, Library::folders).await.map(Json)
}

/// One folder and what is in it.
#[utoipa::path(get, path = "/api/v1/library/folders/{id}", tag = "library", params(("id" = String, Path)),
    responses((status = 200, body = FolderDetail), (status = 404, body = Problem)))]
pub async fn folder(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<FolderDetail>, Problem> {
    asked(&api, move |library| library.folder(&id)).await.map(Json)
}

/// Playlists, in alphabetical order; those with the words as they stand in their title.
#[utoipa::path(get, path = "/api/v1/library/playlists", tag = "library", params(Search),
    responses((status = 200, body = Vec<PlaylistView>), (status = 409, body = Problem)))]
pub async fn playlists(
    State(api): State<Api>,
    Params(search): Params<Search>,
) -> Result<Json<Vec<PlaylistView>>, Problem> {
    asked(&api, move |library| library.playlists(&search.q, page(search.limit, search.offset))).await.map(Json)
}

/// One playlist and its pieces.
#[utoipa::path(get, path = "/api/v1/library/playlists/{id}", tag = "library", params(("id" = String, Path)),
    responses((status = 200, body = PlaylistDetail), (status = 404, body = Problem)))]
pub async fn playlist(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<PlaylistDetail>, Problem> {
    asked(&api, move |library| library.playlist(&id)).await.map(Json)
}

/// The cover of a piece: the one in its file, or else that of its folder. At most 10 MiB, with an ETag.
#[utoipa::path(get, path = "/api/v1/library/tracks/{id}/artwork", tag = "library",
    params(("id" = String, Path), Size), responses((status = 200, content_type = "image/*"), (status = 304), (status = 404, body = Problem)))]
pub async fn track_artwork(
    State(api): State<Api>,
    Path(id): Path<String>,
    Params(Size { size }): Params<Size>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = known(&headers);
    let ask = move |library: &Library| library.sized(size, known.as_deref(), |known| library.track_cover(&id, known));
    asked(&api, ask).await.map(picture)
}

/// The cover of an album: that of its folder, or else one in its first files. At most 10 MiB, with an ETag.
#[utoipa::path(get, path = "/api/v1/library/albums/{id}/artwork", tag = "library",
    params(("id" = String, Path), Size), responses((status = 200, content_type = "image/*"), (status = 304), (status = 404, body = Problem)))]
pub async fn album_artwork(
    State(api): State<Api>,
    Path(id): Path<String>,
    Params(Size { size }): Params<Size>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = known(&headers);
    let ask = move |library: &Library| library.sized(size, known.as_deref(), |known| library.album_cover(&id, known));
    asked(&api, ask).await.map(picture)
}

/// The ETags that the asker has.
pub(super) fn known(headers: &HeaderMap) -> Option<String> {
    headers.get(header::IF_NONE_MATCH)?.to_str().ok().map(str::to_owned)
}

/// A cover as an answer.
pub(super) fn picture(cover: Cover) -> Response {
    let headers = [
        (header::ETAG, cover.etag.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match cover.bytes {
        Some(bytes) => (headers, [(header::CONTENT_TYPE, cover.mime)], bytes).into_response(),
        None => (StatusCode::NOT_MODIFIED, headers).into_response(),
    }
}

/// Asks the library on a thread that may wait.
pub(super) async fn asked<T: Send + 'static>(
    api: &Api,
    ask: impl FnOnce(&Library) -> Result<T, LibraryError> + Send + 'static,
) -> Result<T, Problem> {
    let library = api.library.clone();
    let answer = tokio::task::spawn_blocking(move || ask(&library)).await;
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the library did not answer");
    Ok(answer.map_err(failed)??)
}
