//! The few calls of ALSA's library that a never-stopping playback needs, made safe.
//!
//! The `alsa` crate has no `silence_size` and hides the handle, hence the calls themselves. Every pointer here is made
//! by ALSA, checked, owned by [`Pcm`] and freed once.
#![allow(unsafe_code, reason = "calls into the C library; each block says why it is sound")]

use std::ffi::{CStr, c_int};
use std::ptr;

use alsa_sys as sys;
use unisono_common::time::LocalTime;

use super::local_time;
use super::samples::Encoding;

/// A call that failed: what was tried, and what ALSA says.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {}", message(*code))]
pub(super) struct PcmError {
    what: &'static str,
    code: c_int,
}

impl PcmError {
    /// The error number, positive.
    pub(super) fn code(&self) -> c_int {
        self.code.abs()
    }
}

/// What is asked of a device.
pub(super) struct Wanted {
    pub(super) rate: u32,
    pub(super) channels: u32,
    pub(super) ring_ms: u32,
    pub(super) period_ms: u32,
}

/// What it gives.
pub(super) struct Setup {
    pub(super) rate: u32,
    pub(super) channels: usize,
    pub(super) ring: usize,
    pub(super) encoding: Encoding,
}

/// One coherent reading of a device.
pub(super) struct Status {
    /// Frames for which the ring has room; more than the ring when the device has overtaken us.
    pub(super) available: i64,
    /// Frames between the end of the ring and the DAC.
    pub(super) delay: i64,
    /// When, by the driver.
    pub(super) stamp: Option<LocalTime>,
}

/// An open playback device.
pub(super) struct Pcm {
    handle: *mut sys::snd_pcm_t,
    status: *mut sys::snd_pcm_status_t,
}

// SAFETY: the handle is used by one thread at a time (`&mut self`), which ALSA allows from any thread.
unsafe impl Send for Pcm {}

impl Pcm {
    pub(super) fn open(name: &CStr) -> Result<Self, PcmError> {
        let mut handle = ptr::null_mut();
        // SAFETY: both pointers are valid; ALSA sets `handle` if it returns 0.
        check("it can't be opened", unsafe {
            sys::snd_pcm_open(&mut handle, name.as_ptr(), sys::SND_PCM_STREAM_PLAYBACK, libc::O_NONBLOCK)
        })?;
        let mut pcm = Self { handle, status: ptr::null_mut() };
        // SAFETY: the pointer is valid; freed in `drop`.
        check("no memory", unsafe { sys::snd_pcm_status_malloc(&mut pcm.status) })?;
        Ok(pcm)
    }

    /// Sets the device up to be started by us and to run until it is closed.
    pub(super) fn configure(&mut self, wanted: &Wanted) -> Result<Setup, PcmError> {
        let setup = self.configure_hardware(wanted)?;
        self.configure_software(setup.ring)?;
        Ok(setup)
    }

    fn configure_hardware(&mut self, wanted: &Wanted) -> Result<Setup, PcmError> {
        let mut params = ptr::null_mut();
        // SAFETY: the pointer is valid; freed at the end of this function.
        check("no memory", unsafe { sys::snd_pcm_hw_params_malloc(&mut params) })?;
        let done = self.choose_hardware(params, wanted);
        // SAFETY: made above, not used after.
        unsafe { sys::snd_pcm_hw_params_free(params) };
        done
    }

    fn choose_hardware(&mut self, params: *mut sys::snd_pcm_hw_params_t, wanted: &Wanted) -> Result<Setup, PcmError> {
        let (pcm, none) = (self.handle, ptr::null_mut());
        let (mut rate, mut channels) = (wanted.rate, wanted.channels);
        // SAFETY: in all of it `pcm` and `params` are live; the others are places for one value each.
        unsafe {
            check("it has no configuration", sys::snd_pcm_hw_params_any(pcm, params))?;
            sys::snd_pcm_hw_params_set_rate_resample(pcm, params, 0);
            check(
                "it takes no interleaved frames; name its hardware device, as hw:0",
                sys::snd_pcm_hw_params_set_access(pcm, params, sys::SND_PCM_ACCESS_RW_INTERLEAVED),
            )?;
            let encoding = Encoding::ALL
                .into_iter()
                .find(|e| sys::snd_pcm_hw_params_test_format(pcm, params, format_of(*e)) == 0)
                .ok_or(PcmError { what: "it takes neither 32, 24 nor 16-bit samples", code: -libc::EINVAL })?;
            check("sample format", sys::snd_pcm_hw_params_set_format(pcm, params, format_of(encoding)))?;
            check("channels", sys::snd_pcm_hw_params_set_channels_near(pcm, params, &mut channels))?;
            check("rate", sys::snd_pcm_hw_params_set_rate_near(pcm, params, &mut rate, none))?;
            let mut ring = sys::snd_pcm_uframes_t::from(rate * wanted.ring_ms / 1_000);
            let mut period = sys::snd_pcm_uframes_t::from(rate * wanted.period_ms / 1_000);
            check("period", sys::snd_pcm_hw_params_set_period_size_near(pcm, params, &mut period, none))?;
            check("ring", sys::snd_pcm_hw_params_set_buffer_size_near(pcm, params, &mut ring))?;
            check("its configuration", sys::snd_pcm_hw_params(pcm, params))?;
            Ok(Setup { rate, channels: channels as usize, ring: ring as usize, encoding })
        }
    }

