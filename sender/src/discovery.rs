//! Being found: the hub's service on multicast DNS (RFC 6762, RFC 6763).

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use unisono_common::control::SERVICE;

/// The longest part of a name, in bytes (RFC 1035 section 2.3.4); a longer one is never sent.
const LONGEST_LABEL: usize = 63;

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
    let instance = instance(name, hub_id.get(..4).unwrap_or(hub_id));
    let host = format!("unisono-{hub_id}.local.");
    let mut info = ServiceInfo::new(SERVICE, &instance, &host, "", port, &properties[..])?.enable_addr_auto();
    info.set_requires_probe(false);
    info.set_interfaces(interfaces);
    let name = info.get_fullname().to_owned();
    daemon.register(info)?;
    Ok(Discovery { daemon, name })
}

/// The hub's name, as much of it as there is room for, and what makes it unique.
fn instance(name: &str, unique: &str) -> String {
    let mut instance = String::new();
    for c in name.chars().take(40) {
        if instance.len() + c.len_utf8() + 1 + unique.len() > LONGEST_LABEL {
            break;
        }
        instance.push(c);
    }
    format!("{instance} {unique}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_script_fits() {
        assert_eq!(instance("Music room", "1a2b"), "Music room 1a2b");
        assert_eq!(instance(&"x".repeat(64), "1a2b"), format!("{} 1a2b", "x".repeat(40)));
        let long = instance(&"Музыка ".repeat(9), "1a2b");
        assert!(long.len() <= LONGEST_LABEL && long.starts_with("Музыка Музыка") && long.ends_with(" 1a2b"), "{long}");
    }
}
