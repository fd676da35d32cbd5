//! One WebSocket to the hub, from dialling to its end.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, WebSocket};
use unisono_common::control::{
    self, FromHub, FromRoom, Health, Hello, LINK_PATH, MAX_MESSAGE, Orders, Reports, State, Welcome,
};
use unisono_common::time::LocalTime;
use unisono_host::clock::now;
use unisono_host::seal::{Handshake, Keys, SealError, Sealed};

use super::{Event, Runner, kept};

/// For the TCP connection: a host that is there accepts within milliseconds, and one that comes later is dialled again.
pub(super) const DIAL_PATIENCE: Duration = Duration::from_millis(800);
/// For each answer of the handshakes: a hub that has just come greets its whole house at once.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// The hub says that it is there every three seconds; after so long without a word it is gone.
const SILENCE: Duration = Duration::from_secs(7);
/// How often it is asked whether something changed, and the room whether it ends.
const TICK: Duration = Duration::from_millis(200);
/// The same while an order is being carried out, which the hub waits to hear of; for at most [`PROMPT`].
const PROMPT_TICK: Duration = Duration::from_millis(10);
const PROMPT: Duration = Duration::from_secs(1);

/// Why there is no link, or no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Nobody answered the question.
    #[error("no hub answers on this network")]
    NoHub,
    /// There is no address to ask from.
    #[error("interface \"{0}\" has no IPv4 address")]
    NoInterface(String),
    /// A socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The name leads nowhere.
    #[error("no address for \"{0}\"")]
    Unresolved(String),
    /// The WebSocket failed.
    #[error("{0}")]
    WebSocket(Box<tungstenite::Error>),
    /// The hub is not what it should be.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Another hub than the one that this room belongs to.
    #[error(
        "\"{0}\" is not the hub that this room belongs to; to let it take over, remove hub.json from the state directory"
    )]
    Stranger(SocketAddr),
    /// Silence for too long.
    #[error("the hub has not said a word for {} s", SILENCE.as_secs())]
    Silent,
    /// The hub ended the link.
    #[error("the hub has closed the link")]
    Closed,
}

impl From<tungstenite::Error> for LinkError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Self::Io(error),
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Self::Closed,
            error => Self::WebSocket(Box::new(error)),
        }
    }
}

/// How a served link ended.
pub(super) enum End {
    /// Before the hub let the room in.
    BeforeWelcome(LinkError),
    /// The room itself ends.
    Stopped,
    /// The room must take another id.
    Cloned,
    /// After the hub had let the room in.
    Broken(LinkError),
}

pub(super) struct Link {
    socket: WebSocket<TcpStream>,
    sealed: Sealed,
    /// The hub's public key.
    hub_key: String,
    address: SocketAddr,
    welcomed: bool,
    /// Last time that anything came from the hub.
    heard: LocalTime,
    reported: Option<(LocalTime, Key)>,
    /// How often it reports when nothing changes.
    reports: Reports,
    /// When the orders came that no report has spoken of yet.
    ordered: Option<LocalTime>,
}

/// What makes health worth sending at once when it changes.
type Key = (State, Option<String>, u64, Option<String>);

impl Link {
    /// Connects and proves who is who; a hub other than `trusted`, if there is one, is hung up on.
    pub(super) fn dial(hub: &str, keys: &Keys, trusted: Option<&str>) -> Result<Self, LinkError> {
        let address = hub.to_socket_addrs()?.next().ok_or_else(|| LinkError::Unresolved(hub.to_owned()))?;
        let stream = TcpStream::connect_timeout(&address, DIAL_PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_MESSAGE)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let url = format!("ws://{address}{LINK_PATH}");
        let (mut socket, _) =
            tungstenite::client::client_with_config(url, stream, Some(config)).map_err(|error| match error {
                HandshakeError::Failure(error) => LinkError::from(error),
                HandshakeError::Interrupted(_) => LinkError::Io(ErrorKind::TimedOut.into()),
            })?;
        let mut handshake = Handshake::room(keys)?;
        socket.send(Message::binary(handshake.write()?))?;
        handshake.read(&socket.read()?.into_data())?;
        let hub_key = handshake.peer().unwrap_or_default();
        if trusted.is_some_and(|trusted| trusted != hub_key) {
            return Err(LinkError::Stranger(address));
        }
        socket.send(Message::binary(handshake.write()?))?;
        let sealed = handshake.finish()?;
        let (reports, heard) = (Reports::default(), now());
        Ok(Self { socket, sealed, hub_key, address, welcomed: false, heard, reported: None, reports, ordered: None })
    }

