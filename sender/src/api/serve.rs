//! Connections: accepted, bounded and served on a small runtime of their own.
//!
//! Everything that a stranger can make grow has an end: connections in all and from one address, the size of a head
//! and of a body, the time either may take (a body's: [`problem`](super::problem)), the time a dead peer is waited
//! for. What is over the limit is closed at once. The threads here have no priority; the audio path has, and shares
//! nothing with them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tower_service::Service;

use super::door::{Door, DoorSettings, Peer};
use super::{Api, router};
use crate::hub::Hub;
use crate::library::Library;

/// Connections at once, of all addresses. A page holds one or two, a room one.
const MOST: usize = 1024;
/// Connections at once of one address.
const MOST_OF_ONE: usize = 64;
/// A request's head must be whole after this, and a connection that asks for nothing is closed.
const HEAD_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// A peer that has not acknowledged what it was sent for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(20);
/// Between two looks at how things are.
const TICK: Duration = Duration::from_secs(1);

/// Name of the Unix socket in the state directory.
pub const SOCKET: &str = "hub.sock";

/// The API, being served. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    runtime: Option<Runtime>,
    socket: Option<PathBuf>,
    address: SocketAddr,
}

/// Serves the hub and its library at `listener` and, for this user's programs, at a Unix socket in `state_dir`.
pub fn spawn(
    hub: Hub,
    library: Library,
    door: DoorSettings,
    listener: TcpListener,
    state_dir: &Path,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .thread_name("api")
        .enable_all()
        .build()?;
    let router = router(Api { hub: hub.clone(), library, door: Arc::new(Door::new(door)) });
    let socket = {
        let _inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        runtime.spawn(accept(listener, router.clone()));
        let path = state_dir.join(SOCKET);
        match bind_private(&path) {
            Ok(listener) => {
                runtime.spawn(accept_local(listener, router));
                Some(path)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no Unix socket; ctl needs --hub and a token");
                None
            }
        }
    };
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(TICK).await;
            hub.tick();
            let hub = hub.clone();
            let _ = tokio::task::spawn_blocking(move || hub.relay()).await;
        }
    });
    Ok(Server { runtime: Some(runtime), socket, address })
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(200));
        }
    }
}

/// A socket that only this user can open.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    // One left by a process that was killed; the state directory is locked, so nobody else listens there.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: tokio::net::TcpListener, router: Router) {
    let guests = Guests::default();
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, as a rule: those in use will be closed in time.
                tracing::debug!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(guest) = guests.enter(address.ip()) else { continue };
        let socket = socket2::SockRef::from(&stream);
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_user_timeout(Some(DEAD_AFTER));
        let _ = socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(DEAD_AFTER));
        let router = router.clone();
        tokio::spawn(serve(stream, router, Peer::Network(address), Some(Arc::new(guest))));
    }
}

async fn accept_local(listener: UnixListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, router.clone(), Peer::Local, None))),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    peer: Peer,
    guest: Option<Arc<Guest>>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        // A link goes on when this connection has been upgraded, and holds its place as long.
        if let Some(guest) = &guest {
            request.extensions_mut().insert(guest.clone());
        }
        router.clone().call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection");
    }
}

/// Who is connected, by address.
#[derive(Clone, Debug, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place taken; dropping it frees it.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Guests,
    address: IpAddr,
}

impl Guests {
    fn enter(&self, address: IpAddr) -> Option<Guest> {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = guests.values().sum::<usize>() >= MOST || guests.get(&address).is_some_and(|n| *n >= MOST_OF_ONE);
        if full {
            return None;
        }
        *guests.entry(address).or_default() += 1;
        Some(Guest { guests: self.clone(), address })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = guests.get_mut(&self.address) {
            *number -= 1;
            if *number == 0 {
                guests.remove(&self.address);
            }
        }
    }
}
