//! The hub of a running sender, with everything around it.

use std::io;
use std::net::{IpAddr, TcpListener};

use unisono_common::config::sender::SenderConfig;
use unisono_host::log;

use super::heard::{Ear, Sessions};
use super::own::Shelf;
use super::{Hub, HubError, HubSettings};
use crate::api::door::{DoorSettings, Secrets};
use crate::api::serve::{self, Server};
use crate::discovery::{self, Discovery};
use crate::listen::Listeners;
use crate::service::Service;

/// The hub, its server and its name on the network. Dropping it ends all of them; sound goes on.
pub struct Running {
    /// The hub.
    pub hub: Hub,
    /// Where pages, programs and rooms find it.
    pub server: Server,
    _discovery: Option<Discovery>,
    _ear: Option<Ear>,
}

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The house or the key.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The server.
    #[error("the web page: {0}")]
    Server(#[from] io::Error),
}

/// Starts the hub of `service` at `listener`.
pub fn start(config: &SenderConfig, service: &Service, listener: TcpListener) -> Result<Running, RunError> {
    let host = host_name();
    let ear =
        Ear::open(&service.interface).inspect_err(|error| tracing::warn!(%error, "other senders are not heard")).ok();
    let heard = ear.as_ref().map_or_else(Sessions::default, Ear::sessions);
    let listeners = Listeners::new(service.interface.clone());
    let shelf = Shelf::new(service, heard, listeners, host.clone());
    let name = config.hub_name.clone().unwrap_or_else(|| host.clone());
    let settings = HubSettings { name, auto_approve: config.auto_approve };
    let state_dir = service.state.path();
    let hub = Hub::open(state_dir, settings, Box::new(shelf))?;
    let address = listener.local_addr()?;
    let page = format!("http://{}:{}", shown(address.ip(), &host), address.port());
    let door =
        DoorSettings { reading_open: config.http_reading_open, names: config.http_names.clone(), page: page.clone() };
    let server = serve::spawn(hub.clone(), service.library.clone(), door, listener, state_dir)?;
    // Rooms on other hosts can't reach a hub that listens on loopback alone, so they must not find it either.
    let interface = if address.ip().is_loopback() { "lo" } else { service.interface.name.as_str() };
    let discovery = discovery::register(hub.name(), &hub.id(), address.port(), Some(interface));
    let discovery = discovery.inspect_err(|error| tracing::warn!("{error}")).ok();
    tell_first_link(&hub, &page);
    Ok(Running { hub, server, _discovery: discovery, _ear: ear })
}

/// Until there is a sign-in link, tells how to come by one. It is made and shown, once, on a standard error that is no
/// journal: only its hash is kept. A journal is kept and read by others, so there it only says who makes one.
fn tell_first_link(hub: &Hub, page: &str) {
    if hub.secrets(Secrets::has_token) {
        return;
    }
    if log::to_journal() {
        return tracing::info!("to change what plays, get a sign-in link: sudo unisono-sender ctl link");
    }
    let (token, _) = hub.change_secrets(Secrets::new_token);
    eprintln!("To change what plays, sign in once: {page}/sign-in?token={token}");
}

/// How this host is called in an address that somebody types.
fn shown(ip: IpAddr, host: &str) -> String {
    match ip {
        ip if ip.is_unspecified() => format!("{host}.local"),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "hub".to_owned() } else { name.trim().to_owned() }
}
