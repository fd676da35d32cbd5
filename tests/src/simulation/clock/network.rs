//! Models of how long a packet takes, as families of delays.
//!
//! None is a measurement. They bracket what is published about homes: a quiet wire, Wi-Fi with its bursts, an access
//! point that holds packets back for a sleeping station, a line that is full.

use crate::simulation::random::Random;

/// A family of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A switch, stamps by the kernel: 55 us, a few more now and then.
    Wired,
    /// A switch, stamps by the programs: 90 us and their wake-ups.
    WiredUser,
    /// A usual Wi-Fi link: 0.5 ms and a quarter more, a twelfth of the packets 3 ms late, bursts of 12 ms.
    Wifi,
    /// Long-tailed both ways, twice as slow up as down.
    Lognormal,
    /// The station's radio sleeps: a third of the packets to it wait for the next beacon.
    PowerSave,
    /// For a third of the time a download fills the queue towards the station.
    Saturated,
    /// Held out: an access point shared with others. A real queue down (bulk frames come and are served in order), backoff
    /// that doubles both ways, 3 % loss. No constant of the filter was chosen on it.
    Crowded,
    /// Held out: a powerline adapter. Packets down may leave only in the first third of each 10 ms, up at once.
    Powerline,
    /// Quiet for 4 s, then packets down take anything up to 80 ms, evenly: the scene of the rig's resilience table.
    Uneven,
}

impl Family {
    /// All families, tuned-on first, held-out last.
    pub const ALL: [Self; 9] = [
        Self::Wired,
        Self::WiredUser,
        Self::Wifi,
        Self::Lognormal,
        Self::PowerSave,
        Self::Saturated,
        Self::Crowded,
        Self::Powerline,
        Self::Uneven,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wired => "wired",
            Self::WiredUser => "wired, user stamps",
            Self::Wifi => "Wi-Fi",
            Self::Lognormal => "lognormal",
            Self::PowerSave => "power save",
            Self::Saturated => "saturated",
            Self::Crowded => "crowded (held out)",
            Self::Powerline => "powerline (held out)",
            Self::Uneven => "0 to 80 ms down",
        }
    }

    /// Errors above this count as "not converged", in microseconds.
    pub fn threshold_us(self) -> f64 {
        match self {
            Self::Wired => 20.0,
            Self::WiredUser => 50.0,
            Self::Uneven => 500.0,
            _ => 150.0,
        }
    }
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the room to the server.
    Up,
    /// From the server to the room.
    Down,
}

/// One link of a family, with its state. Times in seconds.
#[derive(Clone, Debug)]
pub struct Link {
    family: Family,
    random: Random,
    loss: f64,
    burst_until_s: f64,
    next_burst_s: f64,
    phase_s: f64,
    /// Slowly varying load of a shared link, mean 0, standard deviation 1.
    load: f64,
    /// Work waiting in the queue down, in seconds of sending.
    queue_s: f64,
    last_s: f64,
}

const US: f64 = 1e-6;
const MS: f64 = 1e-3;
const BETWEEN_BURSTS_S: f64 = 6.0;

impl Link {
    /// A link that loses `loss` of its packets (0 to 1) beside what its family does.
    pub fn new(family: Family, loss: f64, seed: u64) -> Self {
        let mut random = Random::new(seed, 2);
        let next_burst_s = random.exponential(BETWEEN_BURSTS_S);
        let phase_s = random.between(0.0, 60.0);
        let load = random.normal();
        Self { family, random, loss, burst_until_s: 0.0, next_burst_s, phase_s, load, queue_s: 0.0, last_s: 0.0 }
    }

    /// How long a packet that leaves at `t_s` is on the way; `None`: it is lost. Call in order of time, more or less.
    pub fn delay_s(&mut self, way: Way, t_s: f64) -> Option<f64> {
        if self.random.chance(self.loss) {
            return None;
        }
        match self.family {
            Family::Wired => Some(self.wired()),
            Family::WiredUser => Some(self.wired_user()),
            Family::Wifi => Some(self.wifi(way, t_s)),
            Family::Lognormal => Some(match way {
                Way::Up => 0.4 * MS + self.random.lognormal(0.6 * MS, 1.0),
                Way::Down => 0.4 * MS + self.random.lognormal(0.25 * MS, 0.8),
            }),
            Family::PowerSave => Some(self.power_save(way, t_s)),
            Family::Saturated => Some(self.saturated(way, t_s)),
            Family::Crowded => self.crowded(way, t_s),
            Family::Powerline => Some(self.powerline(way, t_s)),
            Family::Uneven => {
                let wait_ms = if way == Way::Down && t_s > 4.0 { self.random.between(0.0, 80.0) } else { 0.0 };
                Some(self.wired() + wait_ms * MS)
            }
        }
    }

