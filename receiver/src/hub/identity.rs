//! Which room this is, whatever it is called and wherever its card is plugged in.
//!
//! The id is made of the machine and the state directory, so a card that is written anew in the same Raspberry Pi is
//! the same room again, and two rooms on one machine differ. It is kept with the machine's fingerprint: a card that
//! was copied or moved finds another machine than it remembers and becomes a room of its own. Where the machine can't
//! tell itself from its twin (containers of one image), the hub does and asks for a new id.
//!
//! A new id comes with a new key pair: two cards with one key would prove to be the same room, and show the same
//! digits at the door. What stays is the hub that the room belongs to ([`kept::trusted`](super::kept::trusted)). Copying a card
//! changes nothing about whom its owner trusts, and the hub's key is no secret; a copy that forgot it would obey
//! whichever hub is first to let it in, and so would any room whose machine only seems to be another.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::kept::write_whole;

const FILE: &str = "room.json";

/// The key pair by which the room proves that it is itself.
pub(super) const KEY_FILE: &str = "room.key";

/// A room's id and the machine it was made on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Sixteen hexadecimal digits.
    pub room_id: String,
    /// Fingerprint of the machine.
    pub machine: String,
}

impl Identity {
    /// The identity in `state_dir`, or a new one.
    pub fn load_or_create(state_dir: &Path) -> Self {
        Self::on_machine(state_dir, &machine())
    }

    fn on_machine(state_dir: &Path, machine: &str) -> Self {
        let kept = fs::read_to_string(state_dir.join(FILE)).ok();
        let kept = kept.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        match kept {
            Some(identity) if identity.machine == machine && !identity.room_id.is_empty() => return identity,
            Some(identity) if identity.machine != machine => {
                tracing::warn!("this card was another machine's; this room gets an id and a key of its own");
                forget_key(state_dir);
            }
            _ => {}
        }
        let place = state_dir.canonicalize().unwrap_or_else(|_| PathBuf::from(state_dir));
        let room_id = digits(&[b"room", machine.as_bytes(), place.as_os_str().as_encoded_bytes()]);
        let identity = Self { room_id, machine: machine.to_owned() };
        identity.keep(state_dir);
        identity
    }

    /// Takes a random id, because another room has this one. The key pair must be loaded anew.
    pub fn renew(&mut self, state_dir: &Path) {
        forget_key(state_dir);
        self.room_id = digits(&[b"room", &unisono_host::random::number().to_be_bytes()]);
        self.keep(state_dir);
    }

    fn keep(&self, state_dir: &Path) {
        let text = serde_json::to_string(self).unwrap_or_default();
        if let Err(error) = write_whole(state_dir, FILE, text.as_bytes()) {
            tracing::warn!(%error, directory = %state_dir.display(), "the room's id cannot be kept");
        }
    }
}

/// Removes the key pair, before a new id is kept: after a power cut in between, the old id is found out once more.
fn forget_key(state_dir: &Path) {
    match fs::remove_file(state_dir.join(KEY_FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, "this room's key cannot be removed: the card that it was copied from has the same");
        }
        _ => {}
    }
}

/// Host name, or nothing.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// Fingerprint of the machine: a Raspberry Pi's serial number, which a copied card can't carry along, or the
/// installation's machine-id.
fn machine() -> String {
    let sources = ["/sys/firmware/devicetree/base/serial-number", "/etc/machine-id", "/var/lib/dbus/machine-id"];
    let found = sources.iter().find_map(|path| fs::read(path).ok().filter(|bytes| !bytes.is_empty()));
    found.map(|bytes| digits(&[b"machine", &bytes])).unwrap_or_default()
}

fn digits(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use unisono_host::seal::Keys;

    use super::super::kept;
    use super::*;

    fn key(state_dir: &Path) -> String {
        Keys::load_or_create(&state_dir.join(KEY_FILE)).unwrap().public()
    }

    #[test]
    fn a_card_written_anew_is_the_same_room_and_a_copied_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let first = Identity::on_machine(directory.path(), "pi-1");
        assert_eq!(Identity::on_machine(directory.path(), "pi-1"), first);
        let copy = Identity::on_machine(directory.path(), "pi-2");
        assert_ne!(copy.room_id, first.room_id);
        fs::remove_file(directory.path().join(FILE)).unwrap();
        assert_eq!(Identity::on_machine(directory.path(), "pi-1"), first);
    }

    #[test]
    fn two_rooms_on_one_machine_differ() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = |directory: &tempfile::TempDir| Identity::on_machine(directory.path(), "pi").room_id;
        assert_ne!(id(&one), id(&other));
    }

    #[test]
    fn a_renewed_id_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut identity = Identity::on_machine(directory.path(), "pi");
        identity.renew(directory.path());
        assert_eq!(Identity::on_machine(directory.path(), "pi"), identity);
    }

    #[test]
    fn a_copied_card_makes_its_key_anew_and_still_belongs_to_its_hub() {
        let directory = tempfile::tempdir().unwrap();
        Identity::on_machine(directory.path(), "pi-1");
        let first = key(directory.path());
        kept::trust(directory.path(), "cafe", "Den");
        Identity::on_machine(directory.path(), "pi-1");
        assert_eq!(key(directory.path()), first, "a reboot");
        Identity::on_machine(directory.path(), "pi-2");
        let second = key(directory.path());
        assert_ne!(second, first);
        Identity::on_machine(directory.path(), "pi-2");
        assert_eq!(key(directory.path()), second);
        assert_eq!(kept::trusted(directory.path()).as_deref(), Some("cafe"));
    }

    #[test]
    fn a_renewed_id_comes_with_a_new_key() {
        let directory = tempfile::tempdir().unwrap();
        let mut identity = Identity::on_machine(directory.path(), "pi");
        let first = key(directory.path());
        identity.renew(directory.path());
        assert_ne!(key(directory.path()), first);
    }

    #[test]
    fn a_damaged_file_is_written_anew_and_the_key_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let first = key(directory.path());
        fs::write(directory.path().join(FILE), "{\"room_id\":").unwrap();
        assert_eq!(Identity::on_machine(directory.path(), "pi").room_id.len(), 16);
        assert_eq!(key(directory.path()), first);
    }
}
