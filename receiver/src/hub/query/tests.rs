use super::*;
use proptest::prelude::*;

const SERVICE: &str = "_unisono._tcp.local.";

/// An answer as a responder sends it: question echoed, names compressed.
fn answer() -> Vec<u8> {
    let mut packet = question(SERVICE);
    packet[2] = 0x84;
    packet[7] = 1; // answers
    packet[11] = 3; // additional
    let record = |packet: &mut Vec<u8>, name: &[u8], kind: u16, data: &[u8]| {
        packet.extend(name);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 10]);
        packet.extend((data.len() as u16).to_be_bytes());
        packet.extend(data);
    };
    let instance_at = packet.len() as u16 + 12;
    record(&mut packet, &[0xc0, 12], TYPE_PTR, b"\x03Den\xc0\x0c");
    let instance = (0xc000 | instance_at).to_be_bytes();
    record(&mut packet, &instance, TYPE_SRV, b"\0\0\0\0\x1e\x00\x04host\x05local\0");
    record(&mut packet, &instance, TYPE_TXT, b"\x05id=h1\x03v=1");
    record(&mut packet, b"\x04HOST\x05local\0", TYPE_A, &[192, 168, 1, 7]);
    packet
}

#[test]
fn an_answer_is_read() {
    let found = answers(&answer(), SERVICE, [192, 168, 1, 9].into());
    assert_eq!(
        found,
        [Found {
            instance: "den._unisono._tcp.local".into(),
            address: "192.168.1.7:7680".parse().unwrap(),
            hub_id: Some("h1".into()),
        }]
    );
}

#[test]
fn a_cut_answer_is_no_answer() {
    let whole = answer();
    for length in 0..whole.len() {
        assert_eq!(answers(&whole[..length], SERVICE, [127, 0, 0, 1].into()), []);
    }
}

#[test]
fn a_name_that_points_at_itself_ends() {
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    packet.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 0, 0, 2, 0xc0, 12]);
    assert_eq!(answers(&packet, SERVICE, [127, 0, 0, 1].into()), []);
}

#[test]
fn a_question_is_not_an_answer() {
    assert_eq!(answers(&question(SERVICE), SERVICE, [127, 0, 0, 1].into()), []);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = answers(&bytes, SERVICE, [127, 0, 0, 1].into());
    }

    #[test]
    fn a_damaged_answer_never_panics(at in 0_usize..150, byte in any::<u8>()) {
        let mut packet = answer();
        let at = at % packet.len();
        packet[at] = byte;
        let _ = answers(&packet, SERVICE, [127, 0, 0, 1].into());
    }
}