    fn wired(&mut self) -> f64 {
        let r = &mut self.random;
        let rare = if r.chance(0.03) { r.exponential(40.0 * US) } else { 0.0 };
        let rarer = if r.chance(0.003) { r.exponential(300.0 * US) } else { 0.0 };
        55.0 * US + r.exponential(3.0 * US) + rare + rarer
    }

    fn wired_user(&mut self) -> f64 {
        let r = &mut self.random;
        let rare = if r.chance(0.05) { r.exponential(150.0 * US) } else { 0.0 };
        let rarer = if r.chance(0.004) { r.exponential(2.0 * MS) } else { 0.0 };
        90.0 * US + r.exponential(15.0 * US) + rare + rarer
    }

    fn wifi(&mut self, way: Way, t_s: f64) -> f64 {
        if t_s > self.next_burst_s {
            self.burst_until_s = self.next_burst_s + self.random.between(0.5, 2.5);
            self.next_burst_s = self.burst_until_s + self.random.exponential(BETWEEN_BURSTS_S);
        }
        let r = &mut self.random;
        let base = if way == Way::Up { 0.55 * MS } else { 0.45 * MS };
        let tail = if r.chance(0.08) { r.exponential(3.0 * MS) } else { 0.0 };
        let burst = if t_s < self.burst_until_s { r.exponential(12.0 * MS) } else { 0.0 };
        base + r.exponential(0.25 * MS) + tail + burst
    }

    fn power_save(&mut self, way: Way, t_s: f64) -> f64 {
        let r = &mut self.random;
        let air = 0.45 * MS + r.exponential(0.15 * MS);
        if way == Way::Down && r.chance(0.35) {
            let beacon_s = 0.1024 - (t_s + self.phase_s) % 0.1024;
            return beacon_s + air;
        }
        air
    }

    fn saturated(&mut self, way: Way, t_s: f64) -> f64 {
        self.vary_load(t_s, 2.0);
        let full = (t_s + self.phase_s) % 60.0 < 20.0;
        let r = &mut self.random;
        let air = 0.5 * MS + r.exponential(0.2 * MS);
        let queue = if full && way == Way::Down { (20.0 + 8.0 * self.load).max(1.0) * MS } else { 0.0 };
        air + queue + if full { r.exponential(2.0 * MS) } else { 0.0 }
    }

    fn crowded(&mut self, way: Way, t_s: f64) -> Option<f64> {
        let passed_s = (t_s - self.last_s).max(0.0);
        self.vary_load(t_s, 10.0);
        let utilisation = (0.35 + 0.2 * self.load).clamp(0.05, 0.85);
        // Bulk frames of 1.2 ms, come at random: the queue they leave behind, in steps of at most their own length.
        let mut rest_s = passed_s.min(2.0);
        while rest_s > 0.0 {
            let step_s = rest_s.min(1.2 * MS);
            rest_s -= step_s;
            let came = self.random.chance(utilisation * step_s / (1.2 * MS));
            self.queue_s = (self.queue_s + if came { 1.2 * MS } else { 0.0 } - step_s).max(0.0);
        }
        let r = &mut self.random;
        if r.chance(0.03) {
            return None;
        }
        let (mut delay_s, mut slots_s) = (0.4 * MS, 0.135 * MS);
        while r.chance(utilisation * 0.6) && slots_s < 10.0 * MS {
            slots_s *= 2.0;
            delay_s += 0.3 * MS + r.between(0.0, slots_s);
        }
        delay_s += r.between(0.0, 0.135 * MS) + if way == Way::Down { self.queue_s } else { 0.0 };
        Some(delay_s)
    }

    fn powerline(&mut self, way: Way, t_s: f64) -> f64 {
        let r = &mut self.random;
        let air = 0.8 * MS + r.exponential(0.1 * MS) + if r.chance(0.05) { r.exponential(4.0 * MS) } else { 0.0 };
        let phase_s = (t_s + self.phase_s) % (10.0 * MS);
        let wait = if way == Way::Down && phase_s > 3.3 * MS { 10.0 * MS - phase_s } else { 0.0 };
        air + wait
    }

    fn vary_load(&mut self, t_s: f64, time_constant_s: f64) {
        let keep = (-(t_s - self.last_s).max(0.0) / time_constant_s).exp();
        self.load = self.load * keep + (1.0 - keep * keep).sqrt() * self.random.normal();
        self.last_s = self.last_s.max(t_s);
    }
}
