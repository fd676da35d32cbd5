//! The two instruments that are written in C because they live inside other programs: the simulated sound card (an ALSA
//! plugin) and the host clock (a preload). Built on demand with the system's C compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::truth;

/// A file's name and its content.
type Source = (&'static str, &'static str);

const CARD: &[Source] = &[
    ("simcard.h", include_str!("../rig/simcard/simcard.h")),
    ("card.c", include_str!("../rig/simcard/card.c")),
    ("record.c", include_str!("../rig/simcard/record.c")),
    ("stamps.c", include_str!("../rig/simcard/stamps.c")),
    ("plugin.c", include_str!("../rig/simcard/plugin.c")),
];
const CLOCK: &[Source] = &[("hostclock.c", include_str!("../rig/hostclock.c"))];
const INPUT: &[Source] = &[("simmic.c", include_str!("../rig/simmic.c"))];

/// The built instruments.
#[derive(Clone, Debug)]
pub struct Instruments {
    card: PathBuf,
    clock: PathBuf,
}

/// Why the instruments can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No compiler.
    #[error("no C compiler: the rig needs `cc` and ALSA's headers (Debian: apt install gcc libasound2-dev): {0}")]
    NoCompiler(std::io::Error),
    /// The compiler refused.
    #[error("cc can't build {name}; are ALSA's headers there (Debian: apt install libasound2-dev)?\n{message}")]
    Refused {
        /// Which instrument.
        name: &'static str,
        /// What the compiler said.
        message: String,
    },
    /// The directory can't be written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Instruments {
    /// Builds both into `dir`.
    pub fn build(dir: &Path) -> Result<Instruments, BuildError> {
        Ok(Instruments {
            card: compile(dir, "simcard", CARD, &["-lasound", "-ldl"])?,
            clock: compile(dir, "hostclock", CLOCK, &["-ldl", "-lpthread"])?,
        })
    }
}

/// A simulated card's input by the name of `simmic`, which hears `sound` (raw S16_LE stereo) over and over by a clock that
/// is off by `ppm`: what makes a program believe in it. Everything is built in `dir`.
pub fn input(dir: &Path, sound: &Path, ppm: f64) -> Result<Environment, BuildError> {
    let library = compile(dir, "simmic", INPUT, &["-lasound"])?;
    let conf = dir.join("simmic.conf");
    let text = format!(
        "</usr/share/alsa/alsa.conf>\npcm_type.simmic {{ lib \"{}\" }}\npcm.simmic {{ type simmic  file \"{}\"  ppm \
         {ppm:.3} }}\n",
        library.display(),
        sound.display()
    );
    std::fs::write(&conf, text).map_err(|source| BuildError::Io { path: conf.clone(), source })?;
    Ok(vec![("ALSA_CONFIG_PATH".into(), conf.display().to_string())])
}

fn compile(dir: &Path, name: &'static str, sources: &[Source], libraries: &[&str]) -> Result<PathBuf, BuildError> {
    let so = dir.join(name).with_extension("so");
    for (file, text) in sources {
        let path = dir.join(file);
        std::fs::write(&path, text).map_err(|source| BuildError::Io { path, source })?;
    }
    let output = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-DPIC", "-o"])
        .arg(&so)
        .args(sources.iter().filter(|(file, _)| file.ends_with(".c")).map(|(file, _)| dir.join(file)))
        .args(libraries)
        .output()
        .map_err(BuildError::NoCompiler)?;
    if !output.status.success() {
        return Err(BuildError::Refused { name, message: String::from_utf8_lossy(&output.stderr).into_owned() });
    }
    Ok(so)
}

/// The clock of a host, as far as it is off true time.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct HostClock {
    /// Rate error of its crystal, in ppm.
    pub ppm: f64,
    /// Further rate error of all its clocks but CLOCK_MONOTONIC_RAW, as a time daemon slews them, in ppm.
    pub slew_ppm: f64,
    /// Offset of its CLOCK_REALTIME, in milliseconds.
    pub realtime_ms: f64,
    /// How much longer than this machine it has been up, in seconds.
    pub uptime_s: f64,
    /// CLOCK_REALTIME steps by so many milliseconds, so many seconds after the beginning.
    pub step: Option<(f64, f64)>,
}

