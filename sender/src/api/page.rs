//! The web page: files that are part of this program.
//!
//! A page's parts are served below `/assets/` and the hash of all of them, for good; the few files that must keep
//! their address (the page itself, the manifest, the service worker) are asked for anew each time, which their
//! `ETag` answers in a few bytes. All text is compressed once, at the start.

use std::io::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::Api;
use super::problem;

/// A file as it is in the source.
struct Source {
    name: &'static str,
    mime: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal $mime:ident),* $(,)?) => {
        &[$(Source { name: $name, mime: $mime, bytes: include_bytes!(concat!("../../web/", $name)) }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";
const MANIFEST: &str = "application/manifest+json";

/// Files whose address never changes.
const FIXED: &[Source] = files!["index.html" HTML, "manifest.webmanifest" MANIFEST, "sw.js" JS];

/// Files below the hash of all.
const ASSETS: &[Source] = files![
    "style.css" CSS,
    "theme.js" JS,
    "actions.js" JS,
    "api.js" JS,
    "app.js" JS,
    "cover.js" JS,
    "curve.js" JS,
    "dom.js" JS,
    "door.js" JS,
    "drag.js" JS,
    "events.js" JS,
    "fader.js" JS,
    "geometry.js" JS,
    "group.js" JS,
    "headline.js" JS,
    "house.js" JS,
    "library.js" JS,
    "lines.js" JS,
    "player.js" JS,
    "queue.js" JS,
    "room.js" JS,
    "route.js" JS,
    "scenes.js" JS,
    "shelves.js" JS,
    "sign-in.js" JS,
    "store.js" JS,
    "strip.js" JS,
    "trace.js" JS,
    "words.js" JS,
    "icon.svg" SVG,
    "icon-180.png" PNG,
    "icon-192.png" PNG,
    "icon-512.png" PNG,
];

/// What stands for the assets' folder in the files of fixed address.
const PLACE: &str = "{assets}";

/// A page must always be asked for, and may be kept.
const ASK: &str = "no-cache";
/// What a hash names never changes.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

static PAGE: LazyLock<Page> = LazyLock::new(Page::new);

/// The routes of the page.
pub fn router() -> Router<Api> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { PAGE.fixed("index.html", &headers) }))
        .route(
            "/manifest.webmanifest",
            get(|headers: HeaderMap| async move { PAGE.fixed("manifest.webmanifest", &headers) }),
        )
        .route("/sw.js", get(|headers: HeaderMap| async move { PAGE.fixed("sw.js", &headers) }))
        .route("/assets/{hash}/{file}", get(asset))
}

async fn asset(Path((hash, file)): Path<(String, String)>, headers: HeaderMap) -> Response {
    match PAGE.assets.iter().find(|asset| asset.name == file && hash == PAGE.hash) {
        Some(asset) => asset.answer(FOR_GOOD, &headers),
        None => problem::no_such_place().await.into_response(),
    }
}

/// All files, ready to be sent.
struct Page {
    hash: String,
    fixed: Vec<Ready>,
    assets: Vec<Ready>,
}

impl Page {
    fn new() -> Self {
        let mut hasher = Sha256::new();
        FIXED.iter().chain(ASSETS).for_each(|file| hasher.update(file.bytes));
        let hash: String = hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let place = format!("/assets/{hash}");
        let fixed = FIXED.iter().map(|file| {
            let text = String::from_utf8_lossy(file.bytes).replace(PLACE, &place);
            Ready::new(file, Bytes::from(text), &hash)
        });
        let assets = ASSETS.iter().map(|file| Ready::new(file, Bytes::from_static(file.bytes), &hash));
        Page { fixed: fixed.collect(), assets: assets.collect(), hash }
    }

    fn fixed(&self, name: &str, headers: &HeaderMap) -> Response {
        match self.fixed.iter().find(|file| file.name == name) {
            Some(file) => file.answer(ASK, headers),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// A file, plain and compressed.
struct Ready {
    name: &'static str,
    mime: &'static str,
    tag: String,
    plain: Bytes,
    /// Absent where it would gain nothing.
    gzip: Option<Bytes>,
}

impl Ready {
    fn new(file: &Source, plain: Bytes, hash: &str) -> Self {
        let gzip = (file.mime != PNG).then(|| compressed(&plain)).flatten();
        Ready { name: file.name, mime: file.mime, tag: format!("W/\"{hash}\""), plain, gzip }
    }

    fn answer(&self, cache: &'static str, headers: &HeaderMap) -> Response {
        let asked = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut answer = Response::default();
        let mut tell = |name, value: &str| {
            HeaderValue::from_str(value).ok().map(|value| answer.headers_mut().insert(name, value));
        };
        tell(header::CACHE_CONTROL, cache);
        tell(header::ETAG, &self.tag);
        tell(header::VARY, "accept-encoding");
        if asked(header::IF_NONE_MATCH).contains(&self.tag) {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return answer;
        }
        tell(header::CONTENT_TYPE, self.mime);
        let body = match &self.gzip {
            Some(gzip) if asked(header::ACCEPT_ENCODING).contains("gzip") => {
                tell(header::CONTENT_ENCODING, "gzip");
                gzip
            }
            _ => &self.plain,
        };
        *answer.body_mut() = body.clone().into();
        answer
    }
}

fn compressed(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let gzip = encoder.finish().ok()?;
    (gzip.len() < plain.len()).then(|| gzip.into())
}

#[cfg(test)]
mod tests;
