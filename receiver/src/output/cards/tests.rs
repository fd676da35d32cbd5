use super::*;

fn card(index: i32, id: &str, driver: &str, name: &str, long_name: &str) -> Card {
    let [id, driver, name, long_name] = [id, driver, name, long_name].map(str::to_owned);
    Card { index, id, driver, name, long_name, plays: 0 }
}

fn jack(index: i32) -> Card {
    card(index, "Headphones", "bcm2835_headpho", "bcm2835 Headphones", "bcm2835 Headphones")
}

fn screen(index: i32) -> Card {
    card(index, "vc4hdmi0", "vc4-hdmi", "vc4-hdmi-0", "vc4-hdmi-0")
}

fn hifiberry(index: i32) -> Card {
    let name = "snd_rpi_hifiberry_dacplus";
    card(index, "sndrpihifiberry", "RPi-simple", name, name)
}

fn usb(index: i32) -> Card {
    card(index, "D10", "USB-Audio", "D10", "Topping D10 at usb-0000:01:00.0-1.3, high speed")
}

fn taken(cards: &[Card], raspberry_pi: bool) -> Option<String> {
    best(cards, raspberry_pi).map(Card::device)
}

#[test]
fn a_hat_before_usb_before_the_screen_and_never_the_jack() {
    let all = [jack(0), screen(1), usb(2), hifiberry(3)];
    assert_eq!(taken(&all, true).as_deref(), Some("hw:CARD=sndrpihifiberry"));
    assert_eq!(taken(&all[..3], true).as_deref(), Some("hw:CARD=D10"));
    assert_eq!(taken(&all[..2], true).as_deref(), Some("hdmi:CARD=vc4hdmi0"));
    assert_eq!(taken(&all[..1], true), None);
    assert!(why_none(&all[..1], true).contains("device = \"hw:CARD=Headphones\""));
    assert_eq!(taken(&[], true), None);
}

#[test]
fn of_two_screens_both_are_tried_and_none_in_the_place_of_a_hat() {
    let [one, other] = [screen(1), Card { id: "vc4hdmi1".into(), ..screen(2) }];
    let tried = |cards: &[Card]| candidates(cards, true).into_iter().map(Card::device).collect::<Vec<_>>();
    assert_eq!(tried(&[other.clone(), one.clone(), jack(0)]), ["hdmi:CARD=vc4hdmi0", "hdmi:CARD=vc4hdmi1"]);
    assert_eq!(tried(&[one, hifiberry(3), other]), ["hw:CARD=sndrpihifiberry"]);
    assert!(tried(&[jack(0)]).is_empty());
}

#[test]
fn what_every_machine_has_is_taken_once_nothing_better_can_turn_up() {
    let taken_at = |seconds: u64| {
        let kinds = [Kind::Hat, Kind::Usb, Kind::Board, Kind::Hdmi, Kind::Headphones, Kind::Virtual];
        kinds.map(|kind| kind.may_be_taken(Duration::from_secs(seconds)))
    };
    assert_eq!(taken_at(3), [true, true, false, false, false, false]);
    assert_eq!(taken_at(60), [true, true, true, true, false, false]);
}

#[test]
fn a_device_that_is_not_the_card_s_first_is_named() {
    assert_eq!(Card { plays: 2, ..usb(1) }.device(), "hw:CARD=D10,DEV=2");
}

#[test]
fn on_a_pi_what_is_nothing_else_is_a_hat_whoever_made_it() {
    let names = "MerusAudioAmp";
    let unheard_of = card(5, "sndrpimerusamp", "snd_rpi_merus_a", names, names);
    assert_eq!(unheard_of.kind(true), Kind::Hat);
    assert_eq!(unheard_of.kind(false), Kind::Board);
    assert_eq!(hifiberry(0).kind(false), Kind::Hat);
}

#[test]
fn on_a_pc_the_main_board_comes_before_the_screen_and_what_nobody_hears_is_left() {
    let analog = card(1, "PCH", "HDA-Intel", "HDA Intel PCH", "HDA Intel PCH at 0xf7f10000 irq 32");
    let hdmi = card(0, "HDMI", "HDA-Intel", "HDA Intel HDMI", "HDA Intel HDMI at 0xf7f14000 irq 33");
    let loopback = card(2, "Loopback", "Loopback", "Loopback", "Loopback 1");
    assert_eq!(taken(&[hdmi.clone(), analog, loopback.clone()], false).as_deref(), Some("hw:CARD=PCH"));
    assert_eq!(taken(&[loopback.clone(), hdmi], false).as_deref(), Some("hdmi:CARD=HDMI"));
    assert_eq!(taken(&[loopback], false), None);
}
