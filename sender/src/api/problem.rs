//! Errors on the wire: problem details (RFC 9457). Bodies and queries are read here, so that what is wrong with them is
//! told so too.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::house::Refusal;
use crate::hub::NoChirp;
use crate::hub::catalogue::ActionError;
use crate::library::LibraryError;

/// A body of JSON must be whole after this, like a head.
const PATIENCE: Duration = Duration::from_secs(20);
/// A file must be whole after this: the largest comes at 2 Mbit/s.
const FILE_PATIENCE: Duration = Duration::from_secs(300);

/// What went wrong, in words for people and a type for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem: `/problems/` and one word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind, in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// This very problem, in a sentence.
    pub detail: String,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        Problem { kind: format!("/problems/{kind}"), title, status: status.as_u16(), detail: detail.into() }
    }

    /// The change is made but not on the disk.
    pub fn not_kept() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "not-kept", "it is so now, but could not be written to the disk")
    }

    /// No stream has this id.
    pub fn no_such_stream(id: &str) -> Self {
        Refusal::missing("stream", id).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, serde_json::to_string(&self).unwrap_or_default()).into_response()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, kind) = match &refusal {
            Refusal::Missing { .. } => (StatusCode::NOT_FOUND, "missing"),
            Refusal::AtTheDoor(_) => (StatusCode::CONFLICT, "at-the-door"),
            Refusal::TurnedAway => (StatusCode::FORBIDDEN, "turned-away"),
            Refusal::Full(_) => (StatusCode::CONFLICT, "full"),
            Refusal::Name | Refusal::Range { .. } | Refusal::Alone => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        };
        Problem::new(status, kind, refusal.to_string())
    }
}

impl From<NoChirp> for Problem {
    fn from(why: NoChirp) -> Self {
        let kind = match &why {
            NoChirp::Refused(refusal) => return refusal.clone().into(),
            NoChirp::Gone => "gone",
            NoChirp::NoCard(_) => "no-card",
        };
        Problem::new(StatusCode::CONFLICT, kind, why.to_string())
    }
}

impl From<ActionError> for Problem {
    fn from(error: ActionError) -> Self {
        let (status, kind) = match &error {
            ActionError::NotHere(_) => (StatusCode::NOT_FOUND, "missing"),
            ActionError::Cannot(_) => (StatusCode::CONFLICT, "cannot"),
        };
        Problem::new(status, kind, error.to_string())
    }
}

impl From<LibraryError> for Problem {
    fn from(error: LibraryError) -> Self {
        let (status, kind) = match &error {
            LibraryError::Missing { .. } | LibraryError::NoEntry(_) | LibraryError::NoQueue(_) => {
                (StatusCode::NOT_FOUND, "missing")
            }
            LibraryError::NoIndex => (StatusCode::CONFLICT, "cannot"),
            LibraryError::Full => (StatusCode::CONFLICT, "full"),
            LibraryError::Index(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        Problem::new(status, kind, error.to_string())
    }
}

/// A JSON body; one that is not as it should be, or does not come, is a problem with a sentence about where and why.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match within(PATIENCE, Json::<T>::from_request(request, state)).await? {
            Ok(Json(body)) => Ok(Body(body)),
            Err(rejection) => Err(unreadable(rejection.status(), &rejection.body_text())),
        }
    }
}

/// A body of any type, as it comes: a file.
pub struct Upload(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match within(FILE_PATIENCE, Bytes::from_request(request, state)).await? {
            Ok(bytes) => Ok(Upload(bytes)),
            Err(rejection) => Err(unreadable(rejection.status(), &rejection.body_text())),
        }
    }
}

/// The parameters of a query; one that can't be read is a problem that names it.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => Err(unreadable(rejection.status(), &rejection.body_text())),
        }
    }
}

/// What is read of a body, if it comes in time: who sends a byte now and then holds a connection for ever.
async fn within<T>(patience: Duration, reading: impl Future<Output = T>) -> Result<T, Problem> {
    timeout(patience, reading).await.map_err(|_| {
        let detail = format!("the body was not whole after {} s", patience.as_secs_f64());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "slow", detail)
    })
}

fn unreadable(status: StatusCode, why: &str) -> Problem {
    // A rejection quotes what it read: a short piece of it is enough.
    let detail: String = why.chars().take(300).collect();
    Problem::new(status, "unreadable", detail)
}

/// The answer to a path that leads nowhere.
pub async fn no_such_place() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "missing", "nothing is here; /api/v1/openapi.json lists what there is")
}

/// The answer to a method that a path doesn't know.
pub async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this can't be done here; see /api/v1/openapi.json")
}

#[cfg(test)]
mod tests;
