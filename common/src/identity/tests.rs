use proptest::prelude::*;

use super::*;

#[test]
fn the_group_of_an_id_never_changes() {
    assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    assert_eq!(multicast_group("music", &[]), multicast_group("music", &[]));
    assert_ne!(multicast_group("music", &[]), multicast_group("radio", &[]));
}

#[test]
fn a_taken_group_is_passed_over() {
    let first = multicast_group("music", &[]);
    let second = multicast_group("music", &[first]);
    assert_ne!(first, second);
    assert!(![first, second].contains(&multicast_group("music", &[first, second])));
}

#[test]
fn a_stream_s_id_is_short_and_plain() {
    assert!(["a", "living-room_2", "-", &"x".repeat(32)].into_iter().all(is_stream_id));
    assert!(!["", "Music", "a b", "../x", "größe", "a\n", &"x".repeat(33)].into_iter().any(is_stream_id));
}

#[test]
fn a_file_of_an_older_version_is_read() {
    let identity = StreamIdentity::decode("ssrc = 5\nsession_id = 7\nfuture = true\n").unwrap();
    assert_eq!(identity, StreamIdentity { ssrc: 5, session_id: 7, announced: String::new() });
    assert!(StreamIdentity::decode("ssrc = -5\n").is_err());
}

proptest! {
    #[test]
    fn identities_come_back(random: [u8; 8], announced in "[ -~\n]{0,200}") {
        let identity = StreamIdentity { announced, ..StreamIdentity::new(random) };
        prop_assert_ne!(identity.session_id, 0);
        prop_assert_eq!(StreamIdentity::decode(&identity.encode().unwrap()), Ok(identity));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,100}") {
        let _ = StreamIdentity::decode(&text);
    }

    #[test]
    fn groups_lie_in_our_block_and_end_in_neither_0_nor_255(id in "[a-z0-9-]{1,32}") {
        let [a, b, c, d] = multicast_group(&id, &[]).octets();
        prop_assert_eq!([a, b], [239, 77]);
        prop_assert!((1..=254).contains(&c) && (1..=254).contains(&d));
    }
}
