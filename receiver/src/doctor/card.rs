//! What a room plays through and what it switches: its card, the card's mixer, its amplifier.

use unisono_common::config::receiver::{AmplifierConfig, OutputDevice, ReceiverConfig};
use unisono_common::doctor::Finding;
use unisono_host::facts::{self, Root};

use super::overlay;
use crate::output::{self, CardError, cards};
use crate::volume;

/// Says how all of it is, and what this machine would have to be told to have a card at all.
pub(super) fn examine(root: &Root, config: &ReceiverConfig) -> Vec<Finding> {
    output::alsa::hush();
    let raspberry_pi = facts::on_raspberry_pi(root);
    let cards = cards::list();
    let mut findings = Vec::new();
    let hat = cards.iter().any(|card| card.kind(raspberry_pi) == cards::Kind::Hat);
    if raspberry_pi && !hat {
        findings.extend(overlay::missing(root));
    }
    let candidates = cards::candidates(&cards, raspberry_pi);
    let devices: Vec<OutputDevice> = match &config.output.device {
        Some(device) => vec![device.clone()],
        None => candidates.iter().map(|card| OutputDevice::Alsa(card.device())).collect(),
    };
    match devices.first() {
        Some(device) => {
            findings.push(card(root, &devices, config.output.latency_us));
            findings.extend(config.output.mixer.as_ref().map(|element| mixer(device, element)));
        }
        None => {
            let why = cards::why_none(&cards, raspberry_pi);
            let fix = "plug one in; for a HAT add its dtoverlay to /boot/firmware/config.txt and start the Pi again";
            findings.push(Finding::problem("card", format!("there is no sound card to play through: {why}"), fix));
        }
    }
    findings.extend(config.amplifier.as_ref().map(|config| amplifier(root, config)));
    findings
}

/// The card that is named, or the one that would be taken.
fn card(root: &Root, devices: &[OutputDevice], latency_us: Option<u32>) -> Finding {
    match devices {
        [OutputDevice::Cpal(name)] => Finding::note(
            "card",
            format!("through cpal:{name}, whose timing is not known well"),
            "name the hardware with device = \"hw:CARD=...\"; aplay -l lists cards",
        ),
        [OutputDevice::Sim(_)] => {
            Finding::note("card", "a simulated card, which nobody hears", "name a real one with device under [output]")
        }
        devices => match output::open_first(devices, latency_us) {
            Ok((_, card)) => Finding::ok("card", card.shape().to_string()),
            Err(CardError::Busy { device }) => busy(root, &device),
            Err(error) => {
                Finding::problem("card", error.to_string(), "aplay -l lists cards; set device under [output]")
            }
        },
    }
}

/// A card that somebody has: the room itself, or a program that has to let go of it.
fn busy(root: &Root, device: &str) -> Finding {
    match owner(root, device) {
        Some(owner) if !owner.starts_with("unisono") => Finding::problem(
            "card",
            format!("{device} is in use by {owner}: the room waits for it"),
            format!("end {owner}, or have it play through another card"),
        ),
        _ => Finding::ok("card", format!("{device} is in use: by the room itself, if it runs (fuser -v /dev/snd/*)")),
    }
}

/// The program that plays through a card, as the kernel tells everybody.
fn owner(root: &Root, device: &str) -> Option<String> {
    let place = device.split_once(':')?.1.split(',').next()?;
    let card = place.strip_prefix("CARD=").map_or_else(|| format!("card{place}"), str::to_owned);
    let card = format!("proc/asound/{card}");
    let thread = |pcm: &String| {
        let status = root.text(&format!("{card}/{pcm}/sub0/status"))?;
        let id = status.lines().find_map(|line| line.strip_prefix("owner_pid"))?;
        Some(id.trim_start_matches([' ', ':', '\t']).trim().to_owned())
    };
    let pcms = root.names(&card);
    let thread = pcms.iter().filter(|pcm| pcm.starts_with("pcm") && pcm.ends_with('p')).find_map(thread)?;
    // A thread is called after what it does; its process has the program's name.
    let status = root.text(&format!("proc/{thread}/status"))?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().to_owned();
    root.text(&format!("proc/{process}/comm"))
}

