//! Announcements: a sound file, played in rooms over their music.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::problem::{Params, Problem, Upload};
use crate::paging::{LEAD, LONGEST};
use unisono_audio::decode::AudioFile;

/// The largest file: five minutes of CD.
pub(super) const MAX_FILE: usize = 64 * 1024 * 1024;

/// Who hears an announcement, and how.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct How {
    /// Ids of rooms, with commas between them; without it, every room.
    #[serde(default)]
    pub rooms: Option<String>,
    /// Level of the music meanwhile, in dB: -60 (silence) to 0; -18 if not given.
    #[serde(default)]
    pub duck_db: Option<f64>,
}

/// An announcement on its way.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OnItsWay {
    /// Ids of the rooms that are here and will hear it.
    pub rooms: Vec<String>,
    /// Seconds from now to its first word, unless another one comes before it.
    pub begins_s: f64,
    /// How long it is, where the file says so.
    pub duration_s: Option<f64>,
}

/// Plays the sound file in the body (WAV, FLAC, MP3, Ogg, ...) in rooms: their music dips, the announcement is heard in
/// all of them in step, the music returns.
#[utoipa::path(post, path = "/api/v1/announce", tag = "rooms", params(How),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = OnItsWay), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn announce(
    State(api): State<Api>,
    Params(how): Params<How>,
    Upload(body): Upload,
) -> Result<(StatusCode, Json<OnItsWay>), Problem> {
    let refused = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", detail);
    let duck_db = how.duck_db.unwrap_or(-18.0);
    if !(-60.0..=0.0).contains(&duck_db) {
        return Err(refused("duck_db must be -60 to 0".to_owned()));
    }
    let rooms: Vec<String> = how.rooms.iter().flat_map(|rooms| rooms.split(',')).map(str::to_owned).collect();
    let make = move || {
        let announcement = api.hub.keep_announcement(&body, rooms, duck_db);
        let announcement = announcement.map_err(|error| refused(format!("the file cannot be kept: {error}")))?;
        let sound = AudioFile::open(&announcement.file).map_err(|error| refused(format!("the body {error}")))?;
        let duration = sound.frames().map(|n| Duration::from_secs_f64(n as f64 / f64::from(sound.shape().rate)));
        if duration.is_some_and(|duration| duration > LONGEST) {
            return Err(refused(format!("it is longer than {} s", LONGEST.as_secs())));
        }
        let rooms = api.hub.announce(announcement)?;
        Ok(OnItsWay { rooms, begins_s: LEAD.as_secs_f64(), duration_s: duration.map(|d| d.as_secs_f64()) })
    };
    let made = tokio::task::spawn_blocking(make)
        .await
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "refused", error.to_string()))?;
    Ok((StatusCode::ACCEPTED, Json(made?)))
}