    fn configure_software(&mut self, ring: usize) -> Result<(), PcmError> {
        let mut params = ptr::null_mut();
        // SAFETY: the pointer is valid; freed below.
        check("no memory", unsafe { sys::snd_pcm_sw_params_malloc(&mut params) })?;
        let pcm = self.handle;
        let mut boundary = 0;
        // SAFETY: `pcm` and `params` are live, `boundary` is a place for one value; `params` is freed once, at the end.
        let done = unsafe {
            check("its parameters", sys::snd_pcm_sw_params_current(pcm, params))
                .and_then(|()| check("boundary", sys::snd_pcm_sw_params_get_boundary(params, &mut boundary)))
                .and_then(|()| {
                    sys::snd_pcm_sw_params_set_tstamp_mode(pcm, params, sys::SND_PCM_TSTAMP_ENABLE);
                    sys::snd_pcm_sw_params_set_tstamp_type(pcm, params, sys::SND_PCM_TSTAMP_TYPE_MONOTONIC_RAW);
                    sys::snd_pcm_sw_params_set_avail_min(pcm, params, ring as sys::snd_pcm_uframes_t);
                    sys::snd_pcm_sw_params_set_start_threshold(pcm, params, boundary);
                    sys::snd_pcm_sw_params_set_silence_threshold(pcm, params, 0);
                    sys::snd_pcm_sw_params_set_silence_size(pcm, params, boundary);
                    check("never to stop", sys::snd_pcm_sw_params_set_stop_threshold(pcm, params, boundary))
                })
                .and_then(|()| check("its parameters", sys::snd_pcm_sw_params(pcm, params)))
        };
        // SAFETY: as above.
        unsafe { sys::snd_pcm_sw_params_free(params) };
        done
    }

    pub(super) fn start(&mut self) -> Result<(), PcmError> {
        // SAFETY: the handle is live.
        check("it can't be started", unsafe { sys::snd_pcm_start(self.handle) })
    }

    /// Appends `frames` frames, all of them: the caller knows that there is room.
    pub(super) fn write(&mut self, bytes: &[u8], frames: usize) -> Result<(), PcmError> {
        let (mut done, frame_bytes) = (0, bytes.len() / frames.max(1));
        while done < frames {
            let rest = &bytes[done * frame_bytes..];
            // SAFETY: `rest` holds `frames - done` frames in the format that was set.
            let written = unsafe {
                sys::snd_pcm_writei(self.handle, rest.as_ptr().cast(), (frames - done) as sys::snd_pcm_uframes_t)
            };
            if written <= 0 {
                return Err(PcmError { what: "it takes no more frames", code: written as c_int });
            }
            done += written as usize;
        }
        Ok(())
    }

    /// Moves the end of the ring forward by up to `frames`; says by how many.
    pub(super) fn forward(&mut self, frames: i64) -> Result<i64, PcmError> {
        // SAFETY: the handle is live.
        let moved = unsafe { sys::snd_pcm_forward(self.handle, frames.max(0) as sys::snd_pcm_uframes_t) };
        check("its position can't be moved", moved.min(0) as c_int)?;
        Ok(moved as i64)
    }

