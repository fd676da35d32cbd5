//! The last orders, on disk: what a room goes by when there is no hub.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use unisono_common::control::{self, Orders};

const FILE: &str = "orders.json";

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
