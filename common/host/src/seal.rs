//! The link between a room and its hub, sealed: each side proves who it is, and nobody reads or changes what is said.
//!
//! Noise (revision 34) in the pattern XX with Curve25519, ChaCha20-Poly1305 and SHA-256. Either side has one key pair
//! for good, and learns the other's public key in the handshake of three messages. Which keys are trusted is decided
//! by who uses this: a room trusts the hub that first let it in, a hub the rooms that somebody let in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use snow::{Builder, HandshakeState, TransportState};

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
const PROLOGUE: &[u8] = b"unisono link 1";
/// A Noise message holds at most 65535 bytes, 16 of them the tag.
const LONGEST_SEALED: usize = 65_535;
const TAG: usize = 16;

/// A key pair for good.
#[derive(Clone)]
pub struct Keys {
    private: Vec<u8>,
    public: Vec<u8>,
}

/// Why sealing failed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The handshake, or a message, is not what it should be: garbage, or a stranger.
    #[error("the link's seal is broken: {0}")]
    Broken(snow::Error),
    /// What was sealed is no text.
    #[error("a sealed message is not UTF-8")]
    NotText,
}

impl From<snow::Error> for SealError {
    fn from(error: snow::Error) -> Self {
        SealError::Broken(error)
    }
}

impl Keys {
    /// A new pair.
    pub fn generate() -> Result<Self, SealError> {
        let pair = builder()?.generate_keypair()?;
        Ok(Keys { private: pair.private, public: pair.public })
    }

    /// The pair in the file at `path`, or a new one, kept there for its owner alone to read.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        if let Some(keys) = fs::read_to_string(path).ok().and_then(|text| Self::decode(&text)) {
            return Ok(keys);
        }
        let keys = Self::generate().map_err(io::Error::other)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let draft = path.with_extension("new");
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}\n{}", hex(&keys.private), hex(&keys.public))?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        Ok(keys)
    }

    /// The public key, in hexadecimal.
    pub fn public(&self) -> String {
        hex(&self.public)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut keys = text.lines().map(unhex);
        match (keys.next()??, keys.next()??) {
            (private, public) if private.len() == 32 && public.len() == 32 => Some(Keys { private, public }),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.public())
    }
}

/// A handshake under way. The room writes first: write, read, write; the hub: read, write, read.
#[derive(Debug)]
pub struct Handshake(HandshakeState);

impl Handshake {
    /// The room's side.
    pub fn room(keys: &Keys) -> Result<Self, SealError> {
        Ok(Self(builder()?.local_private_key(&keys.private)?.build_initiator()?))
    }

    /// The hub's side.
    pub fn hub(keys: &Keys) -> Result<Self, SealError> {
        Ok(Self(builder()?.local_private_key(&keys.private)?.build_responder()?))
    }

    /// The next message to send.
    pub fn write(&mut self) -> Result<Vec<u8>, SealError> {
        let mut message = vec![0; 256];
        let length = self.0.write_message(&[], &mut message)?;
        message.truncate(length);
        Ok(message)
    }

    /// Takes in a message of the other side.
    pub fn read(&mut self, message: &[u8]) -> Result<(), SealError> {
        let mut payload = [0; 256];
        self.0.read_message(message, &mut payload)?;
        Ok(())
    }

    /// The other side's public key in hexadecimal, once a message has proved it.
    pub fn peer(&self) -> Option<String> {
        self.0.get_remote_static().map(hex)
    }

    /// The sealed link, after the third message.
    pub fn finish(self) -> Result<Sealed, SealError> {
        Ok(Sealed(self.0.into_transport_mode()?))
    }
}

/// A link after the handshake. Messages must be opened in the order in which they were sealed.
#[derive(Debug)]
pub struct Sealed(TransportState);

impl Sealed {
    /// `text`, sealed.
    pub fn seal(&mut self, text: &str) -> Result<Vec<u8>, SealError> {
        let mut sealed = Vec::with_capacity(text.len() + TAG * (1 + text.len() / LONGEST_SEALED));
        for part in text.as_bytes().chunks(LONGEST_SEALED - TAG) {
            let start = sealed.len();
            sealed.resize(start + part.len() + TAG, 0);
            self.0.write_message(part, &mut sealed[start..])?;
        }
        Ok(sealed)
    }

    /// The text in `sealed`.
    pub fn open(&mut self, sealed: &[u8]) -> Result<String, SealError> {
        let mut text = Vec::with_capacity(sealed.len());
        for part in sealed.chunks(LONGEST_SEALED) {
            let start = text.len();
            text.resize(start + part.len(), 0);
            let length = self.0.read_message(part, &mut text[start..])?;
            text.truncate(start + length);
        }
        String::from_utf8(text).map_err(|_| SealError::NotText)
    }
}

fn builder<'a>() -> Result<Builder<'a>, SealError> {
    let pattern = PATTERN.parse().map_err(SealError::Broken)?;
    Ok(Builder::new(pattern).prologue(PROLOGUE)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair.filter(|pair| pair.len() == 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn linked() -> (Sealed, Sealed) {
        let (room_keys, hub_keys) = (Keys::generate().unwrap(), Keys::generate().unwrap());
        let (mut room, mut hub) = (Handshake::room(&room_keys).unwrap(), Handshake::hub(&hub_keys).unwrap());
        hub.read(&room.write().unwrap()).unwrap();
        room.read(&hub.write().unwrap()).unwrap();
        assert_eq!(room.peer(), Some(hub_keys.public()));
        hub.read(&room.write().unwrap()).unwrap();
        assert_eq!(hub.peer(), Some(room_keys.public()));
        (room.finish().unwrap(), hub.finish().unwrap())
    }

    #[test]
    fn both_sides_know_each_other_and_understand() {
        let (mut room, mut hub) = linked();
        for length in [0, 1, 65_519, 65_520, 200_000] {
            let text = "x".repeat(length);
            assert_eq!(hub.open(&room.seal(&text).unwrap()).unwrap(), text);
            assert_eq!(room.open(&hub.seal(&text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn a_changed_or_repeated_message_is_refused() {
        let (mut room, mut hub) = linked();
        let sealed = room.seal("orders").unwrap();
        let mut changed = sealed.clone();
        changed[3] ^= 1;
        assert!(hub.open(&changed).is_err());
        assert_eq!(hub.open(&sealed).unwrap(), "orders");
        assert!(hub.open(&sealed).is_err());
    }

    #[test]
    fn garbage_for_a_handshake_is_refused() {
        let keys = Keys::generate().unwrap();
        for length in [0, 1, 31, 32, 48, 96, 255, 256, 4_000, 70_000] {
            let mut hub = Handshake::hub(&keys).unwrap();
            if hub.read(&vec![7; length]).is_ok() {
                let _ = hub.write().unwrap();
                assert!(hub.read(&vec![7; length]).is_err());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_upset_either_side(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
            let keys = Keys::generate().unwrap();
            let _ = Handshake::hub(&keys).unwrap().read(&bytes);
            let mut room = Handshake::room(&keys).unwrap();
            let _ = room.write().unwrap();
            prop_assert!(room.read(&bytes).is_err());
            let (mut room, mut hub) = linked();
            prop_assert!(room.open(&bytes).is_err() && hub.open(&bytes).is_err());
        }
    }

    #[test]
    fn keys_are_kept_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("unisono-keys-{:x}", crate::random::number()));
        let keys = Keys::load_or_create(&path).unwrap();
        assert_eq!(Keys::load_or_create(&path).unwrap().private, keys.private);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{keys:?}").contains(&hex(&keys.private)));
        fs::remove_file(&path).unwrap();
    }
}
