//! A running sender: everything opened and checked first, then started; and ended in order.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;
use tracing::{info, warn};
use unisono_common::config::sender::{SenderConfig, SourceConfig, StreamConfig};
use unisono_common::identity::{IdentityError, StreamIdentity};
use unisono_host::interface::{Interface, InterfaceError};
use unisono_host::multicast::{self, MulticastError, MulticastSender, SendOptions};
use unisono_host::state::{StateDir, StateError};
use unisono_host::{clock, random};

use crate::announce::Announcer;
use crate::describe::{self, Host};
use crate::library::{Librarian, Library};
use crate::report::Reporter;
use crate::source::{self, SourceError};
use crate::streams::{OnAir, Stream, Streams};
use crate::timeserver::{self, MediaClock, TimeServer, TimeServerConfig, TimeServerError};
use crate::transmit::{Outgoing, Transmitter};

/// DSCP of audio and its reports: AF41, which Wi-Fi carries as video.
const DSCP: u8 = 34;

/// A sender that sends.
#[derive(Debug)]
pub struct Service {
    /// Its streams.
    pub streams: Streams,
    /// Its clock.
    pub clock: MediaClock,
    /// Its clock's server.
    pub time_server: TimeServer,
    /// Where it sends.
    pub interface: Interface,
    /// Its state directory, which is its own.
    pub state: StateDir,
    /// Its music, and its streams' queues.
    pub library: Library,
    transmitter: Transmitter,
    teller: Teller,
    librarian: Librarian,
}

/// Why it can't start. Nothing has been sent then, and all that was opened is closed again.
#[derive(Debug, Error)]
pub enum StartError {
    /// No such interface, or one without an address.
    #[error("interface: {0}")]
    Interface(#[from] InterfaceError),
    /// No state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// A stream's identity can't be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The web page's port is taken.
    #[error("the web page can't listen at {listen}: {error}; stop what does or set listen under [http]")]
    Http {
        /// As configured.
        listen: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// The clock's port is taken.
    #[error(transparent)]
    Clock(#[from] TimeServerError),
    /// A stream's sockets can't be had.
    #[error("stream \"{id}\": {error}")]
    Network {
        /// The stream.
        id: String,
        /// Why.
        error: MulticastError,
    },
    /// The announcements' sockets can't be had.
    #[error("announcements: {0}")]
    Announcements(MulticastError),
    /// A stream's source can't be had.
    #[error("stream \"{id}\": {error}")]
    Source {
        /// The stream.
        id: String,
        /// Why.
        error: SourceError,
    },
    /// The kernel gives no thread.
    #[error("no thread: {0}")]
    Thread(io::Error),
}

impl Service {
    /// Opens everything that `config` asks for, then starts to send.
    pub fn start(config: &SenderConfig) -> Result<Self, StartError> {
        let interface = match &config.interface {
            Some(name) => Interface::by_name(name)?,
            None => Interface::pick()?,
        };
        let address = ipv4_address(&interface)?;
        let state = StateDir::open(config.state_dir.as_deref(), "sender")?;
        let clock = MediaClock::start();
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.clock_port));
        let time_server = timeserver::spawn(TimeServerConfig { listen, ..TimeServerConfig::default() }, clock)?;
        let clock_port = time_server.local_addr().port();
        let host = Host { address, clock_port, ttl: config.ttl, playout_delay_ms: config.playout_delay_ms };
        let library = Library::open(state.path(), &libraries(config));
        let opened = open_streams(config, &interface, &state, &host, &library)?;
        let reporters = opened.streams.on_air().map(|(stream, on_air)| {
            Reporter::open(stream.clone(), on_air, &interface, address, config.ttl, DSCP)
                .map_err(|error| StartError::Network { id: stream.id.clone(), error })
        });
        let reporters = reporters.collect::<Result<Vec<_>, _>>()?;
        let announcer =
            Announcer::open(&interface, address, config.ttl, opened.streams.clone(), opened.outdated, clock::now())
                .map_err(StartError::Announcements)?;
        for (file, text) in &opened.identities {
            state.write(file, text)?;
        }
        info!(interface = interface.name, %address, clock_port, state = %state.path().display(), "sender starts");
        let transmitter =
            Transmitter::start(opened.outgoing, clock, config.playout_delay_ms).map_err(StartError::Thread)?;
        let teller = Teller::start(announcer, reporters, opened.streams.clone(), clock).map_err(StartError::Thread)?;
        let librarian = library.start().map_err(StartError::Thread)?;
        let streams = opened.streams;
        Ok(Service { streams, clock, time_server, interface, state, library, transmitter, teller, librarian })
    }

    /// Ends: the last packet, the goodbyes, the deletions. Takes about a tenth of a second.
    pub fn stop(self) {
        drop(self.transmitter);
        drop(self.teller);
        drop(self.librarian);
    }
}

/// The folders that library streams play.
fn libraries(config: &SenderConfig) -> Vec<PathBuf> {
    let path = |stream: &StreamConfig| match &stream.source {
        SourceConfig::Library { path, .. } if path.is_dir() => Some(path.clone()),
        _ => None,
    };
    config.streams.iter().filter_map(path).collect()
}

/// Opens the web page's port, for the API to serve at.
pub fn listen_http(listen: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|error| StartError::Http { listen, error })
}

