//! A running sender: everything opened and checked first, then started; and ended in order.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tracing::info;
use unisono_common::config::sender::{SenderConfig, SourceConfig, StreamConfig};
use unisono_common::identity::IdentityError;
use unisono_host::clock;
use unisono_host::interface::{Interface, InterfaceError};
use unisono_host::multicast::{self, MulticastError, SendOptions};
use unisono_host::ptp::PtpError;
use unisono_host::state::{StateDir, StateError};

use crate::announce::Announcer;
use crate::describe::Host;
use crate::library::{Librarian, Library};
use crate::live::follow::Lookout;
use crate::live::{DSCP, Live, Network, Outlets};
use crate::repair::{RepairServer, RepairSocket};
use crate::source::SourceError;
use crate::streams::Streams;
use crate::teller::Teller;
use crate::timeserver::{self, MediaClock, TimeServer, TimeServerConfig, TimeServerError};
use crate::transmit::Transmitter;

/// A sender that sends. Dropping it, and every clone of its [`Live`], ends it: the goodbyes, the deletions, the last
/// packet. That takes about a tenth of a second.
#[derive(Debug)]
pub struct Service {
    /// Ends first: it has a hand on the streams.
    _lookout: Lookout,
    /// Its streams.
    pub live: Live,
    /// Its clock.
    pub clock: MediaClock,
    /// Its clock's server.
    pub time_server: Arc<TimeServer>,
    /// Where it sends.
    pub interface: Interface,
    /// Its state directory, which is its own.
    pub state: Arc<StateDir>,
    /// Its music, and its streams' queues.
    pub library: Library,
    _librarian: Librarian,
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
    /// The repair port can't be had.
    #[error("repair port: {0}; set repair_port")]
    Repair(MulticastError),
    /// The clock of a PTP domain can't be followed.
    #[error("stream \"{id}\": {error}")]
    Ptp {
        /// The stream.
        id: String,
        /// Why.
        error: PtpError,
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
    /// Opens everything that `config` asks for, then starts to send. `file` is where it was read, to be read anew. If it
    /// is `patient`, a source that can't be had yet, as its disk is mounted later, ends nothing.
    pub fn start(config: &SenderConfig, file: Option<PathBuf>, patient: bool) -> Result<Self, StartError> {
        let interface = match &config.interface {
            Some(name) => Interface::by_name(name)?,
            None => Interface::pick()?,
        };
        // What is bound to the interface is bound to this address of it.
        let interface = Interface { ipv4: config.address.or(interface.ipv4), ..interface };
        let address = ipv4_address(&interface)?;
        let state = Arc::new(StateDir::open(config.state_dir.as_deref(), "sender")?);
        let clock = MediaClock::start();
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.clock_port));
        let server_config = TimeServerConfig { listen, ..TimeServerConfig::default() };
        let time_server = Arc::new(timeserver::spawn(server_config, clock)?);
        let clock_port = time_server.local_addr().port();
        let options = SendOptions { source_port: 0, ttl: config.ttl, dscp: DSCP };
        let repair =
            RepairSocket::open(&interface, multicast::IPV4, options, config.repair_port).map_err(StartError::Repair)?;
        let host = Host {
            address,
            clock_port,
            ttl: config.ttl,
            playout_delay_ms: config.playout_delay_ms,
            repair: repair.local_addr(),
        };
        let library = Library::open(state.path(), &libraries(config));
        let streams = Streams::default();
        let announcer = Announcer::open(&interface, address, config.ttl, streams.clone(), clock::now())
            .map_err(StartError::Announcements)?;
        let repair = RepairServer::start(repair, config.unicast_rooms as usize).map_err(StartError::Thread)?;
        let transmitter = Transmitter::start(clock, config.playout_delay_ms).map_err(StartError::Thread)?;
        // Whoever shares its identity goes without a goodbye: the other may be in its place already.
        let farewell = config.identity.is_none();
        let teller = Teller::start(announcer, streams.clone(), clock, farewell).map_err(StartError::Thread)?;
        let network = Network { interface: interface.clone(), host, state: state.clone(), library: library.clone() };
        let librarian = library.start().map_err(StartError::Thread)?;
        let outlets = Outlets { streams, transmitter, repair, teller };
        let live = Live::start(config.clone(), file, patient, network, outlets, clock)?;
        let lookout = Lookout::start(live.clone()).map_err(StartError::Thread)?;
        // Not before all of it stands: of a start that fails one sentence is told.
        info!(interface = interface.name, %address, clock_port, state = %state.path().display(), "sender starts");
        Ok(Service { _lookout: lookout, live, clock, time_server, interface, state, library, _librarian: librarian })
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
