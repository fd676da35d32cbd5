//! Plays a scene through one system and surveys what the rooms put out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tempfile::TempDir;
use unisono_tests::analysis::{Quantiles, Survey, Verdict, survey};
use unisono_tests::feeder::{Feeder, Written};
use unisono_tests::house::{House, Stream};
use unisono_tests::instruments::Instruments;
use unisono_tests::processes::{Launch, PLAYER_PRIORITY, Process, Usage};
use unisono_tests::records::Record;
use unisono_tests::signals::Signal;
use unisono_tests::stalls::{Stall, Stalls, Watch};
use unisono_tests::{snapcast, truth};

use crate::attempts::wait_for_rooms;
use crate::scenes::{Link, Scene};

/// How long Snapcast may take until all its rooms sound.
const PATIENCE: Duration = Duration::from_secs(20);

/// What counts begins so long after the last room's first sound, in seconds.
pub(crate) const SKIP_S: f64 = 5.0;

/// Records are kept in memory while they are written: a disk that stalls must not stall the cards.
const MEMORY: &str = "/dev/shm";

const PREFIX: &str = "unisono-rig-";

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum System {
    Unisono,
    Snapcast,
    /// The bare player of `floor`.
    Bare,
}

/// Where and how scenes are run.
#[derive(Debug)]
pub(crate) struct Bench {
    instruments: Instruments,
    binaries: PathBuf,
    out: PathBuf,
    keep: bool,
    /// Pipes are written as a sound card's input would, and not ahead of time.
    live: bool,
    pub(crate) duration: Duration,
    pub(crate) delay_ms: u32,
    pub(crate) extra: String,
    work: TempDir,
}

/// A house in which something plays; ends with it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) house: House,
    pub(crate) dir: PathBuf,
}

/// What came of a scene.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) system: System,
    pub(crate) scene: Scene,
    pub(crate) seconds: f64,
    pub(crate) verdict: Verdict,
    /// From the writing of a frame to its sound, in milliseconds.
    pub(crate) latency_ms: Quantiles,
    pub(crate) stalls: Stalls,
    #[serde(skip)]
    pub(crate) each_stall: Vec<Stall>,
    /// The server's, and each room's.
    pub(crate) server: Usage,
    pub(crate) rooms: Vec<Usage>,
    /// Programs that didn't end cleanly when asked to.
    pub(crate) unclean: Vec<String>,
    #[serde(skip)]
    pub(crate) survey: Survey,
}

impl Bench {
    /// Builds the instruments and makes room for records.
    pub(crate) fn new(out: &Path, binaries: &Path, keep: bool) -> Result<Bench> {
        let memory = Path::new(MEMORY);
        sweep(memory);
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        builder.prefix(&prefix);
        let work = if memory.is_dir() { builder.tempdir_in(memory)? } else { builder.tempdir()? };
        let instruments = Instruments::build(work.path())?;
        let (binaries, out) = (binaries.into(), out.into());
        Ok(Bench {
            instruments,
            binaries,
            out,
            keep,
            live: false,
            duration: Duration::ZERO,
            delay_ms: 250,
            extra: String::new(),
            work,
        })
    }

    /// Sets how long and how.
    pub(crate) fn playing(self, duration: Duration, delay_ms: u32, extra: &str) -> Bench {
        Bench { duration, delay_ms, extra: extra.into(), ..self }
    }

    /// Scenes are fed by a writer that is never ahead of time: what comes between its writing and the sound is latency.
    pub(crate) fn live(self) -> Bench {
        Bench { live: true, ..self }
    }

    /// Where results go.
    pub(crate) fn out(&self) -> &Path {
        &self.out
    }

    /// A house for `rooms` rooms, whose files are in a directory of the given name.
    pub(crate) fn stage(&self, name: &str, rooms: usize) -> Result<Stage> {
        let dir = self.empty(name)?;
        Ok(Stage { house: House::new(rooms, &dir, &self.binaries, &self.instruments)?, dir })
    }

