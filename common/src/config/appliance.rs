//! What a room switches on: its amplifier, and the machine that has the music.

use std::path::PathBuf;
use std::str::FromStr;

use super::section::{Section, flag, integer, path};

/// A GPIO line that switches an amplifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmplifierConfig {
    /// Number of the line on its chip; on a Raspberry Pi the GPIO's number.
    pub line: u32,
    /// The chip.
    pub chip: PathBuf,
    /// On is low.
    pub active_low: bool,
    /// From switching it on until it may hear anything, in milliseconds.
    pub settle_ms: u32,
}

/// Address of a network card (EUI-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

/// Why a text is no such address; says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no address of a network card; write it as ip link shows it, 00:11:22:aa:bb:cc")]
pub struct MacError(String);

impl FromStr for MacAddress {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let byte = |part: &str| {
            (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'))).flatten()
        };
        let bytes: Option<Vec<u8>> = text.split([':', '-']).map(byte).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(MacAddress).ok_or_else(|| MacError(text.to_owned()))
    }
}

pub(super) fn read_amplifier(section: &mut Section<'_>) -> Option<AmplifierConfig> {
    Some(AmplifierConfig {
        line: section.require("gpio", "the number of the line", integer(0..=1_023))?,
        chip: section.get("chip", path).unwrap_or_else(|| "/dev/gpiochip0".into()),
        active_low: section.get("active_low", flag).unwrap_or(false),
        settle_ms: section.get("settle_ms", integer(0..=10_000)).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_six_bytes() {
        assert_eq!("00:11:22:aA:bb:CC".parse(), Ok(MacAddress([0, 0x11, 0x22, 0xaa, 0xbb, 0xcc])));
        assert_eq!("00-11-22-aa-bb-cc".parse(), Ok(MacAddress([0, 0x11, 0x22, 0xaa, 0xbb, 0xcc])));
        for wrong in
            ["", "00:11:22:aa:bb", "00:11:22:aa:bb:cc:dd", "00:11:22:aa:bb:+c", "0:11:22:aa:bb:cc", "zz:11:22:aa:bb:cc"]
        {
            assert!(wrong.parse::<MacAddress>().is_err_and(|error| error.to_string().contains(wrong)), "{wrong}");
        }
    }
}
