//! Whether a Raspberry Pi has been told of the sound card on its pins.

use unisono_common::doctor::Finding;
use unisono_host::facts::Root;

/// Words in the name that a HAT has in its EEPROM, and its overlay; the first that fits counts.
const OVERLAYS: [(&str, &str); 14] = [
    // IQaudIO's, whose names have those of others in them.
    ("DIGIAMP", "iqaudio-dacplus,unmute_amp"),
    ("PI-DAC", "iqaudio-dacplus"),
    ("DAC+ ADC PRO", "hifiberry-dacplusadcpro"),
    ("DAC2 ADC PRO", "hifiberry-dacplusadcpro"),
    ("DAC+ ADC", "hifiberry-dacplusadc"),
    ("DAC2 HD", "hifiberry-dacplushd"),
    ("DAC+ DSP", "hifiberry-dacplusdsp"),
    ("DAC+", "hifiberry-dacplus"),
    ("DAC2", "hifiberry-dacplus"),
    ("AMP100", "hifiberry-amp100"),
    ("AMP2", "hifiberry-dacplus"),
    ("AMP4", "hifiberry-dacplus-std"),
    ("DIGI", "hifiberry-digi"),
    ("BOSS", "allo-boss-dac-pcm512x-audio"),
];

/// Where the firmware's configuration is: of Debian 12 on, and before.
const FILES: [&str; 2] = ["boot/firmware/config.txt", "boot/config.txt"];

/// What is said of a Pi without a card on its pins.
pub(super) fn missing(root: &Root) -> Option<Finding> {
    let (file, text) = FILES.iter().find_map(|file| Some((file, root.text(file)?)))?;
    let told = overlays(&text);
    let hat = root.text("proc/device-tree/hat/product");
    let start = "then start the Pi again: sudo reboot";
    Some(match (told.first(), hat) {
        (Some(told), _) => Finding::problem(
            "overlay",
            format!("/{file} has dtoverlay={told}, but there is no such card"),
            format!("is it another board, or not seated? dmesg | grep -i snd tells. After a change {start}"),
        ),
        (None, Some(hat)) => {
            let overlay = overlay_of(&hat).unwrap_or("... (its maker names it)");
            let fix = format!("echo dtoverlay={overlay} | sudo tee -a /{file}\n{start}");
            Finding::problem(
                "overlay",
                format!("the board \"{hat}\" is there, but the Pi has not been told of it"),
                fix,
            )
        }
        (None, None) => Finding::note(
            "overlay",
            "no sound card on the pins is set up",
            format!(
                "if there is one, e.g. a HiFiBerry DAC+: echo dtoverlay=hifiberry-dacplus | sudo tee -a /{file}\n{start}"
            ),
        ),
    })
}

/// The overlays of sound cards that a config.txt asks for.
fn overlays(config: &str) -> Vec<&str> {
    let makers = ["hifiberry-", "iqaudio-", "allo-", "justboom-", "i2s-", "audioinjector-", "merus-", "rpi-dac"];
    let overlay = |line| {
        let name = str::trim(line).strip_prefix("dtoverlay=")?;
        Some(name.split(',').next().unwrap_or(name).trim())
    };
    config.lines().filter_map(overlay).filter(|name| makers.iter().any(|maker| name.starts_with(maker))).collect()
}

fn overlay_of(hat: &str) -> Option<&'static str> {
    let hat = hat.to_uppercase();
    OVERLAYS.iter().find(|(words, _)| hat.contains(words)).map(|(_, overlay)| *overlay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(files: &[(&str, &str)]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        missing(&Root::at(dir.path())).map(|finding| format!("{} {}", finding.what, finding.fix.unwrap_or_default()))
    }

    #[test]
    fn a_board_that_the_pi_was_not_told_of_is_named_with_its_overlay() {
        let said =
            said(&[("boot/firmware/config.txt", "dtparam=audio=on\n"), ("proc/device-tree/hat/product", "DAC+ Pro\0")]);
        let said = said.unwrap();
        assert!(said.contains("\"DAC+ Pro\"") && said.contains("dtoverlay=hifiberry-dacplus |"), "{said}");
    }

    #[test]
    fn a_board_s_own_name_counts_before_what_is_a_part_of_it() {
        for (board, overlay) in [
            ("Pi-DigiAMP+", Some("iqaudio-dacplus,unmute_amp")),
            ("Pi-DAC+", Some("iqaudio-dacplus")),
            ("DAC+ ADC Pro", Some("hifiberry-dacplusadcpro")),
            ("Digi2 Pro", Some("hifiberry-digi")),
            ("Sense HAT", None),
        ] {
            assert_eq!(overlay_of(board), overlay, "{board}");
        }
    }

    #[test]
    fn an_overlay_whose_card_is_not_there_is_told() {
        let said = said(&[(
            "boot/config.txt",
            "# sound\n dtoverlay=hifiberry-amp100,mute_ext_ctl=4\ndtoverlay=vc4-kms-v3d\n",
        )]);
        assert!(said.unwrap().contains("/boot/config.txt has dtoverlay=hifiberry-amp100,"));
    }

    #[test]
    fn without_either_an_example_is_given_and_without_a_file_nothing() {
        assert!(
            said(&[("boot/firmware/config.txt", "\n#dtoverlay=hifiberry-dac\ndtoverlay=disable-bt\n")])
                .unwrap()
                .contains("e.g.")
        );
        assert_eq!(said(&[]), None);
    }
}