/// The element that is to turn the volume.
fn mixer(device: &OutputDevice, element: &str) -> Finding {
    let fix = "set mixer under [output] to what is there, or leave it out";
    let OutputDevice::Alsa(name) = device else {
        return Finding::note("mixer", "only ALSA's cards have one: volume is done in software", fix);
    };
    match volume::elements(name) {
        Ok(known) if known.iter().any(|known| known == element) => {
            Finding::ok("mixer", format!("\"{element}\" of {name} turns the volume"))
        }
        Ok(known) => Finding::note(
            "mixer",
            format!("{name} has no \"{element}\", so volume is done in software; there are: {}", known.join(", ")),
            fix,
        ),
        Err(error) => Finding::note("mixer", format!("{name} has none ({error}): volume is done in software"), fix),
    }
}

/// The line that switches the amplifier.
fn amplifier(root: &Root, AmplifierConfig { line, chip, .. }: &AmplifierConfig) -> Finding {
    let chip = chip.display().to_string();
    if !root.has(&chip) {
        let chips: Vec<String> = root.names("dev").into_iter().filter(|name| name.starts_with("gpiochip")).collect();
        return Finding::problem(
            "amplifier",
            format!("there is no {chip}; in /dev there are: {}", chips.join(", ")),
            "set chip under [amplifier]; gpioinfo (sudo apt install gpiod) lists the lines of each",
        );
    }
    match facts::is_in_group(root, "gpio") {
        Some(false) => Finding::problem(
            "amplifier",
            format!("{chip} may not be opened: the user is not in the group \"gpio\""),
            "sudo usermod -aG gpio unisono, then: sudo systemctl restart unisono-receiver",
        ),
        _ => Finding::ok("amplifier", format!("line {line} of {chip} switches it")),
    }
}

#[cfg(test)]
mod tests {
    use unisono_common::doctor::Level;

    use super::*;

    fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn a_card_that_another_program_has_is_told_with_its_name() {
        let of = |name: &str| {
            root(&[
                ("proc/asound/D10/pcm0c/sub0/status", "closed\n"),
                ("proc/asound/D10/pcm0p/sub0/status", "state: RUNNING\nowner_pid   : 412\n"),
                ("proc/412/status", "Name:\taudio\nTgid:\t411\n"),
                ("proc/411/comm", name),
            ])
        };
        let (_dir, other) = of("pipewire\n");
        let finding = busy(&other, "hw:CARD=D10,DEV=0");
        assert!(finding.level == Level::Problem && finding.what.contains("pipewire"), "{finding:?}");
        let (_dir, own) = of("unisono-receive\n");
        assert_eq!(busy(&own, "hw:CARD=D10").level, Level::Ok);
        assert_eq!(busy(&own, "hw:7").level, Level::Ok, "nobody knows whose it is");
    }

    #[test]
    fn an_amplifier_needs_its_chip_and_the_right_to_it() {
        let config = |chip: &str| AmplifierConfig { line: 17, chip: chip.into(), active_low: false, settle_ms: 0 };
        let users = ("etc/passwd", "unisono:x:996:996::/var/lib/unisono:/usr/sbin/nologin\n");
        let (_dir, pi) = root(&[("dev/gpiochip0", ""), ("etc/group", "gpio:x:997:unisono\n"), users]);
        assert_eq!(amplifier(&pi, &config("/dev/gpiochip0")).level, Level::Ok);
        let missing = amplifier(&pi, &config("/dev/gpiochip4"));
        assert!(missing.level == Level::Problem && missing.what.contains("gpiochip0"), "{missing:?}");
        let (_dir, pi) = root(&[("dev/gpiochip0", ""), ("etc/group", "gpio:x:997:pi\n"), users]);
        assert_eq!(amplifier(&pi, &config("/dev/gpiochip0")).level, Level::Problem);
    }

    #[test]
    fn a_mixer_that_is_not_there_is_noted_and_no_problem() {
        let named = OutputDevice::Alsa("hw:CARD=Nonesuch".into());
        for device in [named, OutputDevice::Cpal("default".into())] {
            assert_eq!(mixer(&device, "Digital").level, Level::Note);
        }
    }
}
