//! The socket that asks [`query`](super::query)'s question.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use unisono_common::config::receiver::HubConfig;
use unisono_common::control::SERVICE;
use unisono_host::interface::Interface;

use super::HubSettings;
use super::link::LinkError;
use super::query::{self, Found};

/// How long an answer is waited for; a responder answers a one-shot question at once.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);

/// Which of the hubs that answer will do.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Key of the hub that the room belongs to.
    pub(super) trusted: Option<String>,
    /// Addresses that turned out to be strangers'.
    pub(super) shunned: Vec<SocketAddr>,
    /// The log has a word about strangers.
    pub(super) warned: bool,
}

impl Choice {
    /// A hub's id is the beginning of its key. Anybody can claim one; the handshake proves it.
    fn will_do(&self, found: &Found) -> bool {
        let claims = |key: &String| found.hub_id.as_deref().is_none_or(|id| key.starts_with(id));
        !self.shunned.contains(&found.address) && self.trusted.as_ref().is_none_or(claims)
    }
}

/// Address of the hub as `host:port`, by configuration or by asking the network once.
pub(super) fn seek(settings: &HubSettings, choice: &Choice, stop: &AtomicBool) -> Result<String, LinkError> {
    match &settings.hub {
        HubConfig::Url(url) => Ok(url.trim_start_matches("http://").to_owned()),
        HubConfig::None => Err(LinkError::NoHub),
        HubConfig::Auto => ask(settings.interface.as_deref(), choice, stop).map(|found| found.address.to_string()),
    }
}

/// Address of any hub that answers on the interface.
pub(super) fn any(interface: &str) -> Option<SocketAddr> {
    ask(Some(interface), &Choice::default(), &AtomicBool::new(false)).ok().map(|found| found.address)
}

fn ask(interface: Option<&str>, choice: &Choice, stop: &AtomicBool) -> Result<Found, LinkError> {
    let sockets: Vec<UdpSocket> = local_addresses(interface).into_iter().filter_map(|ip| ask_on(ip).ok()).collect();
    if sockets.is_empty() {
        return Err(LinkError::NoInterface(interface.unwrap_or("any").to_owned()));
    }
    let slice = Duration::from_millis(10) / sockets.len() as u32;
    let turns = PATIENCE.as_millis() / 10;
    let mut packet = [0; 9_000];
    for _ in 0..turns {
        for socket in &sockets {
            socket.set_read_timeout(Some(slice.max(Duration::from_millis(1))))?;
            let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
            let found = query::answers(&packet[..length], SERVICE, from.ip());
            if let Some(found) = found.into_iter().find(|found| choice.will_do(found)) {
                return Ok(found);
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Err(LinkError::NoHub)
}

/// IPv4 addresses of the interface, or of all.
fn local_addresses(name: Option<&str>) -> Vec<Ipv4Addr> {
    let all = Interface::list().unwrap_or_default();
    all.iter().filter(|interface| name.is_none_or(|name| interface.name == name)).filter_map(|i| i.ipv4).collect()
}

fn ask_on(ip: Ipv4Addr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&ip)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.bind(&SocketAddr::from((ip, 0)).into())?;
    socket.send_to(&query::question(SERVICE), &query::GROUP.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_asks_for_its_own_hub_and_passes_strangers_by() {
        let found = |id: &str, port| Found {
            instance: "den".into(),
            address: SocketAddr::from(([10, 0, 0, 1], port)),
            hub_id: Some(id.into()),
        };
        assert!(Choice::default().will_do(&found("beef", 1)));
        let shunned = vec![SocketAddr::from(([10, 0, 0, 1], 2))];
        let choice = Choice { trusted: Some("cafe0123".into()), shunned, warned: false };
        assert!(choice.will_do(&found("cafe", 1)));
        assert!(!choice.will_do(&found("beef", 1)), "another hub");
        assert!(!choice.will_do(&found("cafe", 2)), "one that lied");
    }
}
