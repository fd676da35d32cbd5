use super::*;

fn us(driver: &str, card: &str, bits: u32, rate: u32) -> Option<i64> {
    of_card(&Key { driver, card, board: "Raspberry Pi 4 Model B Rev 1.4", bits, rate }).map(|ns| ns / 1_000)
}

#[test]
fn a_hifiberry_has_its_fifo_and_its_filter_and_both_follow_format_and_rate() {
    let card = "snd_rpi_hifiberry_dacplus HiFiBerry DAC+";
    assert_eq!(us("RPi-simple", card, 32, 48_000), Some(916)); // 24 and 20 frames
    assert_eq!(us("RPi-simple", card, 16, 48_000), Some(1_416)); // 48 and 20
    assert_eq!(us("RPi-simple", card, 32, 96_000), Some(354)); // 24 and 10
    assert_eq!(us("RPi-simple", card, 32, 192_000), Some(151)); // 24 and 5
}

#[test]
fn the_same_hat_on_a_pi_5_has_another_bus() {
    let board = "Raspberry Pi 5 Model B Rev 1.0";
    let key = Key { driver: "RPi-simple", card: "snd_rpi_hifiberry_dac", board, bits: 32, rate: 48_000 };
    assert_eq!(of_card(&key), Some(666_666)); // 12 and 20 frames
    assert_eq!(of_card(&Key { bits: 16, ..key }), Some(666_666));
}

#[test]
fn of_usb_hdmi_and_unknown_cards_nothing_is_claimed() {
    assert_eq!(us("USB-Audio", "Some DAC", 24, 48_000), None);
    assert_eq!(us("vc4-hdmi", "vc4-hdmi-0", 32, 48_000), None);
    assert_eq!(us("HDA-Intel", "HDA Intel PCH", 32, 48_000), None);
}
