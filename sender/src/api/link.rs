//! The hub's end of a room's link: a sealed WebSocket.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout};
use unisono_common::control::{self, FromHub, FromRoom, Hello, MAX_MESSAGE, Reports};
use unisono_host::seal::{Handshake, Sealed};

use super::Api;
use super::door::Peer;
use super::problem::Problem;
use super::serve::Guest;
use crate::hub::presence::Link;
use crate::hub::{Greeting, Hub};

/// For each message of the handshake, and for the hello.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// Between two signs that the hub is there; a room takes 7 s without a word for the hub's end.
const BEAT: Duration = Duration::from_secs(3);
/// After so long without a word a room is gone; where it reports less often, after this many reports.
const SILENCE: Duration = Duration::from_secs(7);
const SILENT_REPORTS: u32 = 3;
/// Messages waiting for a room; more, and it is stuck.
const OUTBOX: usize = 64;
/// A second room with the same id: the first one has so long to show that it is alive.
const TWIN_PATIENCE: Duration = Duration::from_millis(1_500);
/// The longest report that is read.
const MAX_REPORT: usize = 16 * 1024;

/// Answers a room's dialling.
pub(super) async fn upgrade(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    guest: Option<Extension<Arc<Guest>>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Peer::Network(address) = peer else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "link", "rooms dial in over the network"));
    };
    // Rooms are no browsers.
    if headers.contains_key(header::ORIGIN) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign", "this is for rooms, not for pages"));
    }
    let upgrade = upgrade.map_err(|error| Problem::new(error.status(), "unreadable", error.body_text()))?;
    let upgrade = upgrade
        .max_message_size(MAX_REPORT)
        .max_frame_size(MAX_REPORT)
        .max_write_buffer_size(2 * MAX_MESSAGE)
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| async move {
        linked(api.hub, socket, address).await;
        drop(guest);
    }))
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the socket: {0}")]
    Socket(#[from] axum::Error),
    #[error(transparent)]
    Seal(#[from] unisono_host::seal::SealError),
    #[error(transparent)]
    Decode(#[from] control::DecodeError),
    #[error(transparent)]
    Refused(#[from] crate::house::Refusal),
    #[error("it is silent")]
    Silent,
    #[error("it has hung up")]
    Closed,
    #[error("it does not take what it is sent")]
    Stuck,
    #[error("what it says first is no hello")]
    NoHello,
    #[error("another room with this id is here")]
    Twin,
    #[error("the hub has hung up")]
    HungUp,
}

async fn linked(hub: Hub, socket: WebSocket, address: SocketAddr) {
    let mut room = Room { socket, sealed: None };
    let (hello, key) = match room.introduce(&hub).await {
        Ok(introduced) => introduced,
        Err(error) => return tracing::debug!(%address, %error, "not a room"),
    };
    let (outbox, inbox) = mpsc::channel(OUTBOX);
    let link = Link::new(address, outbox);
    let id = hello.room_id.clone();
    match room.enter(&hub, &hello, &key, link).await {
        Ok(number) => {
            let error = room.serve(&hub, &id, number, inbox).await;
            tracing::info!(room = hello.room, %address, reason = %error, "room is gone");
            hub.hang_up(&id, number);
        }
        Err(error) => tracing::warn!(room = hello.room, %address, %error, "room is not linked"),
    }
}

struct Room {
    socket: WebSocket,
    sealed: Option<Sealed>,
}

impl Room {
    /// Handshake and hello: who is it?
    async fn introduce(&mut self, hub: &Hub) -> Result<(Hello, String), LinkError> {
        let mut handshake = Handshake::hub(hub.keys())?;
        handshake.read(&self.patient().await?)?;
        let answer = handshake.write()?;
        self.socket.send(Message::Binary(answer.into())).await?;
        handshake.read(&self.patient().await?)?;
        let key = handshake.peer().unwrap_or_default();
        let mut sealed = handshake.finish()?;
        let hello = self.patient().await?;
        let hello = control::decode(&sealed.open(&hello)?)?;
        self.sealed = Some(sealed);
        match hello {
            FromRoom::Hello(hello) if is_id(&hello.room_id) => Ok((hello, key)),
            _ => Err(LinkError::NoHello),
        }
    }

    /// Takes the room's place in the house. A twin with the same id that is alive keeps it.
    async fn enter(&mut self, hub: &Hub, hello: &Hello, key: &str, link: Link) -> Result<u64, LinkError> {
        match hub.greet(hello, key, link.clone(), false)? {
            Greeting::Linked(number) => return Ok(number),
            Greeting::Taken(other) => {
                // A link that is dead but not known to be, after a power cut, says nothing and gives way.
                if answers(hub, &hello.room_id, &other).await {
                    self.say(&FromHub::Cloned).await?;
                    return Err(LinkError::Twin);
                }
            }
        }
        match hub.greet(hello, key, link, true)? {
            Greeting::Linked(number) => Ok(number),
            Greeting::Taken(_) => Err(LinkError::Twin),
        }
    }

    async fn serve(&mut self, hub: &Hub, id: &str, number: u64, mut inbox: mpsc::Receiver<FromHub>) -> LinkError {
        let (mut beat, mut heard, mut reports) = (beats(), Instant::now(), Reports::default());
        loop {
            let done = tokio::select! {
                message = self.socket.recv() => {
                    heard = Instant::now();
                    self.heard(hub, id, number, message)
                }
                message = inbox.recv() => match message {
                    // What still waits when the hub has hung up is out of date.
                    Some(message) if !inbox.is_closed() => {
                        if let FromHub::Reports(asked) = &message {
                            reports = *asked;
                        }
                        self.say(&message).await
                    }
                    _ => Err(LinkError::HungUp),
                },
                _ = beat.tick() => {
                    let wanted = hub.reports();
                    if heard.elapsed() > SILENCE.max(reports.every() * SILENT_REPORTS) {
                        Err(LinkError::Silent)
                    } else if reports != wanted {
                        reports = wanted;
                        self.say(&FromHub::Reports(wanted)).await
                    } else if heard.elapsed() > reports.every() + BEAT / 2 {
                        // One at the door does not report, so it is asked.
                        self.send(Message::Ping(Vec::new().into())).await
                    } else {
                        // Nobody has to answer that.
                        self.send(Message::Pong(Vec::new().into())).await
                    }
                }
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    fn heard(
        &mut self,
        hub: &Hub,
        id: &str,
        number: u64,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<(), LinkError> {
        let sealed = match message.ok_or(LinkError::Closed)?? {
            Message::Binary(sealed) => sealed,
            Message::Close(_) => return Err(LinkError::Closed),
            Message::Ping(_) | Message::Pong(_) | Message::Text(_) => return Ok(()),
        };
        let opened = self.sealed.as_mut().ok_or(LinkError::Closed)?.open(&sealed)?;
        if let FromRoom::Health(health) = control::decode(&opened)? {
            hub.report(id, number, *health);
        }
        Ok(())
    }

    async fn say(&mut self, message: &FromHub) -> Result<(), LinkError> {
        let sealed = self.sealed.as_mut().ok_or(LinkError::Closed)?.seal(&control::encode(message))?;
        self.send(Message::Binary(sealed.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), LinkError> {
        Ok(timeout(HELLO_PATIENCE, self.socket.send(message)).await.map_err(|_| LinkError::Stuck)??)
    }

    /// The next binary message, soon.
    async fn patient(&mut self) -> Result<Vec<u8>, LinkError> {
        let message = timeout(HELLO_PATIENCE, self.socket.recv()).await.map_err(|_| LinkError::Silent)?;
        match message.ok_or(LinkError::Closed)?? {
            Message::Binary(bytes) => Ok(bytes.to_vec()),
            _ => Err(LinkError::NoHello),
        }
    }
}

/// Beats at the same moments for all rooms: a big house costs one wake-up then, not one for each.
fn beats() -> Interval {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let (first, now) = (*FIRST.get_or_init(Instant::now), Instant::now());
    let passed = (now - first).as_nanos() / BEAT.as_nanos();
    let next = first + BEAT * u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1);
    let mut beats = tokio::time::interval_at(next.max(now), BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    beats
}

/// Whether the room at the other end of a link reports within a moment, when it is asked to.
async fn answers(hub: &Hub, id: &str, link: &Link) -> bool {
    let before = hub.last_report(id);
    link.clone().say(FromHub::Reports(Reports::default()));
    let deadline = Instant::now() + TWIN_PATIENCE;
    while Instant::now() < deadline {
        if link.is_dead() {
            return false;
        }
        if hub.last_report(id) != before {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// What a room's id may be.
fn is_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
