//! The house as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream, Sse};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use super::Api;
use crate::hub::Note;

/// What happens, as server-sent events: `house` (data as of `GET /api/v1/house`) at once and whenever anything
/// changes, `now` (a `NowView`) every second.
#[utoipa::path(get, path = "/api/v1/events", tag = "house",
    responses((status = 200, content_type = "text/event-stream", body = crate::hub::view::NowView)))]
pub async fn events(State(api): State<Api>) -> Sse<KeepAliveStream<Stream>> {
    let notes = api.hub.watch();
    let (sender, events) = mpsc::channel(16);
    tokio::spawn(forward(api, notes, sender));
    Sse::new(Stream(events)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

/// Passes notes on until the watcher is gone. Who falls behind gets the house anew, not the past.
async fn forward(api: Api, mut notes: broadcast::Receiver<Note>, watcher: mpsc::Sender<Event>) {
    let whole = || Event::default().event("house").data(serde_json::to_string(&api.hub.view()).unwrap_or_default());
    if watcher.send(whole()).await.is_err() {
        return;
    }
    loop {
        let event = tokio::select! {
            note = notes.recv() => match note {
                Ok(note) => Event::default().event(note.event).data(&*note.data),
                Err(RecvError::Lagged(_)) => whole(),
                Err(RecvError::Closed) => return,
            },
            () = watcher.closed() => return,
        };
        if watcher.send(event).await.is_err() {
            return;
        }
    }
}

/// Events as a stream.
pub struct Stream(mpsc::Receiver<Event>);

impl futures_core::Stream for Stream {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}