/// A simulated sound card.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Card {
    /// Error of its sample clock, in ppm.
    pub ppm: f64,
    /// Frames by which its pointer moves at a time.
    pub grain: u32,
    /// Frames between its pointer and its output that it doesn't report.
    pub fifo: u32,
    /// Frames that it hands to a USB ahead of the output; 0 for a card that isn't on USB.
    pub queue: u32,
    /// Status times are those of the pointer's last movement, as Linux has them, and not those of the call.
    pub kernel_stamps: bool,
}

impl Default for Card {
    fn default() -> Card {
        Card { ppm: 0.0, grain: 8, fifo: 0, queue: 0, kernel_stamps: true }
    }
}

/// Environment for a process that shall believe in a host clock and a card.
pub type Environment = Vec<(String, String)>;

impl Instruments {
    /// What makes a process live on a host with `clock`, whose beginning is `anchor_ns` of true time, and play to `card` by
    /// the name of `simcard`, which records into `record`.pcm and `record`.seg. Writes `record`.conf.
    pub fn environment(
        &self,
        clock: &HostClock,
        anchor_ns: i64,
        card: &Card,
        record: &Path,
    ) -> std::io::Result<Environment> {
        let conf = record.with_extension("conf");
        std::fs::write(&conf, self.alsa_configuration(card, record))?;
        let mut preload = vec![];
        if card.kernel_stamps {
            preload.push(self.card.display().to_string());
        }
        let mut environment = vec![];
        let mut set = |name: &str, value: String| environment.push((name.to_string(), value));
        set("ALSA_CONFIG_PATH", conf.display().to_string());
        if *clock != HostClock::default() {
            preload.push(self.clock.display().to_string());
            set("HOSTCLOCK_PPM", clock.ppm.to_string());
            set("HOSTCLOCK_SLEW_PPM", clock.slew_ppm.to_string());
            set("HOSTCLOCK_REALTIME_MS", clock.realtime_ms.to_string());
            set("HOSTCLOCK_UPTIME_S", clock.uptime_s.to_string());
            set("HOSTCLOCK_ANCHOR_NS", anchor_ns.to_string());
            if let Some((ms, at_s)) = clock.step {
                set("HOSTCLOCK_STEP_MS", ms.to_string());
                set("HOSTCLOCK_STEP_AT_S", at_s.to_string());
            }
        }
        set("LD_PRELOAD", preload.join(" "));
        Ok(environment)
    }

    fn alsa_configuration(&self, card: &Card, record: &Path) -> String {
        let Card { ppm, grain, fifo, queue, kernel_stamps } = card;
        let stamps = if *kernel_stamps { "kernel" } else { "reading" };
        format!(
            "</usr/share/alsa/alsa.conf>\n\
             pcm_type.simcard {{ lib \"{lib}\" }}\n\
             pcm.simcard {{\n  type simcard\n  record \"{record}\"\n  ppm {ppm:.6}\n  grain {grain}\n  fifo {fifo}\n  \
             queue {queue}\n  stamps {stamps}\n  hint {{ show on description \"Simulated sound card\" }}\n}}\n\
             pcm.!default {{ type plug slave.pcm simcard }}\n",
            lib = self.card.display(),
            record = record.display(),
        )
    }
}

/// A card unplugged; plugged in again when this is dropped.
#[derive(Debug)]
pub struct Unplugged(PathBuf);

impl Unplugged {
    /// Pulls the plug of the card that records into `record`.
    pub fn pull(record: &Path) -> std::io::Result<Unplugged> {
        let path = record.with_extension("gone");
        std::fs::write(&path, truth::now_ns().to_string())?;
        Ok(Unplugged(path))
    }
}

impl Drop for Unplugged {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
