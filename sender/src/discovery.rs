//! Being found: the hub's service on multicast DNS (RFC 6762, RFC 6763).

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use unisono_common::control::SERVICE;

/// The registration; dropping it says goodbye.
pub struct Discovery {
    daemon: ServiceDaemon,
    name: String,
}

/// Why rooms can't find the hub by themselves.
#[derive(Debug, thiserror::Error)]
#[error("rooms can't find this hub by themselves (multicast DNS: {0}); give them hub = \"http://HOST:PORT\"")]
pub struct DiscoveryError(#[from] mdns_sd::Error);

/// Answers for the hub called `name` with the id `hub_id`, whose HTTP server is at `port`, on one interface or all.
pub fn register(name: &str, hub_id: &str, port: u16, interface: Option<&str>) -> Result<Discovery, DiscoveryError> {
    let daemon = ServiceDaemon::new()?;
    let interfaces = match interface {
        Some(name) => vec![IfKind::Name(name.to_owned())],
        None => vec![IfKind::IPv4],
    };
    daemon.disable_interface(IfKind::All)?;
    daemon.enable_interface(interfaces.clone())?;
    let properties = [("id", hub_id), ("api", "v1"), ("name", name)];
    // The id makes both names unique in any house, so there is nothing to probe for, and rooms are answered at once.
    let instance = format!("{} {}", name.chars().take(40).collect::<String>(), hub_id.get(..4).unwrap_or(hub_id));
    let host = format!("unisono-{hub_id}.local.");
    let mut info = ServiceInfo::new(SERVICE, &instance, &host, "", port, &properties[..])?.enable_addr_auto();
    info.set_requires_probe(false);
    info.set_interfaces(interfaces);
    let name = info.get_fullname().to_owned();
    daemon.register(info)?;
    Ok(Discovery { daemon, name })
}

impl Drop for Discovery {
    fn drop(&mut self) {
        // The goodbye is sent before the daemon ends.
        if let Ok(done) = self.daemon.unregister(&self.name) {
            let _ = done.recv_timeout(std::time::Duration::from_millis(300));
        }
        let _ = self.daemon.shutdown();
    }
}
