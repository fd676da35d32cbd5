//! Signing in and out.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use unisono_host::clock;
use utoipa::ToSchema;

use super::problem::{Body, Params, Problem};
use super::{Api, door, written};

/// How the one who asks stands at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SessionView {
    /// May change the house.
    pub signed_in: bool,
    /// Anybody may look; if not, only who is signed in.
    pub reading_open: bool,
    /// There is a password to sign in with; if not, only the sign-in link.
    pub has_password: bool,
}

/// A sign-in, by one of the two.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignIn {
    /// The token of the sign-in link.
    pub token: Option<String>,
    /// The password.
    pub password: Option<String>,
}

/// A new password.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// 8 to 256 bytes; `null` takes the password away.
    pub password: Option<String>,
}

/// A new sign-in link.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SignInLink {
    /// What to open, on this server.
    pub path: String,
    /// The same with this server's name in front, as other hosts reach it.
    pub url: String,
}

/// How the one who asks stands at the door.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = SessionView)))]
pub async fn show(State(api): State<Api>, request: Request) -> Json<SessionView> {
    let local = door::peer(&request) == door::Peer::Local;
    Json(SessionView {
        signed_in: local || door::is_signed_in(&api, request.headers()),
        reading_open: api.door.reading_open(),
        has_password: api.hub.secrets(door::Secrets::has_password),
    })
}

/// Signs in: the answer sets a cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignIn,
    responses((status = 204), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub async fn sign_in(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let peer = door::peer(&request);
    api.door.may_try(peer)?;
    let Body(sign_in) = <Body<SignIn> as axum::extract::FromRequest<_>>::from_request(request, &api).await?;
    let right = match sign_in {
        SignIn { token: Some(token), .. } => api.hub.secrets(|secrets| secrets.is_token(&token)),
        SignIn { password: Some(password), .. } => {
            api.door.may_guess(peer)?;
            is_password(&api, password).await
        }
        SignIn { .. } => false,
    };
    if !right {
        return Err(wrong());
    }
    Ok((StatusCode::NO_CONTENT, begin(&api).await?).into_response())
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
pub async fn sign_out(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(cookie) = door::cookie(&headers) {
        let ((), disk) = api.hub.change_secrets(|secrets| secrets.sign_out(cookie));
        written(disk).await?;
    }
    let over = format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", door::COOKIE);
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, over)])).into_response())
}

/// Sets or takes away the password; everybody has to sign in again.
#[utoipa::path(put, path = "/api/v1/password", tag = "session", request_body = NewPassword,
    responses((status = 204), (status = 422, body = Problem)))]
pub async fn set_password(State(api): State<Api>, Body(new): Body<NewPassword>) -> Result<StatusCode, Problem> {
    let hash = match new.password {
        None => None,
        Some(password) if !(8..=door::LONGEST_PASSWORD).contains(&password.len()) => {
            let detail = "a password has 8 to 256 bytes";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", detail));
        }
        Some(password) => tokio::task::spawn_blocking(move || door::hash_password(&password)).await.ok().flatten(),
    };
    let ((), disk) = api.hub.change_secrets(|secrets| secrets.set_password(hash));
    written(disk).await
}

/// Makes a new sign-in link; the old one is worth nothing any more.
#[utoipa::path(post, path = "/api/v1/sign-in-link", tag = "session", responses((status = 200, body = SignInLink)))]
pub async fn new_link(State(api): State<Api>) -> Result<Json<SignInLink>, Problem> {
    let (token, disk) = api.hub.change_secrets(door::Secrets::new_token);
    written(disk).await?;
    let path = format!("/sign-in?token={token}");
    let url = format!("{}{path}", api.door.page());
    Ok(Json(SignInLink { path, url }))
}

/// The query of the sign-in link.
#[derive(Deserialize)]
pub struct Link {
    #[serde(default)]
    token: String,
}

/// `/sign-in?token=...`: what the printed link opens.
pub async fn sign_in_link(
    State(api): State<Api>,
    Params(link): Params<Link>,
    request: Request,
) -> Result<Response, Problem> {
    api.door.may_try(door::peer(&request))?;
    if !api.hub.secrets(|secrets| secrets.is_token(&link.token)) {
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        // People are told by the page, programs by a problem.
        return match accept.contains("text/html") {
            true => Ok(Redirect::to("/#/sign-in/old-link").into_response()),
            false => Err(wrong()),
        };
    }
    let home = AppendHeaders([(header::LOCATION, "/"), (header::CACHE_CONTROL, "no-store")]);
    Ok((StatusCode::SEE_OTHER, home, begin(&api).await?).into_response())
}

async fn begin(api: &Api) -> Result<AppendHeaders<[(header::HeaderName, String); 1]>, Problem> {
    let now_s = clock::time_of_day_ns() / 1_000_000_000;
    let (value, disk) = api.hub.change_secrets(|secrets| secrets.sign_in(now_s));
    written(disk).await?;
    let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}", door::COOKIE, door::SESSION_S);
    Ok(AppendHeaders([(header::SET_COOKIE, cookie)]))
}

async fn is_password(api: &Api, password: String) -> bool {
    let Some(hash) = api.hub.secrets(door::Secrets::password) else { return false };
    if password.len() > door::LONGEST_PASSWORD {
        return false;
    }
    tokio::task::spawn_blocking(move || door::verify_password(&password, &hash)).await.unwrap_or(false)
}

fn wrong() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "wrong", "this is not the password, or not the latest sign-in link")
}
