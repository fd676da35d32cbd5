use proptest::prelude::*;

use super::*;

fn tags(pairs: &[(ItemKey, &'static str)]) -> Gains {
    of_tags(|key| pairs.iter().find(|(known, _)| *known == key).map(|(_, text)| *text))
}

#[test]
fn tags_as_they_are_written_in_the_wild() {
    for (text, db) in [("-6.54 dB", -6.54), ("+3.2 db", 3.2), ("-7", -7.0), (" -1,5dB ", -1.5)] {
        let gain = tags(&[(ItemKey::ReplayGainTrackGain, text)]).track.unwrap();
        assert_eq!(gain, Gain { db, peak: None }, "{text}");
    }
    for wrong in ["", "dB", "NaN dB", "inf", "-70000 dB", "é", "louder"] {
        assert_eq!(replay_gain_db(wrong), None, "{wrong}");
    }
    let gains = tags(&[(ItemKey::ReplayGainAlbumGain, "-3 dB"), (ItemKey::ReplayGainAlbumPeak, "0.5")]);
    assert_eq!(gains, Gains { track: None, album: Some(Gain { db: -3.0, peak: Some(0.5) }) });
}

#[test]
fn r128_counts_from_another_reference() {
    // RFC 7845: -23 LUFS needs no gain; to reach -18 it takes 5 dB.
    let gains = tags(&[(ItemKey::R128TrackGain, "0"), (ItemKey::R128AlbumGain, "-1280")]);
    assert_eq!(gains.track.unwrap().db, 5.0);
    assert_eq!(gains.album.unwrap().db, 0.0);
}

#[test]
fn nothing_is_made_louder_than_its_peak_allows() {
    let at = |db, peak| Gain { db, peak }.factor();
    assert_eq!(at(6.0, None), 1.0);
    assert_eq!(at(6.0, Some(0.8)), 1.25);
    assert!((at(6.0, Some(0.1)) - 1.995).abs() < 0.001);
    assert!((at(-6.0, None) - 0.501).abs() < 0.001);
    assert!((at(-6.0, Some(1.4)) - 0.501).abs() < 0.001);
    assert_eq!(at(3.0, Some(1.4)), 1.0);
}

#[test]
fn the_album_counts_where_an_album_is_heard() {
    let db = |db| Some(Gain { db, peak: None });
    let both = Gains { track: db(-20.0), album: db(-40.0) };
    let level = |gains: Gains, mode, among| (20.0 * gains.factor(mode, among).log10()).round();
    assert_eq!(level(both, ReplayGain::Off, true), 0.0);
    assert_eq!(level(both, ReplayGain::Track, true), -20.0);
    assert_eq!(level(both, ReplayGain::Album, false), -40.0);
    assert_eq!(level(both, ReplayGain::Auto, false), -20.0);
    assert_eq!(level(both, ReplayGain::Auto, true), -40.0);
    assert_eq!(level(Gains { track: db(-20.0), album: None }, ReplayGain::Album, true), -20.0);
    assert_eq!(level(Gains::default(), ReplayGain::Track, true), 0.0);
}

#[test]
fn silence_has_no_gain() {
    assert_eq!(Gain::measured(f64::NEG_INFINITY, 0.0), None);
    assert_eq!(Gain::measured(-28.0, 0.25), Some(Gain { db: 10.0, peak: Some(0.25) }));
}

proptest! {
    #[test]
    fn no_tag_makes_a_factor_that_clips_or_is_no_number(gain in ".{0,12}", peak in ".{0,12}") {
        let (gain, peak): (&str, &str) = (&gain, &peak);
        let gains = of_tags(|key| match key {
            ItemKey::ReplayGainTrackGain | ItemKey::R128AlbumGain => Some(gain),
            ItemKey::ReplayGainTrackPeak => Some(peak),
            _ => None,
        });
        for mode in [ReplayGain::Track, ReplayGain::Album] {
            let factor = gains.factor(mode, false);
            prop_assert!(factor > 0.0 && factor < 400.0);
        }
    }
}
