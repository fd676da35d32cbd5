//! What a room keeps on disk: its last orders, by which it goes when there is no hub, and the hub that it belongs to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use unisono_common::control::{self, Orders};

const FILE: &str = "orders.json";
const HUB_FILE: &str = "hub.json";

#[derive(Serialize, Deserialize)]
struct TrustedHub {
    key: String,
    name: String,
}

/// The orders kept by [`save`], if there are any that can be read.
pub fn load(state_dir: &Path) -> Option<Orders> {
    let text = fs::read_to_string(state_dir.join(FILE)).ok()?;
    match control::decode::<Orders>(&text) {
        Ok(orders) => Some(orders.sane()),
        Err(error) => {
            tracing::warn!(%error, file = FILE, "the last orders cannot be read; this room waits for new ones");
            None
        }
    }
}

/// Keeps `orders`; after a power cut there are the old ones or the new ones.
pub fn save(state_dir: &Path, orders: &Orders) -> io::Result<()> {
    write_whole(state_dir, FILE, control::encode(orders).as_bytes())
}

/// Public key of the hub that let this room in; nothing when none has yet.
pub fn trusted(state_dir: &Path) -> Option<String> {
    let text = fs::read_to_string(state_dir.join(HUB_FILE)).ok()?;
    serde_json::from_str::<TrustedHub>(&text).ok().map(|hub| hub.key)
}

/// From now on this room belongs to the hub of this key: no other on the network can take it over.
pub(super) fn trust(state_dir: &Path, key: &str, name: &str) {
    if trusted(state_dir).as_deref() == Some(key) {
        return;
    }
    let hub = TrustedHub { key: key.to_owned(), name: name.to_owned() };
    let text = serde_json::to_string(&hub).unwrap_or_default();
    if let Err(error) = write_whole(state_dir, HUB_FILE, text.as_bytes()) {
        tracing::warn!(%error, "this room can't remember its hub");
    }
}

/// Puts a whole new file in place of the old one, on the disk before this returns.
pub(super) fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let draft = directory.join(format!(".{name}.new"));
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, directory.join(name))?;
    File::open(directory)?.sync_all()
}