fn ipv4_address(interface: &Interface) -> Result<Ipv4Addr, InterfaceError> {
    let missing = || InterfaceError::NoAddress { name: interface.name.clone(), family: "IPv4" };
    interface.ipv4.ok_or_else(missing)
}

/// The streams, opened.
struct Opened {
    streams: Streams,
    outgoing: Vec<Outgoing>,
    outdated: Vec<String>,
    /// File names and contents, to be kept once it is certain that the streams will be sent.
    identities: Vec<(String, String)>,
}

fn open_streams(
    config: &SenderConfig,
    interface: &Interface,
    state: &StateDir,
    host: &Host,
    library: &Library,
) -> Result<Opened, StartError> {
    let mut streams = Vec::new();
    let mut sending = Vec::new();
    let mut outdated = Vec::new();
    let mut identities = Vec::new();
    for (stream, group) in config.streams.iter().zip(describe::groups(&config.streams)) {
        let on_air = if stream.enabled {
            let options = SendOptions { source_port: group.port(), ttl: config.ttl, dscp: DSCP };
            let socket = MulticastSender::open(interface, multicast::IPV4, options)
                .map_err(|error| StartError::Network { id: stream.id.clone(), error })?;
            let source =
                source::spawn(stream, library).map_err(|error| StartError::Source { id: stream.id.clone(), error })?;
            let file = format!("streams/{}.toml", stream.id);
            let mut identity = known_identity(&file, state)?;
            let describe = |identity: &StreamIdentity| describe::session(stream, group, host, identity);
            outdated.extend(describe::settle(&mut identity, describe));
            identities.push((file, identity.encode()?));
            let on_air = OnAir::new(group, identity.ssrc, identity.announced, source.status(), source.control());
            sending.push((streams.len(), source, Arc::new(socket)));
            Some(on_air)
        } else {
            None
        };
        let &StreamConfig { format, enabled, .. } = stream;
        streams.push(Stream { id: stream.id.clone(), name: stream.name.clone(), format, enabled, on_air });
    }
    let streams = Streams::new(streams);
    let all: Vec<_> = streams.iter().cloned().collect();
    let outgoing = sending.into_iter().map(|(index, source, socket)| {
        let stream = all[index].clone();
        info!(id = stream.id, name = stream.name, format = %stream.format, "stream");
        Outgoing { stream, source, socket }
    });
    Ok(Opened { outgoing: outgoing.collect(), streams, outdated, identities })
}

/// The identity that the stream had before, or a new one.
fn known_identity(file: &str, state: &StateDir) -> Result<StreamIdentity, StateError> {
    let known = state.read(file)?.and_then(|text| {
        let identity = StreamIdentity::decode(&text);
        identity.inspect_err(|error| warn!(file, "{error}: the stream gets a new one")).ok()
    });
    Ok(known.unwrap_or_else(|| StreamIdentity::new(random::number().to_be_bytes())))
}

/// The thread that announces and reports. Dropping it says goodbye for all streams.
#[derive(Debug)]
struct Teller {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Teller {
    const TICK: Duration = Duration::from_secs(1);
    const TROUBLE_TICKS: u64 = 10;
    /// Between the three deletions at the end.
    const DELETION_GAP: Duration = Duration::from_millis(40);

    fn start(
        mut announcer: Announcer,
        mut reporters: Vec<Reporter>,
        streams: Streams,
        clock: MediaClock,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("teller".to_owned()).spawn(move || {
            let mut trouble = Trouble::default();
            for tick in 0_u64.. {
                announcer.tick(clock::now());
                reporters.iter_mut().for_each(|reporter| reporter.tick(clock, clock::now()));
                if tick % Self::TROUBLE_TICKS == 0 {
                    trouble.tell(&streams);
                }
                if stopped.recv_timeout(Self::TICK) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            reporters.iter().for_each(|reporter| reporter.bye(clock, clock::now()));
            for _ in 0..3 {
                announcer.delete();
                thread::sleep(Self::DELETION_GAP);
            }
        })?;
        Ok(Teller { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It can only have failed by a panic, which has been reported.
            let _ = thread.join();
        }
    }
}

/// Tells in the log what the transmit thread can only count.
#[derive(Debug, Default)]
struct Trouble {
    told: Vec<[u64; 3]>,
}

impl Trouble {
    fn tell(&mut self, streams: &Streams) {
        let now: Vec<_> = streams.on_air().map(|(_, on_air)| on_air.counters.trouble()).collect();
        self.told.resize(now.len(), [0; 3]);
        for (((stream, _), now), before) in streams.on_air().zip(&now).zip(&self.told) {
            let [late, skipped, failed] = [0, 1, 2].map(|i| now[i] - before[i]);
            if skipped + failed > 0 {
                warn!(stream = stream.id, late, skipped, failed, "packets were held up");
            }
        }
        self.told = now;
    }
}