    /// The same on a switch that does what it is told; rooms report in their logs every second.
    pub(crate) fn impaired(&self, name: &str, rooms: usize, seed: u64) -> Result<Stage> {
        let dir = self.empty(name)?;
        let house = House::impaired(rooms, seed, &dir, &self.binaries, &self.instruments)?;
        Ok(Stage { house, dir })
    }

    /// A directory of this name, without what an attempt that failed has left there.
    fn empty(&self, name: &str) -> Result<PathBuf> {
        let dir = self.work.path().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// Plays the scene.
    pub(crate) fn run(&self, system: System, scene: &Scene, signal: &Arc<Signal>) -> Result<Outcome> {
        let name = format!("{}-{system:?}", scene.name).to_lowercase();
        let stage = self.stage(&name, scene.rooms.len())?;
        if let Some(network) = stage.house.network() {
            (1..=scene.rooms.len()).try_for_each(|room| match scene.link {
                Link::Good => Ok(()),
                Link::Delayed(options) => network.shape(room, options),
                Link::Lossy(per_mille) => network.lose(room, per_mille),
            })?;
        }
        let fifo = stage.dir.join("in.fifo");
        let begin = if self.live { Feeder::start_live } else { Feeder::start };
        let feeder = begin(&fifo, signal.clone(), 2)?;
        let mut programs = self.start(system, scene, &stage, &fifo)?;
        let load = Load::start(if scene.load { std::thread::available_parallelism()?.get() } else { 0 })?;
        if system == System::Snapcast {
            // Its clients do not always begin: that is known before the scene has been waited for.
            wait_for_rooms(&stage.dir, scene.rooms.len(), PATIENCE, &programs)?;
        }
        truth::pause(Duration::from_secs(2));
        programs.iter_mut().for_each(Process::reset_usage);
        let watch = Watch::start();
        truth::pause(self.duration);
        let (stalls, each_stall) = watch.finish_with_each();
        anyhow::ensure!(!truth::interrupted(), "ended before the scene {} was over", scene.name);
        let mut usage: Vec<Usage> = programs.iter().map(Process::usage).collect();
        let server = if system == System::Bare { Usage::default() } else { usage.remove(0) };
        drop(load);
        let unclean = stop(&mut programs);
        let written = feeder.written();
        drop(feeder);
        let records = (1..=scene.rooms.len()).map(|i| Record::open(&stage.dir.join(format!("u{i}"))));
        let records = records.collect::<Result<Vec<_>, _>>().with_context(|| logs(&programs))?;
        let survey = survey(signal, &records);
        let skip_s = survey.all_sound_s() + SKIP_S;
        self.put_away(&stage, signal)?;
        Ok(Outcome {
            system,
            scene: scene.clone(),
            seconds: self.duration.as_secs_f64(),
            verdict: survey.verdict(skip_s),
            latency_ms: latency_ms(&survey, &written, skip_s),
            stalls,
            each_stall,
            server,
            rooms: usage,
            unclean,
            survey,
        })
    }

    /// The server first, then a room each.
    fn start(&self, system: System, scene: &Scene, stage: &Stage, fifo: &Path) -> Result<Vec<Process>> {
        let Stage { house, dir } = stage;
        let mut programs = vec![];
        match system {
            System::Unisono => {
                // What waits in the pipe would be most of a short delay.
                let latency_ms = if self.delay_ms < 60 { 6 } else { 60 };
                let source = format!(
                    "{{ type = \"pipe\", path = {fifo:?}, format = \"48000:16:2\", latency_ms = {latency_ms} }}"
                );
                let stream = Stream { format: "48000:16:2", source, playout_delay_ms: self.delay_ms };
                programs.push(house.start_sender(&stream)?);
            }
            System::Snapcast => {
                programs.push(snapcast::start_server(house, fifo, dir, None)?);
                truth::pause(Duration::from_secs(1));
            }
            System::Bare => {}
        }
        let zero = (truth::now_ns() + 1_000_000_000).to_string();
        for (i, room) in scene.rooms.iter().enumerate() {
            let (number, name) = (i + 1, format!("u{}", i + 1));
            programs.push(match system {
                System::Unisono => house.start_receiver(number, room, &name, &self.extra)?,
                System::Snapcast => snapcast::start_client(house, number, room, &name, dir)?,
                System::Bare => {
                    let launch = Launch {
                        name: &name,
                        program: &std::env::current_exe()?,
                        arguments: ["player", "--zero", &zero, "--grain", &room.card.grain.to_string()]
                            .map(String::from)
                            .to_vec(),
                        // The bare player knows the true time: its host's clock isn't off.
                        environment: house
                            .environment(&unisono_tests::house::Room { clock: Default::default(), ..*room }, &name)?,
                        namespace: None,
                        priority: Some(PLAYER_PRIORITY),
                        logs: dir,
                    };
                    house.launch(launch, &format!("r{number}"))?
                }
            });
        }
        Ok(programs)
    }

    /// Keeps the logs, and the records if that is wanted, together with what was played.
    pub(crate) fn put_away(&self, stage: &Stage, signal: &Signal) -> Result<()> {
        let to = self.out.join(stage.dir.file_name().context("a stage has a name")?);
        let _ = std::fs::remove_dir_all(&to);
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(&stage.dir)?.flatten() {
            let path = entry.path();
            let kept = |extension: &str| match extension {
                "log" | "toml" | "conf" => true,
                "pcm" | "seg" => self.keep,
                _ => false,
            };
            if path.extension().and_then(|e| e.to_str()).is_some_and(kept) {
                std::fs::copy(&path, to.join(entry.file_name()))?;
            }
        }
        if self.keep {
            let frames = (self.duration.as_secs() + 10) as usize * signal.rate as usize;
            std::fs::write(to.join("signal.s16"), signal.stereo_pcm(0, frames, 2))?;
        }
        Ok(std::fs::remove_dir_all(&stage.dir)?)
    }
}

/// How late every room is in every window from `skip_s` on.
fn latency_ms(survey: &Survey, written: &Written, skip_s: f64) -> Quantiles {
    let mut all = vec![];
    for (i, time) in survey.times.iter().enumerate().filter(|(_, time)| **time >= skip_s) {
        let heard_ns = survey.start_ns + ((time - survey.times[0]) * 1e9) as i64;
        let fixes = survey.rooms.iter().filter_map(|room| room[i]);
        all.extend(fixes.map(|fix| written.late_ms(fix.position, heard_ns)));
    }
    Quantiles::of(all)
}

/// Asks all to end, the rooms first; names those that didn't do so with success.
pub(crate) fn stop(programs: &mut [Process]) -> Vec<String> {
    let mut unclean = vec![];
    for (i, program) in programs.iter_mut().enumerate().rev() {
        let early = !program.is_running();
        match program.stop() {
            Some(status) if status.success() && !early => {}
            Some(status) if early => unclean.push(format!("program {i} ended early: {status}")),
            Some(status) => unclean.push(format!("program {i}: {status}")),
            None => unclean.push(format!("program {i} had to be killed")),
        }
    }
    unclean
}

pub(crate) fn logs(programs: &[Process]) -> String {
    programs.iter().map(Process::log).filter(|log| !log.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Busy processes, ended when dropped.
struct Load(Vec<std::process::Child>);

impl Load {
    fn start(count: usize) -> Result<Load> {
        let spin = || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Ok(Load((0..count).map(|_| spin()).collect::<std::io::Result<_>>()?))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Removes the work of runs that were killed.
fn sweep(memory: &Path) {
    for entry in std::fs::read_dir(memory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