    pub(super) fn send_hello(&mut self, hello: Hello) -> Result<(), LinkError> {
        self.send(&FromRoom::Hello(hello))
    }

    /// Reports and obeys until the link ends or the room does.
    pub(super) fn serve(&mut self, runner: &Runner) -> End {
        loop {
            if runner.stopped() {
                let _ = self.socket.close(None);
                return End::Stopped;
            }
            let broken = match self.turn(runner) {
                Ok(Some(end)) => return end,
                Ok(None) => continue,
                Err(error) => error,
            };
            return if self.welcomed { End::Broken(broken) } else { End::BeforeWelcome(broken) };
        }
    }

    /// Waits a tick for a message, obeys it, and reports when it is time.
    fn turn(&mut self, runner: &Runner) -> Result<Option<End>, LinkError> {
        self.ordered = self.ordered.filter(|at| now() - *at < PROMPT.as_nanos() as i64);
        let tick = if self.ordered.is_some() { PROMPT_TICK } else { TICK };
        self.socket.get_ref().set_read_timeout(Some(tick))?;
        if let Some(message) = self.receive()? {
            if matches!(message, FromHub::Orders(_)) {
                self.ordered = Some(now());
            }
            match message {
                FromHub::Welcome(welcome) => self.welcome(welcome, runner),
                FromHub::Cloned => return Ok(Some(End::Cloned)),
                FromHub::Reports(reports) => self.reports = reports.sane(),
                message => obey(message, runner),
            }
        }
        if self.welcomed {
            self.report((runner.health)())?;
        }
        if now() - self.heard > SILENCE.as_nanos() as i64 {
            return Err(LinkError::Silent);
        }
        Ok(None)
    }

    fn welcome(&mut self, welcome: Welcome, runner: &Runner) {
        tracing::info!(hub = welcome.hub, address = %self.address, "linked to the hub");
        self.welcomed = true;
        kept::trust(&runner.settings.state_dir, &self.hub_key, &welcome.hub);
        let _ = runner.events.send(Event::Connected { hub: welcome.hub, address: self.address });
        let _ = runner.events.send(Event::Streams(welcome.streams));
    }

    fn report(&mut self, health: Health) -> Result<(), LinkError> {
        let key = (health.state, health.stream.clone(), health.orders, health.trouble.clone());
        if self.reported.as_ref().is_some_and(|(_, (.., orders, _))| *orders != health.orders) {
            self.ordered = None;
        }
        let due = match &self.reported {
            Some((at, last)) => now() - *at >= self.reports.every().as_nanos() as i64 || *last != key,
            None => true,
        };
        if due {
            self.send(&FromRoom::Health(Box::new(health)))?;
            self.reported = Some((now(), key));
        }
        Ok(())
    }

    fn send(&mut self, message: &FromRoom) -> Result<(), LinkError> {
        let sealed = self.sealed.seal(&control::encode(message))?;
        Ok(self.socket.send(Message::binary(sealed))?)
    }

    /// The next message, or nothing within a tick.
    fn receive(&mut self) -> Result<Option<FromHub>, LinkError> {
        let message = match self.socket.read() {
            Ok(message) => message,
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.heard = now();
        let Message::Binary(sealed) = message else { return Ok(None) };
        match control::decode(&self.sealed.open(&sealed)?) {
            Ok(message) => Ok(Some(message)),
            Err(error) => {
                tracing::warn!(%error, "skipped what the hub said");
                Ok(None)
            }
        }
    }
}

fn obey(message: FromHub, runner: &Runner) {
    let event = match message {
        FromHub::Orders(orders) => {
            let orders = orders.sane();
            let _ = runner.events.send(Event::Orders(orders.clone()));
            // Written down behind its back: a memory card takes its time.
            return keep(&orders, runner);
        }
        FromHub::Streams(streams) => Event::Streams(streams.streams),
        FromHub::Identify => Event::Identify,
        FromHub::Wait(wait) => {
            let _ = runner.events.send(Event::Waiting { hub: wait.hub, code: wait.code });
            Event::Streams(wait.streams)
        }
        FromHub::Welcome(_) | FromHub::Cloned | FromHub::Reports(_) | FromHub::Unknown => return,
    };
    let _ = runner.events.send(event);
}

fn keep(orders: &Orders, runner: &Runner) {
    if let Err(error) = kept::save(&runner.settings.state_dir, orders) {
        tracing::warn!(%error, "the orders cannot be kept for the next start");
    }
}