    /// Position and time stamp, of one instant.
    pub(super) fn status(&mut self) -> Result<Status, PcmError> {
        let mut stamp = [0_u64; 2];
        // SAFETY: handle and status are live. The request for an audio stamp "with delay" is two bit fields in one
        // word: type_requested = 0 (4 bits), report_delay = 1 (bit 4); it makes USB cards refresh their stamp.
        unsafe {
            let mut request: sys::snd_pcm_audio_tstamp_config_t = std::mem::zeroed();
            request.set_report_delay(1);
            sys::snd_pcm_status_set_audio_htstamp_config(self.status, &mut request);
            check("it does not answer", sys::snd_pcm_status(self.handle, self.status))?;
            sys::snd_pcm_status_get_htstamp(self.status, stamp.as_mut_ptr().cast());
            match sys::snd_pcm_status_get_state(self.status) {
                sys::SND_PCM_STATE_DISCONNECTED => {
                    return Err(PcmError { what: "it was unplugged", code: -libc::ENODEV });
                }
                sys::SND_PCM_STATE_XRUN => return Err(PcmError { what: "it stopped", code: -libc::EPIPE }),
                sys::SND_PCM_STATE_SUSPENDED => {
                    return Err(PcmError { what: "it was suspended", code: -libc::ESTRPIPE });
                }
                _ => {}
            }
            Ok(Status {
                available: sys::snd_pcm_status_get_avail(self.status) as i64,
                delay: sys::snd_pcm_status_get_delay(self.status) as i64,
                stamp: seconds_of(stamp).and_then(|(seconds, nanoseconds)| local_time(seconds, nanoseconds)),
            })
        }
    }

    /// Whether this is a kernel device and not a plugin.
    pub(super) fn is_hardware(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { sys::snd_pcm_type(self.handle) == sys::SND_PCM_TYPE_HW }
    }

    /// Names of card and device, for people and for the latency table.
    pub(super) fn names(&self) -> String {
        let mut names = String::new();
        self.with_info(|info| {
            // SAFETY: `info` is live, and so are the strings in it.
            for text in unsafe { [sys::snd_pcm_info_get_id(info), sys::snd_pcm_info_get_name(info)] } {
                // SAFETY: null or a string that ends in a zero.
                let text = if text.is_null() { "".into() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy() };
                if !text.is_empty() && !names.contains(&*text) {
                    names += if names.is_empty() { "" } else { " " };
                    names += &text;
                }
            }
        });
        names
    }

    /// The number of the card that the device is on; a plugin may be on none.
    pub(super) fn card(&self) -> Option<c_int> {
        let mut card = -1;
        // SAFETY: `info` is live.
        self.with_info(|info| card = unsafe { sys::snd_pcm_info_get_card(info) });
        Some(card).filter(|card| *card >= 0)
    }

    fn with_info(&self, read: impl FnOnce(*const sys::snd_pcm_info_t)) {
        let mut info = ptr::null_mut();
        // SAFETY: `info` is made, filled, read while live, and freed here.
        unsafe {
            if sys::snd_pcm_info_malloc(&mut info) < 0 {
                return;
            }
            if sys::snd_pcm_info(self.handle, info) >= 0 {
                read(info);
            }
            sys::snd_pcm_info_free(info);
        }
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        // SAFETY: both were made by ALSA and are not used after this.
        unsafe {
            if !self.status.is_null() {
                sys::snd_pcm_status_free(self.status);
            }
            sys::snd_pcm_drop(self.handle);
            sys::snd_pcm_close(self.handle);
        }
    }
}

/// Seconds and nanoseconds of a stamp as the library wrote it. On 32-bit machines a library has seconds of 32 bits or of 64
/// (Debian 13), whatever this program was built with; so there is room for both, and which it was is seen: a stamp of 32
/// bits leaves the second half as it was.
fn seconds_of(stamp: [u64; 2]) -> Option<(i64, i64)> {
    let wide = usize::BITS == 64 || stamp[1] != 0;
    let [seconds, nanoseconds] = if wide { stamp } else { [stamp[0] & u64::from(u32::MAX), stamp[0] >> 32] };
    let nanoseconds = i64::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    Some((seconds as i64, nanoseconds))
}

fn format_of(encoding: Encoding) -> sys::snd_pcm_format_t {
    match encoding {
        Encoding::S32 => sys::SND_PCM_FORMAT_S32_LE,
        Encoding::S24 => sys::SND_PCM_FORMAT_S24_LE,
        Encoding::S24Packed => sys::SND_PCM_FORMAT_S24_3LE,
        Encoding::S16 => sys::SND_PCM_FORMAT_S16_LE,
    }
}

fn check(what: &'static str, code: c_int) -> Result<(), PcmError> {
    if code < 0 { Err(PcmError { what, code }) } else { Ok(()) }
}

fn message(code: c_int) -> String {
    // SAFETY: ALSA returns a static string for every number.
    unsafe { CStr::from_ptr(sys::snd_strerror(code)).to_string_lossy().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_both_widths_are_read() {
        assert_eq!(seconds_of([5, 7]), Some((5, 7)));
        assert_eq!(seconds_of([(1 << 32) + 5, 7]), Some(((1 << 32) + 5, 7)));
        assert_eq!(seconds_of([5, 1_000_000_000]), None);
        #[cfg(target_pointer_width = "32")]
        assert_eq!(seconds_of([5 + (7 << 32), 0]), Some((5, 7)));
    }
}
