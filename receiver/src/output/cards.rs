//! Which sound card a room takes when none is named: the one that somebody has put there to be heard.
//!
//! A card is judged by what its driver says of it. On a Raspberry Pi what is neither HDMI, USB nor the headphone jack
//! sits on the I2S pins: a HAT, whoever made it.

use std::time::Duration;

/// A machine that has been up for so long has found the cards that it has.
const SETTLES: Duration = Duration::from_secs(20);

/// A sound card that can play, as the kernel lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Its number, which may be another one after the next start.
    pub index: i32,
    /// Its name for programs: `sndrpihifiberry`.
    pub id: String,
    /// Its driver: `RPi-simple`, `USB-Audio`.
    pub driver: String,
    /// Its name for people.
    pub name: String,
    /// The same, and where it is plugged in.
    pub long_name: String,
    /// Number of the first of its devices that plays.
    pub plays: u32,
}

/// What kind of card it is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// On the I2S pins of a small computer: HiFiBerry and the like.
    Hat,
    /// On USB.
    Usb,
    /// On the main board.
    Board,
    /// The screen's loudspeakers, if it has any.
    Hdmi,
    /// The Pi's headphone jack: noisy, and seldom what is meant. Only when named.
    Headphones,
    /// No loudspeaker is behind it. Only when named.
    Virtual,
}

impl Kind {
    /// Whether a room may take it without having been told to.
    pub fn by_itself(self) -> bool {
        !matches!(self, Kind::Headphones | Kind::Virtual)
    }

    /// Whether it may be taken on a machine that has been up for so long. What somebody has put there is; what every
    /// machine has only once nothing better can still turn up: cards are found one after the other at a start.
    pub fn may_be_taken(self, up: Duration) -> bool {
        self.by_itself() && (matches!(self, Kind::Hat | Kind::Usb) || up >= SETTLES)
    }
}

impl Card {
    /// What it is, on this kind of computer.
    pub fn kind(&self, raspberry_pi: bool) -> Kind {
        let names = [&self.driver, &self.id, &self.name, &self.long_name].map(|name| name.to_lowercase()).join(" ");
        let any = |words: &[&str]| words.iter().any(|word| names.contains(word));
        if any(&["loopback", "dummy", "virmidi"]) {
            Kind::Virtual
        } else if any(&["headphones", "bcm2835_headpho", "bcm2835 alsa"]) {
            Kind::Headphones
        } else if any(&["hdmi", "displayport", "vc4"]) {
            Kind::Hdmi
        } else if any(&["usb"]) {
            Kind::Usb
        } else if raspberry_pi || any(&["hifiberry", "iqaudio", "allo", "justboom", "i2s", "pcm5"]) {
            Kind::Hat
        } else {
            Kind::Board
        }
    }

    /// The ALSA PCM to open: by its name, which stays when numbers change. A screen takes frames of its own kind (IEC 958),
    /// which ALSA's `hdmi` makes of ours; it also knows which of the card's devices that is.
    pub fn device(&self) -> String {
        match (self.kind(false), self.plays) {
            (Kind::Hdmi, _) => format!("hdmi:CARD={}", self.id),
            (_, 0) => format!("hw:CARD={}", self.id),
            (_, number) => format!("hw:CARD={},DEV={number}", self.id),
        }
    }
}

/// Those of them to try without having been told: all of the best kind that is there, in their order. Of two screens one may
/// be switched off; but a HAT that another program has is waited for, and not left for a screen.
pub fn candidates(cards: &[Card], raspberry_pi: bool) -> Vec<&Card> {
    let best = cards.iter().map(|card| card.kind(raspberry_pi)).filter(|kind| kind.by_itself()).min();
    let mut candidates: Vec<&Card> = cards.iter().filter(|card| Some(card.kind(raspberry_pi)) == best).collect();
    candidates.sort_by_key(|card| card.index);
    candidates
}

/// The best of them to take without having been told; `None` if there is none worth it.
pub fn best(cards: &[Card], raspberry_pi: bool) -> Option<&Card> {
    candidates(cards, raspberry_pi).first().copied()
}

/// Why none was taken.
pub fn why_none(cards: &[Card], raspberry_pi: bool) -> String {
    match cards.iter().find(|card| card.kind(raspberry_pi) == Kind::Headphones) {
        Some(jack) => format!(
            "only the headphone jack, which is not taken by itself; to use it, write device = \"{}\" under [output]",
            jack.device()
        ),
        None => "this machine has none that a loudspeaker could be behind; plug one in, or name it with device".into(),
    }
}

/// The cards of this machine that can play.
pub fn list() -> Vec<Card> {
    alsa::card::Iter::new().flatten().filter_map(|card| read(card.get_index())).collect()
}

fn read(index: i32) -> Option<Card> {
    let control = alsa::Ctl::new(&format!("hw:{index}"), false).ok()?;
    let plays = |device: i32| control.pcm_info(device as u32, 0, alsa::Direction::Playback).is_ok();
    let plays = alsa::ctl::DeviceIter::new(&control).find(|device| plays(*device))?;
    let info = control.card_info().ok()?;
    Some(Card {
        index,
        id: info.get_id().ok()?.to_owned(),
        driver: info.get_driver().unwrap_or_default().to_owned(),
        name: info.get_name().unwrap_or_default().to_owned(),
        long_name: info.get_longname().unwrap_or_default().to_owned(),
        plays: u32::try_from(plays).ok()?,
    })
}

#[cfg(test)]
mod tests;
