//! One GPIO line as an output, by the kernel's character device (linux/gpio.h, second version of its interface).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use thiserror::Error;

const GPIO_V2_GET_LINE: libc::c_ulong = 0xc250_b407;
const GPIO_V2_LINE_SET_VALUES: libc::c_ulong = 0xc010_b40f;
const ACTIVE_LOW: u64 = 1 << 1;
const OUTPUT: u64 = 1 << 3;

/// A line that this process holds: off at first, and as the driver leaves it once it is dropped.
#[derive(Debug)]
pub struct OutputLine {
    line: OwnedFd,
}

/// Why there is no such line.
#[derive(Debug, Error)]
#[error("GPIO {line} of {chip}: {error}; is it the right chip, used by nobody else, and this user in the group \"gpio\"?", chip = chip.display())]
pub struct GpioError {
    chip: PathBuf,
    line: u32,
    error: io::Error,
}

/// `struct gpio_v2_line_config` with its ten attributes, none of them used.
#[repr(C)]
struct Config {
    flags: u64,
    attributes: u32,
    padding: [u32; 5],
    unused: [[u64; 3]; 10],
}

/// `struct gpio_v2_line_request`.
#[repr(C)]
struct Request {
    offsets: [u32; 64],
    consumer: [u8; 32],
    config: Config,
    lines: u32,
    event_buffer_size: u32,
    padding: [u32; 5],
    fd: i32,
}

/// `struct gpio_v2_line_values`.
#[repr(C)]
struct Values {
    bits: u64,
    mask: u64,
}

// The sizes are part of the requests' numbers.
const _: () = assert!(size_of::<Request>() == 0x250 && size_of::<Values>() == 0x10);

impl OutputLine {
    /// Takes line `line` of `chip`; `active_low`: on is low.
    ///
    /// # Errors
    /// when there is none, or another has it.
    pub fn take(chip: &Path, line: u32, active_low: bool) -> Result<Self, GpioError> {
        let failed = |error| GpioError { chip: chip.to_owned(), line, error };
        let device = File::open(chip).map_err(failed)?;
        let mut consumer = [0; 32];
        consumer[..7].copy_from_slice(b"unisono");
        let flags = OUTPUT | if active_low { ACTIVE_LOW } else { 0 };
        let config = Config { flags, attributes: 0, padding: [0; 5], unused: [[0; 3]; 10] };
        let mut request =
            Request { offsets: [0; 64], consumer, config, lines: 1, event_buffer_size: 0, padding: [0; 5], fd: -1 };
        request.offsets[0] = line;
        // SAFETY: the request is as long as its number says, and lives through the call.
        if unsafe { libc::ioctl(device.as_raw_fd(), GPIO_V2_GET_LINE as _, &mut request) } < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        // SAFETY: the kernel has just opened it for us, and nobody else knows of it.
        Ok(OutputLine { line: unsafe { OwnedFd::from_raw_fd(request.fd) } })
    }

    /// Switches it.
    ///
    /// # Errors
    /// when the chip is gone.
    pub fn set(&self, on: bool) -> io::Result<()> {
        let mut values = Values { bits: on.into(), mask: 1 };
        // SAFETY: the values are as long as the number says, and live through the call.
        match unsafe { libc::ioctl(self.line.as_raw_fd(), GPIO_V2_LINE_SET_VALUES as _, &mut values) } {
            0.. => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_chip_is_told() {
        let told = |chip: &str| OutputLine::take(Path::new(chip), 17, false).unwrap_err().to_string();
        assert!(told("/nonesuch").starts_with("GPIO 17 of /nonesuch: No such file"), "{}", told("/nonesuch"));
        assert!(told("/dev/null").contains("group \"gpio\""));
    }
}
