//! How loud a room is: never above its limit; by the card's own mixer where one is named, the rest in software.

use alsa::mixer::{MilliBel, Mixer, Selem, SelemChannelId, SelemId};
use unisono_common::config::receiver::OutputConfig;

/// What turns the volume.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Amplitude that is never exceeded.
    most: f32,
    /// Name of the mixer's element.
    element: Option<String>,
    /// That the mixer can't be used has been said.
    said: bool,
}

impl Volume {
    /// As configured.
    pub fn new(config: &OutputConfig) -> Self {
        let most = amplitude(config.max_volume_db.unwrap_or(0.0) as f32);
        Volume { most, element: config.mixer.clone(), said: false }
    }

    /// Makes the room, which plays through `device`, sound at this amplitude, if it may: it never exceeds `most`, nor what
    /// is configured. Gives what is left to do in software, of the amplitude and of what nothing exceeds. Silence is left
    /// to software altogether, which ramps.
    pub fn turn(&mut self, device: &str, gain: f32, most: f32) -> (f32, f32) {
        let most = most.min(self.most);
        let gain = gain.min(most);
        let Some(element) = self.element.as_ref().filter(|_| gain > 0.0) else { return (gain, most) };
        let control = control_of(device);
        match turn_mixer(&control, element, decibels(gain)) {
            Ok(taken_db) => (rest(gain, taken_db), rest(most, taken_db)),
            Err(reason) => {
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!(
                        "mixer \"{element}\" of {control} can't be used: {reason}; volume is done in software"
                    );
                }
                (gain, most)
            }
        }
    }
}

/// What is left of a gain after the mixer has taken so many decibels; never an amplification.
fn rest(gain: f32, taken_db: f32) -> f32 {
    amplitude(decibels(gain) - taken_db).min(1.0)
}

/// Names of the elements that turn a volume, of the card that a device is on.
///
/// # Errors
/// when it has no mixer; in words.
pub fn elements(device: &str) -> Result<Vec<String>, String> {
    crate::output::alsa::hush();
    Mixer::new(&control_of(device), false).map(|mixer| names(&mixer)).map_err(|error| error.to_string())
}

fn names(mixer: &Mixer) -> Vec<String> {
    let elements = mixer.iter().filter_map(Selem::new).filter(Selem::has_playback_volume);
    elements.filter_map(|element| element.get_id().get_name().map(str::to_owned).ok()).collect()
}

/// The control device of a PCM: `hw:CARD=D10,DEV=0` is on `hw:CARD=D10`, as is `plughw:CARD=D10`. What is not ALSA's own
/// plays through ALSA's default.
fn control_of(pcm: &str) -> String {
    match pcm.split_once(':') {
        Some(("cpal" | "sim", _)) => "default".to_owned(),
        Some((_, place)) => format!("hw:{}", place.split(',').next().unwrap_or(place)),
        None => pcm.to_owned(),
    }
}

/// Sets an element to a volume, or as near as it comes from below; gives what it took.
fn turn_mixer(control: &str, element: &str, wanted_db: f32) -> Result<f32, String> {
    crate::output::alsa::hush();
    let mixer = Mixer::new(control, false).map_err(|error| error.to_string())?;
    let found = mixer.find_selem(&SelemId::new(element, 0)).filter(Selem::has_playback_volume);
    let found = found.ok_or_else(|| format!("there is no such element; there are: {}", names(&mixer).join(", ")))?;
    let (least, most) = found.get_playback_db_range();
    let wanted = (wanted_db * 100.0).round() as i64;
    let wanted = MilliBel(wanted.clamp(least.0, most.0.min(0).max(least.0)));
    found.set_playback_db_all(wanted, alsa::Round::Floor).map_err(|error| error.to_string())?;
    if found.has_playback_switch() {
        found.set_playback_switch_all(1).map_err(|error| error.to_string())?;
    }
    let taken = found.get_playback_vol_db(SelemChannelId::FrontLeft).map_err(|error| error.to_string())?;
    Ok(taken.to_db())
}

fn amplitude(db: f32) -> f32 {
    10_f32.powf(db / 20.0)
}

fn decibels(gain: f32) -> f32 {
    20.0 * gain.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "hw:CARD=Nonesuch,DEV=0";

    fn config(mixer: Option<&str>, max_volume_db: Option<f64>) -> OutputConfig {
        OutputConfig { mixer: mixer.map(str::to_owned), max_volume_db, ..OutputConfig::default() }
    }

    #[test]
    fn nothing_is_louder_than_the_limit() {
        // As configured: what holds for a room that nobody has given orders.
        let mut volume = Volume::new(&config(None, Some(-20.0)));
        let (gain, most) = volume.turn(DEVICE, 1.0, 1.0);
        assert!((gain - 0.1).abs() < 1e-6 && gain == most);
        assert_eq!(volume.turn(DEVICE, 0.05, 1.0), (0.05, most));
        assert_eq!(volume.turn(DEVICE, 0.0, 1.0), (0.0, most));
        assert_eq!(volume.turn(DEVICE, 1.0, 0.05), (0.05, 0.05), "as ordered");
        assert_eq!(Volume::new(&config(None, None)).turn(DEVICE, 1.0, 1.0), (1.0, 1.0));
    }

    #[test]
    fn software_does_what_the_mixer_leaves() {
        assert!((rest(amplitude(-10.0), -10.0) - 1.0).abs() < 1e-6);
        assert!((rest(amplitude(-10.3), -10.0) - amplitude(-0.3)).abs() < 1e-6);
        assert!((rest(amplitude(-80.0), -60.0) - 0.1).abs() < 1e-6, "below what the mixer can");
        assert_eq!(rest(1.0, -0.5), 1.0, "never amplified");
    }

    #[test]
    fn without_the_card_it_is_software_alone() {
        let mut volume = Volume::new(&config(Some("Digital"), None));
        assert_eq!(volume.turn(DEVICE, 0.25, 0.5), (0.25, 0.5));
        assert!(elements(DEVICE).is_err());
        assert_eq!(control_of("hw:CARD=D10,DEV=0"), "hw:CARD=D10");
        assert_eq!(control_of("plughw:1"), "hw:1");
        assert_eq!(control_of("hdmi:CARD=vc4hdmi0"), "hw:CARD=vc4hdmi0");
        assert_eq!([control_of("default"), control_of("cpal:default"), control_of("sim:ppm=4")], ["default"; 3]);
    }
}
